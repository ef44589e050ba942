# The image of web, worker, starter and beat: one image, four commands (docker-compose.yml). It holds the runtime lock alone.
FROM python:3.13-slim AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
COPY requirements.txt /tmp/requirements.txt
# Wheels alone: nothing is compiled, and no package's own setup code runs.
RUN /venv/bin/pip install --require-hashes --only-binary :all: -r /tmp/requirements.txt

FROM python:3.13-slim
# A number, so that an orchestrator that asks for "not root" can see it.
RUN groupadd --system --gid 10001 chainweb && useradd --system --uid 10001 --gid 10001 --no-create-home chainweb
COPY --from=packages /venv /venv
WORKDIR /app
COPY manage.py ./
COPY chainweb chainweb
COPY sessions sessions
COPY templates templates
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 CHAINWEB_AWS=real STATIC_ROOT=/app/staticfiles
RUN python -m compileall -q chainweb sessions && SECRET_KEY=for-this-step-alone python manage.py collectstatic --noinput
# A volume that is mounted here gets this owner: what workers sign of the ledger is kept in it.
RUN mkdir /checkpoints && chown 10001:10001 /checkpoints
USER 10001:10001
EXPOSE 8000
# For the web alone; docker-compose.yml says for each other process why it has none.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-m", "chainweb.healthcheck"]
CMD ["gunicorn", "chainweb.wsgi", "--bind=0.0.0.0:8000", "--worker-class=chainweb.web_worker.WebWorker", "--workers=1", "--threads=12", "--no-control-socket", "--keep-alive=30", "--forwarder-headers=", "--error-logfile=-", "--graceful-timeout=5"]
