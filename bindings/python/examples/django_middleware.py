"""Django: in its settings, `MIDDLEWARE = ["django_middleware.measured", ...]`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import mmstats as mm


class Web(mm.Stats, prefix="web"):
    by_view: mm.Family[mm.Counter] = mm.counter("Requests by view.", labels=("view", "status"), cap=500)
    latency: mm.Family[mm.Latency] = mm.latency("Request to answer.", labels="view", cap=100)


web = Web.start(private=True)


def measured(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def middleware(request: Any) -> Any:
        start = time.perf_counter()
        response = get_response(request)
        view = request.resolver_match.view_name if request.resolver_match else ""
        web.by_view.labels(view, response.status_code).inc()
        web.latency.labels(view).observe(time.perf_counter() - start)
        return response

    return middleware
