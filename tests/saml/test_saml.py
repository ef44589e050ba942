"""SAML by environment: it starts, tells its metadata, and sends people to the provider. A whole log-in is not tested here."""

import base64
import os
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
import zlib
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.platform.installation import CHECKOUT

ENTITY = "https://idp.example/saml"
SSO = "https://idp.example/sso"
# In a process of its own: which addresses there are is decided when the settings are read.
ASK = """
import django
django.setup()
from django.core.management import call_command
from django.test import Client
from django.test.utils import setup_test_environment
setup_test_environment()
call_command("migrate", verbosity=0)
client = Client(headers={"Host": "testserver"})
print(client.get("/accounts/saml/saml/metadata/").content.decode())
print("---")
answer = client.post("/accounts/saml/saml/login/?process=login")
print(answer.status_code, answer.headers["Refresh"], client.post("/accounts/saml/saml/acs/").status_code)
"""


def certificate():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.example")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1)
    ).sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


@pytest.fixture
def metadata_url():
    text = f"""<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{ENTITY}">
  <IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data>
      <X509Certificate>{certificate()}</X509Certificate></X509Data></KeyInfo></KeyDescriptor>
    <SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{SSO}"/>
  </IDPSSODescriptor></EntityDescriptor>"""

    class Metadata(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "application/samlmetadata+xml")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Metadata) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/metadata"
        server.shutdown()


def test_the_environment_alone_switches_it_on(metadata_url):
    environ = {
        **{name: value for name, value in os.environ.items() if name not in {"DATABASE_URL"}},
        "SAML_IDP_METADATA_URL": metadata_url,
        "SAML_IDP_ENTITY_ID": ENTITY,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=environ, cwd=CHECKOUT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    ours, _, rest = done.stdout.partition("---\n")
    [acs] = [each for each in ET.fromstring(ours).iter() if each.tag.endswith("AssertionConsumerService")]
    assert acs.attrib["Location"] == "http://testserver/accounts/saml/saml/acs/"
    assert 'WantAssertionsSigned="true"' in ours
    status, _, leaving, refused = rest.split()
    assert status == "200"
    target = leaving.removeprefix("url=")
    assert target.startswith(f"{SSO}?")
    request = parse_qs(urlsplit(target).query)["SAMLRequest"][0]
    assert "AuthnRequest" in zlib.decompress(base64.b64decode(request), -15).decode()
    assert int(refused) >= 300, "an answer without an assertion opens nothing"
