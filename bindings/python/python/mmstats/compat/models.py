"""The models of the original library."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

from .. import _life
from . import fields
from .defaults import DEFAULT_FILENAME

# Published for each program by the library itself.
_SYSTEM = {"sys.pid", "sys.tid", "sys.uid", "sys.gid", "sys.created"}


def _expand(template: str) -> str:
    names = {"CMD": os.path.basename(sys.argv[0]) if sys.argv else "", "PID": os.getpid(), "TID": threading.get_native_id()}
    for name, value in names.items():
        template = template.replace(f"{{{name}}}", str(value)).replace(f"%{name}%", str(value))
    return template


def _file_name(template: str) -> str:
    """A name of this library, whose tools look for `.mmst`."""
    return _expand(template).removesuffix(".mmst").removesuffix(".mmstats") + ".mmst"


class BaseMmStats:
    """A model: subclasses have fields, an instance publishes them.

    `path` and `filename` may have `{CMD}`, `{PID}` and `{TID}`; the defaults are those of this library, and the name of
    a file always ends in `.mmst`. All threads share an instance: numbers, texts and flags belong to the process, counters,
    averages and timers add up what the threads have.
    """

    def __init__(self, path: str | None = None, filename: str | None = None, label_prefix: str | None = None) -> None:
        self._label_prefix = label_prefix or ""
        self._fields: dict[str, Any] = {}
        found: dict[str, fields.Field] = {}
        for cls in type(self).__mro__:
            for name, field in vars(cls).items():
                if isinstance(field, fields.Field):
                    found.setdefault(name, field)
        constants = {name: field.resolve() for name, field in found.items() if isinstance(field, fields.ReadOnlyField)}
        self._constants = constants
        published = {name: field for name, field in found.items() if self._label(field) not in _SYSTEM}
        settings = {
            "directory": _expand(path) if path else None,
            "files": _file_name(filename or DEFAULT_FILENAME),
            "reserve": (16, 2_048),
        }
        declared = [self._declare(field) for field in published.values()]
        self._publisher, made = _life.start(settings, declared)
        cells = dict(zip(published, made, strict=True))
        for name, field in found.items():
            self._fields[name] = field._begin(cells.get(name), self)

    def _label(self, field: fields.Field) -> str:
        return self._label_prefix + (field.label or field.key)

    def _declare(self, field: fields.Field) -> dict[str, Any]:
        from .. import _stats

        is_constant = isinstance(field, fields.ReadOnlyField)
        declaration = _stats.info(self._constants[field.key]) if is_constant else field._declaration()
        return {**declaration.options, "label": self._label(field)}

    @property
    def filename(self) -> str:
        """The file; the first one, if there are several."""
        paths = self._publisher.paths
        return os.fspath(paths[0]) if paths else ""

    @property
    def label_prefix(self) -> str:
        return self._label_prefix

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(os.path.getsize(path) for path in self._publisher.paths)

    def flush(self, *_args: object, **_kwargs: object) -> None:
        """Does nothing: readers see each update at once, and files are memory."""

    def remove(self) -> None:
        """Closes and removes the file. Later updates are seen by no reader."""
        self._publisher.close()


class MmStats(BaseMmStats):
    """A model with the fields that tools expect."""

    pid = fields.StaticUIntField(label="sys.pid", value=os.getpid)
    tid = fields.StaticInt64Field(label="sys.tid", value=threading.get_native_id)
    uid = fields.StaticUInt64Field(label="sys.uid", value=os.getuid)
    gid = fields.StaticUInt64Field(label="sys.gid", value=os.getgid)
    python_version = fields.StaticTextField(label="org.python.version", value=lambda: sys.version.replace("\n", ""))
    created = fields.StaticDoubleField(label="sys.created", value=time.time)
