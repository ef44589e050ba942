"""Lay out the embedded installation: its files, and the keys made at its first start.

What `./run` without any settings needs; of it production uses the key files alone, by `manage.py
keys`. Imported by the settings, so it knows no Django, and `cryptography` only where a key is made.
"""

import base64
import hashlib
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
MODES = ("simulated", "real")
# macOS allows 104 bytes for the path of a unix socket, its closing NUL among them; Linux 108.
LONGEST_SOCKET_PATH = 103


class EmbeddedError(Exception):
    """Report that the embedded files cannot be used as they are; the message says which and why."""


def data_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of this installation's files; nothing is created.

    `CHAINWEB_DATA`, else `.chainweb` in the checkout, else (a checkout that cannot be written) the
    user's own data folder. In it a folder each for simulated and real AWS, so that a demo's
    database and keys never meet real ones.
    """
    mode = environ.get("CHAINWEB_AWS") or "simulated"
    if mode not in MODES:
        raise EmbeddedError("CHAINWEB_AWS is either 'simulated' or 'real'.")
    if chosen := environ.get("CHAINWEB_DATA"):
        base = Path(os.path.abspath(os.path.expanduser(chosen)))
    else:
        base = CHECKOUT / ".chainweb"
        if not os.access(base if base.exists() else CHECKOUT, os.W_OK):
            base = _user_data_folder(environ)
    return base / mode


def _user_data_folder(environ: Mapping[str, str]) -> Path:
    home = Path(environ.get("HOME") or os.path.expanduser("~"))
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "chainweb"
    chosen = environ.get("XDG_DATA_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    return (Path(chosen) if os.path.isabs(chosen) else home / ".local" / "share") / "chainweb"


def prepare(folder: Path) -> None:
    """Create the data folder and each key file that is missing, readable by their owner alone.

    `secret_key` is text. `seal_keys` is `<id>:<base64 of 32 bytes>`, several by commas, the newest
    first; `root_keys` likewise with raw X25519 private keys; `root_public_key` is `<id>:<base64 of
    the raw public key>` of the newest. `checkpoint_key` is like `root_keys` with Ed25519 seeds, and
    `checkpoint_public_key` has the public half of each, also of those that were dropped. Raises
    EmbeddedError if the folder is another user's.
    """
    make_private(folder)
    if not (folder / "secret_key").exists():
        write_once(folder / "secret_key", secrets.token_urlsafe(48))
    if not (folder / "seal_keys").exists():
        write_once(folder / "seal_keys", f"{_new_id()}:{_text(secrets.token_bytes(32))}")
    if not (folder / "root_keys").exists():
        if (folder / "root_public_key").exists():
            raise EmbeddedError(
                f"{folder / 'root_keys'} is gone but its public half is there: put the private keys"
                " back, or remove root_public_key as well if the root secrets sealed to it may be"
                " lost."
            )
        write_once(folder / "root_keys", f"{_new_id()}:{_text(secrets.token_bytes(32))}")
    if not (folder / "root_public_key").exists():
        write_once(folder / "root_public_key", _public_half((folder / "root_keys").read_text()))
    _make_checkpoint_key(folder)


def add_new_keys(folder: Path) -> None:
    """Put a new seal key, root key and checkpoint key in front of the old ones.

    The old keys still open old values.
    """
    for name in ("seal_keys", "root_keys"):
        _put_new_first(folder / name)
    _write_over(folder / "root_public_key", _public_half((folder / "root_keys").read_text()))
    _make_checkpoint_key(folder)
    _put_new_first(folder / "checkpoint_key")
    _publish_checkpoint_key(folder)


def drop_old_keys(folder: Path) -> None:
    """Drop all but the newest seal key, root key and checkpoint key.

    Values sealed with an older key are lost. Checkpoints signed with one can still be verified: its
    public half stays.
    """
    for name in ("seal_keys", "root_keys"):
        _keep_newest(folder / name)
    _make_checkpoint_key(folder)
    _keep_newest(folder / "checkpoint_key")


def _put_new_first(path: Path) -> None:
    old = path.read_text().strip()
    _write_over(path, f"{_new_id()}:{_text(secrets.token_bytes(32))},{old}")


def _keep_newest(path: Path) -> None:
    _write_over(path, path.read_text().strip().split(",")[0])


def _make_checkpoint_key(folder: Path) -> None:
    """Make the checkpoint key where it is missing, as in the folder of an earlier version."""
    private, public = folder / "checkpoint_key", folder / "checkpoint_public_key"
    if private.exists() and public.exists():
        return
    if not private.exists():
        write_once(private, f"{_new_id()}:{_text(secrets.token_bytes(32))}")
    _publish_checkpoint_key(folder)


def _publish_checkpoint_key(folder: Path) -> None:
    """Put the newest checkpoint key's public half in front of those in `checkpoint_public_key`."""
    path = folder / "checkpoint_public_key"
    newest = _verifying_half((folder / "checkpoint_key").read_text())
    if not path.exists():
        write_once(path, newest)
    published = path.read_text().strip()
    if newest not in published.split(","):
        _write_over(path, f"{newest},{published}")


