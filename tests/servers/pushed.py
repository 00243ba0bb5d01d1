"""What `mmstats export otlp` sends arrives: at victoria-metrics, and at rotel, a collector."""

import json
import sys
import time

from harness import SERVERS, Process, Program, Published, check, complete, equal, get, outage, port, run, wait_for

ROTEL = next((SERVERS / "python/lib").glob("python3*/site-packages/rotel/rotel-agent"))


class Victoria:
    def __init__(self, test):
        self.test = test
        self.address = f"127.0.0.1:{port()}"
        self.data = test.folder / "victoria"
        self.start()

    def start(self):
        self.process = Process(
            self.test,
            [
                SERVERS / "trixie/victoria-metrics/usr/bin/victoria-metrics",
                f"-httpListenAddr={self.address}",
                f"-storageDataPath={self.data}",
                "-memory.allowedBytes=128MiB",
            ],
        ).ready(lambda: get(f"{self.address}/health"))

    def series(self, name, pid):
        """Labels, times and values of the series of a program."""
        get(f"{self.address}/internal/force_flush")
        match = f'{{__name__="{name}","process.pid"="{pid}"}}'
        lines = get(f"{self.address}/api/v1/export", **{"match[]": match}).splitlines()
        return [json.loads(line) for line in lines]

    def last(self, name, pid, **labels):
        found = [
            one for one in self.series(name, pid) if all(one["metric"].get(key) == value for key, value in labels.items())
        ]
        check(len(found) == 1, f"{name} {labels}: {len(found)} series")
        values = [value for value in found[0]["values"] if value is not None]
        return values[-1]


def buckets(server, pid, published):
    """All buckets of two histograms, and their counts and sums; the number of buckets in words."""
    said = []
    for name, values in (("shop.size", published.sizes), ("shop.delivery", published.deliveries)):
        equal(server.last(f"{name}_count", pid), len(values), f"count of {name}")
        equal(server.last(f"{name}_sum", pid), sum(values), f"sum of {name}")
        total = buckets = 0
        for one in server.series(f"{name}_bucket", pid):
            low, high = map(float, one["metric"]["vmrange"].split("..."))
            count = [value for value in one["values"] if value is not None][-1]
            total += count
            buckets += 1
            # Bounds have four digits here; those of the field are narrower than that is wide.
            slack = 1e-3
            most = sum(low * (1 - slack) < value <= high * (1 + slack) for value in values)
            least = sum(low * (1 + slack) < value <= high * (1 - slack) for value in values)
            # Values beyond all buckets are in the first and the next.
            edge = values is published.sizes and (low <= 100 or high >= 1_000_000)
            check(edge or least <= count <= most, f"{name} {low}...{high}: {count}, not {least} to {most}")
        equal(total, len(values), f"values in all buckets of {name}")
        said.append(f"{buckets} buckets of {name}")
    return ", ".join(said)


def victoria(test):
    """Counters, sums and all buckets; a server that was down has the right numbers afterwards, and final ones."""
    server = Victoria(test)
    exporter = test.exporter("otlp", "--to", f"http://{server.address}/opentelemetry", "--every", "1", "--no-logs")
    shop, published = Program(test), Published(4)
    published.tell(shop)
    pid = shop.pid
    wait_for(lambda: server.last("shop.requests", pid, code="500") == 13, "a sending")
    time.sleep(2)
    equal(server.last("shop.orders", pid), 1_000, "orders")
    equal(server.last("shop.sent", pid), published.counters["sent"], "bytes sent")
    equal(server.last("shop.oven", pid), published.oven, "degrees")
    for (method, code), count in published.requests.items():
        equal(server.last("shop.requests", pid, method=method, code=code), count, f"requests {method} {code}")
    equal({s: server.last("shop.cook", pid, state=s) for s in ("idle", "busy", "broken")}, {"idle": 0, "busy": 1, "broken": 0}, "states")
    equal(server.last("shop.bill_count", pid), len(published.bills), "bills")
    equal(server.last("shop.bill_sum", pid), sum(published.bills), "nanoseconds of bills")
    said = buckets(server, pid, published)
    # Down: what is counted meanwhile, and the last words of a program that is killed, arrive afterwards.
    outage(server, shop)
    wait_for(lambda: server.last("shop.orders", pid) == 1_777, "1,777 afterwards")
    # No value any more: the mark of a stale series, which the export leaves out or has as null.
    wait_for(lambda: gone(server, pid), "the series end")
    values = [value for value in server.series("shop.orders", pid)[0]["values"] if value is not None]
    complete(values)
    equal(exporter.end(), 0, "exit code of the exporter")
    return f"{said}, {len(values)} samples of orders, none lost"


