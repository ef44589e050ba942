"""The nginx of deploy/nginx.conf before a web process of a test."""

import os

import pytest

from chaos.nginx import Nginx, program
from tests.harness.servers import Unavailable


def need_nginx() -> None:
    """Without it the test is skipped, or fails where CI has to have it."""
    try:
        program()
    except Unavailable as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason} CI has to have one.")
        pytest.skip(str(reason))


__all__ = ["Nginx", "need_nginx"]
