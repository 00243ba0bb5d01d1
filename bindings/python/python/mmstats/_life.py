"""The end of a process, and the begin of a forked one."""

from __future__ import annotations

import atexit
import os
import sys
import weakref

from . import _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# What else starts again in a forked child: called with the publisher.
restarting: list[Callable[[_native.Publisher], None]] = []


def start(settings: dict[str, Any], declared: list[dict[str, Any]]) -> tuple[_native.Publisher, list[Any]]:
    """A publisher that ends with its process, and its fields. Settings that are `None` are not given."""
    settings = {"name": _program(), "private": False, **{key: value for key, value in settings.items() if value is not None}}
    given = {key: value for key, value in settings.items() if value is not None}
    for key in ("directory", "persistent"):
        if key in given:
            given[key] = os.fspath(given[key])
    life = Life()
    publisher, fields = _native.Publisher.start(given, declared, life.restarted)
    life.began(publisher)
    return publisher, fields


def _program() -> str | None:
    """The name of the program: of its script or module, where `MMSTATS_NAME` does not say another one."""
    if "MMSTATS_NAME" in os.environ:
        return None
    path = sys.argv[0] if sys.argv else ""
    name = os.path.basename(path)
    if name in ("__main__.py", "__init__.py"):
        name = os.path.basename(os.path.dirname(path))
    return name.removesuffix(".py").strip("-") or None


class Life:
    """Closes a publisher at the end of its process, as processes of multiprocessing end too."""

    def __init__(self) -> None:
        self.publisher: weakref.ref[_native.Publisher] | None = None

    def began(self, publisher: _native.Publisher) -> None:
        self.publisher = weakref.ref(publisher)
        atexit.register(self.close)
        self.finalize()

    def restarted(self) -> None:
        """Called in a forked child, before its first update."""
        self.finalize()
        publisher = self.publisher() if self.publisher is not None else None
        if publisher is not None:
            for restart in restarting:
                restart(publisher)

    def finalize(self) -> None:
        # A process of multiprocessing ends by os._exit, after its finalizers.
        util = sys.modules.get("multiprocessing.util")
        process = sys.modules.get("multiprocessing.process")
        if util is not None and process is not None and process.parent_process() is not None:
            util.Finalize(None, self.close, exitpriority=-100)

    def close(self) -> None:
        publisher = self.publisher() if self.publisher is not None else None
        if publisher is not None:
            publisher.close()
