"""Threads, forks, ends of processes: with real ones."""

from __future__ import annotations

import os
import signal

import pytest
from conftest import Place, until


def test_threads_that_end_leave_their_counts(place: Place) -> None:
    place.run(
        """
        web = Web.start(keep=True)
        def work():
            for _ in range(1000):
                web.requests.inc()
                web.by.labels("GET", 200).inc()
        for _ in range(10):
            threads = [threading.Thread(target=work) for _ in range(20)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
        """
    )
    assert place.total("web.requests") == 200_000
    assert place.total("web.by", code="200") == 200_000


def test_values_of_killed_program_stay(place: Place) -> None:
    program = place.start(
        """
        web = Web.start()
        web.requests.inc(7)
        web.doing.set("hanging")
        print("ready", flush=True)
        time.sleep(600)
        """
    )
    assert program.stdout is not None and program.stdout.readline() == "ready\n"
    (seen,) = place.programs()
    assert (seen.state, seen.pid, seen.command) == ("live", program.pid, "program0")
    program.kill()
    program.wait()
    (seen,) = place.programs()
    assert seen.state == "dead" and seen["web.requests"].value == 7 and "hanging" in seen["web.doing"].value


def test_signal_handler_counts_exactly(place: Place) -> None:
    out = place.run(
        """
        web = Web.start()
        handled = 0
        def handle(*_):
            global handled
            handled += 1
            web.requests.inc()
            web.by.labels("GET", handled % 3).inc()
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        end, own = time.monotonic() + 1, 0
        while time.monotonic() < end:
            web.requests.inc()
            own += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(handled > 10, web.requests.value == own + handled)
        """
    )
    assert out == "True True\n"


def test_forked_children_under_threads_count_exactly(place: Place) -> None:
    out = place.run(
        """
        web = Web.start()
        stop = False
        def work():
            while not stop:
                web.by.labels("GET", 1).inc()
                web.latency.observe(0.001)
        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        web.requests.inc()
        for _ in range(100):
            pid = os.fork()
            if pid == 0:
                signal.alarm(30)
                web.requests.inc()
                web.queued.inc()
                web.publisher.close()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        stop = True
        [thread.join() for thread in threads]
        with mm.Observer(paths=[os.environ["MMSTATS_PATH"]]) as observer:
            observer.refresh()
            print(observer.total("web.requests").value, web.requests.value)
        """
    )
    assert out == "101 1\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_count_exactly(place: Place, method: str) -> None:
    out = place.run(
        f"""
        import multiprocessing
        web = None
        def task(n):
            global web
            web = web or Web.start(application="shop")
            web.requests.inc(n)
            return n
        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            with context.Pool(4, maxtasksperchild=3) as pool:
                print(sum(pool.imap_unordered(task, range(100))))
                pool.close()
                pool.join()
            with mm.Observer(paths=[os.environ["MMSTATS_PATH"]]) as observer:
                observer.refresh()
                print(observer.total("web.requests").value)
        """
    )
    assert out == "4950\n4950\n"


def test_killed_worker_keeps_what_it_counted(place: Place) -> None:
    out = place.run(
        """
        web = Web.start()
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                web.requests.inc(10)
                os.kill(os.getpid(), signal.SIGKILL)
            os.waitpid(pid, 0)
        with mm.Observer(paths=[os.environ["MMSTATS_PATH"]]) as observer:
            observer.refresh()
            print(observer.total("web.requests").value)
        """
    )
    assert out == "50\n"


def test_exceptions_and_log_records_are_in_the_black_box(place: Place) -> None:
    program = place.start(
        """
        import logging
        web = Web.start(keep=True)
        mm.record_exceptions(web.log)
        logging.getLogger("shop").addHandler(mm.EventHandler(web.log))
        logging.getLogger("shop").warning("low on %s", "paper")
        def fail():
            raise KeyError("thread")
        thread = threading.Thread(target=fail, name="worker")
        thread.start()
        thread.join()
        raise ValueError("end")
        """
    )
    program.communicate(timeout=60)
    assert program.returncode == 1
    (seen,) = place.programs()
    lines = [event.text for event in seen.events]
    assert lines[0] == "low on paper"
    assert lines[1].startswith("exception in thread worker: KeyError: 'thread' < fail (")
    assert lines[2].startswith("exception: ValueError: end < <module> (")


