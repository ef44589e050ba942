"""Serve CloudTrail's LookupEvents: pages of given records, the newest first, and faults."""

import json
import time
from datetime import datetime
from typing import Any

from tests.harness.http_server import Connection, HttpServer, Request

JSON = "application/x-amz-json-1.1"


class FakeCloudTrail(HttpServer):
    """Answer LookupEvents with `records`, `page` at a time.

    `faults`: error codes that the next calls get. A cursor of an earlier generation is refused.
    """

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.reset()

    def reset(self) -> None:
        self.records: list[Any] = []
        self.faults: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.page, self.generation = 2, 1

    def forget_cursors(self) -> None:
        """Refuse each cursor given so far."""
        self.generation += 1

    def _answer(self, request: Request, connection: Connection) -> None:
        asked = json.loads(request.body)
        signer = request.headers["authorization"].partition("Credential=")[2].partition("/")[0]
        self.asked.append({"signed_with": signer, **asked})
        self.times.append(time.monotonic())
        if self.faults and (code := self.faults.pop(0)):
            self._refuse(connection, code)
            return
        generation, _, begin = asked.get("NextToken", f"{self.generation} 0").partition(" ")
        if int(generation) != self.generation:
            self._refuse(connection, "InvalidNextTokenException")
            return
        first, last = asked["StartTime"], asked["EndTime"]
        found = [each for each in self.records if first <= _seconds(each) <= last]
        found.sort(key=_seconds, reverse=True)
        end = int(begin) + self.page
        events = [{"EventId": "x", "CloudTrailEvent": _text(each)} for each in found]
        answer: dict[str, Any] = {"Events": events[int(begin) : end]}
        if end < len(found):
            answer["NextToken"] = f"{self.generation} {end}"
        connection.send(200, json.dumps(answer).encode(), JSON)

    @staticmethod
    def _refuse(connection: Connection, code: str) -> None:
        body = {"__type": code, "message": f"{code} it is."}
        connection.send(400, json.dumps(body).encode(), JSON)


def _text(record: Any) -> str:
    return record if isinstance(record, str) else json.dumps(record)


def _seconds(record: Any) -> float:
    if isinstance(record, str):
        return time.time() - 1
    return datetime.fromisoformat(record["eventTime"]).timestamp()
