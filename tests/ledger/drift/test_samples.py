"""Real records of many tools are told whose act they were, in any order.

The records are not part of this repository, for some have no licence: `CLOUDTRAIL_SAMPLES` names
the folder that holds them. What each is stands in `samples.json`: a list of its calls, kinds and
people, or where the file is broken.
"""

import json
import os
import random
from pathlib import Path

import pytest

from sessions.models import TrailRecord
from tests.ledger.drift.trails import upload

pytestmark = pytest.mark.django_db
EXPECTED = json.loads(Path(__file__).with_name("samples.json").read_text())
FOLDER = os.environ.get("CLOUDTRAIL_SAMPLES", "")
# Two examples of AWS's with one event id and one time: whichever comes first counts.
ONE_EVENT = {
    "signin-06-consolelogin-root-success.json",
    "signin-07-consolelogin-root-success.json",
}
needs_samples = pytest.mark.skipif(not FOLDER, reason="CLOUDTRAIL_SAMPLES names no folder")


@needs_samples
def test_every_sample_is_listed():
    files = {file.name for file in Path(FOLDER).iterdir() if file.suffix != ".md"}
    assert files == EXPECTED.keys()


@needs_samples
@pytest.mark.parametrize("seed", range(3))
def test_every_sample_is_what_it_is_in_any_order(house, seed):
    names = random.Random(seed).sample(sorted(EXPECTED), len(EXPECTED))
    read = {name: upload(house, (Path(FOLDER) / name).read_bytes(), name=name) for name in names}
    found = {name: what(taken) for name, taken in read.items()}
    again = {name for name in ONE_EVENT if read[name].known}
    assert len(again) == 1
    assert {name for name, taken in read.items() if taken.known} == again
    assert found == EXPECTED | {name: [] for name in again}


def what(taken):
    if taken.state == "failed":
        return taken.reason.partition(":")[0]
    rows = TrailRecord.objects.filter(trail_import=taken)
    return sorted([row.event_name, row.kind, *row.people] for row in rows)
