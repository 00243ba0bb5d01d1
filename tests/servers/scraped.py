"""Prometheus has the numbers that were published: 2.42 and 2.53, by protobuf and by text."""

import json
import math
import sys
import time

from harness import SERVERS, Process, Program, Published, check, equal, get, port, run, wait_for

NATIVE = "native-histograms"
CREATED = "native-histograms,created-timestamp-zero-ingestion"


class Prometheus:
    def __init__(self, test, suite, target, features):
        self.name = f"{suite} {features or 'text'}"
        self.address = f"127.0.0.1:{port()}"
        folder = test.folder / f"prometheus-{len(test.processes)}"
        folder.mkdir()
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
            "scrape_configs:\n"
            "  - job_name: mmstats\n"
            f"    authorization: {{credentials_file: {test.token}}}\n"
            f"    static_configs: [{{targets: ['{target}']}}]\n"
        )
        self.process = Process(
            test,
            [
                SERVERS / suite / "prometheus/usr/bin/prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={self.address}",
                f"--web.console.templates={folder}",
                f"--web.console.libraries={folder}",
                *([f"--enable-feature={features}"] if features else []),
            ],
            cwd=folder,
        )

    def query(self, query):
        answer = json.loads(get(f"{self.address}/api/v1/query", query=query))
        equal(answer["status"], "success", f"{self.name}: {query}")
        return answer["data"]["result"]

    def ready(self):
        self.process.ready(lambda: any(one["value"][1] == "1" for one in self.query("up")))
        return self

    def quiet(self):
        """Nothing was out of order, twice, or wrong in another way."""
        lines = self.process.log.read_text().splitlines()
        problems = [line for line in lines if "level=warn" in line or "level=error" in line]
        equal(problems, [], f"{self.name}: problems")

    def one(self, query):
        """The only result, if there is one."""
        result = self.query(query)
        check(len(result) == 1, f"{self.name}: {query}: {len(result)} results")
        return result[0]

    def value(self, query):
        return float(self.one(query)["value"][1])

    def samples(self, series):
        """Times and values of a series."""
        result = self.query(f"{series}[10m]")
        check(len(result) <= 1, f"{self.name}: {series}: {len(result)} series")
        return [(at, float(value)) for at, value in result[0]["values"]] if result else []


def servers(test, address):
    """One of each way, all at once: more than one may scrape."""
    started = [
        Prometheus(test, "bookworm", address, NATIVE),
        Prometheus(test, "trixie", address, CREATED),
        Prometheus(test, "trixie", address, None),
        Prometheus(test, "bookworm", address, None),
    ]
    return [server.ready() for server in started]


def native_buckets(server, query, values, scale, below, above):
    """All buckets of a native histogram; the number of them."""
    histogram = server.one(query)["histogram"][1]
    equal(int(float(histogram["count"])), len(values), f"{server.name}: count of {query}")
    equal(float(histogram["sum"]), float(sum(values)), f"{server.name}: sum of {query}")
    total = 0
    for _, low, high, count in histogram["buckets"]:
        low, high, count = float(low), float(high), int(float(count))
        total += count
        if low <= 0:
            equal(count, below, f"{server.name}: values below all buckets of {query}")
        elif math.isinf(high):
            equal(count, above, f"{server.name}: values above all buckets of {query}")
        else:
            within = sum(low < value <= high for value in values)
            equal(count, within, f"{server.name}: values of {query} from {low} to {high}")
            for bound in (low, high):
                index = math.log2(bound) * 2**scale
                check(abs(index - round(index)) < 1e-6, f"{server.name}: bound {bound} at scale {scale}")
            equal(round(math.log2(high / low) * 2**scale), 1, f"{server.name}: width from {low} to {high}")
    equal(total, len(values), f"{server.name}: values in all buckets of {query}")
    return len(histogram["buckets"])


def classic_buckets(server, name, pid, values, unit):
    """All buckets with fixed bounds; the number of them. `values` in their own unit, `unit` a base unit."""
    buckets = server.query(f'{name}_bucket{{pid="{pid}"}}')
    check(len(buckets) > 3, f"{server.name}: {len(buckets)} buckets of {name}")
    for bucket in buckets:
        bound = float(bucket["metric"]["le"])
        # The bounds are whole numbers in the unit of the field: without the error of seconds.
        bound = bound if math.isinf(bound) else round(bound * unit)
        within = sum(value <= bound for value in values)
        equal(float(bucket["value"][1]), float(within), f"{server.name}: values of {name} up to {bound}")
    equal(server.value(f'{name}_count{{pid="{pid}"}}'), float(len(values)), f"{server.name}: count of {name}")
    total = server.value(f'{name}_sum{{pid="{pid}"}}')
    equal(total, sum(values) / unit, f"{server.name}: sum of {name}")
    return len(buckets)