def gone(server, pid):
    answer = get(f"{server.address}/api/v1/query", query=f'{{__name__="shop.orders","process.pid"="{pid}"}}')
    return json.loads(answer)["data"]["result"] == []


class Collector:
    """Rotel, which passes on what it gets, and prints it."""

    def __init__(self, test, server):
        self.test, self.server = test, server
        self.grpc, self.address = f"127.0.0.1:{port()}", f"127.0.0.1:{port()}"
        self.start()

    def start(self):
        self.process = Process(
            self.test,
            [
                ROTEL, "start",
                "--otlp-grpc-endpoint", self.grpc, "--otlp-http-endpoint", self.address,
                "--debug-log", "logs", "--debug-log-verbosity", "detailed",
                "--exporter", "otlp", "--otlp-exporter-protocol", "http",
                "--otlp-exporter-metrics-endpoint", f"http://{self.server.address}/opentelemetry/v1/metrics",
                "--otlp-exporter-logs-endpoint", f"http://{self.server.address}/insert/opentelemetry/v1/logs",
                "--otlp-exporter-traces-endpoint", f"http://{self.server.address}/none",
            ],
        )  # fmt: skip

    def said(self, text):
        return text in self.process.log.read_text(errors="replace")


def collector(test):
    """A collector has metrics, lines of events and panics, and passes metrics on, with all buckets."""
    server = Victoria(test)
    rotel = Collector(test, server)
    test.exporter("otlp", "--to", f"http://{rotel.address}", "--every", "1")
    shop, published = Program(test), Published(5)
    pid = shop.pid
    # Lines from before its start are not exported.
    wait_for(lambda: server.series("shop.orders", pid), "a sending")
    published.tell(shop)
    shop.tell("panic the oven burns")
    rotel.process.ready(lambda: rotel.said("the kitchen opens") and rotel.said("the oven burns"))
    record = rotel.process.log.read_text(errors="replace").split("the oven burns")[0].rsplit("LogRecord", 1)[1]
    check("SEVERITY_NUMBER_FATAL" in record, f"a panic is not fatal: {record}")
    wait_for(lambda: server.last("shop.requests", pid, code="500") == 13, "a sending")
    time.sleep(2)
    equal(server.last("shop.orders", pid), 1_000, "orders")
    equal(server.last("shop.sent", pid), published.counters["sent"], "bytes sent")
    for (method, code), count in published.requests.items():
        equal(server.last("shop.requests", pid, method=method, code=code), count, f"requests {method} {code}")
    return buckets(server, pid, published)


# Seconds that the collector is down, and MiB that may wait for it.
DOWN = 60
QUEUE = 2


def minute(test):
    """A collector is down for a minute: memory is bounded, and afterwards it has final values and lines."""
    server = Victoria(test)
    rotel = Collector(test, server)
    exporter = test.exporter("otlp", "--to", f"http://{rotel.address}", "--every", "1", "--queue", str(QUEUE), "--hold", "5s")
    # A sending of these is a part of the queue: the oldest are dropped within seconds.
    Program(test, "many", "400")
    shop, other = Program(test), Program(test)
    shop.tell("orders 1000")
    other.tell("orders 10")
    wait_for(lambda: server.last("shop.orders", shop.pid) == 1_000, "a sending")
    before = exporter.memory()
    rotel.process.end()
    end = time.monotonic() + DOWN
    # The last words of these, and these lines, are older than the queue is long.
    shop.tell("orders 777")
    other.tell("say nobody listens")
    time.sleep(2)
    shop.kill()
    most = 0
    while time.monotonic() < end:
        other.tell("orders 1")
        most = max(most, exporter.memory())
        time.sleep(1)
    # What waits, what is made of the next sending, and what the allocator keeps.
    grown, bound = most - before, (3 * QUEUE + 8) << 20
    check(grown < bound, f"memory has grown by {grown:,} bytes, more than {bound:,}")
    rotel.start()
    wait_for(lambda: server.last("shop.orders", shop.pid) == 1_777, "the final value afterwards")
    other.tell("orders 1000")
    wait_for(lambda: server.last("shop.orders", other.pid) > 1_000, "values of now")
    wait_for(lambda: rotel.said("nobody listens"), "the line of the time without a collector")
    wait_for(lambda: gone(server, shop.pid), "the series end")
    log = exporter.log.read_text()
    check("were dropped meanwhile" in log, f"nothing was dropped, or it was not said: {log}")
    equal(exporter.end(), 0, "exit code of the exporter")
    return f"memory grew by {grown / 2**20:.1f} MiB of {before / 2**20:.1f} with a queue of {QUEUE} MiB"


if __name__ == "__main__":
    tests = [test for test in (victoria, collector, minute) if not sys.argv[1:] or test.__name__ in sys.argv[1:]]
    sys.exit(run(tests))
