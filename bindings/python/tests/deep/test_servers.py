"""Servers and pools whose workers come, go and are killed: the sum is exact at every reading."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Place, until

import mmstats as mm

APP = """
import os, signal, sys, threading
import mmstats as mm

class Web(mm.Stats, prefix="web"):
    requests: mm.Counter = mm.counter("Requests served.")
    latency: mm.Latency = mm.latency("Time to answer.")

web = Web.start()

def app(environ, start_response):
    with web.latency.time():
        web.requests.inc()
    if environ["PATH_INFO"] == "/kill":
        os.kill(os.getpid(), signal.SIGKILL)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]

application = app
"""

# The same, published through prometheus_client.
PROMETHEUS = """
import os, signal
import mmstats.prometheus
from prometheus_client import Counter, generate_latest

requests = Counter("requests", "Requests served.")

def app(environ, start_response):
    body = b"ok"
    if environ["PATH_INFO"] == "/metrics":
        body = generate_latest()
    else:
        requests.inc()
        if environ["PATH_INFO"] == "/kill":
            os.kill(os.getpid(), signal.SIGKILL)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

application = app
"""


class Server:
    """A server of an application, with the number of requests that it was sent and that it has answered."""

    def __init__(self, place: Place, command: list[str], app: str = APP, application: str | None = None) -> None:
        (place.path / "served.py").write_text(app)
        self.port = free_port()
        command = [part.format(port=self.port) for part in command]
        environment = {**os.environ, "MMSTATS_PATH": str(place.path)}
        if application is not None:
            environment["MMSTATS_APPLICATION"] = application
        self.log = place.path / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=place.path, env=environment, stdout=log, stderr=log, start_new_session=True)
        self.lock = threading.Lock()
        self.sent = self.counted = 0

    def ask(self, path: str) -> bytes:
        """The answer; empty if the worker was killed."""
        with self.lock:
            self.sent += path != "/metrics"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200
        except (http.client.HTTPException, ConnectionError):
            assert path == "/kill", self.log.read_text()[-2000:]
            body = b""
        finally:
            connection.close()
        with self.lock:
            self.counted += path != "/metrics"
        return body

    def wait(self) -> None:
        def answers() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            with socket.socket() as connection:
                return connection.connect_ex(("127.0.0.1", self.port)) == 0

        until(answers, 60)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def load(server: Server, read: Callable[[], float], clients: int = 4, requests: int = 150, kills: int = 3) -> None:
    """Requests of several clients, some of which kill their worker, while the sum is read."""
    errors: list[BaseException] = []

    def client() -> None:
        try:
            for number in range(requests):
                server.ask("/kill" if kills and number % (requests // kills) == 20 else "/")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    readings = 0
    try:
        while any(thread.is_alive() for thread in threads):
            low = server.counted
            value = read()
            assert low <= value <= server.sent, (low, value, server.sent, server.log.read_text()[-2000:])
            readings += 1
            time.sleep(0.01)
    finally:
        for thread in threads:
            thread.join(120)
    assert not errors, errors
    assert readings > 10 and server.sent == server.counted == clients * requests
    until(lambda: read() == server.sent, 5)


@pytest.fixture
def serve(place: Place) -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def start(*arguments: object, **named: object) -> Server:
        server = Server(place, *arguments, **named)  # type: ignore[arg-type]
        started.append(server)
        server.wait()
        return server

    yield start
    for server in started:
        server.stop()


def gunicorn(*options: str) -> list[str]:
    command = [sys.executable, "-m", "gunicorn", "served:app", "--bind", "127.0.0.1:{port}", "--workers", "3"]
    return [*command, "--max-requests", "40", "--log-level", "warning", *options]


GUNICORN = {
    "plain": ([], "shop"),
    "preload": (["--preload"], None),
    "preload-named": (["--preload"], "shop"),
    "gevent": (["--worker-class", "gevent"], "shop"),
    "gevent-preload": (["--worker-class", "gevent", "--preload"], None),
    # Its workers drop connections that they have accepted when they reach the most requests.
    "threads": (["--worker-class", "gthread", "--threads", "4", "--max-requests", "0"], "shop"),
}


@pytest.mark.parametrize("kind", GUNICORN)
def test_gunicorn_sum_is_exact_at_every_reading(place: Place, serve: Callable[..., Server], kind: str) -> None:
    options, application = GUNICORN[kind]
    server = serve(gunicorn(*options), application=application)
    # A worker that is killed loses what it has accepted and not counted: with greenlets there is one client, with
    # threads nothing is killed.
    clients, kills = {"gevent": (1, 3), "gevent-preload": (1, 3), "threads": (4, 0)}.get(kind, (4, 3))
    load(server, lambda: float(place.total("web.requests") or 0), clients, kills=kills)  # type: ignore[arg-type]
    with mm.Observer(paths=[place.path]) as observer:
        observer.refresh()
        assert observer.total("web.latency").value["count"] == server.sent
    server.stop()
    if application is not None:
        assert place.total("web.requests") == server.sent


def test_gunicorn_pages_of_prometheus_show_all_workers(serve: Callable[..., Server]) -> None:
    server = serve(gunicorn(), app=PROMETHEUS, application="shop")

    def read() -> float:
        lines = server.ask("/metrics").decode().splitlines()
        return float(next((line.split()[1] for line in lines if line.startswith("requests_total ")), "0"))

    load(server, read)


UWSGI = {"lazy": (["--lazy-apps"], "shop"), "preload": ([], None)}


@pytest.mark.skipif(shutil.which("uwsgi", path=str(Path(sys.executable).parent)) is None, reason="uwsgi was not built")
@pytest.mark.parametrize("kind", UWSGI)
def test_uwsgi_sum_is_exact_at_every_reading(place: Place, serve: Callable[..., Server], kind: str) -> None:
    options, application = UWSGI[kind]
    uwsgi = str(Path(sys.executable).parent / "uwsgi")
    command = [uwsgi, "--http-socket", "127.0.0.1:{port}", "--wsgi-file", "served.py", "--master", "--processes", "3"]
    command += ["--max-requests", "40", "--min-worker-lifetime", "0", "--die-on-term", "--need-app", *options]
    command += ["--home", sys.prefix] if sys.prefix != sys.base_prefix else []
    server = serve(command, application=application)
    load(server, lambda: float(place.total("web.requests") or 0))  # type: ignore[arg-type]


def test_pool_of_billiard_counts_exactly(place: Place) -> None:
    out = place.run(
        """
        import billiard
        web = Web.start()
        def task(n):
            web.requests.inc(n)
            return n
        if __name__ == "__main__":
            with billiard.Pool(3, maxtasksperchild=4) as pool:
                print(sum(pool.map(task, range(100), chunksize=1)))
                pool.close()
                pool.join()
            with mm.Observer(paths=[os.environ["MMSTATS_PATH"]]) as observer:
                observer.refresh()
                print(observer.total("web.requests").value)
        """
    )
    assert out == "4950\n4950\n"


def test_greenlets_count_exactly_and_their_timers_are_apart(place: Place) -> None:
    out = place.run(
        """
        from gevent import monkey
        monkey.patch_all()
        import gevent
        web = Web.start(keep=True)
        def work(n):
            for _ in range(20):
                with web.latency.time() as section:
                    web.requests.inc()
                    web.by.labels("GET", n % 3).inc()
                    gevent.sleep(0.001)
                assert section.elapsed >= 0.001
        gevent.joinall([gevent.spawn(work, n) for n in range(100)], raise_error=True)
        threads = [threading.Thread(target=work, args=(0,)) for _ in range(10)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        pid = os.fork()
        if pid == 0:
            gevent.spawn(work, 1).join()
            os._exit(0)
        os.waitpid(pid, 0)
        print(web.requests.value, web.latency.value["count"])
        """
    )
    assert out == "2200 2200\n"
    assert place.total("web.requests") == 2220 == place.total("web.by")


def test_stacks_of_greenlets_are_seen_from_outside(place: Place) -> None:
    program = place.start(
        """
        from gevent import monkey
        monkey.patch_all()
        import gevent
        web = Web.start()
        def waiting():
            gevent.sleep(600)
        early = gevent.spawn(waiting)
        mm.watch_stacks(web, hz=10)
        late = threading.Thread(target=waiting)
        late.start()
        def busy():
            end = time.monotonic() + 600
            while time.monotonic() < end:
                pass
        gevent.sleep(0.5)
        busy()
        """
    )

    def stacks() -> str:
        found = [seen for seen in place.programs() if "python.tasks" in seen]
        return str([(seen["python.stack"].value, seen["python.tasks"].value) for seen in found])

    until(lambda: stacks().count("waiting (program0.py") == 2 and "busy (program0.py" in stacks())
    assert program.poll() is None
