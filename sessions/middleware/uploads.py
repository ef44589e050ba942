"""Take files in from those who may send some, at the two pages that have a use for them.

Django reads a form before any view decides about it, and keeps its files on the disk meanwhile.
"""

import io
import re
from typing import Any

from django.core.files.uploadedfile import InMemoryUploadedFile
from django.core.files.uploadhandler import (
    FileUploadHandler,
    SkipFile,
    StopFutureHandlers,
    StopUpload,
    TemporaryFileUploadHandler,
)
from django.http import HttpRequest

from sessions.ledger.drift.imports import LARGEST_UPLOAD

# The pages' addresses end so; the API authenticates before it reads.
IMPORT_PAGE = re.compile(r"/teams/[^/]+/import/")
LARGEST_CONFIG = 1024 * 1024
MOST_CONFIGS = 10
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


class ConfigFiles(FileUploadHandler):
    """Keep config files of an import in memory alone: they may hold access keys.

    One that is larger than `LARGEST_CONFIG` is left out, and its name kept in the request's
    `left_out`; after the tenth no more is taken.
    """

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self.content: io.BytesIO | None = None
        self.files = 0

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begin a file of an import; any other is the next handler's."""
        super().new_file(*args, **kwargs)
        request: Any = self.request
        is_ours = IMPORT_PAGE.fullmatch(request.path_info) and request.user.is_authenticated
        self.content = io.BytesIO() if is_ours else None
        if self.content is not None:
            self.files += 1
            if self.files > MOST_CONFIGS:
                raise StopUpload(connection_reset=True)
            raise StopFutureHandlers

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        """Take a piece of a file."""
        if self.content is None:
            return raw_data
        if start + len(raw_data) > LARGEST_CONFIG:
            request: Any = self.request
            request.left_out = [*getattr(request, "left_out", ()), self.file_name]
            self.content = io.BytesIO()
            raise SkipFile
        self.content.write(raw_data)
        return None

    def file_complete(self, file_size: int) -> InMemoryUploadedFile | None:
        """Hand over a whole file."""
        if self.content is None:
            return None
        self.content.seek(0)
        return InMemoryUploadedFile(
            self.content,
            self.field_name,
            self.file_name or "file",
            self.content_type or "",
            file_size,
            self.charset,
            self.content_type_extra,
        )
