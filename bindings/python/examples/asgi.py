"""ASGI (Starlette, FastAPI, Quart, Django's asgi.py): requests by method and status, time until the application returns.

Use: app = Measured(app, Web.start())
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import mmstats as mm

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Web(mm.Stats, prefix="web"):
    by_status: mm.Family[mm.Counter] = mm.counter("Requests by method and status.", labels=("method", "status"), cap=100)
    latency: mm.Latency = mm.latency("Time until the application returns.")


class Measured:
    def __init__(self, app: App, web: Web) -> None:
        self.app, self.web = app, web

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.web.by_status.labels(scope["method"], message["status"]).inc()
            await send(message)

        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        with self.web.latency.time():
            await self.app(scope, receive, counted)
