"""Each file of examples/ runs, and has strict types."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Place

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(place: Place, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES))
    place.run(
        """
        def read():
            with mm.Observer(paths=[os.environ["MMSTATS_PATH"]]) as observer:
                (program,) = observer.refresh()
                return program.to_dict()
        """
        + code
    )


def test_wsgi_counts_by_status(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run(
        place,
        monkeypatch,
        """
        import wsgi
        def app(environ, start_response):
            start_response("404 Not Found", [])
            return [b"no"]
        measured = wsgi.measured(app, wsgi.Web.start())
        assert measured({"REQUEST_METHOD": "GET"}, lambda status, headers: None) == [b"no"]
        assert read()['web.by_status{method="GET",status="404"}'] == 1 == read()["web.latency"]["count"]
        """,
    )


def test_asgi_counts_by_status(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run(
        place,
        monkeypatch,
        """
        import asyncio, asgi
        async def app(scope, receive, send):
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"hello"})
        got = []
        async def send(message):
            got.append(message)
        measured = asgi.Measured(app, asgi.Web.start())
        async def use():
            await measured({"type": "lifespan"}, None, send)
            await measured({"type": "http", "method": "GET"}, None, send)
        asyncio.run(use())
        assert len(got) == 2
        assert read()['web.by_status{method="GET",status="200"}'] == 1 == read()["web.latency"]["count"]
        """,
    )


def test_django_counts_by_view(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("django")
    run(
        place,
        monkeypatch,
        """
        import django
        from django.conf import settings
        settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF="__main__", MIDDLEWARE=["django_middleware.measured"])
        from django.http import HttpResponse
        from django.test import Client
        from django.urls import path
        django.setup()
        urlpatterns = [path("hello", lambda request: HttpResponse("hello"), name="hello")]
        assert Client().get("/hello").content == b"hello" and Client().get("/no").status_code == 404
        assert read()['web.by_view{view="hello",status="200"}'] == 1 == read()['web.by_view{view="",status="404"}']
        assert read()['web.latency{view="hello"}']["count"] == 1
        """,
    )


def test_flask_counts_by_endpoint(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("flask")
    run(
        place,
        monkeypatch,
        """
        import flask_app
        @flask_app.app.get("/bad")
        def bad():
            raise KeyError("bad")
        client = flask_app.app.test_client()
        assert client.get("/hello").data == b"hello" and client.get("/bad").status_code == 500
        values = read()
        assert values['web.by_endpoint{endpoint="hello",status="200"}'] == 1 == values['web.by_endpoint{endpoint="bad",status="500"}']
        assert values["web.latency"]["count"] == 2 and "bad" not in str(values["web.doing"])
        """,
    )


def test_fastapi_counts_by_route(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi")
    run(
        place,
        monkeypatch,
        """
        import asyncio, httpx, fastapi_app
        async def use():
            transport = httpx.ASGITransport(app=fastapi_app.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                return [(await client.get(f"/items/{n}")).json() for n in (1, 2)]
        assert asyncio.run(use()) == [{"number": 1}, {"number": 2}]
        values = read()
        assert values['web.by_route{route="/items/{number}",status="200"}'] == 2 and values["web.open"] == 0
        assert values['web.latency{route="/items/{number}"}']["count"] == 2
        """,
    )


def test_starlette_exporter_counts_into_mmstats(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("starlette_exporter")
    run(
        place,
        monkeypatch,
        """
        import mmstats.prometheus
        import asyncio, httpx
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route
        from starlette_exporter import PrometheusMiddleware, handle_metrics
        app = Starlette(routes=[Route("/hello", lambda request: PlainTextResponse("hello")), Route("/metrics", handle_metrics)])
        app.add_middleware(PrometheusMiddleware, app_name="shop")
        async def use():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://shop") as client:
                await client.get("/hello")
                return (await client.get("/metrics")).text
        page = asyncio.run(use())
        assert "starlette_requests_total" in page
        assert any(label.startswith("starlette_requests_total{") and value == 1 for label, value in read().items()), read()
        """,
    )


def test_celery_counts_tasks_of_worker_processes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("celery")
    monkeypatch.setenv("PYTHONPATH", f"{EXAMPLES}{os.pathsep}{place.path}")
    (place.path / "broker").mkdir()
    (place.path / "shop.py").write_text(
        "from celery_app import app, add\n"
        f"folder = {str(place.path / 'broker')!r}\n"
        "app.conf.update(broker_url='filesystem://', broker_transport_options={'data_folder_in': folder, "
        "'data_folder_out': folder, 'control_folder': folder}, worker_max_tasks_per_child=4)\n"
    )
    out = place.run(
        """
        import subprocess
        import shop
        for n in range(20):
            shop.add.delay(n, 1)
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "shop", "worker", "--pool", "prefork", "--concurrency", "2", "--loglevel", "ERROR"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=os.environ["MMSTATS_PATH"],
        )
        def done():
            with mm.Observer(paths=[os.environ["MMSTATS_PATH"]]) as observer:
                observer.refresh()
                try:
                    return observer.total("celery.by_state", task="celery_app.add", state="SUCCESS").value
                except KeyError:
                    return 0
        end = time.monotonic() + 60
        seen = 0
        while seen < 20 and time.monotonic() < end and worker.poll() is None:
            now = done() or 0
            assert now >= seen, (now, seen)
            seen = now
            time.sleep(0.05)
        worker.terminate()
        worker.wait(30)
        print(seen)
        """
    )
    assert out == "20\n"


def test_examples_have_strict_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    pytest.importorskip("fastapi")
    files = sorted(map(str, EXAMPLES.glob("*.py")))
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "--config-file", os.devnull]
    command += ["--ignore-missing-imports", *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=EXAMPLES)
    assert done.returncode == 0, done.stdout
