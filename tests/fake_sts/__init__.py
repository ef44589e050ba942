"""Fake STS for tests and benches: strict where simulators are lax, failing on request.

It checks SigV4 signatures and their time, trust policies, external ids, expiry, which account has
enabled which region, the one-hour rule of role chaining, session names and MFA codes, answers with
AWS's error codes and XML, and keeps a log of calls without secrets.

    with FakeSts() as sts:
        key = sts.add_user("deployer")
        sts.add_role("arn:aws:iam::111122223333:role/Deploy", trusts=[sts.arn_of(key)])
        os.environ["AWS_ENDPOINT_URL_STS"] = sts.url
"""

from tests.fake_sts.server import FakeSts

__all__ = ["FakeSts"]
