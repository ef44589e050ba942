"""Write a chain as profiles of ~/.aws/config that the AWS tools assume by themselves.

It holds no secret and asks Chainweb for nothing: whoever uses it has the root's credentials on
their computer, and each hop is assumed by the tool.
https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-role.html
"""

from sessions.snippets import ChainStep, Snippet, SnippetFormat, register
from sessions.snippets.ini import section
from sessions.snippets.values import FILE_VALUE, check, check_profile


def render(snippet: Snippet) -> str:
    if len(snippet.chain) < 2:
        raise ValueError("A root is no chain: there is no role to assume.")
    names = _names(snippet.chain)
    root, *hops = snippet.chain
    comments = [
        "The tools assume each role themselves, with credentials of your own:"
        f" profile {names[0]} has to have them.",
        "It is none of Chainweb's credentials, so its audit log does not have these calls.",
    ]
    sections = []
    for number, (step, name) in enumerate(zip(hops, names[1:], strict=True), start=1):
        settings = {
            "role_arn": step.role_arn,
            "source_profile": names[number - 1],
            "role_session_name": step.role_session_name,
            "external_id": step.external_id,
            # The person's own device at the root; the code is asked for at the first hop.
            "mfa_serial": root.mfa_serial if number == 1 else "",
            "region": step.region,
        }
        told = {key: value for key, value in settings.items() if value}
        for key, value in told.items():
            check(key, value, FILE_VALUE)
        if step.not_carried:
            lost = ", ".join(step.not_carried)
            comments.append(f"Not in it, as such a file cannot say it: {lost} of {name}.")
        header = name if name == "default" else f"profile {name}"
        sections.append(section(header, told))
    return "".join(f"# {comment}\n" for comment in comments) + "\n".join(sections)


def _names(chain: tuple[ChainStep, ...]) -> list[str]:
    """Return the profile of each step; one that a later step has too gets the hop's number.

    The last keeps its own, as it is the one that is used.
    """
    for step in chain:
        check_profile(step.profile)
    taken = {chain[-1].profile}
    names = []
    for number, step in enumerate(chain[:-1]):
        name, mark = step.profile, f"-hop{number}"
        if name in taken:
            name = step.profile[: 128 - len(mark)] + mark
        while name in taken:
            mark += "x"
            name = step.profile[: 128 - len(mark)] + mark
        taken.add(name)
        names.append(name)
    return [*names, chain[-1].profile]


register(
    SnippetFormat(
        key="role-chain",
        label="Config profile (role chain)",
        filename="config",
        language="ini",
        secret=False,
        help=(
            "Put it into ~/.aws/config if you have the root's credentials yourself. Its AssumeRole"
            " calls are your tools' own: Chainweb neither renews nor records them."
        ),
        render=render,
        order=20,
        needs_chain=True,
    )
)
