"""Serve CloudTrail's LookupEvents: pages of given records, the newest first, and faults."""

import json
import time
from datetime import datetime

from tests.harness.http_server import HttpServer

JSON = "application/x-amz-json-1.1"


class FakeCloudTrail(HttpServer):
    """Answer LookupEvents with `records`, `page` at a time.

    `faults`: error codes that the next calls get. A cursor of an earlier generation is refused.
    """

    def __init__(self):
        super().__init__(self._answer)
        self.reset()

    def reset(self):
        self.records, self.faults, self.page = [], [], 2
        self.asked, self.times = [], []
        self.generation = 1

    def forget_cursors(self):
        """Refuse each cursor given so far."""
        self.generation += 1

    def _answer(self, request, connection):
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
        answer = {"Events": events[int(begin) : end]}
        if end < len(found):
            answer["NextToken"] = f"{self.generation} {end}"
        connection.send(200, json.dumps(answer).encode(), JSON)

    @staticmethod
    def _refuse(connection, code):
        body = {"__type": code, "message": f"{code} it is."}
        connection.send(400, json.dumps(body).encode(), JSON)


def _text(record):
    return record if isinstance(record, str) else json.dumps(record)


def _seconds(record):
    if isinstance(record, str):
        return time.time() - 1
    return datetime.fromisoformat(record["eventTime"]).timestamp()
