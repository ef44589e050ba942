"""Write answers and errors in the XML of the Query protocol, as STS and IAM do."""

from typing import Any
from xml.sax.saxutils import escape

from tests.harness.sts.rules import Refusal

XMLNS = "https://sts.amazonaws.com/doc/2011-06-15/"
_REQUEST_ID = (
    "<ResponseMetadata>"
    "<RequestId>00000000-0000-4000-8000-000000000000</RequestId>"
    "</ResponseMetadata>"
)


def answer(action: str, fields: dict[str, Any], changes: dict[str, str | None]) -> bytes:
    result = _elements(fields, changes)
    inner = f"<{action}Result>{result}</{action}Result>{_REQUEST_ID}"
    text = f'<{action}Response xmlns="{XMLNS}">{inner}</{action}Response>'
    return text.encode()


def _elements(fields: dict[str, Any], changes: dict[str, str | None]) -> str:
    text = ""
    for name, value in (fields | {n: v for n, v in changes.items() if n in fields}).items():
        if value is not None:
            text += f"<{name}>{_element(value, changes)}</{name}>"
    return text


def _element(value: Any, changes: dict[str, str | None]) -> str:
    match value:
        case dict():
            return _elements(value, changes)
        case list():
            return "".join(f"<member>{_element(each, changes)}</member>" for each in value)
        case _:
            return escape(value)


def error(refusal: Refusal) -> bytes:
    kind = "Sender" if refusal.status < 500 else "Receiver"
    message = "".join(c if c.isprintable() or c in "\n\t" else "?" for c in refusal.message)
    return (
        "<ErrorResponse"
        f' xmlns="{XMLNS}"><Error><Type>{kind}</Type><Code>{escape(refusal.code)}</Code>'
        f"<Message>{escape(message)}</Message></Error><RequestId>00000000-0000-4000-8000-000000000000</RequestId></ErrorResponse>"
    ).encode()
