"""Tell the regions that every account has from those that an account has to enable first.

https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html: regions of before 20
March 2019 cannot be disabled. No API says so without credentials, and botocore's data do not.
"""

from functools import lru_cache
from itertools import takewhile

from sessions.aws.names import InvalidName, partition_of

ENABLED_BY_DEFAULT = {
    "aws": (
        *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
        *("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
        *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1"),
        *("ap-southeast-1", "ap-southeast-2"),
    ),
    "aws-cn": ("cn-north-1", "cn-northwest-1"),
    "aws-us-gov": ("us-gov-east-1", "us-gov-west-1"),
    "aws-eusc": ("eusc-de-east-1",),
    "aws-iso": ("us-iso-east-1", "us-iso-west-1"),
    "aws-iso-b": ("us-isob-east-1", "us-isob-west-1"),
    "aws-iso-e": ("eu-isoe-west-1",),
    "aws-iso-f": ("us-isof-east-1", "us-isof-south-1"),
}

_EVERYBODYS = frozenset(region for regions in ENABLED_BY_DEFAULT.values() for region in regions)


def is_opt_in(region: str) -> bool:
    """Tell if an account has to enable the region first.

    An unknown region counts as such.
    """
    return region not in _EVERYBODYS


@lru_cache(maxsize=256)
def stand_ins(region: str) -> tuple[str, ...]:
    """List the partition's other default regions, the nearest by name first.

    Any of them issues credentials that are good in all. Empty where there is no other, and for a
    region of which nothing is known.
    """
    try:
        partition = partition_of(region)
    except InvalidName:
        return ()
    others = (each for each in ENABLED_BY_DEFAULT.get(partition, ()) if each != region)
    return tuple(sorted(others, key=lambda each: -_in_common(each, region)))


def _in_common(one: str, other: str) -> int:
    """Count the parts of the names, from the left, in which two regions agree."""
    pairs = zip(one.split("-"), other.split("-"), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
