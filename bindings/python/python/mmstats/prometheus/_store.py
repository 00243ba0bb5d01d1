"""The publisher of the values of Prometheus metrics, and its fields."""

from __future__ import annotations

import math
import os
import threading
import warnings
from typing import Any

from .. import _life, _native, _stats

# The label of the constant that says the multiprocess mode of a gauge, and the type of what is no number.
MODE = "prometheus.mode"
# Behind the name of a gauge: when it was set, for the mode `mostrecent`.
SET_AT = ".set_at"

Labels = tuple[tuple[str, str], ...]
# Kind, label and attributes of a field.
Key = tuple[str, str, Labels]


class Local:
    """A number that no reader sees, for what cannot be published."""

    def __init__(self) -> None:
        self.value = 0.0
        self._lock = threading.Lock()
        _LOCALS.append(self)

    def inc(self, amount: float = 1.0) -> None:
        with self._lock:
            self.value += amount

    def set(self, value: float) -> None:
        with self._lock:
            self.value = float(value)

    def retire(self) -> None:
        pass


_LOCALS: list[Local] = []


class Store:
    """Fields by label and attributes. One publisher for all metrics of a program."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.given: _native.Publisher | None = None
        self._publisher: _native.Publisher | None = None
        self._fields: dict[Key, Any] = {}
        self._users: dict[Key, int] = {}
        self._lock = threading.RLock()
        self._has_warned = False
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        # Another thread of the parent may have held them.
        self._lock = threading.RLock()
        for local in _LOCALS:
            local._lock = threading.Lock()

    @property
    def is_started(self) -> bool:
        return self._publisher is not None

    @property
    def publisher(self) -> _native.Publisher:
        """The publisher; the first call starts it."""
        if self._publisher is None:
            with self._lock:
                if self._publisher is None:
                    self._publisher = self.given or self._start()
        return self._publisher

    def _start(self) -> _native.Publisher:
        # Existing deployments say by this variable which processes belong together.
        directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR") or os.environ.get("prometheus_multiproc_dir")
        application = None
        if directory and "MMSTATS_APPLICATION" not in os.environ:
            application = os.path.abspath(directory)[-255:]
        settings = {"application": application, "private": True, "reserve": (256, 32_768), **self.settings}
        return _life.start(settings, [])[0]

    def field(self, label: str, attributes: Labels, declaration: _stats.Declaration) -> Any:
        """The field with this name, new or old; of this process alone if it cannot be published."""
        return self.field_and_age(label, attributes, declaration)[0]

    def field_and_age(self, label: str, attributes: Labels, declaration: _stats.Declaration) -> tuple[Any, bool]:
        """The field with this name, and whether it is new."""
        key = (declaration.options["kind"], label, attributes)
        found = self._fields.get(key)
        if found is not None:
            return found, False
        with self._lock:
            found = self._fields.get(key)
            if found is not None:
                return found, False
            found = self._fields[key] = self._add(label, attributes, declaration)
        return found, True

    def _add(self, label: str, attributes: Labels, declaration: _stats.Declaration) -> Any:
        declared = declaration.declared("", label)
        declared["attributes"] = dict(attributes)
        try:
            publisher = self.publisher
            if publisher.paths:
                return publisher.add(declared)
            reason = publisher.problem or "there is no file"
        except (_native.Error, ValueError) as error:
            reason = str(error)
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(f"mmstats: {label} is not published: {reason}", RuntimeWarning, stacklevel=2)
        return Local()

    def known(self, kind: str, label: str, attributes: Labels) -> Any:
        """The field with this name; `None` if there is none."""
        return self._fields.get((kind, label, attributes))

    def use(self, label: str, attributes: Labels) -> None:
        """Counts an object of a gauge."""
        key = ("gauge", label, attributes)
        with self._lock:
            self._users[key] = self._users.get(key, 0) + 1

    def release(self, label: str, attributes: Labels, field: Any) -> None:
        """Counts one object of the gauge `field` less; without any it is retired."""
        key = ("gauge", label, attributes)
        with self._lock:
            if self._fields.get(key) is not field:
                return
            self._users[key] -= 1
            if self._users[key]:
                return
            del self._users[key]
            # With the lock: before this its name cannot be used again.
            for name in (label, label + SET_AT):
                one = self._fields.pop(("gauge", name, attributes), None)
                if one is not None:
                    one.retire()

    def close(self) -> None:
        """Ends the publisher, if it is the store's own. The next field starts another one."""
        with self._lock:
            publisher, self._publisher = self._publisher, None
            self._fields.clear()
            self._users.clear()
        if publisher is not None and publisher is not self.given:
            publisher.close()


store = Store()


def amount_is_countable(amount: float) -> bool:
    """Whether a counter takes it."""
    return amount >= 0 and amount != math.inf