def numbers(test):
    """Counters, sums and all buckets are those that were published."""
    address = test.scraped()
    all_servers = servers(test, address)
    shop, published = Program(test), Published(1)
    published.tell(shop)
    fields = test.shown(shop)
    pid, said = shop.pid, []
    for server in all_servers:
        here = f'{{pid="{pid}"}}'
        wait_for(lambda: server.query(f'shop_requests_total{{pid="{pid}",method="POST"}}'), f"{server.name}: a scrape")
        # The scrape of the last order has all of those before it.
        time.sleep(1.1)
        plain = {
            "shop_orders_total": 1_000.0,
            "shop_sent_bytes_total": float(published.counters["sent"]),
            "shop_oven_celsius": published.oven,
            "shop_bill_seconds_count": float(len(published.bills)),
            "shop_bill_seconds_sum": sum(published.bills) / 1e9,
            "shop_bill_min_seconds": min(published.bills) / 1e9,
            "shop_bill_max_seconds": max(published.bills) / 1e9,
            "shop_bill_last_seconds": published.bills[-1] / 1e9,
            "mmstats_up": 1.0,
        }
        for name, number in plain.items():
            equal(server.value(name + here), number, f"{server.name}: {name}")
        for (method, code), count in published.requests.items():
            labels = f'pid="{pid}",method={json.dumps(method)},code={json.dumps(code)}'
            equal(server.value(f"shop_requests_total{{{labels}}}"), float(count), f"{server.name}: {labels}")
        states = {one["metric"]["state"]: one["value"][1] for one in server.query(f"shop_cook{here}")}
        equal(states, {"idle": "0", "busy": "1", "broken": "0"}, f"{server.name}: states")
        if "native" in server.name:
            of = lambda label, values: (values, *(fields[label][key] for key in ("scale", "below", "above")))
            sizes = native_buckets(server, f"shop_size_bytes{here}", *of("shop.size", published.sizes))
            times = native_buckets(
                server, f"shop_delivery_nanoseconds{here}", *of("shop.delivery", published.deliveries)
            )
            said.append(f"{server.name}: {sizes} + {times} native buckets")
            for q in (0.5, 0.9, 0.99):
                found = server.value(f"histogram_quantile({q}, shop_size_bytes{here})")
                exact = sorted(published.sizes)[int(q * len(published.sizes))]
                # The error of the field, on both sides, and of neighbours.
                check(abs(found / exact - 1) < 0.06, f"{server.name}: quantile {q} is {found}, not {exact}")
        else:
            sizes = classic_buckets(server, "shop_size_bytes", pid, published.sizes, 1)
            said.append(f"{server.name}: {sizes} classic buckets of bytes")
        times = classic_buckets(server, "shop_delivery_seconds", pid, published.deliveries, 10**9)
        said.append(f"{times} classic buckets of seconds")
        server.quiet()
    return "; ".join(said)


def last_words(test):
    """What a program counts after the last scrape is there after its death, then its series are stale."""
    address = test.scraped("--hold", "5s")
    all_servers = servers(test, address)
    shop = Program(test)
    created = test.shown(shop)["sys.created"]
    shop.tell("orders 1000")
    series = lambda program: f'shop_orders_total{{pid="{program.pid}"}}'
    for server in all_servers:
        wait_for(lambda: server.query(series(shop)) and server.value(series(shop)) == 1_000, f"{server.name}: 1,000")
    jobs = []
    for count, end in ((250, "killed"), (125, "ended")):
        job = Program(test)
        job.tell(f"orders {count}")
        time.sleep(0.1)
        if end == "killed":
            job.kill()
        else:
            job.finish()
        jobs.append((job, count))
    shop.tell("orders 777")
    shop.kill()
    said = []
    for server in all_servers:
        for program, count in [(shop, 1_777), *jobs]:
            wait_for(
                lambda: [value for _, value in server.samples(series(program))][-1:] == [float(count)],
                f"{server.name}: {count} at last",
            )
            wait_for(lambda: not server.query(series(program)), f"{server.name}: {count} is stale")
            samples = server.samples(series(program))
            equal(samples[-1][1], float(count), f"{server.name}: the last value")
            if "created" in server.name:
                equal(samples[0][1], 0.0, f"{server.name}: value at the start, of {count}")
                if program is shop:
                    begun = samples[0][0] - created
                    check(abs(begun) < 0.01, f"{server.name}: the 0 is {begun} s after the start")
        server.quiet()
        said.append(f"{server.name}: {sorted({value for _, value in server.samples(series(shop))})}")
    return "; ".join(said)


def summed(test):
    """The sum of a command never goes back, whatever ends and is removed."""
    address = test.scraped("--sum", "--hold", "2s")
    server = Prometheus(test, "trixie", address, None).ready()
    name, total = "shop_orders_total", 0
    programs = [Program(test) for _ in range(4)]
    for count, (program, end) in enumerate(zip(programs, ("killed", "ended", "removed", "lives")), 100):
        program.tell(f"orders {count}")
        total += count
        wait_for(lambda: server.value(name) == total, f"{total} of {end}")
        if end == "lives":
            continue
        # After the last scrape.
        program.tell("orders 50")
        total += 50
        if end == "ended":
            program.finish()
        else:
            program.kill()
        wait_for(lambda: server.value(name) == total, f"{total} after {end}")
        if end == "removed":
            for file in test.published.glob(f"*{program.pid}*"):
                file.unlink()
    time.sleep(4)
    equal(server.value(name), float(total), "the sum at last")
    values = [value for _, value in server.samples(name)]
    equal(values, sorted(values), "sums")
    server.quiet()
    return f"{total} of 4 programs in {len(values)} samples"


if __name__ == "__main__":
    wanted = sys.argv[1:]
    sys.exit(run([test for test in (numbers, last_words, summed) if not wanted or test.__name__ in wanted]))
