"""Find secrets in bytes in each form they could have, also inside what is compressed."""

import base64
import html
import json
import re
import urllib.parse
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

# How a control is planted, form by form; `find` has to find each.
ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "base64": lambda text: base64.b64encode(f"before {text} after".encode()),
    "URL base64": lambda text: base64.urlsafe_b64encode(f"a{text}?".encode()),
    "hex": lambda text: text.encode().hex().encode(),
    "URL-encoded": lambda text: urllib.parse.urlencode({"a": text}).encode(),
    "JSON": lambda text: json.dumps({"a": text}).replace("/", "\\/").encode(),
    "HTML": lambda text: html.escape(text).encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "reversed": lambda text: text[::-1].encode(),
    "zlib": lambda text: zlib.compress(f"{'before ' * 99}{text} after".encode()),
    "gzip": lambda text: _gzip(f"before {text} after".encode()),
}
# A stream that says what it is; more than this of one is not looked at.
_COMPRESSED = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
_LARGEST_STREAM = 20_000_000


def forms(secret: str) -> dict[str, bytes]:
    """Return {form: text}.

    In base64 the first and last characters hang on what stands beside it.
    """
    raw = secret.encode()
    found = {
        "raw": raw,
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "URL-encoded": urllib.parse.quote(secret, safe="").encode(),
        "URL-encoded in a path": urllib.parse.quote(secret).encode(),
        "URL-encoded in a query": urllib.parse.quote_plus(secret).encode(),
        "JSON": secret.replace("/", "\\/").encode(),
        "JSON in ASCII": json.dumps(secret)[1:-1].encode(),
        "HTML": html.escape(secret).encode(),
        "UTF-16, little end first": secret.encode("utf-16-le"),
        "UTF-16, big end first": secret.encode("utf-16-be"),
        "reversed": raw[::-1],
    }
    for before in range(3):
        padded = b"x" * before + raw
        whole = base64.b64encode(padded[: len(padded) // 3 * 3])[4 if before else 0 :]
        found[f"base64 after {before}"] = whole
        found[f"URL base64 after {before}"] = whole.replace(b"+", b"-").replace(b"/", b"_")
    return found


def find(secrets: Iterable[str], haystacks: Mapping[str, bytes]) -> list[str]:
    """Return where a secret was found and in which form, without the secret itself."""
    looked_for = [
        (form, looks, len(secret)) for secret in secrets for form, looks in forms(secret).items()
    ]
    return [
        f"{form} of a secret of {size} characters in {name}"
        for where, content in haystacks.items()
        for name, layer in _layers(where, content)
        for form, looks, size in looked_for
        if looks in layer
    ]


def _layers(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield content and what is compressed in it."""
    yield name, content
    for match in _COMPRESSED.finditer(content):
        inside = _decompressed(content, match.start())
        if inside:
            yield f"{name}, compressed", inside


def _decompressed(content: bytes, begin: int) -> bytes:
    # 32 more than the window's 15 bits: zlib's or gzip's, whichever it is.
    stream = zlib.decompressobj(15 + 32)
    found = b""
    try:
        for at in range(begin, len(content), 4096):
            found += stream.decompress(content[at : at + 4096], _LARGEST_STREAM - len(found))
            if stream.eof or len(found) >= _LARGEST_STREAM:
                break
    except zlib.error:
        pass
    return found if len(found) > 8 else b""


def _gzip(content: bytes) -> bytes:
    stream = zlib.compressobj(wbits=15 + 16)
    return stream.compress(content) + stream.flush()


def files_below(folder: Path, *, but: Iterable[str] = ()) -> dict[str, bytes]:
    """Every file's content by its path, except for the names in `but`."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in set(but)
    }
