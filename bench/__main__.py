"""Run `python -m bench [--only a,b] [--json FILE] [--scale X]`: measure, print a table, write JSON.

See docs/bench.md.
"""

import argparse
import importlib
import signal
import sys
import time
import traceback
from pathlib import Path

from bench import report
from bench.environment import Environment, Unmeasurable
from tests.harness.servers import POSTGRES

SECTIONS = (
    *("cpu_per_hop", "sts_calls", "start_together", "steady", "pages", "lock_times"),
    *("ledger", "drift", "endpoint"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only", default=",".join(SECTIONS), metavar="A,B", help=f"of {', '.join(SECTIONS)}"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="a fraction of the full sizes; 1 is the full run"
    )
    parser.add_argument("--database", choices=("postgres", "sqlite"), default="postgres")
    parser.add_argument(
        "--postgres", default=POSTGRES, metavar="URL", help="where a database may be made"
    )
    parser.add_argument(
        "--no-npm", action="store_true", help="leave out what has to be fetched from npm"
    )
    options = parser.parse_args()
    sections = [name.strip() for name in options.only.split(",") if name.strip()]
    if unknown := set(sections) - set(SECTIONS):
        parser.error(
            f"There is no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}."
        )
    # A kill, too, ends the workers and drops the database.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    figures: list[report.Figure] = []
    failed = False
    try:
        with Environment(options.database, options.postgres, npm=not options.no_npm) as environment:
            for name in sections:
                begun = time.monotonic()
                # Imported here: the sections import the product, and that reads the settings the
                # environment has made.
                section = importlib.import_module(f"bench.{name}")
                try:
                    for figure in section.measure(environment, options.scale):
                        figures.append(figure)
                        print(report.line(figure), file=sys.stderr, flush=True)
                # What has been measured is shown, whatever happens then.
                except (Unmeasurable, TimeoutError) as error:
                    failed = True
                    print(f"{name}: {error}", file=sys.stderr)
                except Exception:  # noqa: BLE001
                    failed = True
                    traceback.print_exc()
                print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
                if (
                    options.json
                ):  # each time, so that a run that is cut off leaves what it has measured
                    options.json.write_text(
                        report.as_json(figures, sections, options.scale, options.database)
                    )
    except Unmeasurable as error:
        print(error, file=sys.stderr)
        return 2
    print(report.table(figures))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
