"""What `mmstats export graphite` sends is in the files of carbon, also after carbon was down."""

import os
import subprocess
import sys
import time

from harness import PATIENCE, PYTHON, SERVERS, Process, Program, Published, check, complete, equal, outage, port, run, wait_for

ROOT = SERVERS / "bookworm/graphite-carbon"
MODULES = [ROOT / "usr/lib/python3/dist-packages", SERVERS / "bookworm/python3-whisper/usr/lib/python3/dist-packages"]
ENVIRONMENT = dict(os.environ, PYTHONPATH=":".join(map(str, MODULES)))


class Carbon:
    def __init__(self, test):
        self.test = test
        self.folder = test.folder / "carbon"
        self.port = port()
        (self.folder / "conf").mkdir(parents=True)
        lines = {
            "STORAGE_DIR": self.folder, "LOCAL_DATA_DIR": self.folder / "whisper", "CONF_DIR": self.folder / "conf",
            "LOG_DIR": self.folder / "log", "PID_DIR": self.folder, "DATABASE": "whisper", "USER": "",
            "MAX_CREATES_PER_MINUTE": "inf", "MAX_UPDATES_PER_SECOND": 10_000, "MAX_CACHE_SIZE": "inf",
            "LINE_RECEIVER_INTERFACE": "127.0.0.1", "LINE_RECEIVER_PORT": self.port,
            "PICKLE_RECEIVER_INTERFACE": "127.0.0.1", "PICKLE_RECEIVER_PORT": port(),
            "CACHE_QUERY_INTERFACE": "127.0.0.1", "CACHE_QUERY_PORT": port(), "ENABLE_LOGROTATION": False,
            # Of carbon itself.
            "CARBON_METRIC_INTERVAL": 0,
        }  # fmt: skip
        text = "[cache]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items())
        (self.folder / "conf/carbon.conf").write_text(text)
        (self.folder / "conf/storage-schemas.conf").write_text("[all]\npattern = .*\nretentions = 1s:1h\n")
        self.start()

    def start(self):
        import socket

        for pid in self.folder.glob("*.pid"):
            pid.unlink()
        command = [PYTHON / "python", ROOT / "usr/bin/carbon-cache"]
        command += [f"--config={self.folder}/conf/carbon.conf", "--nodaemon", "--debug", "start"]
        self.process = Process(self.test, command, env=ENVIRONMENT)
        self.process.ready(lambda: socket.create_connection(("127.0.0.1", self.port)).close() or True)

    def values(self, path):
        """Values of the last minutes, of `PREFIX.` and this path, by `whisper-fetch`."""
        file = self.folder / "whisper/test" / (path.replace(".", "/") + ".wsp")
        check(file.exists(), f"no file of {path}")
        command = [PYTHON / "python", SERVERS / "bookworm/python3-whisper/usr/bin/whisper-fetch"]
        command += [f"--from={int(time.time()) - 600}", "--drop=nulls", file]
        found = subprocess.run(list(map(str, command)), capture_output=True, timeout=PATIENCE, env=ENVIRONMENT, check=True)
        return [float(line.split()[1]) for line in found.stdout.decode().splitlines()]


def graphite(test):
    """`whisper-fetch` has the numbers; after carbon was down those of that time, and the final ones."""
    server = Carbon(test)
    exporter = test.exporter("graphite", "--to", f"127.0.0.1:{server.port}", "--prefix", "test", "--every", "1")
    shop, published = Program(test), Published(6)
    published.tell(shop)
    base = f"mmstats-orders.{shop.pid}"
    last = lambda path: server.values(f"{base}.shop.{path}")[-1]
    wait_for(lambda: last("requests.GET.200") == 4_711, "a sending")
    time.sleep(2)
    wanted = {
        "orders": 1_000,
        "sent": published.counters["sent"],
        "oven": published.oven,
        "bill.count": len(published.bills),
        "bill.sum": sum(published.bills) / 1e9,
        "bill.min": min(published.bills) / 1e9,
        "bill.max": max(published.bills) / 1e9,
        "size.count": len(published.sizes),
        "size.sum": sum(published.sizes),
        "delivery.count": len(published.deliveries),
        "delivery.sum": sum(published.deliveries) / 1e9,
        "requests.POST.500": 13,
        "cook.busy": 1,
        "cook.idle": 0,
    }
    for path, number in wanted.items():
        # `whisper-fetch` prints six digits after the point.
        check(abs(last(path) - number) <= 5e-7, f"{path}: {last(path)}, not {number}")
    for quantile, name in ((0.5, "p50"), (0.99, "p99")):
        exact = sorted(published.sizes)[int(quantile * len(published.sizes))]
        check(abs(last(f"size.{name}") / exact - 1) < 0.03, f"size.{name}: {last(f'size.{name}')}, not {exact}")
    outage(server, shop)
    wait_for(lambda: last("orders") == 1_777, "1,777 afterwards")
    values = server.values(f"{base}.shop.orders")
    complete(values)
    equal(exporter.end(), 0, "exit code of the exporter")
    return f"{len(wanted)} paths, {len(values)} values of orders, none lost"


if __name__ == "__main__":
    sys.exit(run([graphite]))
