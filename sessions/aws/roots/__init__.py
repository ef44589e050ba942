from dataclasses import dataclass
from sessions.aws.credentials import AwsCredentials
import os
from sessions.secret import Secret


@dataclass(frozen=True)
class Field:
    name: str
    label: str
    help: str
    secret: bool = False
    required: bool = True
    validate: object = None


class RootKind:
    per_person = False
    needs_operator = False
    fields = ()
    icon = "key-round"

    def summary(self, settings):
        return settings.get("access_key_id", "")


class IamUser(RootKind):
    kind, label, help = "iam-user", "IAM user", "An IAM user's access key."
    fields = (
        Field("access_key_id", "Access key ID", "AKIA…"),
        Field("secret_access_key", "Secret access key", "", secret=True),
    )

    def base_credentials(self, settings, secrets, answers, region):
        return AwsCredentials(settings["access_key_id"], secrets["secret_access_key"])


class Ambient(RootKind):
    kind, label, help = "ambient", "Ambient", "The workers' own identity."
    needs_operator = True
    icon = "server"

    def base_credentials(self, settings, secrets, answers, region):
        return AwsCredentials(
            os.environ["AWS_ACCESS_KEY_ID"],
            Secret(os.environ["AWS_SECRET_ACCESS_KEY"]),
            Secret(os.environ["AWS_SESSION_TOKEN"]),
        )


ROOT_KINDS = {k.kind: k for k in (IamUser(), Ambient())}
