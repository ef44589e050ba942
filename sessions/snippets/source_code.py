"""Write the credentials as source code for AWS's SDKs, each with a first call.

In Python, JavaScript, Go, Java and Rust alike a text of printable ASCII is written as JSON writes
it: in double quotes, with a backslash before a quote and a backslash. (Java reads Unicode escapes
before anything else, but not after a backslash that is itself escaped.)
"""

import json
from collections.abc import Callable

from sessions.secret import Secret
from sessions.snippets import Group, Snippet, SnippetFormat, register
from sessions.snippets.values import (
    PRINTABLE,
    URL,
    check,
    comments_of,
    credentials_of,
    end_of,
    opened,
)


class Values:
    """Hold the checked values as literals of these languages.

    `token` and `endpoint` are "" where there is none.
    """

    def __init__(self, snippet: Snippet) -> None:
        credentials = credentials_of(snippet)
        parts: dict[str, str | Secret] = {
            "The access key ID": credentials.access_key_id,
            "The secret access key": credentials.secret_access_key,
            "The region": snippet.region,
        }
        if credentials.session_token is not None:
            parts["The session token"] = credentials.session_token
        for name, value in parts.items():
            check(name, value, PRINTABLE)
        if snippet.endpoint_url:
            check("The endpoint", snippet.endpoint_url, URL)
        self.comment = "; ".join(comments_of(snippet))
        self.end = json.dumps(end_of(credentials))
        self.has_end = credentials.expires_at is not None
        self.region = json.dumps(snippet.region)
        self.endpoint = json.dumps(snippet.endpoint_url) if snippet.endpoint_url else ""
        self.key_id = json.dumps(credentials.access_key_id)
        self.secret = json.dumps(opened(credentials.secret_access_key))
        token = credentials.session_token
        self.token = json.dumps(opened(token)) if token is not None else ""


def python(snippet: Snippet) -> str:
    values = Values(snippet)
    token = [f"    aws_session_token={values.token},"] if values.token else []
    endpoint = f", endpoint_url={values.endpoint}" if values.endpoint else ""
    return _lines(
        "import boto3",
        "",
        f"# {values.comment}",
        "session = boto3.Session(",
        f"    aws_access_key_id={values.key_id},",
        f"    aws_secret_access_key={values.secret},",
        *token,
        f"    region_name={values.region},",
        ")",
        f'print(session.client("sts"{endpoint}).get_caller_identity()["Arn"])',
    )


def javascript(snippet: Snippet) -> str:
    values = Values(snippet)
    token = [f"    sessionToken: {values.token},"] if values.token else []
    end = [f"    expiration: new Date({values.end}),"] if values.has_end else []
    endpoint = [f"  endpoint: {values.endpoint},"] if values.endpoint else []
    return _lines(
        'import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";',
        "",
        f"// {values.comment}",
        "const client = new STSClient({",
        f"  region: {values.region},",
        *endpoint,
        "  credentials: {",
        f"    accessKeyId: {values.key_id},",
        f"    secretAccessKey: {values.secret},",
        *token,
        *end,
        "  },",
        "});",
        "console.log((await client.send(new GetCallerIdentityCommand({}))).Arn);",
    )


def go(snippet: Snippet) -> str:
    values = Values(snippet)
    token = values.token or json.dumps("")
    endpoint = [f"\t\tconfig.WithBaseEndpoint({values.endpoint}),"] if values.endpoint else []
    return _lines(
        "package main",
        "",
        "import (",
        '\t"context"',
        '\t"fmt"',
        '\t"log"',
        "",
        '\t"github.com/aws/aws-sdk-go-v2/config"',
        '\t"github.com/aws/aws-sdk-go-v2/credentials"',
        '\t"github.com/aws/aws-sdk-go-v2/service/sts"',
        ")",
        "",
        "func main() {",
        f"\t// {values.comment}",
        "\tctx := context.Background()",
        "\tcfg, err := config.LoadDefaultConfig(ctx,",
        f"\t\tconfig.WithRegion({values.region}),",
        *endpoint,
        "\t\tconfig.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(",
        f"\t\t\t{values.key_id},",
        f"\t\t\t{values.secret},",
        f"\t\t\t{token},",
        "\t\t)),",
        "\t)",
        "\tif err != nil {",
        "\t\tlog.Fatal(err)",
        "\t}",
        "\tidentity, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)",
        "\tif err != nil {",
        "\t\tlog.Fatal(err)",
        "\t}",
        "\tfmt.Println(*identity.Arn)",
        "}",
    )


def java(snippet: Snippet) -> str:
    values = Values(snippet)
    kind = "AwsSessionCredentials" if values.token else "AwsBasicCredentials"
    parts = [values.key_id, values.secret, *([values.token] if values.token else [])]
    endpoint = (
        [f"                .endpointOverride(java.net.URI.create({values.endpoint}))"]
        if values.endpoint
        else []
    )
    return _lines(
        f"import software.amazon.awssdk.auth.credentials.{kind};",
        "import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;",
        "import software.amazon.awssdk.regions.Region;",
        "import software.amazon.awssdk.services.sts.StsClient;",
        "",
        "class Chainweb {",
        "    public static void main(String[] arguments) {",
        f"        // {values.comment}",
        f"        var credentials = {kind}.create(",
        ",\n".join(f"                {part}" for part in parts) + ");",
        "        try (var sts = StsClient.builder()",
        f"                .region(Region.of({values.region}))",
        *endpoint,
        "                .credentialsProvider(StaticCredentialsProvider.create(credentials))",
        "                .build()) {",
        "            System.out.println(sts.getCallerIdentity().arn());",
        "        }",
        "    }",
        "}",
    )


def rust(snippet: Snippet) -> str:
    values = Values(snippet)
    token = f"Some(String::from({values.token}))" if values.token else "None"
    endpoint = [f"        .endpoint_url({values.endpoint})"] if values.endpoint else []
    return _lines(
        "use aws_config::{BehaviorVersion, Region};",
        "use aws_credential_types::Credentials;",
        "",
        "#[tokio::main]",
        "async fn main() -> Result<(), Box<dyn std::error::Error>> {",
        f"    // {values.comment}",
        "    let credentials = Credentials::new(",
        f"        {values.key_id},",
        f"        {values.secret},",
        f"        {token},",
        "        None,",
        '        "chainweb",',
        "    );",
        "    let config = aws_config::defaults(BehaviorVersion::latest())",
        f"        .region(Region::new({values.region}))",
        *endpoint,
        "        .credentials_provider(credentials)",
        "        .load()",
        "        .await;",
        "    let identity = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await?;",
        '    println!("{}", identity.arn().unwrap_or_default());',
        "    Ok(())",
        "}",
    )


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def _register(
    key: str, label: str, filename: str, render: Callable[[Snippet], str], order: int
) -> None:
    register(
        SnippetFormat(
            key=key,
            label=label,
            filename=filename,
            language=key,
            secret=True,
            help=(
                "To try something out: these keys win over the environment and over ~/.aws. A"
                " program that stays takes a profile that fetches its own."
            ),
            render=render,
            order=order,
            group=Group.CODE,
        )
    )


_register("python", "Python (boto3)", "chainweb.py", python, 10)
_register("javascript", "JavaScript (v3)", "chainweb.mjs", javascript, 20)
_register("go", "Go (v2)", "main.go", go, 30)
_register("java", "Java (v2)", "Chainweb.java", java, 40)
_register("rust", "Rust", "main.rs", rust, 50)
