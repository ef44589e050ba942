from dataclasses import dataclass
from datetime import datetime
import botocore.session
from botocore.exceptions import ClientError
from sessions.aws.credentials import AwsCredentials
from sessions.aws.errors import Refused
from sessions.aws.hop import Hop
from sessions.secret import Secret


@dataclass(frozen=True)
class AssumedRole:
    credentials: AwsCredentials
    arn: str
    assumed_role_id: str
    packed_policy_size: int | None


@dataclass(frozen=True)
class CallerIdentity:
    arn: str
    account: str
    user_id: str


def _c(using, region):
    return botocore.session.Session().create_client(
        "sts",
        region_name=region,
        aws_access_key_id=using.access_key_id,
        aws_secret_access_key=using.secret_access_key.reveal(),
        aws_session_token=using.session_token.reveal() if using.session_token else None,
    )


def assume_role(hop: Hop, using: AwsCredentials, region: str, hop_number: int) -> AssumedRole:
    try:
        a = _c(using, region).assume_role(**hop.request())
    except ClientError as e:
        raise Refused(e.response["Error"]["Code"], hop_number, str(e), "trust policy")
    c = a["Credentials"]
    return AssumedRole(
        AwsCredentials(
            c["AccessKeyId"], Secret(c["SecretAccessKey"]), Secret(c["SessionToken"]), c["Expiration"]
        ),
        a["AssumedRoleUser"]["Arn"],
        a["AssumedRoleUser"]["AssumedRoleId"],
        None,
    )


def caller_identity(using: AwsCredentials, region: str) -> CallerIdentity:
    a = _c(using, region).get_caller_identity()
    return CallerIdentity(a["Arn"], a["Account"], a["UserId"])
