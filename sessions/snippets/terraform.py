"""Write an override file of Terraform and OpenTofu, which is merged into `provider "aws"`.

https://developer.hashicorp.com/terraform/language/files/override
"""

import json

from sessions.secret import Secret
from sessions.snippets import Group, Snippet, SnippetFormat, register
from sessions.snippets.values import PRINTABLE, URL, check, comments_of, credentials_of, opened


def quoted(text: str) -> str:
    """Quote a template: JSON's escapes are HCL's, but for the two marks that begin an expression.

    A mark is doubled before a brace alone; what stands before it is no matter.
    """
    return json.dumps(text).replace("${", "$${").replace("%{", "%%{")


def render(snippet: Snippet) -> str:
    credentials = credentials_of(snippet)
    settings: dict[str, str | Secret] = {
        "access_key": credentials.access_key_id,
        "secret_key": credentials.secret_access_key,
    }
    if credentials.session_token is not None:
        settings["token"] = credentials.session_token
    settings["region"] = snippet.region
    for name, value in settings.items():
        check(name, value, PRINTABLE)
    lines = [f"# {comment}" for comment in comments_of(snippet)]
    lines.append('provider "aws" {')
    lines += [f"  {name:<10} = {quoted(opened(value))}" for name, value in settings.items()]
    # A profile of the block that it overrides would have to exist on this computer.
    lines.append("  profile    = null")
    if snippet.endpoint_url:
        check("endpoint_url", snippet.endpoint_url, URL)
        lines += ["  endpoints {", f"    sts = {quoted(snippet.endpoint_url)}", "  }"]
    return "\n".join([*lines, "}"]) + "\n"


def undo(snippet: Snippet) -> str:
    return "rm chainweb_override.tf\n"


register(
    SnippetFormat(
        key="terraform",
        label="Terraform, OpenTofu",
        filename="chainweb_override.tf",
        language="hcl",
        secret=True,
        help=(
            "Put it beside your .tf files: it is merged into provider “aws”. An S3 backend takes"
            " its credentials from the environment instead. Keep it out of version control."
        ),
        render=render,
        undo=undo,
        group=Group.INFRASTRUCTURE,
        order=10,
        place="chainweb_override.tf",
    )
)
