"""Serve pages that wait until released, to hold the threads of a web process."""

import os
import time


def application(environ, start_response):
    path = environ["PATH_INFO"]
    while path == "/waits" and not os.path.exists(os.environ["LET_GO"]):
        time.sleep(0.02)
    body = environ["wsgi.input"].read() if path == "/reads" else path.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
