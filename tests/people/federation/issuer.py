"""Run an OpenID issuer on a loopback port, with keys that are made at run time."""

import json
import time
from contextlib import contextmanager

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sessions.people.federation import keys
from tests.harness.http_server import HttpServer

AUDIENCE = "https://chainweb.example"


class Issuer:
    """Sign tokens, and serve discovery and keys over real HTTP.

    `answers` replaces an answer by its path: (status, body, headers), or seconds to keep silent.
    """

    def __init__(self):
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.published = {"one": self.rsa, "curve": self.ec, "small": self.small}
        self.answers, self.asked = {}, []

    @contextmanager
    def running(self):
        with HttpServer(self.receive) as server:
            self.url = server.url
            yield self

    def receive(self, request, connection):
        self.asked.append(request.path)
        found = self.answers.get(request.path)
        if isinstance(found, float):
            connection.later(found, connection.hang_up)
            return
        if found is not None:
            status, body, headers = found
            connection.send(status, body, "application/json", headers)
            return
        body = {
            keys.DISCOVERY: {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
            "/keys": {"keys": [self.jwk(kid, key) for kid, key in self.published.items()]},
        }.get(request.path)
        connection.send(200 if body else 404, json.dumps(body).encode(), "application/json")

    @staticmethod
    def jwk(kid, key):
        algorithm = (
            jwt.algorithms.ECAlgorithm
            if isinstance(key, ec.EllipticCurvePrivateKey)
            else (jwt.algorithms.RSAAlgorithm)
        )
        return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}

    def claims(self, **changes):
        now = int(time.time())
        found = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "repo:acme/app:ref:refs/heads/main",
            "repository": "acme/app",
            "ref": "refs/heads/main",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "jti": "one",
        }
        found |= changes
        return {name: value for name, value in found.items() if value is not None}

    def token(self, *, key=None, kid="one", algorithm="RS256", headers=None, **changes):
        """Sign a token; a claim of None is left out."""
        return jwt.encode(
            self.claims(**changes),
            key if key is not None else self.rsa,
            algorithm=algorithm,
            headers={"kid": kid, **(headers or {})},
        )

    def public_pem(self):
        return self.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
