"""Measure boto3 with chained profiles (role_arn, source_profile) and a session for each.

    python -m bench.profiles --url URL --count N --threads T --hops 1|2

Writes the profiles into a temporary folder, takes the credentials of N leaves with T threads and
prints {"active", "hops", "cpu_seconds", "wall_seconds"} as JSON. A leaf is assumed from the IAM
user, or (two hops) from a middle role, of which there is one for fifty leaves; but botocore shares
nothing between profiles.
"""

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3

PER_MIDDLE = 50
CONFIG = """
[profile root]
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
region = eu-west-1
"""


def config(count: int, hops: int) -> str:
    """Make a root, the middle roles if there are two hops, and below them the leaves."""
    parts = [CONFIG]
    parts += [
        f"[profile middle-{n}]\nrole_arn = arn:aws:iam::{200_000_000_000 + n}:role/Middle{n}\n"
        "role_session_name = bench\nsource_profile = root\nregion = eu-west-1\n"
        for n in range(-(-count // PER_MIDDLE) if hops == 2 else 0)
    ]
    parts += [
        f"[profile leaf-{n}]\nrole_arn = arn:aws:iam::300000000000:role/Leaf{n}\nrole_session_name"
        f" = bench\nsource_profile = {f'middle-{n // PER_MIDDLE}' if hops == 2 else 'root'}\nregion"
        " = eu-west-1\n"
        for n in range(count)
    ]
    return "\n".join(parts)


def credentials_of(number: int) -> bool:
    """Return a session for that profile, and its credentials, which takes a call for each hop."""
    found = boto3.Session(profile_name=f"leaf-{number}").get_credentials()
    return bool(found and found.get_frozen_credentials().token)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hops", type=int, choices=(1, 2), default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cwb-") as folder:
        file = Path(folder, "config")
        file.write_text(config(options.count, options.hops))
        os.environ |= {
            "AWS_CONFIG_FILE": str(file),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_ENDPOINT_URL_STS": options.url,
        }
        wall, cpu = time.monotonic(), time.process_time()
        with ThreadPoolExecutor(options.threads) as pool:
            active = sum(pool.map(credentials_of, range(options.count)))
        print(
            json.dumps(
                {
                    "active": active,
                    "hops": options.hops * options.count,
                    "cpu_seconds": time.process_time() - cpu,
                    "wall_seconds": time.monotonic() - wall,
                }
            )
        )


if __name__ == "__main__":
    main()
