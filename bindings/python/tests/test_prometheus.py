"""Programs that use prometheus_client, published by mmstats."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Place
from peers import source

# Before the indented code of a test.
PREAMBLE = """
        import mmstats.prometheus
        from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, REGISTRY, Summary, generate_latest
        hits = Counter("hits", "Hits.", ["path"])
        size = Summary("size_bytes", "Sizes.")
        took = Histogram("took_seconds", "Times.", buckets=(0.1, 1))
        value = REGISTRY.get_sample_value
        def child(work):
            pid = os.fork()
            if pid == 0:
                signal.alarm(60)
                work()
                os._exit(0)
            return pid
"""

# Not run: TestMetricFamilies, which uses no values.
CLASSES = ["TestCounter", "TestGauge", "TestSummary", "TestHistogram", "TestDisableCreated", "TestInfo", "TestEnum", "TestMetricWrapper", "TestCollectorRegistry"]


# Tests use the same names for new metrics.
CONFTEST = """
import pytest
import mmstats.prometheus

@pytest.fixture(autouse=True)
def anew():
    yield
    mmstats.prometheus.close()
"""


def test_tests_of_prometheus_client_pass_on_values_of_mmstats(tmp_path: Path) -> None:
    tests = source("prometheus_client==0.26.0") / "tests"
    (tmp_path / "conftest.py").write_text(CONFTEST)
    chosen = [f"{tests / 'test_core.py'}::{name}" for name in CLASSES]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "conftest", "--rootdir", str(tmp_path)]
    environment = {**os.environ, "MMSTATS_PATH": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([*command, *chosen], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed" not in done.stdout and " passed" in done.stdout


def test_metrics_are_seen_by_mmstats_under_their_own_names(place: Place) -> None:
    place.run(
        PREAMBLE
        + """
        hits.labels("/").inc()
        hits.labels("/").inc(2.5)
        size.observe(5)
        size.observe(-2)
        took.observe(0.5)
        took.observe(float("inf"))
        Gauge("temperature", "Now.").set(21.5)
        Info("build", "Build.").info({"version": "1.4"})
        Enum("phase", "Phase.", states=["starting", "serving"]).state("serving")
        Gauge("queue", "Queue.").set_function(lambda: 7)
        assert value("size_bytes_sum") == 3 and value("took_seconds_sum") == float("inf")
        with mm.Observer(paths=[os.environ["MMSTATS_PATH"]]) as observer:
            (program,) = observer.refresh()
        read = program.to_dict()
        assert read['hits_total{path="/"}'] == 3.5, read
        assert read["size_bytes_count"] == 2 and read["size_bytes_sum"] == 5 and read["size_bytes_sum.negative"] == 2
        assert read['took_seconds_bucket{le="1.0"}'] == 1 and read['took_seconds_bucket{le="+Inf"}'] == 1
        assert read["temperature"] == [21.5] and read["phase"] == "serving" and read["queue"] == [7], read
        assert read['build_info{version="1.4"}'] == 1
        assert program["size_bytes_count"].help == "Sizes."
        """
    )


def test_forked_workers_add_up_also_killed_ones(place: Place) -> None:
    out = place.run(
        PREAMBLE
        + """
        hits.labels("/").inc(100)
        def work(n):
            hits.labels("/").inc(n)
            hits.labels(f"/{n}").inc()
            size.observe(n)
            size.observe(-1)
            took.observe(0.05)
            if n % 3 == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            if n % 3 == 1:
                raise SystemExit
        for n in range(12):
            os.waitpid(child(lambda: work(n)), 0)
            assert value("hits_total", {"path": "/"}) == 100 + sum(range(n + 1)), n
            assert value("size_bytes_count") == 2 * (n + 1)
        assert value("hits_total", {"path": "/7"}) == 1
        assert value("size_bytes_sum") == sum(range(12)) - 12
        assert value("took_seconds_bucket", {"le": "0.1"}) == 12 == value("took_seconds_count")
        text = generate_latest().decode()
        assert 'hits_total{path="/7"} 1.0' in text and "# TYPE took_seconds histogram" in text
        restricted = generate_latest(REGISTRY.restricted_registry(["size_bytes_count"])).decode()
        assert "size_bytes_count 24.0" in restricted and "size_bytes_sum" not in restricted
        other = CollectorRegistry()
        mmstats.prometheus.MultiProcessCollector(other)
        assert other.get_sample_value("hits_total", {"path": "/"}) == 166
        print("done")
        """
    )
    assert out == "done\n"


def test_gauges_of_workers_follow_their_modes(place: Place) -> None:
    out = place.run(
        PREAMBLE
        + """
        modes = ["all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent"]
        gauges = {mode: Gauge("g_" + mode, "G.", multiprocess_mode=mode) for mode in modes}
        for gauge in gauges.values():
            gauge.set(10)
        def work(n, dies):
            for gauge in gauges.values():
                gauge.set(n)
            print(n, file=write, flush=True)
            os.kill(os.getpid(), signal.SIGKILL) if dies else time.sleep(600)
        pids = {}
        for n, dies in ((3, True), (20, False), (5, False)):
            read, write = os.pipe()
            write = os.fdopen(write, "w")
            pids[n] = child(lambda: work(n, dies))
            os.read(read, 10)
            if dies:
                os.waitpid(pids[n], 0)
        own, pid = str(os.getpid()), {n: str(pid) for n, pid in pids.items()}
        expected = {"min": 5, "livemin": 5, "max": 20, "livemax": 20, "sum": 35, "livesum": 35, "mostrecent": 5, "livemostrecent": 5}
        for mode, number in expected.items():
            assert value("g_" + mode) == number, (mode, value("g_" + mode))
        for n in (20, 5):
            assert value("g_all", {"pid": pid[n]}) == value("g_liveall", {"pid": pid[n]}) == n
        assert value("g_all", {"pid": pid[3]}) is None and value("g_liveall", {"pid": pid[3]}) is None
        assert value("g_all", {"pid": own}) == 10 and value("g_all") is None
        for n in (20, 5):
            os.kill(pids[n], signal.SIGKILL)
        print("done")
        """
    )
    assert out == "done\n"


def test_removed_gauge_is_published_no_longer(place: Place) -> None:
    place.run(
        PREAMBLE
        + """
        gauge = Gauge("jobs", "Jobs.", ["queue"])
        def seen():
            with mm.Observer(paths=[os.environ["MMSTATS_PATH"]]) as observer:
                return {k for p in observer.refresh() for k in p.to_dict() if k.startswith("jobs")}
        for n in range(3):
            gauge.labels("a").set(1)
            gauge.labels("b").set(2)
            assert seen() == {'jobs{queue="a"}', 'jobs{queue="b"}'}
            gauge.remove("a")
            assert seen() == {'jobs{queue="b"}'}
        # Tests make the same metrics again.
        mmstats.prometheus.close()
        again = Gauge("jobs", "Jobs.", ["queue"], registry=None)
        again.labels("b").set(1)
        del gauge
        REGISTRY.unregister(REGISTRY._names_to_collectors["jobs"])
        gauge = again
        REGISTRY.register(gauge)
        import gc
        gc.collect()
        assert seen() == {'jobs{queue="b"}'}
        gauge.labels("a").set(4)
        gauge.labels("a").inc(-1)
        assert value("jobs", {"queue": "a"}) == 3
        """
    )


def test_install_keeps_what_was_counted_before(place: Place) -> None:
    place.run(
        """
        from prometheus_client import Counter, Gauge, Histogram, REGISTRY
        hits, took = Counter("hits", "Hits.", ["path"]), Histogram("took", "Took.")
        level = Gauge("level", "Level.")
        hits.labels("/").inc(3); took.observe(1); level.set(4)
        import mmstats.prometheus
        hits.labels("/").inc()
        with mm.Observer(paths=[os.environ["MMSTATS_PATH"]]) as observer:
            (program,) = observer.refresh()
        assert program.to_dict()['hits_total{path="/"}'] == 4
        assert program.to_dict()["level"] == [4]
        assert REGISTRY.get_sample_value("took_sum") == 1 == REGISTRY.get_sample_value("took_count")
        """
    )


def test_metrics_without_a_place_stay_in_the_process(place: Place) -> None:
    (place.path / "file").write_text("")
    program = place.start(
        """
        import warnings
        warnings.simplefilter("error")
        os.environ["MMSTATS_PATH"] += "/file"
        warnings.simplefilter("ignore")
        import mmstats.prometheus
        from prometheus_client import Counter, Gauge, REGISTRY
        Counter("hits", "Hits.").inc(3)
        Gauge("level", "Level.").set(2)
        assert REGISTRY.get_sample_value("hits_total") == 3 and REGISTRY.get_sample_value("level") == 2
        print("done")
        """
    )
    assert program.communicate(timeout=60)[0] == "done\n"


def test_processes_of_one_multiprocess_directory_belong_together(place: Place) -> None:
    code = PREAMBLE + """
        hits.labels("/").inc()
        print(value("hits_total", {"path": "/"}))
        """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(place.path / "shop")
    try:
        assert [place.run(code) for _ in range(3)] == ["1.0\n", "2.0\n", "3.0\n"]
    finally:
        del os.environ["PROMETHEUS_MULTIPROC_DIR"]


DJANGO = """
        import django
        from django.conf import settings
        settings.configure(
            DEBUG=False, SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF="__main__",
            INSTALLED_APPS=["django_prometheus"],
            MIDDLEWARE=[
                "django_prometheus.middleware.PrometheusBeforeMiddleware",
                "django_prometheus.middleware.PrometheusAfterMiddleware",
            ],
        )
        from django.http import HttpResponse
        from django.test import Client
        from django.urls import include, path
        django.setup()
        urlpatterns = [path("hello", lambda request: HttpResponse("hello")), path("", include("django_prometheus.urls"))]
        client = Client()
        assert client.get("/hello").content == b"hello"
        LINE = 'django_http_responses_total_by_status_total{status="200"}'
        print(LINE + " 1.0" in client.get("/metrics").content.decode())
        def work():
            client.get("/hello")
        os.waitpid(child(work), 0)
        print(LINE + " 3.0" in client.get("/metrics").content.decode())
        with mm.Observer(paths=[os.environ["MMSTATS_PATH"]]) as observer:
            observer.refresh()
            print(observer.total("django_http_responses_total_by_status_total", status="200").value)
        """


@pytest.mark.parametrize("has_directory", [False, True])
def test_django_prometheus_counts_over_workers(place: Place, has_directory: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("django_prometheus")
    if has_directory:
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(place.path / "shop"))
    assert place.run(PREAMBLE + DJANGO) == "True\nTrue\n4.0\n"


def test_removed_labels_are_used_again_while_their_gauge_is_retired(place: Place) -> None:
    out = place.run(
        PREAMBLE
        + """
        from mmstats.prometheus._store import store
        busy = Gauge("busy", "Busy.", ["worker"])
        sys.setswitchinterval(1e-6)
        end = time.monotonic() + 3
        def come_and_go(number):
            while time.monotonic() < end:
                one = busy.labels("a")
                one.set(number)
                try:
                    busy.remove("a")
                except KeyError:
                    pass
                # The last one retires the gauge, outside of the metric's lock.
                del one
        threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(store._has_warned)
        """
    )
    assert out == "False\n", "a gauge is not published"


def test_new_labels_do_not_read_all_fields(place: Place) -> None:
    out = place.run(
        PREAMBLE
        + """
        from mmstats.prometheus._value import CountValue
        reads = []
        total = CountValue._total
        CountValue._total = lambda self: reads.append(self) or total(self)
        for number in range(10):
            hits.labels(str(number)).inc()
        print(len(reads))
        """
    )
    assert out == "0\n"
