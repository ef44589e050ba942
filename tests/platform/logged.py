"""Capture what the installation's own logging writes at a chosen level."""

import io
import logging
from contextlib import contextmanager

from chainweb import logs


@contextmanager
def logged(level="INFO"):
    """Log into a text buffer in place of stderr, and restore everything afterwards."""
    manager, root = logging.root.manager, logging.getLogger()
    before = root.handlers[:], root.level
    levels = {
        name: logger.level
        for name, logger in manager.loggerDict.items()
        if isinstance(logger, logging.Logger)
    }
    logs.configure(level)
    buffer = io.StringIO()
    root.handlers[0].stream = buffer
    try:
        yield buffer
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        for name, logger in manager.loggerDict.items():
            if isinstance(logger, logging.Logger):
                logger.setLevel(levels.get(name, logging.NOTSET))
