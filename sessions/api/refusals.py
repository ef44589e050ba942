"""Remember what tools were refused for a moment: they repeat it at once, several times."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from uuid import UUID

from django.http import HttpResponse

# botocore asks three times, a second apart: what may change soon is looked at again each time.
REMEMBER_SECONDS, REMEMBER_RETRYABLE_SECONDS = 2.0, 1.0
MOST_REMEMBERED = 10_000

Key = tuple[str, UUID, str, str]


@dataclass
class _Refusals:
    """Hold this process's refusals by token, session, form and address, the last ones."""

    said: "OrderedDict[Key, tuple[float, HttpResponse]]" = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: Key) -> HttpResponse | None:
        until, response = self.said.get(key, (0.0, None))
        return _copy(response) if response is not None and time.monotonic() < until else None

    def put(self, key: Key, response: HttpResponse) -> None:
        seconds = REMEMBER_RETRYABLE_SECONDS if response.status_code >= 500 else REMEMBER_SECONDS
        with self.lock:
            self.said[key] = time.monotonic() + seconds, _copy(response)
            self.said.move_to_end(key)
            while len(self.said) > MOST_REMEMBERED:
                self.said.popitem(last=False)

    def forget(self) -> None:
        with self.lock:
            self.said.clear()


refusals = _Refusals()


def _copy(response: HttpResponse) -> HttpResponse:
    """Return a response with the same content, which middleware may add to."""
    return HttpResponse(response.content, status=response.status_code, headers=response.headers)
