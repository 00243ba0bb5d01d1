"""Exceptions that end the program or a thread, in the black box."""

from __future__ import annotations

import sys
import threading
import traceback
from types import TracebackType
from typing import Any

from . import _native
from ._text import published


def _line(where: str, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> str:
    """The exception and its innermost calls, in one line."""
    said = "".join(traceback.format_exception_only(kind, error)).strip().replace("\n", " ") if kind else "unknown"
    frames = [f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in reversed(traceback.extract_tb(trace))]
    return published(" < ".join([f"{where}: {said}", *frames]))


def record_exceptions(events: _native.Events) -> None:
    """Records each exception that nothing catches: of the main thread, of other threads, and those that Python
    cannot raise. The hooks that were set before are called too."""
    main, thread, unraisable = sys.excepthook, threading.excepthook, sys.unraisablehook

    def on_main(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        events.record(_line("exception", kind, error, trace))
        main(kind, error, trace)

    def on_thread(args: Any) -> None:
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread else "?"
            events.record(_line(f"exception in thread {name}", args.exc_type, args.exc_value, args.exc_traceback))
        thread(args)

    def on_unraisable(args: Any) -> None:
        where = args.err_msg or "exception that cannot be raised"
        events.record(_line(where, args.exc_type, args.exc_value, args.exc_traceback))
        unraisable(args)

    sys.excepthook, threading.excepthook, sys.unraisablehook = on_main, on_thread, on_unraisable
