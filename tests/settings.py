"""The product's own settings with keys made for this run, and a place for the test database.

DATABASE_URL and REDIS_URL are honoured: with them the same tests run against PostgreSQL and Redis.
"""

import atexit
import os
import shutil
import tempfile

from tests.harness.keys import new_keys

FOLDER = tempfile.mkdtemp(prefix="cwt-")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

os.environ.setdefault("CHAINWEB_DATA", FOLDER)
for _name, _key in new_keys().items():
    os.environ.setdefault(_name, _key)
os.environ.setdefault("CHAINWEB_AWS", "real")
os.environ.setdefault("SECURE_COOKIES", "0")

from chainweb.settings import *  # noqa: E402, F403
from chainweb.settings import DATABASES, IS_EMBEDDED  # noqa: E402

if (
    IS_EMBEDDED
):  # else DATABASE_URL names the PostgreSQL in which a test database is made and dropped
    DATABASES["default"]["NAME"] = os.path.join(FOLDER, "db.sqlite3")
    DATABASES["default"]["TEST"] = {"NAME": os.path.join(FOLDER, "test.sqlite3")}
# No test cuts the power, so no commit waits for the disk.
_options = DATABASES["default"]["OPTIONS"]
if IS_EMBEDDED:
    _options["init_command"] += "PRAGMA synchronous=OFF;"
else:
    _options["options"] += " -c synchronous_commit=off"
# Argon2 takes its time on purpose; the tests that are about it say so.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    "django.contrib.auth.hashers.Argon2PasswordHasher",
]
