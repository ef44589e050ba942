"""Link to CloudTrail's console, where a reader looks up what was done."""

from urllib.parse import quote

# The console of each partition goes on to the region and account that its reader has chosen last.
HOSTS = {
    "aws": "console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
}
BY_NAME, BY_KEY = "Username", "AccessKeyId"


def events_in_console(attribute: str, value: str, arn: str = "") -> str:
    """Return the address of the events of a name or key; `arn` tells the partition."""
    partition = arn.split(":")[1] if arn.startswith("arn:") else ""
    host = HOSTS.get(partition, HOSTS["aws"])
    return f"https://{host}/cloudtrailv2/home#/events?{attribute}={quote(value, safe='')}"
