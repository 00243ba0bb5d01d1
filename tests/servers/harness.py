"""Processes of the tests: servers, exporters, programs; each ends with its test."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

SERVERS = pathlib.Path(os.environ["SERVERS"])
PYTHON = SERVERS / "python/bin"
MMSTATS = os.environ["MMSTATS"]
ORDERS = os.environ["ORDERS"]
TOKEN = "0123456789abcdef0123"
# Maximum time to wait for anything, in seconds.
PATIENCE = 60
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Failed(Exception):
    """What a server has is not what was published."""


class Ended(Exception):
    """A process that should run does not."""


def check(condition, *what):
    if not condition:
        raise Failed(" ".join(map(str, what)))


def equal(found, wanted, what):
    check(found == wanted, f"{what}: {found!r}, not {wanted!r}")


def wait_for(look, what, patience=PATIENCE):
    """The first answer of `look` that is true; it may raise `Failed` until then."""
    end = time.monotonic() + patience
    last = None
    while time.monotonic() < end:
        try:
            answer = look()
            if answer:
                return answer
            last = answer
        except (Failed, IndexError, OSError) as error:
            last = error
        time.sleep(0.1)
    raise Failed(f"{what}: not within {patience} s: {last}")


def port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(address, headers=None, **query):
    url = f"http://{address}" + ("?" + urllib.parse.urlencode(query) if query else "")
    with DIRECT.open(urllib.request.Request(url, headers=headers or {}), timeout=PATIENCE) as answer:
        return answer.read()


class Process:
    """A process that is killed at the latest when its test ends."""

    def __init__(self, test, command, stdin=subprocess.DEVNULL, stdout=None, **more):
        self.name = pathlib.Path(command[0]).name
        self.log = test.folder / f"{self.name}-{len(test.processes)}.log"
        with open(self.log, "wb") as log:
            output = log if stdout is None else stdout
            self.child = subprocess.Popen(
                list(map(str, command)), stdin=stdin, stdout=output, stderr=log, **more
            )
        test.processes.append(self)

    @property
    def pid(self):
        return self.child.pid

    def kill(self):
        self.child.kill()
        self.child.wait()

    def end(self):
        self.child.terminate()
        return self.child.wait(PATIENCE)

    def ready(self, look):
        def alive():
            if self.child.poll() is not None:
                raise Ended(f"{self.name} ended: {self.tail()}")
            return look()

        try:
            wait_for(alive, f"{self.name} is ready")
        except Failed as error:
            raise Failed(f"{error}\n{self.tail()}") from None
        return self

    def memory(self, name="VmRSS"):
        """Memory of the process, in bytes."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise Failed(f"no {name} of {self.name}")

    def tail(self):
        return self.log.read_text(errors="replace")[-2000:]


class Program(Process):
    """A program that publishes what it is told."""

    def __init__(self, test, *arguments):
        environment = dict(os.environ, MMSTATS_PATH=str(test.published))
        super().__init__(
            test, [ORDERS, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        self.done()

    def done(self):
        equal(self.child.stdout.readline(), b"done\n", "answer of the program")

    def tell(self, order):
        self.child.stdin.write(f"{order}\n".encode())
        self.child.stdin.flush()
        self.done()

    def finish(self):
        """Ends it cleanly."""
        self.child.stdin.close()
        equal(self.child.wait(PATIENCE), 0, "exit code of the program")


def outage(server, shop):
    """A server is down while a program counts on and is killed; then it is there again."""
    server.process.end()
    for _ in range(5):
        shop.tell("orders 100")
        time.sleep(1)
    shop.tell("orders 277")
    shop.kill()
    time.sleep(2)
    server.start()


def complete(values):
    """The values of the time of an `outage` arrived, in their order."""
    check(values == sorted(values) and {1_100, 1_200, 1_300}.issubset(values), f"values meanwhile: {values}")


class Published:
    """Numbers that a program is told to publish."""

    def __init__(self, seed):
        chance = random.Random(seed)
        # Below and above all buckets too; no powers of two, which are bounds of buckets.
        self.sizes = [51, 63, 3_000_001, 5_000_000]
        self.sizes += [round(chance.lognormvariate(9, 1.5)) + 100 for _ in range(1_000)]
        self.sizes = [size + 1 if size & (size - 1) == 0 else size for size in self.sizes]
        self.deliveries = [round(chance.lognormvariate(16, 2)) * 2 + 101 for _ in range(1_000)]
        self.bills = [round(chance.uniform(1, 1e9)) for _ in range(100)]
        self.counters = {"orders": 1_000, "sent": 123_456_789_012}
        self.requests = {("GET", "200"): 4_711, ("POST", "500"): 13, ('a"b\\', "é"): 7}
        self.oven = 218.125

    def tell(self, program):
        for name, number in self.counters.items():
            program.tell(f"{name} {number}")
        program.tell(f"oven {self.oven}")
        program.tell("cook busy")
        for order, numbers in (("size", self.sizes), ("delivery", self.deliveries), ("bill", self.bills)):
            program.tell(f"{order} {' '.join(map(str, numbers))}")
        for (method, code), count in self.requests.items():
            program.tell(f"requests {method} {code} {count}")
        program.tell("say the kitchen opens")


class Test:
    """A folder, and processes that end with the test."""

    def __init__(self):
        self.processes = []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mmstats-servers-"))
        # As the directory of a user: files on a disk have other costs.
        self.published = pathlib.Path(tempfile.mkdtemp(prefix="mmstats-servers-", dir="/dev/shm"))
        self.token = self.folder / "token"
        self.token.write_text(TOKEN)
        self.token.chmod(0o600)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in reversed(self.processes):
            with contextlib.suppress(OSError):
                process.kill()
        shutil.rmtree(self.published)
        shutil.rmtree(self.folder)

    def exporter(self, *arguments):
        """`mmstats export`, with the files of this test."""
        environment = dict(os.environ, MMSTATS_PATH=str(self.published))
        return Process(self, [MMSTATS, "export", *arguments], env=environment)

    def scraped(self, *arguments):
        """An exporter that is scraped, and its address."""
        address = f"127.0.0.1:{port()}"
        listen = ["prometheus", "--listen", address, "--token-file", self.token]
        exporter = self.exporter(*listen, *arguments)
        exporter.ready(lambda: self.scrape(address))
        return address

    def scrape(self, address, accept="application/openmetrics-text;version=1.0.0"):
        return get(f"{address}/metrics", {"Authorization": f"Bearer {TOKEN}", "Accept": accept})

    def shown(self, program):
        """The values of a program's fields by `mmstats show`; those of families are left out."""
        command = [MMSTATS, "show", "--json", "--level", "debug", str(self.published)]
        text = subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE).stdout
        for found in json.loads(text)["files"]:
            if found["pid"] == program.pid:
                return {field["label"]: field["value"] for field in found["fields"]}
        raise Failed(f"{program.pid} is not shown")


def run(tests):
    """Runs tests, prints what they measured, and returns the exit status."""
    # Processes and folders of a test that takes too long are removed too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    status = 0
    for test in tests:
        begin = time.monotonic()
        name = test.__name__
        try:
            with Test() as place:
                said = test(place) or ""
            print(f"  {name}: ok in {time.monotonic() - begin:.1f} s{said and ': '}{said}", flush=True)
        except (Failed, Ended, IndexError, subprocess.SubprocessError, OSError, KeyError, ValueError) as error:
            status = 1
            print(f"  {name}: FAILED after {time.monotonic() - begin:.1f} s: {type(error).__name__}: {error}", flush=True)
    return status
