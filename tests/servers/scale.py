"""What an exporter costs with many programs: time, memory and bytes of scrapes and of sendings, and how they grow.

Without arguments the quick form: a few programs, and bounds that the build of the gate holds. `--table` measures
all sizes and prints the table; `--table PROGRAMS FIELDS KINDS` one of them. `benches/scale` does that with a release build.
"""

import gzip
import http.server
import os
import pathlib
import re
import sys
import threading
import time

from harness import TOKEN, Program, check, equal, get, run, wait_for

TEXT = "application/openmetrics-text;version=1.0.0"
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
# Programs that one process publishes.
TOGETHER = 500
# Programs, fields of each, and their kinds.
SIZES = [
    (100, 200, "counters"),
    (1_000, 200, "counters"),
    (5_000, 200, "counters"),
    (1_000, 20, "counters"),
    (1_000, 2_000, "counters"),
    (100, 200, "mixed"),
    (1_000, 200, "mixed"),
    (5_000, 20, "mixed"),
]
# Seconds between two scrapes, as most configurations have them.
INTERVAL = 15
# Maximum size of a request to a collector, in bytes.
BODY = 256 << 10
TICK = os.sysconf("SC_CLK_TCK")


class Sink(http.server.ThreadingHTTPServer):
    """A collector that takes all and counts bytes."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Taker)
        self.bodies = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Taker(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        plain = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        self.server.bodies.append((time.monotonic(), len(body), len(plain), plain.count(b"many.00")))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def publish(test, programs, fields, kinds):
    """Publishes with few processes: each file is a program of its own, with its own instance."""
    for first in range(0, programs, TOGETHER):
        number = min(TOGETHER, programs - first)
        Program(test, "many", str(number), str(fields), kinds, str(first))


def processor(process):
    """Processor time of a process so far, in seconds."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def scraped(test, address, exporter, accept, encoding="identity", times=3):
    """The answer, and the processor time of the best of some scrapes."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": accept, "Accept-Encoding": encoding}
    best = None
    for _ in range(times):
        begin = processor(exporter)
        answer = get(f"{address}/metrics", headers)
        spent = processor(exporter) - begin
        best = spent if best is None else min(best, spent)
    return answer, best


def numbers(text, programs, fields, kinds):
    """All series are there, and the numbers of each field are those of the programs."""
    wanted = programs * (programs - 1) // 2
    counters = [field for field in range(fields) if kinds == "counters" or field % 10 < 7]
    for field in (counters[0], counters[len(counters) // 2], counters[-1]):
        found = re.findall(rb"^many_%02d_total\{[^}]*\} (\d+)$" % field, text, re.M)
        equal((len(found), sum(map(int, found))), (programs, wanted), f"programs and sum of counter {field}")
    equal(len(re.findall(rb"^mmstats_up\{[^}]*\} 1\.0$", text, re.M)), programs, "programs that live")
    if kinds == "mixed":
        gauges = re.findall(rb"^many_07\{[^}]*\} ([0-9.]+)$", text, re.M)
        equal((len(gauges), sum(map(float, gauges))), (programs, float(wanted)), "programs and sum of a gauge")
        counts = re.findall(rb"^many_09_seconds_count\{[^}]*\} (\d+)$", text, re.M)
        equal((len(counts), sum(map(int, counts))), (programs, 101 * programs), "programs and counts of a histogram")


def series(text):
    """Number of samples, and of those without start times."""
    lines = [line for line in text.splitlines() if not line.startswith(b"#")]
    return len(lines), sum(b"_created{" not in line for line in lines)


class Measured:
    """An exporter with so many programs, scraped and pushing."""

    def __init__(self, test, programs, fields, kinds, idle):
        self.programs, self.fields, self.kinds = programs, fields, kinds
        self.all = programs * fields
        publish(test, programs, fields, kinds)
        begin = time.monotonic()
        address = test.scraped("--hold", "1s")
        exporter = test.processes[-1]
        self.ready = time.monotonic() - begin
        self.memory_of_files = exporter.memory()
        text, self.text_time = scraped(test, address, exporter, TEXT)
        self.text = len(text)
        numbers(text, programs, fields, kinds)
        self.samples, self.series = series(text)
        del text
        self.text_memory = exporter.memory("VmHWM")
        small, self.gzip_time = scraped(test, address, exporter, TEXT, "gzip")
        self.gzip = len(small)
        proto, self.proto_time = scraped(test, address, exporter, PROTOBUF)
        self.proto = len(proto)
        self.change(test, address, exporter)
        begin = processor(exporter)
        time.sleep(idle)
        self.idle = (processor(exporter) - begin) / idle
        self.memory = exporter.memory("VmHWM")
        exporter.end()
        self.push(test)

    def change(self, test, address, exporter):
        """A program more, and one less, in a scrape each."""
        more = self.programs + 1
        extra = Program(test, "many", "1", str(self.fields), self.kinds, str(self.programs))
        time.sleep(2)
        text, self.change_time = scraped(test, address, exporter, TEXT, times=1)
        numbers(text, more, self.fields, self.kinds)
        extra.finish()
        gone = lambda: numbers(
            scraped(test, address, exporter, TEXT, times=1)[0], self.programs, self.fields, self.kinds
        )
        wait_for(lambda: gone() or True, "the program is gone")

    def push(self, test):
        """An exporter that sends: all programs in each sending, in requests that collectors take."""
        sink = Sink()
        every = 5
        exporter = test.exporter("otlp", "--to", sink.url, "--every", str(every), "--no-logs")
        of = lambda: sum(count for *_, count in sink.bodies)
        exporter.ready(lambda: of() >= self.programs)
        # Until a sending is over.
        time.sleep(every / 2)
        check(of() % self.programs == 0, f"{of()} points of a counter of {self.programs} programs")
        before, sendings, bodies = processor(exporter), of() // self.programs, len(sink.bodies)
        wait_for(lambda: of() >= (sendings + 2) * self.programs, "two more sendings", 120)
        time.sleep(every / 2)
        sent = of() // self.programs - sendings
        check(of() % self.programs == 0, f"{of()} points of a counter of {self.programs} programs")
        self.push_time = (processor(exporter) - before) / sent
        self.requests = (len(sink.bodies) - bodies) / sent
        self.push_bytes = sum(body[1] for body in sink.bodies[bodies:]) / sent
        self.push_plain = sum(body[2] for body in sink.bodies[bodies:]) / sent
        self.largest = max(body[2] for body in sink.bodies)
        check(self.largest <= BODY, f"a request of {self.largest:,} bytes")
        self.push_memory = exporter.memory("VmHWM")
        exporter.end()
        sink.shutdown()
        sink.server_close()
        check("dropped" not in exporter.log.read_text(), exporter.log.read_text())

    def row(self):
        share = self.idle + self.text_time / INTERVAL
        mib = lambda count: f"{count / 2**20:.1f}"
        micros = lambda seconds: f"{seconds / self.all * 1e6:.2f}"
        return [
            f"{self.programs:,}", f"{self.fields:,}", self.kinds, f"{self.series:,}",
            f"{self.ready:.1f}",
            micros(self.text_time), mib(self.text), mib(self.gzip), micros(self.gzip_time), micros(self.change_time),
            micros(self.proto_time), mib(self.proto),
            f"{self.text_memory / 2**20:.0f}", f"{self.memory / 2**20:.0f}", f"{self.memory / self.all:.0f}",
            f"{self.idle * 100:.1f}", f"{share * 100:.1f}",
            micros(self.push_time), mib(self.push_plain), mib(self.push_bytes), f"{self.requests:.0f}", f"{self.push_memory / 2**20:.0f}",
        ]  # fmt: skip


HEAD = [
    "programs", "fields", "kinds", "series", "ready s", "text us", "MiB", "gzip MiB", "us", "changed us", "proto us", "MiB",
    "text RSS", "RSS", "B/field", "idle %", "15 s %", "otlp us", "MiB", "sent MiB", "requests", "RSS",
]  # fmt: skip


def table(rows):
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)), flush=True)


def quick(test):
    """200 programs: all series, equal sums, all of them in each sending, and bounded memory."""
    found = Measured(test, 200, 100, "mixed", 2)
    # Of a debug build: 40 MiB, and those of the programs.
    check(found.memory < 240 << 20, f"the scraped exporter takes {found.memory:,} bytes")
    check(found.push_memory < 120 << 20, f"the sending exporter takes {found.push_memory:,} bytes")
    check(found.idle < 0.1, f"between scrapes {found.idle:.0%} of a processor")
    check(found.push_bytes < found.push_plain / 2, f"{found.push_bytes:,} of {found.push_plain:,} bytes are sent")
    return " ".join(f"{name}={cell}" for name, cell in zip(HEAD, found.row()))


def measure(sizes):
    rows = [HEAD]
    for programs, fields, kinds in sizes:

        def size(test):
            rows.append(Measured(test, programs, fields, kinds, 5).row())
            return " ".join(rows[-1])

        if run([size]):
            return 1
    table(rows)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--table"]:
        one = sys.argv[2:]
        sys.exit(measure([(int(one[0]), int(one[1]), one[2])] if one else SIZES))
    sys.exit(run([quick]))
