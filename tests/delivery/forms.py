"""Name the formats that stand for all in slow tests: all are delivered by one function."""

from sessions.snippets import FORMATS, Group

SECRET_FORMATS = sorted(
    {
        "process",
        *(
            next(key for key, each in FORMATS.items() if each.secret and each.group is group)
            for group in Group
            if any(each.secret and each.group is group for each in FORMATS.values())
        ),
    }
)
