"""WSGI: requests by method and status, time until the application returns. Use: app = measured(app, Web.start())"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import mmstats as mm

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class Web(mm.Stats, prefix="web"):
    by_status: mm.Family[mm.Counter] = mm.counter("Requests by method and status.", labels=("method", "status"), cap=100)
    latency: mm.Latency = mm.latency("Time until the application returns.")


def measured(app: WSGIApplication, web: Web) -> WSGIApplication:
    def wrapper(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, *rest: Any) -> Any:
            web.by_status.labels(environ["REQUEST_METHOD"], status[:3]).inc()
            return start_response(status, *rest)

        with web.latency.time():
            return app(environ, start)

    return wrapper
