"""One JSON line per log record on stderr, control characters escaped, anything that looks like a secret struck out."""

import logging
import logging.config
import re
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

SECRET_NAME = re.compile(r"secret|token|password|authorization|cookie|credential_blob|sealed|private", re.I)
# Our own bearer tokens, an Authorization value, the key in the link of a reset mail, and the 40-character shape of an AWS
# secret access key.
SECRET_SHAPE = re.compile(
    r"(?<=/password/reset/key/)[^/\s'\"]+|cwt_[A-Za-z0-9_-]{20,}|(?i:bearer)\s+\S+|(?<![A-Za-z0-9/+=])(?=[A-Za-z0-9/+]*[a-z])(?=[A-Za-z0-9/+]*[A-Z])(?=[A-Za-z0-9/+]*[0-9/+])"
    r"[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])|[A-Za-z0-9/+]{200,}={0,2}"
)
STRUCK = "[redacted]"
QUERY = re.compile(r"(<\w*Request: \w+ '[^?']*)\?[^']*")
DEEPEST = 5


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: strikes out values by their name and, in every text, by their shape.

    What is no text is looked through or, as the last processor would, made one here.
    """
    for key, value in event.items():
        if not key.startswith("_"):  # those are structlog's own, and are gone before anything is written
            event[key] = _redacted(key, value, DEEPEST)
    return event


def _redacted(name: str, value: object, levels: int) -> object:
    match value:
        case None | bool() | int() | float():
            return STRUCK if SECRET_NAME.search(name) else value
        case _ if SECRET_NAME.search(name):
            return STRUCK
        case str():
            return SECRET_SHAPE.sub(STRUCK, value)
        case Mapping() if levels:
            return {str(key): _redacted(str(key), each, levels - 1) for key, each in value.items()}
        case list() | tuple() | set() | frozenset() if levels:
            return [_redacted("", each, levels - 1) for each in value]
        case _:
            # A request shows its query, and that may hold what a provider gives only once.
            return SECRET_SHAPE.sub(STRUCK, QUERY.sub(r"\1", repr(value)))


def configure(level: str) -> None:
    """Sends the standard library's logging and structlog's through the same processors."""
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
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {
                # botocore's and urllib3's debug lines hold signed headers and answers: they are never wanted.
                "botocore": {"level": "WARNING"},
                "urllib3": {"level": "WARNING"},
                "celery.beat": {"level": "WARNING"},
                "celery.app.trace": {"level": "WARNING"},
                "celery.worker.strategy": {"level": "WARNING"},
                "django.request": {"level": "ERROR"},
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
