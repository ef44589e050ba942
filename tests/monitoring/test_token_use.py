"""The last use of a token is written beside whoever holds its row, and outside a transaction."""

from datetime import timedelta

import pytest
from django.db import connection, transaction

from sessions.actors import NamedActor
from sessions.db.clock import database_now
from sessions.models import Token
from sessions.monitoring.token_use import note_refusal, note_use
from sessions.people.tokens import create_token
from tests.races import Aside


@pytest.fixture
def token(lasting_house):
    create_token(lasting_house.ben, "laptop", NamedActor("ben"))
    return Token.objects.get()


def note(token, at):
    note_use(token.pk, token.last_used_at, at, address="203.0.113.7", client="curl")


@pytest.mark.django_db(transaction=True)
def test_a_use_is_written_without_a_transaction_around_it(token):
    now = database_now()
    note(token, now)
    assert Token.objects.get().last_used_at == now
    note(token, now + timedelta(seconds=59))  # whoever has read the row before the first use
    assert Token.objects.get().last_used_at == now
    note(Token.objects.get(), now + timedelta(seconds=61))
    assert Token.objects.get().last_used_at == now + timedelta(seconds=61)


@pytest.mark.django_db(transaction=True)
def test_a_refusal_is_worth_a_line_once_in_ten_minutes(token):
    now = database_now()
    assert note_refusal(token, now, address="203.0.113.7")
    assert not note_refusal(token, now, address="203.0.113.7")
    token.refresh_from_db()
    assert note_refusal(token, now + timedelta(minutes=10), address="203.0.113.7")


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_a_row_that_somebody_holds(token):
    with transaction.atomic():
        list(Token.objects.select_for_update().filter(pk=token.pk))
        if connection.vendor == "sqlite":
            Token.objects.filter(pk=token.pk).update(device="held")
        Aside(lambda: note(token, database_now())).result()
    assert Token.objects.get().last_used_at is None
