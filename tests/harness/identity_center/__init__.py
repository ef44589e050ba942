"""Fake IAM Identity Center for tests: OIDC endpoint and portal, with AWS's error codes.

with FakeIdentityCenter(sts) as center:
    center.assign("ada", "111122223333", "Production", "Deploy")
    os.environ["AWS_ENDPOINT_URL_SSO"] = os.environ["AWS_ENDPOINT_URL_SSO_OIDC"] = center.url
    ... the product shows a user code ...
    center.approve(user_code, "ada")
"""

from tests.harness.identity_center.server import FakeIdentityCenter

__all__ = ["FakeIdentityCenter"]
