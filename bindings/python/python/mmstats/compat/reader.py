"""The reader of the original library: of its files, and of those of this one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from .. import _native

VERSION_1 = b"\x01"
# What files of this library have beyond those of the original one.
_SHOWN = {"sys.pid", "sys.tid", "sys.uid", "sys.gid", "sys.created"}


class Stat(NamedTuple):
    label: str
    value: Any


class InvalidMmStatsVersion(Exception):
    """The file is none of mmstats, or is damaged."""


def program_of(path: str | os.PathLike[str]) -> _native.Program:
    """The program of a file."""
    # Missing files and permissions are errors of the system.
    with open(path, "rb"):
        pass
    with _native.Observer(paths=[os.fspath(path)]) as observer:
        programs = observer.refresh()
        problems = observer.problems()
    if not programs or programs[0].state in ("foreign", "damaged", "building"):
        raise InvalidMmStatsVersion(problems[0] if problems else f"{path}: no mmstats file")
    return programs[0]


def _plain(kind: str, value: Any) -> Any:
    """A value as the original library has it: of what is averaged, the mean."""
    if value is None and kind in ("average", "window", "timer", "histogram"):
        return 0.0
    if isinstance(value, list):
        value = next((one for one in value if one is not None), None)
    if isinstance(value, dict):
        mean = value.get("mean")
        if mean is None and value.get("count"):
            mean = value.get("sum", 0.0) / value["count"]
        return 0.0 if mean is None else mean
    return value


class MmStatsReader:
    """Iterates over the labels and values of a file, or of the content of one."""

    def __init__(self, data: Any) -> None:
        """`data` is an open file or map, or has `read`."""
        with tempfile.NamedTemporaryFile(suffix=".mmst") as copy:
            copy.write(data.read())
            copy.flush()
            self._program = program_of(copy.name)

    @classmethod
    def from_file(cls, fn: str | os.PathLike[str]) -> MmStatsReader:
        reader = cls.__new__(cls)
        reader._program = program_of(fn)
        return reader

    from_mmap = from_file

    @property
    def version(self) -> int:
        """Version of the format: 1 of the original library, 3 of this one."""
        return 3 if self._program.instance else 1

    def __iter__(self) -> Iterator[Stat]:
        for label, kind, attributes, value, _ in self._program.samples():
            if label.startswith(("sys.", "ledger.")) and label not in _SHOWN and self.version == 3:
                continue
            if attributes:
                label += "{" + ",".join(f"{key}={of}" for key, of in attributes) + "}"
            plain = _plain(kind, value)
            if plain is not None:
                yield Stat(label, plain)
