"""Addresses of the console come of a fixed table by partition."""

import pytest

from sessions.aws.console import (
    SERVICES,
    NoConsole,
    federation_url,
    page_address,
    service_address,
)


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("eu-west-1", "https://eu-west-1.signin.aws.amazon.com/federation"),
        ("me-central-1", "https://us-east-1.signin.aws.amazon.com/federation"),
        ("us-gov-west-1", "https://signin.amazonaws-us-gov.com/federation"),
        ("cn-north-1", "https://signin.amazonaws.cn/federation"),
    ],
)
def test_each_partition_has_its_own_sign_in(region, url):
    assert federation_url(region) == url


def test_a_partition_without_a_known_console_is_refused():
    for ask in (federation_url, lambda region: service_address("s3", region)):
        with pytest.raises(NoConsole):
            ask("us-iso-east-1")


def test_every_service_opens_in_the_chosen_region_of_each_partition():
    for service in SERVICES:
        for region, host in (
            ("eu-west-1", "https://eu-west-1.console.aws.amazon.com/"),
            ("us-gov-west-1", "https://console.amazonaws-us-gov.com/"),
            ("cn-north-1", "https://console.amazonaws.cn/"),
        ):
            address = service_address(service, region)
            assert address.startswith(host)
            assert address.endswith(f"?region={region}")


def test_a_page_may_be_pasted_with_its_own_consoles_host():
    page = "https://eu-west-1.console.aws.amazon.com/ec2/home?region=eu-west-1#Instances:"
    assert page_address(page, "aws") == page
    assert page_address("/ec2/home", "aws-cn") == "https://console.amazonaws.cn/ec2/home"
    with pytest.raises(NoConsole):
        page_address(page, "aws-us-gov")
