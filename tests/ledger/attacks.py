"""Attack a ledger of nine lines behind the product's back."""

import hashlib
from io import StringIO

from django.core.management import CommandError, call_command
from django.db import transaction

from sessions import ledger
from sessions.actors import NamedActor
from sessions.ledger import START, Entry
from sessions.ledger.events.people import TeamCreated
from sessions.models import Checkpoint, Event, LedgerHead

TEAM = "0b8e6d1e-6f0e-4a52-9f0c-2f6a3c1d9e10"


def write(number):
    with transaction.atomic():
        entries = [
            Entry(TeamCreated(slug=f"t-{n}", name="é"), NamedActor("ada")) for n in range(number)
        ]
        ledger.append(TEAM, entries)


def lines(**which):
    return Event.objects.filter(team_id=TEAM, **which)


def hash_again(first):
    """Compute the chain again from that line on, and move the head along."""
    before = lines(seq__lt=first).order_by("-seq").first()
    prev, last = (before.hash if before else START), first - 1
    for line in lines(seq__gte=first).order_by("seq"):
        line.prev, last = prev, line.seq
        prev = line.hash = hashlib.sha256(ledger.canonical(line)).hexdigest()
        line.save()
    LedgerHead.objects.filter(pk=TEAM).update(seq=last, hash=prev)


def edit():
    lines(seq=4).update(actor="eve")


def edit_data():
    lines(seq=5).update(data={"n": 99})


def edit_the_time():
    line = lines(seq=2).get()
    lines(seq=2).update(at=line.at.replace(microsecond=(line.at.microsecond + 1) % 1_000_000))


def delete():
    lines(seq=6).delete()


def swap():
    lines(seq=2).update(seq=100)
    lines(seq=3).update(seq=2)
    lines(seq=100).update(seq=3)


def insert():
    for line in lines(seq__gte=5).order_by("-seq"):
        lines(pk=line.pk).update(seq=line.seq + 1)
    line = lines(seq=4).get()
    line.pk, line.seq, line.prev = None, 5, line.hash
    line.hash = hashlib.sha256(ledger.canonical(line)).hexdigest()
    line.save()
    LedgerHead.objects.filter(pk=TEAM).update(seq=10)


def truncate():
    Event.objects.all().delete()


def cut_the_tail():
    lines(seq__gte=8).delete()


def hash_one_line_again():
    line = lines(seq=4).get()
    line.actor = "eve"
    line.hash = hashlib.sha256(ledger.canonical(line)).hexdigest()
    line.save()


def add_behind_the_head():
    line = lines(seq=9).get()
    line.pk, line.seq, line.prev = None, 10, line.hash
    line.hash = hashlib.sha256(ledger.canonical(line)).hexdigest()
    line.save()


# Each with the first bad line.
BY_THE_CHAIN = {
    edit: 4,
    edit_data: 5,
    edit_the_time: 2,
    delete: 6,
    swap: 2,
    insert: 6,
    truncate: 1,
    cut_the_tail: 8,
    hash_one_line_again: 5,
    add_behind_the_head: 10,
}


def hash_again_from_a_line_on():
    lines(seq=5).update(actor="eve")
    hash_again(5)


def cut_the_tail_with_the_head():
    lines(seq__gte=7).delete()
    hash_again(6)


def replace_head_and_events_together():
    Event.objects.all().delete()
    LedgerHead.objects.all().delete()
    write(9)


def leave_out_a_line_and_close_the_gap():
    lines(seq=2).delete()
    for line in lines(seq__gte=3).order_by("seq"):
        lines(pk=line.pk).update(seq=line.seq - 1)
    hash_again(2)


# The line is the first after the last that a checkpoint confirms.
BY_CHECKPOINTS = {
    hash_again_from_a_line_on: 4,
    cut_the_tail_with_the_head: 7,
    replace_head_and_events_together: 1,
    leave_out_a_line_and_close_the_gap: 1,
}


def forget_checkpoints():
    Checkpoint.objects.all().delete()


def forget_the_team():
    Event.objects.all().delete()
    LedgerHead.objects.all().delete()


def verify_ledger(*args):
    """Run the command: what it says, or what it fails with."""
    said = StringIO()
    try:
        call_command("verify_ledger", *map(str, args), stdout=said)
    except CommandError as error:
        return f"FAILED {error}"
    return said.getvalue()
