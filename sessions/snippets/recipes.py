"""Write commands for what is done with a session most; each names the profile in its arguments.

A profile that is an argument wins over keys in the environment, in the AWS CLI and so in what calls
it. Words in capitals are for the reader to replace. The commands are of plain words without quotes,
so that every shell reads them alike.
"""

from collections.abc import Callable

from sessions.aws.names import dns_suffix
from sessions.snippets import Group, Snippet, SnippetFormat, register
from sessions.snippets.values import ACCOUNT, PLAIN, check, check_profile, end_at

LONGEST_PRESIGNED = 3600


def kubectl(snippet: Snippet) -> str:
    name = f"chainweb-{_profile(snippet)}"
    words = [*_who(snippet), "eks", "get-token", "--cluster-name=CLUSTER"]
    arguments = " ".join(f"--exec-arg={word}" for word in words)
    return (
        f"kubectl config set-credentials {name}"
        " --exec-api-version=client.authentication.k8s.io/v1beta1 --exec-command=aws"
        f" {arguments}\n"
        f"kubectl config set-context --current --user={name}\n"
    )


def undo_kubectl(snippet: Snippet) -> str:
    return f"kubectl config delete-user chainweb-{_profile(snippet)}\n"


def ecr(snippet: Snippet) -> str:
    registry = f"{_account(snippet)}.dkr.ecr.{_region(snippet)}.{dns_suffix(snippet.region)}"
    return (
        f"aws ecr get-login-password {_in(snippet)} | docker login --username AWS"
        f" --password-stdin {registry}\n"
    )


def undo_ecr(snippet: Snippet) -> str:
    registry = f"{_account(snippet)}.dkr.ecr.{_region(snippet)}.{dns_suffix(snippet.region)}"
    return f"docker logout {registry}\n"


def rds(snippet: Snippet) -> str:
    return (
        f"aws rds generate-db-auth-token {_in(snippet)} --hostname HOST --port 5432"
        " --username USER\n"
    )


def codeartifact(snippet: Snippet) -> str:
    # Without it the token is asked for twelve hours, which a chained role's one hour refuses.
    return (
        f"aws codeartifact login {_in(snippet)} --tool pip --domain DOMAIN --domain-owner"
        f" {_account(snippet)} --repository REPOSITORY --duration-seconds 0\n"
    )


def ssm(snippet: Snippet) -> str:
    return f"aws ssm start-session {_in(snippet)} --target INSTANCE\n"


def presign(snippet: Snippet) -> str:
    end = end_at(snippet.good_until)
    now = f" Those of now end at {end}." if end else ""
    return (
        f"aws s3 presign s3://BUCKET/KEY {_in(snippet)} --expires-in {LONGEST_PRESIGNED}\n"
        f'echo "This link dies with the credentials that sign it.{now}"\n'
    )


def _who(snippet: Snippet) -> tuple[str, str]:
    return f"--profile={_profile(snippet)}", f"--region={_region(snippet)}"


def _in(snippet: Snippet) -> str:
    return " ".join(_who(snippet))


def _profile(snippet: Snippet) -> str:
    check_profile(snippet.profile)
    # A percent sign is cmd's.
    check("The profile", snippet.profile, PLAIN)
    return snippet.profile


def _region(snippet: Snippet) -> str:
    check("The region", snippet.region, PLAIN)
    return snippet.region


def _account(snippet: Snippet) -> str:
    if not snippet.account:
        return "ACCOUNT"
    check("The account", snippet.account, ACCOUNT)
    return snippet.account


def _register(
    key: str,
    label: str,
    render: Callable[[Snippet], str],
    order: int,
    help: str,
    undo: Callable[[Snippet], str] | None = None,
    needs_end: bool = False,
) -> None:
    register(
        SnippetFormat(
            key=key,
            label=label,
            filename=f"chainweb-{key}.txt",
            language="text",
            secret=False,
            help=f"{help} The profile has to be in ~/.aws: see Self-refreshing, or Files.",
            render=render,
            order=order,
            group=Group.RECIPES,
            undo=undo,
            needs_end=needs_end,
        )
    )


_register(
    "kubectl",
    "kubectl (EKS)",
    kubectl,
    10,
    "Lets kubectl ask for a token at each use, with this profile whatever the environment says."
    " Replace CLUSTER.",
    undo_kubectl,
)
_register(
    "ecr",
    "ECR login",
    ecr,
    20,
    "Logs docker in for twelve hours, or until the credentials end.",
    undo_ecr,
)
_register(
    "rds",
    "RDS token",
    rds,
    30,
    "Prints a password for one log-in within 15 minutes. Replace HOST and USER.",
)
_register(
    "codeartifact",
    "CodeArtifact",
    codeartifact,
    40,
    "Sets pip up until the credentials end. Replace DOMAIN and REPOSITORY; --tool takes npm, too.",
)
_register(
    "ssm",
    "SSM shell",
    ssm,
    50,
    "Opens a shell on an instance, with the Session Manager plugin. Replace INSTANCE.",
)
_register(
    "presign",
    "S3 link",
    presign,
    60,
    "Makes a link that anybody can open. It dies with the credentials that sign it, within the"
    " hour. Replace BUCKET/KEY.",
    needs_end=True,
)
