"""Exit with 0 if the web process in this container answers /healthz with 200.

Standard library and no settings: it runs every few seconds. A Host that the installation does not
know is refused, so it takes the first of ALLOWED_HOSTS.
"""

import os
import sys
from pathlib import Path

from chainweb.local import processes


def known_host() -> str:
    """Return the first of ALLOWED_HOSTS that is a name and not a pattern."""
    listed = os.environ.get("ALLOWED_HOSTS", "")
    if path := os.environ.get("ALLOWED_HOSTS_FILE"):
        listed = Path(path).read_text()
    names = (name.strip() for name in listed.split(","))
    return next((name for name in names if name and not name.startswith(("*", "."))), "localhost")


def main() -> int:
    """Ask `/healthz`; the port is the only argument, 8000 without one."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    status, _ = processes.get(("127.0.0.1", port), "/healthz", known_host())
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
