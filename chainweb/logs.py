"""Write one JSON line per log record to stderr.

Control characters are escaped and secrets removed.

LOG_LEVEL is for Chainweb's own loggers. Libraries show values when they are asked for details:
django.template the seed of an authenticator, django.db.backends the rows, botocore signed headers.
So no library logs below WARNING, whatever is set.
"""

import logging
import logging.config
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import structlog
from structlog.typing import EventDict, WrappedLogger

SECRET_NAME = re.compile(
    r"secret|token|password|authorization|cookie|credential_blob|sealed|private", re.I
)
# Our own bearer tokens, an Authorization value, the key in the link of a mail, and the 40-character
# shape of an AWS secret access key.
SECRET_SHAPE = re.compile(
    r"(?<=/password/reset/key/)[^/\s'\"]+|(?<=/email/confirm/)[^/\s'\"]+|cw[tr]_[A-Za-z0-9_-]{20,}|(?i:bearer)\s+\S+|(?<![A-Za-z0-9/+=])(?=[A-Za-z0-9/+]*[a-z])(?=[A-Za-z0-9/+]*[A-Z])(?=[A-Za-z0-9/+]*[0-9/+])"
    r"[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])|[A-Za-z0-9/+]{200,}={0,2}"
)
STRUCK = "[redacted]"
QUERY = re.compile(r"(<\w*Request: \w+ '[^?']*)\?[^']*")
DEEPEST = 5
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
OURS = ("chainweb", "sessions", "tests")
# Shorter words would be struck out of ordinary text.
SHORTEST_KNOWN_SECRET = 8
_known: re.Pattern[str] | None = None


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Redact values by their name and, in every text, by their shape: a structlog processor.

    What is no text is looked through or, as the last processor would, made one here.
    """
    for key, value in event.items():
        if not key.startswith(
            "_"
        ):  # those are structlog's own, and are gone before anything is written
            event[key] = _redacted(key, value, DEEPEST)
    return event


def _redacted(name: str, value: object, levels: int) -> object:
    match value:
        case None | bool() | int() | float():
            return STRUCK if SECRET_NAME.search(name) else value
        case _ if SECRET_NAME.search(name):
            return STRUCK
        case str():
            return _without_secrets(value)
        case Mapping() if levels:
            return {str(key): _redacted(str(key), each, levels - 1) for key, each in value.items()}
        case list() | tuple() | set() | frozenset() if levels:
            return [_redacted("", each, levels - 1) for each in value]
        case _:
            # A request shows its query, and that may hold what a provider gives only once.
            return _without_secrets(QUERY.sub(r"\1", repr(value)))


def _without_secrets(text: str) -> str:
    text = SECRET_SHAPE.sub(STRUCK, text)
    return _known.sub(STRUCK, text) if _known else text


def set_secrets(secrets: Iterable[str]) -> None:
    """Set the texts that no log line may show, also percent-encoded: keys and passwords."""
    global _known
    long = {each for each in secrets if len(each) >= SHORTEST_KNOWN_SECRET}
    forms = sorted(long | {quote(each, safe="") for each in long}, key=len, reverse=True)
    _known = re.compile("|".join(map(re.escape, forms))) if forms else None


def configure(level: str) -> None:
    """Send the standard library's and structlog's records through one chain of processors.

    Raises ValueError for an unknown level.
    """
    level = level.strip().upper()
    if level not in LEVELS:
        raise ValueError(f"LOG_LEVEL is one of {', '.join(LEVELS)}.")
    numbers = logging.getLevelNamesMapping()
    library, celery = (
        logging.getLevelName(max(numbers[level], least))
        for least in (logging.WARNING, logging.INFO)
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "json": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        structlog.processors.JSONRenderer(),
                    ],
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
            "root": {"handlers": ["stderr"], "level": library},
            "loggers": {
                **{name: {"level": level} for name in OURS},
                # Says when a worker is ready and when the broker is away.
                "celery": {"level": celery},
                "celery.beat": {"level": library},
                "celery.app.trace": {"level": library},
                "celery.worker.strategy": {"level": library},
                "django.request": {
                    "level": logging.getLevelName(max(numbers[level], logging.ERROR))
                },
            },
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
