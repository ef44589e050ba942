"""Seal the seeds of one-time codes like credentials.

The content of the database does not make a code.
"""

import base64

from allauth.mfa.models import Authenticator

from sessions import sealing
from sessions.db.batches import in_batches
from sessions.sealing import SealContext
from sessions.secret import Secret

# The library that stores them says not for whom, so no row is bound in.
SEAL_CONTEXT = SealContext("mfa_authenticator", "data", "", "", 0)
SEALED_FIELDS = ("secret", "seed")


def seal_seed(seed: Secret) -> str:
    return base64.b64encode(sealing.seal(seed, SEAL_CONTEXT)).decode()


def open_seed(sealed: str) -> Secret:
    """Open what `seal_seed` has sealed. Raises `SealingError` for anything else."""
    return sealing.open_sealed(base64.b64decode(sealed), SEAL_CONTEXT)


def reseal_seeds(newest_key_id: str) -> tuple[int, int, int]:
    """Move every seed to the newest key: (moved, on it already, not opened).

    One that changes meanwhile is left.
    """
    moved = already = unopened = 0
    for row in in_batches(Authenticator.objects.all(), size=500):
        for name in SEALED_FIELDS:
            if name not in row.data:
                continue
            try:
                if sealing.key_id_of(base64.b64decode(row.data[name])) == newest_key_id:
                    already += 1
                    continue
                new = {**row.data, name: seal_seed(open_seed(row.data[name]))}
            except (sealing.SealingError, ValueError):
                unopened += 1
                continue
            moved += Authenticator.objects.filter(pk=row.pk, data=row.data).update(data=new)
    return moved, already, unopened
