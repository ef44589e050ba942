"""Read a config file as botocore does, to be compared with our own reading."""

import os
import tempfile

from botocore.configloader import build_profile_map, raw_config_parse
from botocore.exceptions import ConfigParseError


def raw(text):
    """Return {section: {setting: text or its block}}; None where botocore cannot read it."""
    handle, path = tempfile.mkstemp()
    try:
        with os.fdopen(handle, "w", newline="", encoding="utf-8") as file:
            file.write(text)
        return raw_config_parse(path)
    except ConfigParseError:
        return None
    finally:
        os.unlink(path)


def profile_map(text):
    """Return botocore's profiles, sso_sessions, services and all other sections."""
    sections = raw(text)
    return None if sections is None else build_profile_map(sections)
