"""Read REDIS_URL once for redis-py and Celery, which spell sockets and TLS differently."""

import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.core.exceptions import ImproperlyConfigured

from chainweb.environment import checked_url

SCHEMES = ("redis", "rediss", "unix")
PEM = "-----BEGIN CERTIFICATE-----"
CA_SETTING = "CHAINWEB_REDIS_CA"
# What may be said in the address of a client's own certificate, and of who has signed the server's.
FILES = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
# What some providers' addresses say although it is so anyway. Anything weaker is refused.
SAID_ANYWAY = {
    "ssl_cert_reqs": {"required", "cert_required"},
    "ssl_check_hostname": {"true", "1", "yes"},
}


@dataclass(frozen=True)
class RedisAddress:
    """Hold one address in both spellings.

    `tls` holds keyword arguments of redis-py's `SSLConnection`, which Celery's `broker_use_ssl`
    takes as well.
    """

    url: str
    tls: dict[str, Any]

    @property
    def celery_url(self) -> str:
        """Spell the address as Celery does."""
        return self.url.replace("unix://", "redis+socket://", 1)


def read_redis_address(url: str, ca: str = "") -> RedisAddress:
    """Check REDIS_URL and CHAINWEB_REDIS_CA.

    With `rediss://` the certificate and its host name are always verified.
    """
    url = checked_url("REDIS_URL", url)
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES:
        raise ImproperlyConfigured("REDIS_URL begins with redis://, rediss:// (TLS) or unix://.")
    if scheme != "rediss":
        if ca:
            raise ImproperlyConfigured(
                f"{CA_SETTING} is for TLS: REDIS_URL has to begin with rediss://."
            )
        return RedisAddress(url, {})
    address, _, query = url.partition("?")
    tls: dict[str, Any] = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    rest = []
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in FILES:
            tls[name] = value
        elif name in SAID_ANYWAY:
            if value.lower() not in SAID_ANYWAY[name]:
                raise ImproperlyConfigured(
                    f"REDIS_URL turns {name} off: certificates are always verified. Set"
                    f" {CA_SETTING} to the certificate of the authority that signed the server's."
                )
        elif name.startswith("ssl_"):
            raise ImproperlyConfigured(
                f"REDIS_URL: {name} is not known; of TLS it may say {sorted(FILES)}."
            )
        else:
            rest.append((name, value))
    if ca:
        tls.pop("ssl_ca_certs", None)
        tls["ssl_ca_data" if PEM in ca else "ssl_ca_certs"] = ca
    _check_authority(tls)
    return RedisAddress(f"{address}?{urlencode(rest)}" if rest else address, tls)


def _check_authority(tls: dict[str, Any]) -> None:
    """Raise ImproperlyConfigured for a file that is missing or holds no certificate."""
    if not tls.keys() & {"ssl_ca_certs", "ssl_ca_data"}:
        return  # whom the system trusts
    path, text = tls.get("ssl_ca_certs"), tls.get("ssl_ca_data")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path, cadata=text)
    except ssl.SSLError:
        raise ImproperlyConfigured(f"{CA_SETTING} holds no certificate in PEM form.") from None
    except OSError as error:
        raise ImproperlyConfigured(f"{CA_SETTING}: {error.strerror}: {path}.") from None
