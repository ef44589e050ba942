"""Fake STS for tests, bench and chaos: strict where simulators are lax, failing on request.

It checks SigV4 signatures and their time, trust policies, external ids, expiry, which account has
enabled which region, the one-hour rule of role chaining, session names and MFA codes, answers with
AWS's error codes and XML, and keeps a log of calls without secrets. `StsProcess` runs it in a
process of its own, where it takes every user and every role for known, and is cheap.

    with FakeSts() as sts:
        key = sts.add_user("deployer")
        sts.add_role("arn:aws:iam::111122223333:role/Deploy", trusts=[sts.arn_of(key)])
        os.environ["AWS_ENDPOINT_URL_STS"] = sts.url
"""

from tests.harness.sts.process import StsProcess
from tests.harness.sts.server import FakeSts

__all__ = ["FakeSts", "StsProcess"]
