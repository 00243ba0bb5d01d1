"""Fields of each kind, read back."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import enum
import math
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Place, until

import mmstats as mm


class Base(mm.Stats, prefix="t"):
    jobs: mm.Counter = mm.counter("Jobs.")


class All(Base):
    spent: mm.FloatCounter = mm.counter("Spent.", type=float, unit="seconds")
    by: mm.Family[mm.Counter] = mm.counter("By.", labels=("method", "code"), cap=3)
    took: mm.Family[mm.Latency] = mm.latency("Took.", labels="route")
    load: mm.Gauge = mm.gauge("Load.")
    size: mm.Gauge = mm.gauge("Size.", type=int, unit="bytes")
    own: mm.Gauge = mm.gauge("Own.", type=int, per="thread")
    up: mm.Flag = mm.flag("Up.")
    leader: mm.Text = mm.text("Leader.", size=8)
    doing: mm.Text = mm.text("Doing.", per="thread")
    raw: mm.Blob = mm.blob("Raw.")
    at: mm.Timestamp = mm.timestamp("At.")
    phase: mm.State = mm.state("starting", "serving", help="Phase.")
    pool: mm.Group = mm.group("Pool.", idle=int, ratio=float)
    parts: mm.Array = mm.array("Parts.", length=3, type=int)
    step: mm.Timer = mm.timer("Step.")
    latency: mm.Latency = mm.latency("Latency.", error=0.02)
    sizes: mm.Histogram = mm.histogram("Sizes.", type=int)
    mean: mm.Average = mm.average("Mean.")
    last: mm.Window = mm.window("Last.", length=2)
    rate: mm.Rate = mm.rate("Rate.", seconds=(1, 5))
    log: mm.Events = mm.events("Log.", size=32)
    busy: mm.Activity = mm.activity("Busy.")
    version: mm.Info = mm.info("1.4.2", "Version.")


@pytest.fixture
def stats(tmp_path: Path):
    with All.start(directory=tmp_path) as stats:
        yield stats


def look(path: Path) -> mm.Program:
    with mm.Observer(paths=[path]) as observer:
        (program,) = observer.refresh()
        return program


def test_values_of_each_kind_are_read_back(stats: All, tmp_path: Path) -> None:
    stats.jobs.inc()
    stats.jobs.inc(41)
    stats.spent.inc(0.25)
    stats.load.set(0.5)
    stats.load.dec(0.25)
    stats.size.set(2**53 + 1)
    stats.own.inc(3)
    stats.up.set()
    assert not stats.leader.set("node number 7")
    assert stats.doing.set("nothing")
    stats.raw.set(b"\0\1")
    stats.at.set(1_700_000_000.5)
    stats.phase.set("serving")
    stats.pool.set(idle=3, ratio=0.5)
    stats.parts.set([1, 2, 3])
    stats.step.observe(0.25)
    for millis in range(1, 101):
        stats.latency.observe(millis / 1e3)
    stats.sizes.observe(2**40)
    for value in (1, 2, 3):
        stats.mean.observe(value)
        stats.last.observe(value)
    stats.rate.inc(7)
    stats.log.record("a line")
    with stats.busy.begin("working") as begun:
        begun.set("still working")
        program = look(tmp_path)
    values = program.to_dict()
    expected = {
        "t.jobs": 42,
        "t.spent": 0.25,
        "t.load": 0.25,
        "t.size": 2**53 + 1,
        "t.own": 3,
        "t.up": 1,
        "t.at": 1_700_000_000.5,
        "t.phase": "serving",
        "t.pool.idle": 3,
        "t.pool.ratio": 0.5,
        "t.parts": [1, 2, 3],
        "t.step": {"count": 1, "sum": 0.25, "min": 0.25, "max": 0.25, "last": 0.25},
        "t.mean": {"count": 3.0, "sum": 6.0, "mean": 2.0},
        "t.last": {"count": 2.0, "sum": 5.0, "mean": 2.5},
        "t.rate": 7,
        "t.version": "1.4.2",
    }
    assert {label: values[label] for label in expected} == expected
    assert values["t.leader"][-1:] == ["node num"] and "nothing" in values["t.doing"]
    assert b"\0\1" in values["t.raw"]
    assert values["t.sizes"]["max"] == 2**40
    assert values["t.latency"]["count"] == 100 and math.isclose(values["t.latency"]["sum"], 5.05)
    quantile = program["t.latency"].quantile(0.9)
    assert quantile is not None and abs(quantile / 0.09 - 1) < 0.02
    assert [row["text"] for rows in values["t.busy"] if rows for row in rows] == ["still working"]
    assert [event.text for event in program.events] == ["a line"]
    assert program["t.size"].unit == "bytes" and program["t.size"].help == "Size."
    assert stats.jobs.value == 42 and stats.size.value == 2**53 + 1
    assert program.is_complete and stats.publisher.problem is None


def test_wrong_values_are_refused_and_change_nothing(stats: All, tmp_path: Path) -> None:
    stats.jobs.inc(5)
    for wrong in (-1, 2**64, 1.5, "x", None):
        with pytest.raises((OverflowError, TypeError)):
            stats.jobs.inc(wrong)  # type: ignore[arg-type]
    for seconds in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError):
            stats.latency.observe(seconds)
    with pytest.raises(ValueError, match="starting, serving"):
        stats.phase.set("gone")
    with pytest.raises(TypeError, match="ratio is missing"):
        stats.pool.set(idle=1)
    with pytest.raises(TypeError, match="members are idle, ratio"):
        stats.pool.set(idle=1, ratio=2, more=3)
    with pytest.raises(ValueError):
        stats.spent.inc(-0.5)
    with pytest.raises(OverflowError):
        stats.size.set(2**63)
    with pytest.raises(ValueError):
        stats.parts.set([1, 2])
    with pytest.raises(TypeError, match="labels are method, code"):
        stats.by.labels("GET")
    with pytest.raises(TypeError, match="labels are method, code"):
        stats.by.labels("GET", status="200")
    values = look(tmp_path).to_dict()
    assert values["t.jobs"] == 5 and values["t.latency"]["count"] == 0 and values["t.phase"] is None


def test_family_beyond_its_cap_counts_the_rest_together(stats: All, tmp_path: Path) -> None:
    for number in range(10):
        stats.by.labels("GET", number).inc()
        stats.by.labels(code=str(number), method="GET").inc()
    assert stats.by.labels("GET", 1) is stats.by.labels("GET", "1")
    program = look(tmp_path)
    kept = [program.get("t.by", method="GET", code=code) for code in range(10)]
    assert [field.value for field in kept if field is not None] == [2] * 3
    overflow = program.get("t.by", overflow="true")
    assert overflow is not None and overflow.value == 14
    with mm.Observer(paths=[tmp_path]) as observer:
        observer.refresh()
        assert observer.total("t.by").value == 20 and observer.total("t.by", code="1").value == 2
    stats.took.labels("/").observe(0.5)
    assert stats.took.labels("/").value["count"] == 1


def test_functions_of_each_kind_are_timed(stats: All) -> None:
    @stats.latency.timed
    def plain(n: int) -> int:
        return plain(n - 1) + 1 if n else 0

    @stats.latency.timed
    def generator():
        got = yield 1
        yield got

    @stats.latency.timed
    async def coroutine() -> int:
        await asyncio.sleep(0.05)
        return 7

    @stats.latency.timed
    async def asynchronous():
        yield 1
        yield 2

    async def use() -> list[int]:
        assert await coroutine() == 7
        return [item async for item in asynchronous()]

    assert plain(4) == 4 and stats.latency.value["count"] == 5
    steps = generator()
    assert next(steps) == 1 and steps.send(5) == 5 and list(steps) == []
    assert asyncio.run(use()) == [1, 2]
    value = stats.latency.value
    assert value["count"] == 8 and 0.05 <= value["max"] < 5.0
    with pytest.raises(KeyError), stats.latency.time():
        raise KeyError
    with stats.latency.time() as section:
        section.discard()
    assert stats.latency.value["count"] == 9


def test_tracked_gauge_has_the_value_of_its_function(tmp_path: Path) -> None:
    with All.start(directory=tmp_path, interval=0.01) as stats:
        stats.load.track(lambda: 0.75)
        end = time.monotonic() + 10
        while stats.load.value != 0.75 and time.monotonic() < end:
            time.sleep(0.01)
        assert stats.load.value == 0.75


def test_start_without_room_says_why_or_goes_on_privately(tmp_path: Path) -> None:
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    with pytest.raises(mm.Error, match="file"):
        All.start(directory=nowhere)
    stats = All.start(directory=nowhere, private=True)
    stats.jobs.inc()
    assert stats.publisher.problem is not None and stats.publisher.paths == []


def test_fields_are_added_and_retired_while_the_program_runs(stats: All, tmp_path: Path) -> None:
    declared = {
        "plugins": mm.counter("Plugins.", attributes={"kind": "a"}),
        "free": mm.gauge("Free.", type=int),
        "note": mm.text("Note."),
        "calls": mm.counter("Calls.", labels=("name",)),
    }
    added = {name: stats.add(name, declaration) for name, declaration in declared.items()}
    added["plugins"].inc(3)
    added["free"].set(4)
    added["note"].set("new")
    added["calls"].labels("x").inc()
    for _ in range(2):
        assert (added["plugins"].value, added["free"].value, added["note"].value) == (3, 4, ["new"])
    read = look(tmp_path).to_dict()
    assert read['t.plugins{kind="a"}'] == 3 and read["t.free"] == 4 and read['t.calls{name="x"}'] == 1
    other = stats.add("plugins", mm.counter("Plugins.", attributes={"kind": "b"}))
    other.inc()
    with pytest.raises(mm.Error, match="plugins"):
        stats.add("plugins", declared["plugins"])
    added["plugins"].retire()
    assert other.value == 1 and added["plugins"].value is None
    assert 't.plugins{kind="a"}' not in look(tmp_path).to_dict()
    again = stats.add("plugins", declared["plugins"])
    again.inc(9)
    assert (again.value, other.value) == (9, 1)
    with pytest.raises(TypeError, match="family"):
        added["calls"].labels("x").retire()


def test_observer_after_close_is_an_error(tmp_path: Path) -> None:
    observer = mm.Observer(paths=[tmp_path])
    assert observer.refresh() == [] and observer.problems() == []
    observer.close()
    with pytest.raises(ValueError, match="closed"):
        observer.refresh()


def test_refresh_of_an_application_returns_its_programs(tmp_path: Path) -> None:
    with All.start(directory=tmp_path, application="a"), All.start(directory=tmp_path, application="b"):
        All.start(directory=tmp_path, application="a").close()
        with mm.Observer(paths=[tmp_path]) as observer:
            assert [(p.application, p.state) for p in observer.refresh(application="b")] == [("b", "live")]
            assert sorted((p.application, p.state) for p in observer.refresh(application="a")) == [("a", "ledger"), ("a", "live")]
            assert len(observer.refresh()) == 3 and observer.refresh(application="c") == []


class Cleared(mm.Stats):
    ratio: mm.Gauge = mm.gauge("Ratio.")
    size: mm.Gauge = mm.gauge("Size.", type=int)
    small: mm.Gauge = mm.gauge("Small.", type="u16")


def test_cleared_gauge_of_each_type_has_no_value() -> None:
    stats = Cleared.start()
    for gauge in (stats.ratio, stats.size, stats.small):
        gauge.set(5)
        assert gauge.value == 5
        gauge.clear()
        assert gauge.value is None, gauge
    stats.close()


def test_labels_that_are_equal_keep_their_texts(tmp_path: Path) -> None:
    class Method(str, enum.Enum):
        GET = "GET"

        def __str__(self) -> str:
            return "Method.GET"

    class Page:
        def __str__(self) -> str:
            return "page"

    class Some(mm.Stats):
        by: mm.Family[mm.Counter] = mm.counter(labels=("value",), attributes={"shop": "7"})

    with Some.start(directory=tmp_path) as stats:
        for value in (Method.GET, "GET", True, 1, 2.0, 2, [3], Page(), Page()):
            stats.by.labels(value).inc()
        assert stats.by.labels("page").value == 2
        counts = {field.attributes.get("value"): field.value for field in look(tmp_path)}
        counts = {value: count for value, count in counts.items() if count}
    expected = {"Method.GET": 1, "GET": 1, "True": 1, "1": 1, "2.0": 1, "2": 1, "[3]": 1, "page": 2}
    assert {value: counts.get(value) for value in expected} == expected


def test_fields_of_one_label_have_values_of_their_own(tmp_path: Path) -> None:
    class Some(mm.Stats):
        more: mm.Counter = mm.counter(label="hits", attributes={"shop": "7"})
        plain: mm.Counter = mm.counter(label="hits")
        most: mm.Counter = mm.counter(label="hits", attributes={"shop": "7", "page": "1"})

    with Some.start(directory=tmp_path) as stats:
        stats.plain.inc(1)
        stats.more.inc(10)
        stats.most.inc(100)
        assert (stats.plain.value, stats.more.value, stats.most.value) == (1, 10, 100)


def test_tracked_gauge_has_the_value_of_its_last_function(tmp_path: Path) -> None:
    class Some(mm.Stats):
        load: mm.Gauge = mm.gauge()
        size: mm.Gauge = mm.gauge(type=int)

    class Five:
        calls = 0

        def __call__(self) -> int:
            self.calls += 1
            return 5

    with Some.start(directory=tmp_path, interval=0.01) as stats:
        first, second = Five(), Five()
        for gauge in (stats.load, stats.size):
            gauge.set(3)
            gauge.track(first)
        until(lambda: stats.load.value == 5 and stats.size.value == 5)
        for gauge in (stats.load, stats.size):
            gauge.track(second)
        until(lambda: second.calls)
        calls = first.calls
        until(lambda: second.calls > 4)
        assert first.calls == calls
        kept = weakref.ref(second)
        del first, second
        stats.load.retire()
        stats.size.retire()
        until(lambda: kept() is None)


def test_values_of_labels_without_end_take_no_memory(place: Place) -> None:
    out = place.run(
        """
        web = Web.start()
        def size():
            return int(open("/proc/self/statm").read().split()[1]) * 4
        def count(name, number):
            for i in range(number):
                web.by.labels(name, i).inc()
        if sys.platform == "linux":
            count("a", 20_000)
            before = size()
            count("b", 60_000)
            print(size() - before)
        """
    )
    assert not out or int(out) < 3_000


def test_moments_that_do_not_fit_are_refused(stats: All) -> None:
    for moment in (1e19, 1e11, 1e300, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="from 1970 to 2554"):
            stats.at.set(moment)
    assert stats.at.value is None


def test_options_that_are_none_are_refused(stats: All) -> None:
    with pytest.raises(TypeError, match="no option lables"):
        mm.counter("Typing error.", lables=("a",))
    with pytest.raises(ValueError, match="of type int or float"):
        stats.add("strange", mm.counter(type=str))
    assert stats.add("fine", mm.group(idle=int, unit=None)) is not None


def test_timed_generator_catches_what_is_thrown_in(stats: All) -> None:
    caught = []

    @contextlib.asynccontextmanager
    @stats.latency.timed
    async def transaction():
        try:
            yield "open"
        except ValueError as error:
            caught.append(error)

    @stats.latency.timed
    async def numbers():
        got = yield 1
        yield got
        raise KeyError("end")

    async def main() -> None:
        async with transaction() as state:
            assert state == "open"
            raise ValueError("rolls back")
        generator = numbers()
        assert await generator.asend(None) == 1
        assert await generator.asend(7) == 7
        with pytest.raises(KeyError):
            await generator.asend(None)

    asyncio.run(main())
    assert [str(error) for error in caught] == ["rolls back"]
    assert stats.latency.value["count"] == 2


def test_activity_that_ends_on_another_thread_raises(stats: All) -> None:
    def elsewhere(call: Callable[[], object]) -> None:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(call).result()

    begun = stats.busy.begin("made here")
    elsewhere(begun.__enter__)
    for call in (lambda: begun.set("changed"), lambda: begun.__exit__(None, None, None)):
        with pytest.raises(RuntimeError, match="on the thread that began it"):
            call()
    with stats.busy.begin("works") as works:
        assert [row["text"] for rows in stats.busy.value for row in rows if rows] == ["works"]
        with pytest.raises(RuntimeError, match="on the thread that began it"):
            elsewhere(lambda: works.__exit__(None, None, None))
    assert [row["text"] for rows in stats.busy.value or [] for row in rows if rows] == []
