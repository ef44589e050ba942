"""Write YAML: a Secret of Kubernetes, an override file of docker compose.

What JSON quotes is a quoted text of YAML too.
"""

import json

from sessions.secret import Secret
from sessions.snippets import Group, Snippet, SnippetFormat, register
from sessions.snippets.environment import cleared, variables
from sessions.snippets.values import comments_of, credentials_of, end_of, opened

SECRET_NAME = "chainweb-aws"  # noqa: S105  (a name)


def render_kubernetes(snippet: Snippet) -> str:
    found = variables(snippet)
    end = end_of(credentials_of(snippet))
    lines = [
        *_comments(snippet),
        "apiVersion: v1",
        "kind: Secret",
        "metadata:",
        f"  name: {SECRET_NAME}",
        *(["  annotations:", f"    chainweb/good-until: {json.dumps(end)}"] if end else []),
        "type: Opaque",
        "stringData:",
        *[f"  {name}: {json.dumps(opened(value))}" for name, value in found.items()],
    ]
    return "\n".join(lines) + "\n"


def undo_kubernetes(snippet: Snippet) -> str:
    return f"kubectl delete secret {SECRET_NAME}\n"


def render_compose(snippet: Snippet) -> str:
    found = variables(snippet)
    lines = [
        *_comments(snippet),
        "services:",
        "  app:",
        "    environment:",
        # Takes away what the file that it overrides has set.
        *[f"      {name}: !reset null" for name in cleared(snippet) if name not in found],
        *[f"      {name}: {_for_compose(value)}" for name, value in found.items()],
    ]
    return "\n".join(lines) + "\n"


def undo_compose(snippet: Snippet) -> str:
    return "rm compose.override.yaml && docker compose up -d\n"


def _for_compose(value: str | Secret) -> str:
    # A dollar sign of its own is written twice; one alone names a variable.
    return json.dumps(opened(value)).replace("$", "$$")


def _comments(snippet: Snippet) -> list[str]:
    return [f"# {comment}" for comment in comments_of(snippet)]


register(
    SnippetFormat(
        key="kubernetes",
        label="Kubernetes Secret",
        filename="chainweb-secret.yaml",
        language="yaml",
        secret=True,
        help=(
            "kubectl apply -f chainweb-secret.yaml; a pod takes it by envFrom, secretRef. It works"
            " until the credentials expire."
        ),
        render=render_kubernetes,
        undo=undo_kubernetes,
        group=Group.INFRASTRUCTURE,
        order=40,
        place="chainweb-secret.yaml",
    )
)
register(
    SnippetFormat(
        key="compose",
        label="docker compose",
        filename="compose.override.yaml",
        language="yaml",
        secret=True,
        help=(
            "Put it beside compose.yaml, with your service's name for “app”. Keep it out of version"
            " control. Compose 2.24 or later."
        ),
        render=render_compose,
        undo=undo_compose,
        group=Group.INFRASTRUCTURE,
        order=60,
        place="compose.override.yaml",
    )
)
