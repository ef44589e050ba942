"""Take files in from those who may send some, at the one page that has a use for them.

Django reads a form before any view decides about it, and keeps its files on the disk meanwhile.
"""

from typing import Any

from django.core.files.uploadhandler import (
    SkipFile,
    StopUpload,
    TemporaryFileUploadHandler,
)
from django.http import HttpRequest

from sessions.ledger.drift.imports import LARGEST_UPLOAD

# The page's address ends so; the API authenticates before it reads.
PAGE = "/audit/drift/upload/"


class LogFiles(TemporaryFileUploadHandler):
    """Keep uploaded files on the disk, at most `LARGEST_UPLOAD` bytes in one request.

    A larger file is left out, and its name kept in the request's `left_out`.
    """

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self.taken = 0

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begin a file; of strangers none is taken."""
        request: Any = self.request
        by_token = getattr(request, "auth", None) is not None
        if not by_token and not (request.user.is_authenticated and request.path.endswith(PAGE)):
            raise StopUpload(connection_reset=True)
        super().new_file(*args, **kwargs)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Take a piece of a file."""
        self.taken += len(raw_data)
        if self.taken > LARGEST_UPLOAD:
            request: Any = self.request
            request.left_out = [*getattr(request, "left_out", ()), self.file_name]
            self.upload_interrupted()
            self.taken -= start + len(raw_data)
            raise SkipFile
        super().receive_data_chunk(raw_data, start)
