"""Name the pages of AWS's console and where one signs in to it: fixed hosts for each partition.

Pure: nothing is called here. See `federation` for the call that only workers make.
"""

import re
from urllib.parse import urlencode, urlsplit

from sessions.aws.names import partition_of
from sessions.aws.regions import ENABLED_BY_DEFAULT

HOSTS = {
    "aws": "console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
}
_SIGN_IN = {
    "aws": "https://{region}.signin.aws.amazon.com/federation",
    "aws-us-gov": "https://signin.amazonaws-us-gov.com/federation",
    "aws-cn": "https://signin.amazonaws.cn/federation",
}
# AWS serves the sign-in of each partition in the regions that every account has.
_SIGN_IN_REGION = "us-east-1"
# How long AWS takes the sign-in token, and so how long we keep it at most.
TOKEN_MINUTES = 15
LONGEST_PATH = 2048

# {key: (label, path)}; the first is where one begins.
SERVICES: dict[str, tuple[str, str]] = {
    "home": ("Console home", "/console/home"),
    "athena": ("Athena", "/athena/home"),
    "backup": ("Backup", "/backup/home"),
    "batch": ("Batch", "/batch/home"),
    "billing": ("Billing and cost management", "/costmanagement/home"),
    "cloudformation": ("CloudFormation", "/cloudformation/home"),
    "cloudfront": ("CloudFront", "/cloudfront/v4/home"),
    "cloudtrail": ("CloudTrail", "/cloudtrailv2/home"),
    "cloudwatch": ("CloudWatch", "/cloudwatch/home"),
    "codebuild": ("CodeBuild", "/codesuite/codebuild/projects"),
    "codepipeline": ("CodePipeline", "/codesuite/codepipeline/pipelines"),
    "cognito": ("Cognito", "/cognito/v2/home"),
    "config": ("Config", "/config/home"),
    "dynamodb": ("DynamoDB", "/dynamodbv2/home"),
    "ec2": ("EC2", "/ec2/home"),
    "ecr": ("Elastic Container Registry", "/ecr/private-registry"),
    "ecs": ("Elastic Container Service", "/ecs/v2/home"),
    "efs": ("Elastic File System", "/efs/home"),
    "eks": ("Elastic Kubernetes Service", "/eks/home"),
    "elasticache": ("ElastiCache", "/elasticache/home"),
    "eventbridge": ("EventBridge", "/events/home"),
    "glue": ("Glue", "/glue/home"),
    "guardduty": ("GuardDuty", "/guardduty/home"),
    "iam": ("IAM", "/iam/home"),
    "kinesis": ("Kinesis", "/kinesis/home"),
    "kms": ("Key Management Service", "/kms/home"),
    "lambda": ("Lambda", "/lambda/home"),
    "opensearch": ("OpenSearch Service", "/aos/home"),
    "organizations": ("Organizations", "/organizations/v2/home"),
    "rds": ("RDS", "/rds/home"),
    "redshift": ("Redshift", "/redshiftv2/home"),
    "route53": ("Route 53", "/route53/v2/home"),
    "s3": ("S3", "/s3/home"),
    "sagemaker": ("SageMaker", "/sagemaker/home"),
    "secretsmanager": ("Secrets Manager", "/secretsmanager/home"),
    "securityhub": ("Security Hub", "/securityhub/home"),
    "sns": ("Simple Notification Service", "/sns/v3/home"),
    "sqs": ("Simple Queue Service", "/sqs/v3/home"),
    "states": ("Step Functions", "/states/home"),
    "ssm": ("Systems Manager", "/systems-manager/home"),
    "vpc": ("VPC", "/vpcconsole/home"),
    "waf": ("WAF", "/wafv2/homev2"),
}

_PATH = re.compile(r"/(?![/\\])[A-Za-z0-9/_.~!$&'()*+,;=:@%?#|-]*", re.ASCII)


class NoConsole(ValueError):
    """Report why there is no such page of the console, in words for the person who asked."""


def host_of(partition: str) -> str:
    """Return the console's host. Raises `NoConsole` for a partition without one that we know."""
    if partition not in HOSTS:
        raise NoConsole(f"Chainweb knows no console of the partition {partition}.")
    return HOSTS[partition]


def service_address(service: str, region: str) -> str:
    """Return the address of a service's page in a region. Raises `NoConsole`."""
    partition = partition_of(region)
    host = host_of(partition)
    if service not in SERVICES:
        raise NoConsole("Choose a service of the list.")
    place = f"{region}.{host}" if partition == "aws" else host
    return f"https://{place}{SERVICES[service][1]}?{urlencode({'region': region})}"


def page_address(text: str, partition: str) -> str:
    """Return the address of a page of that partition's console, and of no other host.

    `text` is its path, with what follows it, or the whole address as copied from a browser. Raises
    `NoConsole`.
    """
    host = host_of(partition)
    if len(text) > LONGEST_PATH:
        raise NoConsole(f"A console path has at most {LONGEST_PATH} characters.")
    place, path = host, text
    if text.startswith("https://"):
        try:
            parts = urlsplit(text)
        except ValueError:
            raise NoConsole(_NO_PATH) from None
        regional = re.fullmatch(r"[a-z0-9-]{1,63}\." + re.escape(host), parts.netloc, re.ASCII)
        if parts.netloc != host and not regional:
            raise NoConsole(f"Only pages of {host} can be opened with this session.")
        place, path = parts.netloc, text.removeprefix(f"https://{parts.netloc}") or "/"
    if not _PATH.fullmatch(path):
        raise NoConsole(_NO_PATH)
    return f"https://{place}{path}"


_NO_PATH = "A console path begins with one / and has letters, digits and URL characters only."


def federation_url(region: str, override: str = "") -> str:
    """Return where a region's sign-in tokens are asked for and taken.

    `override`: the operator's own endpoint, as of the simulated AWS. Raises `NoConsole`.
    """
    partition = partition_of(region)
    if override:
        return override
    if partition not in _SIGN_IN:
        raise NoConsole(f"Chainweb knows no console of the partition {partition}.")
    near = region if region in ENABLED_BY_DEFAULT["aws"] else _SIGN_IN_REGION
    return _SIGN_IN[partition].format(region=near)


def login_query(issuer: str, destination: str, token: str) -> str:
    """Return what follows the endpoint's address to sign in and land at a page."""
    said = {
        "Action": "login",
        "Issuer": issuer,
        "Destination": destination,
        "SigninToken": token,
    }
    return urlencode(said)
