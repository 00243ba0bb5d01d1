"""FastAPI: requests by route and status, and those in progress."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import fastapi

import mmstats as mm


class Web(mm.Stats, prefix="web"):
    by_route: mm.Family[mm.Counter] = mm.counter("Requests.", labels=("route", "status"), cap=200)
    latency: mm.Family[mm.Latency] = mm.latency("Request to answer.", labels="route", cap=100)
    open: mm.Gauge = mm.gauge("Requests in progress.", type=int)


app = fastapi.FastAPI()
web = Web.start(private=True)


@app.middleware("http")
async def measured(
    request: fastapi.Request, call_next: Callable[[fastapi.Request], Awaitable[fastapi.Response]]
) -> fastapi.Response:
    start, status = time.perf_counter(), 500
    web.open.inc()
    try:
        response = await call_next(request)
        status = response.status_code
        return response
    finally:
        route = getattr(request.scope.get("route"), "path", "")
        web.open.dec()
        web.by_route.labels(route, status).inc()
        web.latency.labels(route).observe(time.perf_counter() - start)


@app.get("/items/{number}")
async def item(number: int) -> dict[str, int]:
    return {"number": number}
