"""Read the sample of each kind of event."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from sessions.models import Event

# One line of each kind and shape, with the hash that was computed when events were plain dicts.
STORED = [
    json.loads(line)
    for line in Path(__file__).with_name("stored_lines.jsonl").read_text().splitlines()
]


stored = pytest.mark.parametrize("line", STORED, ids=[line["kind"] for line in STORED])


def line_of(stored, data):
    return Event(**{**stored, "at": datetime.fromisoformat(stored["at"]), "data": data})