def test_stacks_of_a_deadlock_are_seen_from_outside(place: Place) -> None:
    program = place.start(
        """
        import asyncio
        web = Web.start()
        mm.watch_stacks(web, hz=10)
        a, b = threading.Lock(), threading.Lock()
        both = threading.Barrier(2)
        def first():
            with a:
                both.wait()
                with b: pass
        def second():
            with b:
                both.wait()
                with a: pass
        async def stuck():
            await asyncio.Event().wait()
        threading.Thread(target=first, name="first", daemon=True).start()
        threading.Thread(target=second, name="second", daemon=True).start()
        async def main():
            task = asyncio.create_task(stuck(), name="never")
            await task
        asyncio.run(main())
        """
    )

    def stacks() -> str:
        return str([(seen["python.stack"].value, seen["python.tasks"].value) for seen in place.programs() if "python.tasks" in seen])

    until(lambda: all(word in stacks() for word in ("first (program0.py:", "second (program0.py:", "never: ")))
    assert "stuck (program0.py:" in stacks()
    program.send_signal(signal.SIGKILL)
    program.wait()
    assert "first (program0.py:" in stacks() and "never: " in stacks()


def test_held_interpreter_lock_is_told_with_the_last_stacks(place: Place) -> None:
    program = place.start(
        """
        import ctypes
        web = Web.start()
        mm.watch_stacks(web, hz=20)
        time.sleep(0.5)
        print("ready", flush=True)
        def held():
            ctypes.PyDLL(None).sleep(600)
        held()
        """
    )
    assert program.stdout is not None and program.stdout.readline() == "ready\n"

    def waits() -> bool:
        (seen,) = place.programs()
        rows = [row for rows in seen["python.sampler"].value if rows for row in rows]
        return any("interpreter's lock" in row["text"] for row in rows)

    until(lambda: waits() and waits() and waits())


def test_stacks_of_forked_child_are_published_unless_stopped(place: Place) -> None:
    program = place.start(
        """
        web = Web.start()
        stacks = mm.watch_stacks(web, hz=20)
        def child():
            web.requests.inc()
            time.sleep(600)
        if os.fork() == 0:
            child()
        stacks.stop()
        if os.fork() == 0:
            child()
        print("ready", flush=True)
        time.sleep(600)
        """
    )
    assert program.stdout is not None and program.stdout.readline() == "ready\n"

    def children() -> list[mm.Program]:
        return [seen for seen in place.programs() if seen.pid != program.pid]

    def stacks_of(seen: mm.Program) -> str:
        return str(seen["python.stack"].value)

    until(lambda: len(children()) == 2 and any("child (program0.py:" in stacks_of(seen) for seen in children()))
    with_stacks = [seen for seen in children() if "child (" in stacks_of(seen)]
    for seen in children():
        os.kill(seen.pid or 0, signal.SIGKILL)
    assert len(with_stacks) == 1


def test_observer_of_a_parent_is_refused_and_not_waited_for(place: Place) -> None:
    out = place.run(
        """
        web = Web.start()
        observer = mm.Observer(paths=[os.environ["MMSTATS_PATH"]])
        ended = threading.Event()
        def look():
            while not ended.is_set():
                observer.refresh()
        thread = threading.Thread(target=look)
        thread.start()
        for _ in range(10):
            if (child := os.fork()) == 0:
                signal.alarm(20)
                try:
                    observer.refresh()
                except ValueError as error:
                    assert "parent" in str(error)
                observer.close()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        ended.set()
        thread.join()
        print("done")
        """
    )
    assert out == "done\n"


def test_texts_without_utf8_reach_the_black_box(place: Place) -> None:
    out = place.run(
        """
        import logging
        web = Web.start()
        sys.excepthook = lambda *_: print("hook before")
        mm.record_exceptions(web.log)
        try:
            raise ValueError("no file \\udcff")
        except ValueError as error:
            sys.excepthook(type(error), error, error.__traceback__)
        log = logging.Logger("test")
        log.addHandler(mm.EventHandler(web.log))
        log.error("no name \\udcfe")
        ready = threading.Event()
        threading.Thread(target=ready.wait, name="worker \\udcfd").start()
        stacks = mm.watch_stacks(web, hz=50)
        observer = mm.Observer(paths=[os.environ["MMSTATS_PATH"]])
        while not any(program["python.stack"].value for program in observer.refresh()):
            time.sleep(0.01)
        ready.set()
        print([event.text for program in observer.refresh() for event in program.events])
        """
    )
    assert "hook before" in out and r"no file \\udcff" in out and r"no name \\udcfe" in out
