"""manage.py seed_demo: what `up` calls in simulated mode. Returns the demo's logins as JSON."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from sessions.maintenance.demo import seed


class Command(BaseCommand):
    help = "Seeds the demo team of the simulated AWS. Refused against real AWS."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--endpoint-url", dest="endpoint_url", required=True)

    def handle(self, *args: Any, **options: Any) -> str:
        if not settings.SIMULATED:
            raise CommandError("The demo is for CHAINWEB_AWS=simulated only.")
        return json.dumps([asdict(login) for login in seed(options["endpoint_url"])])
