"""Values that somebody would send to break out of a snippet, always the same ones."""

import random
import string
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from sessions.aws.credentials import AwsCredentials
from sessions.secret import Secret
from sessions.snippets import ChainStep, Snippet

# Whatever runs one of these leaves a file of this name where it ran.
CANARY = "canary"
PAYLOADS = [
    f"$(touch {CANARY})",
    f"`touch {CANARY}`",
    f"(touch {CANARY})",
    f"';touch {CANARY};'",
    f'";touch {CANARY};"',
    f"\\';touch {CANARY};\\'",
    f"'\\'';touch {CANARY};'",
    f"'\"'\"';touch {CANARY};'\"'\"'",
    f"'&&touch {CANARY}#",
    f"|touch {CANARY}",
    f">{CANARY}",
    f"'>{CANARY} ",
    f"<(touch {CANARY})",
    f"=(touch {CANARY})",
    f"${{X:-$(touch {CANARY})}}",
    f"$((a[$(touch {CANARY})]))",
    f"\ntouch {CANARY}\n",
    f"\r\ntouch {CANARY}\r\n",
    f"\\\ntouch {CANARY}\n",
    f"]\ncredential_process = touch {CANARY}\n[",
    f"\n[default]\ncredential_process = touch {CANARY}\n",
    f"x\n\tcredential_process = touch {CANARY}",
    f"’; touch {CANARY}; ‘",
    f"'; New-Item {CANARY}; '",
    f"$(New-Item {CANARY})",
    "$HOME",
    "${IFS}",
    "%HOME%",
    "%(x)s",
    "!!",
    "!touch",
    "!$",
    "^a^b",
    "~",
    "*",
    "?",
    "[x]",
    "{a,b}",
    "\\",
    "\\\\",
    "\\'",
    "''",
    "'''",
    '"',
    " #",
    " ;",
    "#",
    ";",
    "=",
    ":",
    " ",
    "\t",
    "\0",
    "\x1b[2J",
    "\x7f",
    "\x85",
    "\u2028",
    "\u202e",
    "\ufeff",
    "é",
    "\ud800",
]
TAME = string.ascii_letters + string.digits + "/+="
PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "
PROFILES = [
    "dev",
    "default",
    "profile",
    "DEFAULT",
    "services",
    "sso-session",
    "preview",
    "a.b+c%d_e@f:g/h-i",
]
# With each mark of the SDKs' set first, last and alone.
PROFILES += [
    pattern.format(mark) for mark in "_-/.%@:+" for pattern in ("{}a", "a{}", "{}", "{0}{0}")
]
PROFILES += ["%s", "x" * 128]


class Texts:
    """Hold an endless source of texts, most of them with a payload in them."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.printable = [
            payload for payload in PAYLOADS if payload.isascii() and payload.isprintable()
        ]

    def text(self, payloads: list[str], alphabet: str) -> str:
        pieces = []
        for _ in range(self.chance.randint(1, 4)):
            pieces.append(self.chance.choice(payloads))
            pieces.append("".join(self.chance.choices(alphabet, k=self.chance.randint(0, 8))))
        self.chance.shuffle(pieces)
        return "".join(pieces)

    def any(self) -> str:
        """With a line break, a control character or a letter beyond ASCII more often than not."""
        return self.text(PAYLOADS, PRINTABLE)

    def printed(self) -> str:
        """Printable ASCII: what a shell snippet has to carry."""
        return self.text(self.printable, PRINTABLE)

    def tame(self, more: str = "") -> str:
        return "".join(self.chance.choices(TAME + more, k=self.chance.randint(1, 40)))


def texts(seed: int) -> Texts:
    return Texts(random.Random(seed))


def snippet(
    key_id: str = "ASIAIOSFODNN7EXAMPLE",
    secret: str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    token: str | None = "AQoDYXdzEJr1K==",
    expires_at: datetime | None = datetime(2026, 11, 24, 12, 30, 15, 999_999, tzinfo=UTC),
    profile: str = "dev",
    region: str = "eu-west-1",
    endpoint_url: str = "",
    credentials_url: str = "https://chainweb.example/api/v1/sessions/4c0f/credentials?format=process",
    account: str = "111122223333",
    chain: tuple[ChainStep, ...] | None = None,
) -> Snippet:
    credentials = AwsCredentials(
        key_id, Secret(secret), None if token is None else Secret(token), expires_at
    )
    steps = chain or (
        ChainStep("landing", "eu-west-1"),
        ChainStep(profile, region, "arn:aws:iam::111122223333:role/team/Deploy", "ada"),
    )
    return Snippet(
        credentials,
        profile,
        region,
        endpoint_url,
        credentials_url,
        account,
        expires_at,
        steps,
        container_url="https://chainweb.example/container/4c0f",
        team="ops",
    )


def values(hostile: Texts, tame_marks: str = "") -> dict[str, str]:
    """Return the four values of a snippet: any text, printable ASCII, or what AWS would send."""
    chance = hostile.chance.random()
    source = (
        hostile.any
        if chance < 0.2
        else hostile.printed
        if chance < 0.6
        else lambda: hostile.tame(tame_marks)
    )
    return {name: source() for name in ("key_id", "secret", "token", "region")}


def carried(
    render: Callable[[Snippet], str], seed: int, count: int = 2_500, tame_marks: str = ""
) -> Iterator[tuple[dict[str, str], str]]:
    """Yield (values, text) of what a format carries; four values each, and it refuses some."""
    hostile = texts(seed)
    refused = taken = 0
    for _ in range(count):
        chosen = values(hostile, tame_marks)
        try:
            text = render(snippet(**chosen))
        except ValueError:
            refused += 1
            continue
        taken += 1
        yield chosen, text
    assert taken > count // 4
    assert refused > count // 10


def environment_of(chosen: dict[str, str]) -> dict[str, str]:
    """Return the variables that a snippet of these values sets."""
    return {
        "AWS_ACCESS_KEY_ID": chosen["key_id"],
        "AWS_SECRET_ACCESS_KEY": chosen["secret"],
        "AWS_SESSION_TOKEN": chosen["token"],
        "AWS_CREDENTIAL_EXPIRATION": "2026-11-24T12:30:15Z",
        "AWS_REGION": chosen["region"],
        "AWS_DEFAULT_REGION": chosen["region"],
        "AWS_ACCOUNT_ID": "111122223333",
    }
