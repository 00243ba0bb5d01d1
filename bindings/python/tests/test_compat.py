"""Programs for the original library, and its tools."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import Place

import mmstats
import mmstats.compat as original

LEGACY = Path(__file__).resolve().parents[3] / "spec/fixtures/format-1"


class All(original.MmStats):
    u64 = original.UInt64Field()
    u32 = original.UIntField()
    i32 = original.IntField(label="number")
    u16 = original.UShortField()
    i16 = original.ShortField()
    i8 = original.ByteField()
    f32 = original.FloatField()
    f64 = original.DoubleField()
    flag = original.BoolField()
    on = original.BoolField(initial=True)
    text = original.StringField(10)
    counter = original.CounterField(label="hits")
    mean = original.AverageField()
    recent = original.MovingAverageField(size=2)
    timer = original.TimerField()
    s_u32 = original.StaticUIntField(value=4_000_000_000)
    s_i64 = original.StaticInt64Field(value=lambda: -(2**62))
    s_u64 = original.StaticUInt64Field(value=2**64 - 1)
    s_f32 = original.StaticFloatField(value=0.5)
    s_f64 = original.StaticDoubleField(value=0.25)
    s_text = original.StaticTextField(label="version", value="1.4")


@pytest.fixture
def stats(tmp_path: Path):
    stats = All(path=str(tmp_path), filename="{CMD}-{PID}-{TID}.mmstats", label_prefix="web.")
    yield stats
    stats.remove()


def test_numbers_begin_at_zero_and_wrap_around(stats: All) -> None:
    for name in ("u64", "u32", "i32", "u16", "i16", "i8", "f32", "f64"):
        assert getattr(stats, name) == 0, name
    for name, bits in (("u64", 64), ("u32", 32), ("u16", 16)):
        setattr(stats, name, -100)
        assert getattr(stats, name) == 2**bits - 100
    for name, bits in (("i32", 32), ("i16", 16), ("i8", 8)):
        setattr(stats, name, 2 ** (bits - 1))
        assert getattr(stats, name) == -(2 ** (bits - 1))
    stats.u16 = 65_535
    stats.u16 += 2
    assert stats.u16 == 1
    stats.u16 -= 2
    assert stats.u16 == 65_535
    stats.f32 = stats.f64 = 1 / 3
    assert stats.f64 == 1 / 3 and abs(stats.f32 - 1 / 3) < 1e-7
    stats.f64 += 1
    stats.f64 *= 3
    assert stats.f64 == 4
    stats.i32 = 7
    stats.i32 += 1
    assert (stats.i32, stats.i32 + 1, repr(stats.i32)) == (8, 9, "8")
    stats.u32 = 5
    value = stats.u32
    value += 1
    assert value == 6 and stats.u32 == 5


def test_increments_of_threads_are_all_counted(stats: All) -> None:
    def work() -> None:
        for _ in range(2_000):
            stats.u64 += 1
            stats.counter.inc()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert (stats.u64, stats.counter.value) == (8_000, 8_000)


def test_flags_and_texts_are_those_of_the_original(stats: All) -> None:
    assert stats.flag is False and stats.on is True
    stats.flag, stats.on = "anything", []  # type: ignore[assignment]
    assert stats.flag is True and stats.on is False
    assert stats.text == ""
    stats.text = "a" * 11
    assert stats.text == "a" * 10
    stats.text = "\u2764" * 11
    assert stats.text == "\u2764" * 3
    stats.text = b"bytes"
    assert stats.text == "bytes"
    assert (stats.s_u32, stats.s_i64, stats.s_u64) == (4_000_000_000, -(2**62), 2**64 - 1)
    assert (stats.s_f32, stats.s_f64, stats.s_text, stats.pid) == (0.5, 0.25, "1.4", os.getpid())
    with pytest.raises(ValueError, match="value must be set"):
        type("Bad", (original.BaseMmStats,), {"a": original.StaticTextField()})()


def test_counters_can_be_set(stats: All) -> None:
    stats.counter.inc()
    stats.counter.inc(4)
    stats.counter.incr()
    assert stats.counter.value == 6
    stats.counter.inc(-7)
    assert stats.counter.value == 2**64 - 1
    stats.counter.value = 3
    stats.counter.inc()
    assert stats.counter.value == 4
    assert dict(original.MmStatsReader.from_file(stats.filename))["web.hits"] == 4


def test_means_and_timers(stats: All) -> None:
    assert stats.mean.value == stats.recent.value == stats.timer.value == stats.timer.last == 0.0
    for number in (1, 2, 3):
        stats.mean.add(number)
        stats.recent.add(number)
    assert (stats.mean.value, stats.recent.value) == (2.0, 2.5)
    with stats.timer as outer:
        assert stats.timer.value == 0.0 and not outer.done
        with stats.timer:
            time.sleep(0.02)
        assert 0.02 <= stats.timer.value < 5
    assert outer.done and outer.elapsed >= 0.02 and stats.timer.last == outer.elapsed
    stats.timer.start()
    stats.timer.stop()
    assert stats.timer.last < 0.02


def test_subclasses_replace_fields_and_instances_are_apart(tmp_path: Path) -> None:
    class Parent(original.MmStats):
        a = original.UIntStat()
        b = original.UIntField()

    class Child(Parent):
        a = original.BoolStat()  # type: ignore[assignment]

    assert isinstance(Parent.a, original.UIntField) and isinstance(Child.a, original.BoolField)
    one, two = (Child(path=str(tmp_path), filename=f"mmstats-test-{n}") for n in "ab")
    one.b, two.b, one.a = 1, 42, True
    assert (one.b, two.b, one.a, two.a) == (1, 42, True, False)
    assert one.filename == str(tmp_path / "mmstats-test-a.mmst") and one.size > 0 and one.label_prefix == ""
    one.flush()
    one.remove()
    one.remove()
    assert not (tmp_path / "mmstats-test-a.mmst").exists() and (tmp_path / "mmstats-test-b.mmst").exists()
    two.remove()


def test_packages_that_import_mmstats_find_its_names(place: Place) -> None:
    out = place.run(
        """
        import mmstats
        import mmstats.compat
        mmstats.compat.install()
        from mmstats import reader
        from mmstats.fields import CounterField
        from mmstats.models import MmStats

        class Base(mmstats.MmStats):
            ok = mmstats.CounterField(label="requests.ok")
            response_time = mmstats.TimerField(label="requests.time")

        class Site(Base):
            last_vote = mmstats.StringField(label="votes.last")

        stats = Site()
        stats.ok.inc()
        stats.last_vote = "yes"
        read = dict(reader.MmStatsReader.from_mmap(stats.filename))
        print(read["requests.ok"], read["votes.last"], read["requests.time"], read["sys.pid"] == os.getpid())
        with open(stats.filename, "rb") as file:
            print(dict(reader.MmStatsReader(file))["requests.ok"])
        """
    )
    assert out == "1 yes 0.0 True\n1\n"
    with pytest.raises(AttributeError):
        mmstats.NoField  # type: ignore[attr-defined]


def tool(name: str, *arguments: object) -> tuple[str, str]:
    command = [sys.executable, "-m", f"mmstats.compat.{name}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_slurpstats_prints_what_the_original_does(stats: All, tmp_path: Path) -> None:
    stats.counter.inc(1001)
    stats.f64 = 0.25
    stats.flag = True
    stats.text = "now"
    stats.mean.add(4)
    bad = tmp_path / "bad"
    bad.write_bytes(b"what")
    out, errors = tool("slurpstats", stats.filename, bad)
    lines = out.splitlines()
    width = max(len(line.split()[0]) for line in lines[1:-1])
    assert lines[0] == f"==> {stats.filename}" and lines[-1] == ""
    for label, value in (("web.hits", "1001"), ("web.f64", "0.25"), ("web.flag", "True"), ("web.text", "now"), ("web.mean", "4.0"), ("web.sys.pid", str(os.getpid())), ("web.version", "1.4")):
        assert f"  {label:<{width}} {value}" in lines, (label, out)
    assert f"Error reading: {bad}" in errors


def test_pollstats_prints_changes(stats: All) -> None:
    stats.counter.inc(5)
    stats.u32 = 7
    out, _ = tool("pollstats", "-c", 2, "-d", 0.01, "-p", "web.", "hits,u32", stats.filename)
    yellow, bold, end = "\033[1;33m", "\033[1m", "\033[0;0m"
    assert out.splitlines() == [
        f"{bold}{'hits':^20}{end}|{bold}{'u32':^20}{end}",
        f"{yellow}{5:19d}{end} |{yellow}{7:19d}{end} ",
        f"{yellow}{0:19d}{end} |{yellow}{0:19d}{end} ",
    ]


def test_clean_removes_files_of_killed_programs(place: Place) -> None:
    program = place.start(
        """
        import mmstats
        class Stats(mmstats.MmStats):
            n = mmstats.CounterField()
        stats = Stats()
        print(stats.filename, flush=True)
        time.sleep(600)
        """
    )
    assert program.stdout is not None
    path = program.stdout.readline().strip()
    assert tool("clean", path)[0] == "Removed 0  -  1 alive\n"
    program.kill()
    program.wait()
    out, _ = tool("clean", path)
    assert out == f"PID {program.pid} not found. Deleting {path}\nRemoved 1  -  0 alive\n"
    assert not os.path.exists(path)


@pytest.mark.skipif(not LEGACY.is_dir(), reason="an unpacked package has no fixtures")
def test_reader_reads_files_of_the_original() -> None:
    paths = sorted(LEGACY.glob("*.mmstats"))
    assert paths
    for path in paths:
        reader = original.MmStatsReader.from_file(path)
        assert reader.version == 1
        with open(path, "rb") as file:
            assert list(original.MmStatsReader(file)) == list(reader)


def test_changed_numbers_add_up_and_go_to_other_fields(stats: All) -> None:
    number = stats.u64
    number += 1
    number += 2
    stats.u64 = number
    assert stats.u64 == 3
    stats.u64 = number
    assert stats.u64 == 3, "assigned again it is a number"
    other = stats.u64
    other -= 1
    stats.i32 = other
    assert (stats.i32, stats.u64) == (2, 3)
    real = stats.f64
    real += 0.5
    real += 0.25
    stats.f64 = real
    assert stats.f64 == 0.75
    assert pickle.loads(pickle.dumps([number, real])) == [3, 0.75]
