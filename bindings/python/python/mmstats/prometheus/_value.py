"""The class of values that prometheus_client makes its metrics of: `prometheus_client.values.ValueClass`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from .. import _stats
from ._store import MODE, SET_AT, Labels, Local, amount_is_countable, store

# Behind the name of a sum: its parts that a counter does not take.
NOT_FINITE = ".not_finite"
NEGATIVE = ".negative"


def ValueClass(
    typ: str,
    metric_name: str,
    name: str,
    labelnames: Sequence[str],
    labelvalues: Sequence[str],
    help_text: str,
    multiprocess_mode: str = "",
    **_: Any,
) -> Value:
    """A value that mmstats publishes under the name of its sample: that of a counter, a gauge, of the sum or count
    of a summary, or of a bucket."""
    labels = tuple(zip(labelnames, labelvalues, strict=False))
    if typ == "gauge":
        recent = multiprocess_mode.endswith("mostrecent")
        return (RecentGaugeValue if recent else GaugeValue)(name, labels, help_text, multiprocess_mode)
    return (SumValue if name.endswith("_sum") else CountValue)(name, labels, help_text)


def number(value: Any) -> float | None:
    """The value of a gauge: those that are not added up have a list, with the only one of the process."""
    if isinstance(value, list):
        value = next((one for one in value if one is not None), None)
    return None if value is None else float(value)


class Value:
    """What all values have: an exemplar, which stays in the process."""

    # prometheus_client asks it whether values are those of one process.
    _multiprocess = False

    def __init__(self, name: str, labels: Labels, help: str) -> None:
        self._name = name
        self._labels = labels
        self._help = help
        self._exemplar: Any = None

    def set_exemplar(self, exemplar: Any) -> None:
        self._exemplar = exemplar

    def get_exemplar(self) -> Any:
        return self._exemplar


class CountValue(Value):
    """A count: of a counter, of a summary, of a bucket without the smaller ones."""

    def __init__(self, name: str, labels: Labels, help: str) -> None:
        super().__init__(name, labels, help)
        self._field, is_new = store.field_and_age(name, labels, _stats.counter(help, type=float))
        # Of the field itself: nothing stands between a metric and its cell.
        self.inc = self._field.inc
        # What an earlier metric of this name has counted in this process. A new field is not looked for: with many
        # fields that takes long.
        self._before = (os.getpid(), 0.0 if is_new else self._total())

    def _total(self) -> float:
        return self._field.value or 0.0

    def set(self, value: float, timestamp: float | None = None) -> None:
        """What `get` returns from now on. The published count only grows."""
        self._before = (os.getpid(), self._total() - value)

    def get(self) -> float:
        pid, before = self._before
        return self._total() - before if pid == os.getpid() else self._total()


class SumValue(CountValue):
    """A sum of values, which may also be negative, infinite or no number: those have fields of their own."""

    def __init__(self, name: str, labels: Labels, help: str) -> None:
        super().__init__(name, labels, help)
        self._add = self._field.inc
        self.inc = self._inc
        self._before_not_finite = self._not_finite()

    def _inc(self, amount: float) -> None:
        if amount_is_countable(amount):
            self._add(amount)
        elif amount < 0 and amount_is_countable(-amount):
            store.field(self._name + NEGATIVE, self._labels, _stats.counter(self._help, type=float)).inc(-amount)
        else:
            rest = _stats.gauge(self._help, aggregation="sum")
            store.field(self._name + NOT_FINITE, self._labels, rest).inc(amount)

    def _total(self) -> float:
        negative = store.known("counter", self._name + NEGATIVE, self._labels)
        return super()._total() - ((negative.value or 0.0) if negative is not None else 0.0)

    def _not_finite(self) -> float:
        field = store.known("gauge", self._name + NOT_FINITE, self._labels)
        return (field.value or 0.0) if field is not None else 0.0

    def get(self) -> float:
        rest = self._not_finite()
        is_new = rest != self._before_not_finite or self._before[0] != os.getpid()
        return super().get() + (rest if is_new else 0.0)


class GaugeValue(Value):
    """A gauge of the process."""

    def __init__(self, name: str, labels: Labels, help: str, mode: str) -> None:
        super().__init__(name, labels, help)
        rule = mode.removeprefix("live")
        rule = {"min": "min", "max": "max", "sum": "sum", "info": "max"}.get(rule, "each")
        self._field = store.field(name, labels, _stats.gauge(help, aggregation=rule))
        store.field(MODE, (("metric", name),), _stats.info(mode or "all", level="debug"))
        store.use(name, labels)
        self.inc = self._field.inc
        self._set = self._field.set
        self.set(0.0)

    def set(self, value: float, timestamp: float | None = None) -> None:
        self._set(value)

    def get(self) -> float:
        return number(self._field.value) or 0.0

    def track(self, function: Any) -> None:
        """Publishes what `function` returns, every second."""
        if not isinstance(self._field, Local):
            self._field.clear()
            self._field.track(function)

    def __del__(self) -> None:
        # A removed combination of labels leaves no value behind.
        if self._labels and not sys.is_finalizing():
            store.release(self._name, self._labels, self._field)


class RecentGaugeValue(GaugeValue):
    """A gauge of which the latest value of all processes counts."""

    def __init__(self, name: str, labels: Labels, help: str, mode: str) -> None:
        self._set_at = store.field(name + SET_AT, labels, _stats.gauge("When it was set.", aggregation="max", level="debug"))
        super().__init__(name, labels, help, mode)

    def set(self, value: float, timestamp: float | None = None) -> None:
        super().set(value)
        self._set_at.set(timestamp or 0.0)
