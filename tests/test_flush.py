"""Check what a transactional test leaves to the next one: the rows of `migrate`, nothing else."""

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from sessions.models import Event, LedgerHead
from tests import flush
from tests.prepared import all_rows


def filled_tables():
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return {name: rows for name, rows in all_rows(names).items() if rows}


def by_django():
    call_command("flush", verbosity=0, interactive=False, reset_sequences=False)


def test_written_rows_go_and_the_ledger_stays_append_only(lasting_house):
    flush.empty_tables(by_django)
    made_by_migrate = filled_tables()
    assert {"django_content_type", "auth_permission"} <= made_by_migrate.keys()
    lasting_house.__init__(lasting_house.sts)
    lasting_house.start(lasting_house.chained("Leaf"))
    assert {"chains_event", "chains_activation"} <= filled_tables().keys()
    flush.empty_tables(lambda: pytest.fail("every table is emptied"))
    assert filled_tables() == made_by_migrate
    lasting_house.__init__(lasting_house.sts)
    for rows in (Event.objects, LedgerHead.objects):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            rows.all().delete()


def test_a_changed_row_of_migrate_has_every_table_emptied_and_made(lasting_house):
    flush.empty_tables(by_django)
    before = Permission.objects.count()
    Permission.objects.all()[0].delete()
    flush.empty_tables(by_django)
    assert Permission.objects.count() == before
    flush.empty_tables(lambda: pytest.fail("every table is emptied"))
