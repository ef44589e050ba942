"""Read settings from the environment, each literally, from `NAME` or from the file of `NAME_FILE`.

django-environ takes a value that begins with `$` for the name of another variable, and puts it into
its error. What is refused here is named by its setting; a value, which may be a secret, is never in
a message.
"""

import base64
import math
import os
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

NUMBERS = {bool: "true or false", int: "a whole number", float: "a number"}
TRUE, FALSE = {"true", "on", "ok", "y", "yes", "1"}, {"false", "off", "n", "no", "0"}


class FromEnvironmentOrFile(environ.FileAwareEnv):  # type: ignore[misc]  # the package has no types
    """Read `NAME`, or the file that `NAME_FILE` names, without its final line ends."""

    class Values(FileAwareMapping):  # type: ignore[misc]
        def __getitem__(self, key: str) -> str:
            try:
                return str(super().__getitem__(key)).rstrip("\r\n")
            except OSError as error:
                raise ImproperlyConfigured(f"{key}_FILE: {error}") from error
            except UnicodeDecodeError:
                raise ImproperlyConfigured(f"{key}_FILE: the file is not UTF-8 text.") from None

    ENVIRON = Values(os.environ)

    def get_value(
        self,
        var: str,
        cast: Any = None,
        default: Any = environ.Env.NOTSET,
        parse_default: bool = False,
    ) -> Any:
        """Read one setting. Replaces the library's own, which interpolates."""
        value = self.ENVIRON.get(var)
        cast = cast if cast is not None or default in (self.NOTSET, None) else type(default)
        # A number left empty, as compose passes on what is not set, is not set; an empty text is
        # one.
        if value is None or (cast in NUMBERS and not value.strip()):
            if default is self.NOTSET:
                raise ImproperlyConfigured(f"{var} is not set.")
            return default
        if cast in NUMBERS:
            return _number(var, value, cast)
        if cast is list:
            return [each for each in (part.strip() for part in value.split(",")) if each]
        return value

    def within(self, var: str, default: Any, least: Any, most: Any) -> Any:
        """Read a number of the default's kind, not beyond either end."""
        number = self.get_value(var, default=default)
        if not least <= number <= most:
            raise ImproperlyConfigured(
                f"{var} is {NUMBERS[type(default)]} from {least:,} to {most:,}."
            )
        return number

    def https_url(self, var: str) -> str:
        """Read an address that is reached by https alone and names no user; empty for none."""
        url = str(self.get_value(var, default=""))
        if url and not _is_https(url):
            raise ImproperlyConfigured(
                f"{var} is not an address like https://host/path, without a user name and with"
                " nothing behind “#”."
            )
        return url

    def issuers(self, var: str) -> tuple[str, ...]:
        """Read the addresses of OpenID issuers, by commas: https, or http on this machine."""
        found = tuple(str(each).strip() for each in self.list(var, default=[]) if str(each).strip())
        for url in found:
            parts = urlsplit(url)
            on_loopback = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"}
            if not _is_https(url) and not on_loopback:
                raise ImproperlyConfigured(
                    f"{var} is addresses like https://token.actions.githubusercontent.com, by"
                    " commas."
                )
        return found

    def syslog_url(self, var: str) -> str:
        """Read the address of a syslog server; empty for none."""
        url = str(self.get_value(var, default=""))
        if url and not _is_syslog(url):
            raise ImproperlyConfigured(
                f"{var} is not an address like tls://host:6514, tcp://host:601, udp://host:514 or"
                " unix:///path."
            )
        return url

    def webhook_keys(self, var: str) -> tuple[bytes, ...]:
        """Read keys for signatures of bodies: base64 of 24 to 64 bytes each, by commas."""
        keys = []
        for text in self.get_value(var, default=[]):
            try:
                keys.append(base64.b64decode(text.removeprefix("whsec_"), validate=True))
            except ValueError:
                keys.append(b"")
        if any(not 24 <= len(key) <= 64 for key in keys):
            raise ImproperlyConfigured(f"{var} is base64 of 24 to 64 bytes, or several by commas.")
        return tuple(keys)

    def header(self, var: str) -> str:
        """Read what is sent as the value of a header: printable, on one line."""
        value = str(self.get_value(var, default=""))
        if not (value.isascii() and (value.isprintable() or not value)):
            raise ImproperlyConfigured(f"{var} is one line of printable ASCII.")
        return value

    def email_url(self, var: str = "EMAIL_URL", **kwargs: Any) -> dict[str, Any]:
        """Read the mail server's address as Django's settings."""
        return dict(_parsed(var, self.email_url_config, checked_url(var, self.str(var))))

    def db_url(self, var: str = "DATABASE_URL", **kwargs: Any) -> dict[str, Any]:
        """Read the database's address as one of Django's `DATABASES`."""
        return dict(_parsed(var, self.db_url_config, checked_url(var, self.str(var))))


def _is_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        url.isascii()
        and url.isprintable()
        and " " not in url
        and parts.scheme == "https"
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and not parts.fragment
        and port != 0
    )


def _is_syslog(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if not url.isprintable() or parts.query or parts.fragment or "@" in parts.netloc:
        return False
    if parts.scheme == "unix":
        return not parts.netloc and len(parts.path) > 1
    is_one = parts.scheme in {"tls", "tcp", "udp"}
    return is_one and bool(parts.hostname) and parts.path in {"", "/"} and port != 0


def _number(name: str, value: str, cast: Any) -> Any:
    text = value.strip().lower()
    if cast is bool and text in TRUE | FALSE:
        return text in TRUE
    try:
        if cast is not bool and math.isfinite(number := cast(text)):
            return number
    except ValueError:
        pass
    raise ImproperlyConfigured(f"{name} is {NUMBERS[cast]}; what is set is not.")


def _parsed(name: str, parse: Any, url: str) -> Any:
    try:
        return parse(url)
    except (ValueError, ImproperlyConfigured):
        raise ImproperlyConfigured(
            f"{name} is not an address of a kind that is known here."
        ) from None


def is_port(text: str) -> bool:
    """Tell whether a text is the number of a port that can be connected to."""
    return text.isascii() and text.isdecimal() and 0 < int(text) <= 65535


def checked_url(name: str, url: str) -> str:
    """Return an address with its user name and password percent-encoded for every library.

    `@`, `:` and `$` in a password may stand as they are; `/`, `?` and `#` end the host for every
    reader of addresses, so they have to be percent-encoded, and an address in which they are not is
    refused.
    """
    scheme, separator, rest = url.partition("://")
    ends = min((found for each in "/?#" if (found := rest.find(each)) >= 0), default=len(rest))
    login, at, place = rest[:ends].rpartition("@")
    path = rest[ends:].partition("?")[0]
    # Several hosts may be named by commas; an IPv6 address has colons of its own.
    ports = [host.rpartition("]")[2].partition(":")[2] for host in place.split(",")]
    if (
        not separator
        or not scheme.replace("+", "").isalnum()
        or not url.isprintable()
        or "#" in rest[ends:]
        or ("@" in path or (not at and "@" in rest))
        or not all(is_port(port) for port in ports if port)
    ):
        raise ImproperlyConfigured(
            f"{name} is not an address like scheme://user:password@host:port/path. In a user name"
            " or password “/”, “?”, “#” and “%” are written %2F, %3F, %23 and %25."
        )
    user, colon, password = login.partition(":")
    encoded = quote(unquote(user), safe="") + colon + quote(unquote(password), safe="")
    return f"{scheme}://{encoded}{at}{place}{rest[ends:]}"
