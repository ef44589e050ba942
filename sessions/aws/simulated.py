"""Create the identities that the simulated AWS starts from. Never used against real AWS."""

from typing import Any

import botocore.session

from sessions.aws.credentials import AwsCredentials
from sessions.secret import Secret

# The simulator takes any key for its own administrator; this is the documentation's example key.
ADMIN_KEY = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


def create_user(endpoint_url: str, name: str) -> tuple[str, AwsCredentials]:
    """Create an IAM user with one access key at the simulator; return (its ARN, its key)."""
    client: Any = botocore.session.Session().create_client(
        "iam",
        region_name="us-east-1",
        endpoint_url=endpoint_url,
        aws_access_key_id=ADMIN_KEY[0],
        aws_secret_access_key=ADMIN_KEY[1],
    )
    arn: str = client.create_user(UserName=name)["User"]["Arn"]
    key = client.create_access_key(UserName=name)["AccessKey"]
    return arn, AwsCredentials(key["AccessKeyId"], Secret(key["SecretAccessKey"]))
