"""The interface of the original `mmstats` library (PyPI's `mmstats`, up to 0.8.0) over this one.

    import mmstats.compat as mmstats

    class WebStats(mmstats.MmStats):
        status2xx = mmstats.CounterField(label="status.2XX")
        last_hit = mmstats.DoubleField(label="timers.last_hit")

    webstats = WebStats(label_prefix="web.stats.")
    webstats.status2xx.inc()

The names are in `mmstats` too, so that packages that say `import mmstats` work; for those that import its submodules
call `mmstats.compat.install()` first.
"""

from __future__ import annotations

import sys

from . import defaults, fields, models, reader
from .defaults import DEFAULT_FILENAME, DEFAULT_GLOB, DEFAULT_PATH, DEFAULT_STRING_SIZE
from .fields import (
    AverageField,
    BoolField,
    BoolStat,
    BufferedDescriptorField,
    ByteField,
    CounterField,
    DoubleField,
    FloatField,
    IntField,
    IntStat,
    MovingAverageField,
    ReadOnlyField,
    ReadWriteField,
    ShortField,
    ShortStat,
    StaticDoubleField,
    StaticFloatField,
    StaticInt64Field,
    StaticTextField,
    StaticUInt64Field,
    StaticUIntField,
    StringField,
    StringStat,
    TimerField,
    UInt64Field,
    UIntField,
    UIntStat,
    UShortField,
)
from .models import BaseMmStats, MmStats
from .reader import InvalidMmStatsVersion, MmStatsReader, Stat


def install() -> None:
    """Makes the submodules `mmstats.fields`, `models`, `reader`, `defaults` and those of the tools importable."""
    from . import clean, pollstats, slurpstats

    for module in (defaults, fields, models, reader, clean, pollstats, slurpstats):
        name = module.__name__.rpartition(".")[2]
        sys.modules[f"mmstats.{name}"] = module
        setattr(sys.modules["mmstats"], name, module)


__all__ = [
    "DEFAULT_FILENAME",
    "DEFAULT_GLOB",
    "DEFAULT_PATH",
    "DEFAULT_STRING_SIZE",
    "AverageField",
    "BaseMmStats",
    "BoolField",
    "BoolStat",
    "BufferedDescriptorField",
    "ByteField",
    "CounterField",
    "DoubleField",
    "FloatField",
    "IntField",
    "IntStat",
    "InvalidMmStatsVersion",
    "MmStats",
    "MmStatsReader",
    "MovingAverageField",
    "ReadOnlyField",
    "ReadWriteField",
    "ShortField",
    "ShortStat",
    "Stat",
    "StaticDoubleField",
    "StaticFloatField",
    "StaticInt64Field",
    "StaticTextField",
    "StaticUInt64Field",
    "StaticUIntField",
    "StringField",
    "StringStat",
    "TimerField",
    "UInt64Field",
    "UIntField",
    "UIntStat",
    "UShortField",
    "install",
]