def _verifying_half(checkpoint_keys: str) -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key_id, _, seed = checkpoint_keys.strip().split(",")[0].partition(":")
    public = Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed, validate=True))
    return f"{key_id}:{_text(public.public_key().public_bytes_raw())}"


def _public_half(root_keys: str) -> str:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    key_id, _, private = root_keys.strip().split(",")[0].partition(":")
    public = X25519PrivateKey.from_private_bytes(
        base64.b64decode(private, validate=True)
    ).public_key()
    return f"{key_id}:{_text(public.public_bytes_raw())}"


def _new_id() -> str:
    return secrets.token_hex(4)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _write_beside(path: Path, text: str) -> str:
    """Write a temporary file beside its target and return its path.

    Its mode is 0600, as mkstemp sets it; it is on the disk when this returns.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    return temporary


def _write_over(path: Path, text: str) -> None:
    """Replace a file, whole or not at all.

    Its readers stay the same, such as a container's user number.
    """
    before = path.stat()
    temporary = _write_beside(path, text)
    if os.geteuid() == 0:
        os.chown(temporary, before.st_uid, before.st_gid)
    os.chmod(temporary, stat.S_IMODE(before.st_mode))
    os.replace(temporary, path)


def write_once(path: Path, text: str) -> None:
    """Write a file, whole or not at all, unless it exists.

    Two first starts at once agree on one key.
    """
    temporary = _write_beside(path, text)
    try:
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def make_private(folder: Path) -> None:
    """Create a folder with mode 0700, or give it that mode.

    Raises EmbeddedError if the folder is a link or belongs to another user.
    """
    before = os.umask(0o077)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(f"The folder {folder} cannot be created: {error.strerror}.") from error
    finally:
        os.umask(before)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise EmbeddedError(f"{folder} is not a folder of its own.")
    if found.st_uid != os.getuid():
        raise EmbeddedError(
            f"{folder} belongs to another user (number {found.st_uid}); it is not safe to use."
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)


def socket_path(folder: Path) -> Path:
    """Return the socket path of this data folder's Valkey; nothing is created.

    Not in the data folder itself, whose path may be longer than a socket's may be, or on a file
    system without sockets. Not under TMPDIR either unless it must: a command typed in another shell
    has to find the same place.
    """
    name = f"chainweb-{os.getuid()}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]}"
    # The folder in it is checked to be ours, 0700.
    places = [Path("/tmp"), Path(tempfile.gettempdir())]  # noqa: S108
    place = next((place for place in places if os.access(place, os.W_OK | os.X_OK)), places[0])
    path = place / name / "valkey.sock"
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise EmbeddedError(f"{path} is too long for a socket; set TMPDIR to a shorter folder.")
    return path
