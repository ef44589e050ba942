"""Write sections of the files that AWS tools share.

https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
"""

from collections.abc import Mapping

from sessions.secret import Secret
from sessions.snippets.values import opened


def section(
    header: str, settings: Mapping[str, str | Secret], comments: tuple[str, ...] = ()
) -> str:
    """Comment lines, [header] and its settings. The values are checked before, by the format."""
    lines = [f"# {comment}" for comment in comments]
    lines += [f"[{header}]", *[f"{name} = {opened(value)}" for name, value in settings.items()]]
    return "\n".join(lines) + "\n"
