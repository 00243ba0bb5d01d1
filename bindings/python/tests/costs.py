"""Costs in units of a bare attribute increment, beside prometheus_client: `python tests/costs.py`.

With `--check` a cost above its limit by half is an error: machines that run tests are busy.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import timeit

import prometheus_client

import mmstats as mm


class Bare:
    x = 0


class Costs(mm.Stats):
    counter: mm.Counter = mm.counter()
    gauge: mm.Gauge = mm.gauge()
    latency: mm.Latency = mm.latency()
    family: mm.Family[mm.Counter] = mm.counter(labels=("method", "code"))


def main() -> None:
    is_good = True
    registry = prometheus_client.CollectorRegistry()
    their_counter = prometheus_client.Counter("c", "c", registry=registry)
    their_gauge = prometheus_client.Gauge("g", "g", registry=registry)
    their_histogram = prometheus_client.Histogram("h", "h", registry=registry)
    their_family = prometheus_client.Counter("f", "f", ["method", "code"], registry=registry)
    with tempfile.TemporaryDirectory() as directory, Costs.start(directory=directory) as costs:
        bare = Bare()
        # Name, most increments that it may take, statement of ours and of theirs.
        space = {
            "bare": bare,
            "counter": costs.counter,
            "gauge": costs.gauge,
            "latency": costs.latency,
            "family": costs.family,
            "c": their_counter,
            "g": their_gauge,
            "h": their_histogram,
            "f": their_family,
        }
        rows = [
            ("counter.inc()", 1.5, "counter.inc()", "c.inc()"),
            ("gauge.set(x)", 1.5, "gauge.set(0.5)", "g.set(0.5)"),
            ("latency.observe(x)", 2.0, "latency.observe(0.5)", "h.observe(0.5)"),
            ("labels(2).inc()", 6.0, "family.labels('GET', '200').inc()", "f.labels('GET', '200').inc()"),
            ("with time()", 12.0, "with latency.time(): pass", "with h.time(): pass"),
        ]
        statements = ["bare.x += 1", *(s for row in rows for s in row[2:])]
        timers = {s: timeit.Timer(s, globals=space) for s in statements}
        samples: dict[str, list[float]] = {s: [] for s in statements}
        for _ in range(25):
            for statement, timer in timers.items():
                samples[statement].append(timer.timeit(10_000) / 10_000)
        best = {s: statistics.median(all) for s, all in samples.items()}
        unit = best["bare.x += 1"]
        print(f"a bare increment takes {unit * 1e9:.0f} ns")
        print("operation              ns  increments  at most  prometheus_client")
        for name, most, ours, theirs in rows:
            cost = best[ours] / unit
            word = "" if cost <= most else "  NO"
            is_good = is_good and cost <= 1.5 * most
            print(
                f"{name:<20}{best[ours] * 1e9:5.0f}{cost:12.2f}{most:9.1f}{best[theirs] / best[ours]:15.1f} x{word}"
            )
    imported = [
        float(subprocess.run([sys.executable, "-c", "import time; t = time.perf_counter(); import mmstats; print(time.perf_counter() - t)"], capture_output=True, check=True, text=True).stdout)
        for _ in range(11)
    ]
    is_good = is_good and statistics.median(imported) <= 0.015
    print(f"import mmstats takes {statistics.median(imported) * 1e3:.1f} ms, at most 10")
    if "--check" in sys.argv and not is_good:
        sys.exit("a cost is far above its limit")


if __name__ == "__main__":
    main()
