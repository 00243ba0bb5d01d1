"""Text for parsers and linters of others, and the time of a scrape of many programs."""

import statistics
import subprocess
import sys
import time

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from harness import PATIENCE, SERVERS, Program, Published, check, equal, run

PROMTOOL = SERVERS / "bookworm/prometheus/usr/bin/promtool"
# Of each look, in seconds: 1,000 programs with 50 fields.
SCRAPE = 0.5


def strict(test):
    """The strict parser of OpenMetrics takes the text, and has the numbers; so has the parser of the older text."""
    address = test.scraped()
    shop, other, published = Program(test), Program(test), Published(2)
    published.tell(shop)
    shop.tell("panic the oven burns")
    other.tell("orders 3")
    said = []
    for accept, parse in (
        ("application/openmetrics-text;version=1.0.0", open_metrics),
        ("text/plain;version=0.0.4", plain_text),
    ):
        families = list(parse(test.scrape(address, accept).decode()))
        samples = {}
        for family in families:
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                check(key not in samples, f"twice: {key}")
                samples[key] = sample.value
        of = lambda name, program: [
            value
            for (found, labels), value in samples.items()
            if found == name and ("pid", str(program.pid)) in labels and ("overflow", "true") not in labels
        ]
        equal(of("shop_orders_total", shop), [1_000], "orders")
        equal(of("shop_orders_total", other), [3], "orders of another")
        equal(of("shop_delivery_seconds_count", shop), [len(published.deliveries)], "deliveries")
        equal(of("shop_size_bytes_sum", shop), [sum(published.sizes)], "bytes")
        equal(sorted(of("shop_requests_total", shop)), sorted(published.requests.values()), "requests")
        equal(sum(of("shop_cook", shop)), 1, "lanes in states")
        said.append(f"{len(families)} families, {len(samples)} samples")
    return "; ".join(said)


def lint(test):
    """`promtool check metrics` has nothing to say."""
    address = test.scraped()
    shop = Program(test)
    Published(3).tell(shop)
    text = test.scrape(address, "text/plain;version=0.0.4")
    check(b"shop_size_bytes_bucket" in text, "no histogram in the text")
    found = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, timeout=PATIENCE)
    equal((found.returncode, (found.stdout + found.stderr).decode()), (0, ""), "promtool")


def many(test):
    """1,000 programs with 50 counters each, of a debug build."""
    Program(test, "many", "1000")
    address = test.scraped()
    said = []
    for accept in (
        "application/openmetrics-text;version=1.0.0",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    ):
        times = []
        for _ in range(7):
            begin = time.monotonic()
            answer = test.scrape(address, accept)
            times.append(time.monotonic() - begin)
        name = accept.split(";")[0].rsplit("/")[1]
        if "openmetrics" in name:
            lines = [line for line in answer.decode().splitlines() if line.startswith("many_49_total{")]
            equal(sorted(int(line.rsplit(" ", 1)[1]) for line in lines), list(range(1_000)), "counters")
        check(len(answer) > 1_000_000, f"{name}: {len(answer)} bytes")
        said.append(f"{name} {min(times):.3f} s, median {statistics.median(times):.3f} s, {len(answer):,} bytes")
        check(min(times) < SCRAPE, said[-1])
    return "; ".join(said)


if __name__ == "__main__":
    sys.exit(run([test for test in (strict, lint, many) if not sys.argv[1:] or test.__name__ in sys.argv[1:]]))
