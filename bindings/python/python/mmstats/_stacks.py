"""What each thread, each task of asyncio and each greenlet of gevent is at."""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref
from types import FrameType
from typing import Any

from . import _life, _native
from ._text import published

# Calls of a stack that are published, the innermost first.
DEPTH = 20
# Greenlets that are looked at.
GREENLETS = 64

Seen = tuple[int, str, str]


def _call(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_name} ({code.co_filename.rpartition('/')[2]}:{frame.f_lineno})"


def _stack(frame: FrameType | None) -> str:
    calls: list[str] = []
    while frame is not None and len(calls) < DEPTH:
        calls.append(_call(frame))
        frame = frame.f_back
    return " < ".join(calls)


def _threads() -> list[Seen]:
    frames = sys._current_frames()
    # This thread, whose functions gevent may have replaced.
    own = sys._getframe()
    frames = {ident: frame for ident, frame in frames.items() if frame is not own}
    seen = []
    main: threading.Thread | None = None
    for thread in threading.enumerate():
        frame = frames.pop(thread.ident, None) if thread.ident is not None else None
        if frame is not None and thread.native_id is not None:
            seen.append((thread.native_id, thread.name, _stack(frame)))
        elif thread is threading.main_thread():
            main = thread
    # Patched by gevent, the main thread says the number of a greenlet.
    frame = frames.get(_main)
    if main is not None and frame is not None:
        seen.append((os.getpid(), main.name, _stack(frame)))
    return seen


# The main thread, by the interpreter's number; 0 if it has not called `watch_stacks`.
_main = 0


def _note_main() -> None:
    global _main
    if threading.current_thread() is threading.main_thread():
        own = sys._getframe()
        _main = next(ident for ident, frame in sys._current_frames().items() if frame is own)


# Greenlets that were started since the first look.
_greenlets: weakref.WeakSet[Any] | None = None


def _waiting_greenlets() -> list[Seen]:
    global _greenlets
    gevent = sys.modules.get("gevent")
    if gevent is None or not hasattr(gevent, "Greenlet"):
        return []
    if _greenlets is None:
        _greenlets = weakref.WeakSet()
        gevent.Greenlet.add_spawn_callback(_greenlets.add)
        for one in gc.get_objects():
            if isinstance(one, gevent.Greenlet):
                _greenlets.add(one)
    for _ in range(3):
        try:
            known = list(_greenlets)
            break
        except RuntimeError:
            # Another thread has started one meanwhile.
            known = []
    waiting = [one for one in known if one.gr_frame is not None][:GREENLETS]
    return [(id(one), one.name, _stack(one.gr_frame)) for one in waiting]


def _awaited(waiting: Any) -> str:
    """The chain of awaits of a task, the innermost first."""
    calls: list[str] = []
    while waiting is not None and len(calls) < DEPTH:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None) or getattr(waiting, "ag_frame", None)
        if frame is not None:
            calls.append(_call(frame))
        for name in ("cr_await", "gi_yieldfrom", "ag_await"):
            following = getattr(waiting, name, None)
            if following is not None:
                break
        waiting = following
    return " < ".join(reversed(calls))


def _tasks() -> list[Seen]:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return []
    tasks = asyncio.tasks
    # All loops: `asyncio.all_tasks` has those of one.
    found: list[Any] = []
    for name in ("_scheduled_tasks", "_all_tasks"):
        found.extend(getattr(tasks, name, ()))
    found.extend(getattr(tasks, "_eager_tasks", ()))
    unique = {id(task): task for task in found}
    return [
        (number, task.get_name(), _awaited(task.get_coro()))
        for number, task in unique.items()
        if not task.done()
    ]


def _published(seen: list[Seen]) -> list[Seen]:
    return [(number, published(name), published(stack)) for number, name, stack in seen]


def watch_stacks(stats: Any, *, asyncio: bool = True, hz: float = 1.0) -> _native.Stacks:
    """Publishes the stack of each thread, and where each task of asyncio and each greenlet of gevent waits, `hz`
    times a second.

    `mmstats threads` shows them, also while all threads wait for each other, and after a kill. While a thread
    holds the interpreter's lock, the last stacks stay, and `python.sampler` shows since when the lock is waited
    for. `stats` is an instance of `Stats` or its publisher. It goes on in forked children that publish.
    """

    def collect() -> tuple[list[Seen], list[Seen]]:
        tasks = [*(_tasks() if asyncio else []), *_waiting_greenlets()]
        return _published(_threads()), _published(tasks)

    _note_main()
    publisher: _native.Publisher = getattr(stats, "publisher", stats)
    stacks = _native.Stacks(publisher, collect, hz)

    def restart(other: _native.Publisher) -> None:
        if other is publisher:
            stacks.restart()

    _life.restarting.append(restart)
    return stacks
