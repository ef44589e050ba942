"""The baseline: one shared botocore client that assumes roles in a loop, and nothing else.

    python -m bench.baseline --url URL --calls N --threads T

It makes its client and a few calls first, says "ready", waits for a line on its input, makes N
calls with T threads and prints {"calls", "cpu_seconds", "wall_seconds"} as JSON.
"""

import argparse
import itertools
import json
import os
import sys
import threading
import time
from typing import Any

from botocore.config import Config
from botocore.session import Session

WARM_UP = 3


def client(url: str, threads: int, **credentials: Any) -> Any:
    session = Session()
    return session.create_client(
        "sts",
        region_name="eu-west-1",
        endpoint_url=url,
        config=Config(
            retries={"total_max_attempts": 1, "mode": "standard"}, max_pool_connections=threads
        ),
        **credentials,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    root = client(
        options.url,
        1,
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="wJalrXUtnFEMIEXAMPLEKEY",
    )
    middle = root.assume_role(
        RoleArn="arn:aws:iam::200000000000:role/Middle",
        RoleSessionName="bench",
        DurationSeconds=3600,
    )["Credentials"]
    # Signed as the worker's calls are: with a session token.
    shared = client(
        options.url,
        options.threads,
        aws_access_key_id=middle["AccessKeyId"],
        aws_secret_access_key=middle["SecretAccessKey"],
        aws_session_token=middle["SessionToken"],
    )
    numbers = itertools.count()

    def work(calls: int, waiting: threading.Barrier) -> None:
        waiting.wait()
        for _ in range(calls):
            shared.assume_role(
                RoleArn=f"arn:aws:iam::300000000000:role/Leaf{next(numbers)}",
                RoleSessionName="bench",
                DurationSeconds=3600,
            )

    def run(calls: int) -> tuple[float, float]:
        waiting = threading.Barrier(options.threads + 1)
        parts = [
            calls // options.threads + (n < calls % options.threads) for n in range(options.threads)
        ]
        threads = [threading.Thread(target=work, args=(part, waiting)) for part in parts]
        for thread in threads:
            thread.start()
        waiting.wait()
        wall, cpu = time.monotonic(), time.process_time()
        for thread in threads:
            thread.join()
        return time.process_time() - cpu, time.monotonic() - wall

    run(WARM_UP * options.threads)
    print("ready", flush=True)
    sys.stdin.readline()
    cpu, wall = run(options.calls)
    print(
        json.dumps({"calls": options.calls, "cpu_seconds": cpu, "wall_seconds": wall}), flush=True
    )


if __name__ == "__main__":
    main()
