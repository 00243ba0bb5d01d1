"""Programs of the tests: scripts that publish in a directory of the test."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mmstats as mm

PREAMBLE = """
import os, signal, sys, threading, time
import mmstats as mm

class Web(mm.Stats, prefix="web"):
    requests: mm.Counter = mm.counter("Requests served.")
    by: mm.Family[mm.Counter] = mm.counter("By code.", labels=("method", "code"), cap=10)
    latency: mm.Latency = mm.latency("Request to answer.")
    queued: mm.Gauge = mm.gauge("Waiting.")
    doing: mm.Text = mm.text("Now.")
    log: mm.Events = mm.events(size=200)
"""


class Place:
    """A directory in which programs publish."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started: list[subprocess.Popen[str]] = []

    def start(self, code: str) -> subprocess.Popen[str]:
        script = self.path / f"program{len(self.started)}.py"
        script.write_text(PREAMBLE + textwrap.dedent(code))
        environment = {**os.environ, "MMSTATS_PATH": str(self.path)}
        program = subprocess.Popen(
            [sys.executable, str(script)], env=environment, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
        )
        self.started.append(program)
        return program

    def run(self, code: str) -> str:
        """The output of a program that ends well."""
        program = self.start(code)
        out, _ = program.communicate(timeout=120)
        assert program.returncode == 0, out
        return out

    def total(self, label: str, **attributes: str) -> object:
        """The sum over all programs, ended workers too; 0 without a file."""
        with mm.Observer(paths=[self.path]) as observer:
            observer.refresh()
            try:
                return observer.total(label, **attributes).value
            except KeyError:
                return 0

    def programs(self) -> list[mm.Program]:
        with mm.Observer(paths=[self.path]) as observer:
            return observer.refresh()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    for program in place.started:
        if program.poll() is None:
            program.kill()
        program.wait()
        for pipe in (program.stdin, program.stdout):
            if pipe is not None:
                pipe.close()


def until(condition: Callable[[], object], seconds: float = 20.0) -> object:
    """The first true result."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, "it never held"
        time.sleep(0.02)
