"""What the rules do not allow."""

from dataclasses import dataclass


@dataclass
class Refused(Exception):
    """A change that the rules do not allow, and the form field it is about ("" for the whole form)."""

    field: str
    message: str
