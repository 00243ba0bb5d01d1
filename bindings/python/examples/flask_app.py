"""Flask: requests by endpoint and status, what each thread does, and unhandled exceptions in the black box."""

from __future__ import annotations

import time
from typing import Any

import flask

import mmstats as mm


class Web(mm.Stats, prefix="web"):
    by_endpoint: mm.Family[mm.Counter] = mm.counter("Requests.", labels=("endpoint", "status"), cap=200)
    latency: mm.Latency = mm.latency("Request to answer.")
    doing: mm.Text = mm.text("The request of this thread.", size=120, per="thread")
    log: mm.Events = mm.events("Errors.", size=200)


def measure(app: flask.Flask, web: Web) -> None:
    @app.before_request
    def begin() -> None:
        flask.g.begun = time.perf_counter()
        web.doing.set(f"{flask.request.method} {flask.request.path}")

    @app.after_request
    def count(response: flask.Response) -> flask.Response:
        web.by_endpoint.labels(flask.request.endpoint or "", response.status_code).inc()
        return response

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        web.latency.observe(time.perf_counter() - flask.g.begun)
        web.doing.clear()
        if error is not None:
            web.log.record(f"{flask.request.path}: {error!r}")


app = flask.Flask(__name__)
measure(app, Web.start(private=True))


@app.get("/hello")
def hello() -> Any:
    return "hello"
