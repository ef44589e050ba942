"""Find secrets in bytes in each form they could have.

Raw, base64 (at each of its three alignments,
also of the URL kind), hex, and URL-encoded."""

import base64
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path


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
    }
    for before in range(3):
        padded = b"x" * before + raw
        whole = base64.b64encode(padded[: len(padded) // 3 * 3])[4 if before else 0 :]
        found[f"base64 after {before}"] = whole
        found[f"URL base64 after {before}"] = whole.replace(b"+", b"-").replace(b"/", b"_")
    return found


def find(secrets: Iterable[str], haystacks: Mapping[str, bytes]) -> list[str]:
    """Return where a secret was found and in which form, without the secret itself."""
    return [
        f"{form} of a secret of {len(secret)} characters in {name}"
        for secret in secrets
        for form, looks in forms(secret).items()
        for name, content in haystacks.items()
        if looks in content
    ]


def files_below(folder: Path, *, but: Iterable[str] = ()) -> dict[str, bytes]:
    """Every file's content by its path, except for the names in `but`."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in set(but)
    }
