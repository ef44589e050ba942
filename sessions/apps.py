"""Define the Django app; its label differs from that of django.contrib.sessions."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ChainsConfig(AppConfig):
    name = "sessions"
    label = "chains"
    verbose_name = "Role chains"

    def ready(self) -> None:
        # Without our Celery application, a process that only sends would send to Celery's own
        # default broker.
        from chainweb import celery  # noqa: F401
        from sessions import checks  # noqa: F401  (the first two register themselves)
        from sessions.db import lookups  # noqa: F401  (the first two register themselves)
        from sessions.ledger import triggers
        from sessions.login import records  # noqa: F401  (it hears of second factors)
        from sessions.people import log_ins, removals  # noqa: F401  (they hear of new passwords and identities)

        post_migrate.connect(triggers.install_after_migrate, sender=self)
