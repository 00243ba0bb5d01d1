"""The metrics of all processes of the application, ended ones too."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

from .. import _native
from ._store import MODE, SET_AT, Labels, store
from ._value import NEGATIVE, NOT_FINITE, number

# The suffixes of samples that are counters of mmstats, with the type of their metric.
_COUNTERS = {"_total": "counter", "_count": "summary", "_bucket": "histogram", "_sum": ""}
# The instance of this process, the name of its application, and its observer.
_looking: tuple[str, str, _native.Observer] | None = None


class Gauge:
    """The values of a gauge with the same labels, one of each process that lives."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        # Process id, value, and when it was set.
        self.values: list[tuple[str, float, float]] = []

    def samples(self, labels: Labels) -> Iterable[tuple[Labels, float]]:
        rule = self.mode.removeprefix("live")
        values = self.values
        if rule == "mostrecent":
            values = [value for value in values if value[2] > 0]
        if not values:
            return
        if rule == "min":
            yield labels, min(value[1] for value in values)
        elif rule in ("max", "info"):
            yield labels, max(value[1] for value in values)
        elif rule == "sum":
            yield labels, sum(value[1] for value in values)
        elif rule == "mostrecent":
            yield labels, max(values, key=lambda value: value[2])[1]
        else:
            for pid, value, _ in values:
                yield (*labels, ("pid", pid)), value


class Application:
    """What the processes of an application have published, at one moment."""

    def __init__(self, members: list[_native.Program]) -> None:
        # A ledger is the rest of ended processes.
        self.is_alone = len(members) <= 1
        self.help: dict[str, str] = {}
        self.counts: dict[str, dict[str, dict[Labels, float]]] = {}
        self.gauges: dict[str, dict[Labels, Gauge]] = {}
        for program in members:
            if program.is_counted:
                self._add(program)

    def _add(self, program: _native.Program) -> None:
        samples = [(label, kind, tuple(labels), value, help) for label, kind, labels, value, help in program.samples()]
        modes = {dict(labels)["metric"]: value for label, _, labels, value, _ in samples if label == MODE}
        set_at = {(label, labels): value for label, _, labels, value, _ in samples if label.endswith(SET_AT)}
        is_live = program.state == "live"
        for label, kind, labels, value, help in samples:
            if kind == "counter" and isinstance(value, float):
                for suffix in _COUNTERS:
                    if label.endswith((suffix, suffix + NEGATIVE)):
                        self._count(label.partition(suffix + NEGATIVE)[0].removesuffix(suffix), suffix, label, labels, value, help)
                        break
            elif kind == "gauge" and is_live and (value := number(value)) is not None:
                if label.endswith("_sum" + NOT_FINITE):
                    name = label.removesuffix("_sum" + NOT_FINITE)
                    self._count(name, "_sum", label.removesuffix(NOT_FINITE), labels, value, help)
                elif label in modes:
                    self.help[label] = help
                    by_labels = self.gauges.setdefault(label, {})
                    gauge = by_labels.setdefault(labels, Gauge(modes[label]))
                    at = set_at.get((label + SET_AT, labels)) or 0.0
                    gauge.values.append((str(program.pid), value, at))

    def _count(self, name: str, suffix: str, label: str, labels: Labels, value: float, help: str) -> None:
        self.help.setdefault(name, help)
        series = self.counts.setdefault(name, {}).setdefault(suffix, {})
        series[labels] = series.get(labels, 0.0) + (-value if label.endswith(NEGATIVE) else value)

    def metric(self, name: str, kind: str) -> Metric | None:
        """The metric with this name and type; `None` if no process has it."""
        if kind in ("gauge", "info"):
            label = name + "_info" if kind == "info" else name
            by_labels = self.gauges.get(label)
            if by_labels is None:
                return None
            metric = Metric(name, self.help[label], kind)
            for labels, gauge in by_labels.items():
                for all_labels, value in gauge.samples(labels):
                    metric.add_sample(label, dict(all_labels), value)
            return metric
        counts = self.counts.get(name)
        first = next((suffix for suffix, of in _COUNTERS.items() if of == kind), None)
        if counts is None or first not in counts:
            return None
        metric = Metric(name, self.help[name], kind)
        if kind == "histogram":
            self._buckets(metric, counts["_bucket"])
        else:
            for labels, value in counts[first].items():
                metric.add_sample(name + first, dict(labels), value)
        for labels, value in (counts.get("_sum") or {}).items() if kind != "counter" else ():
            metric.add_sample(name + "_sum", dict(labels), value)
        return metric

    def _buckets(self, metric: Metric, buckets: dict[Labels, float]) -> None:
        by_labels: dict[Labels, list[tuple[float, float]]] = {}
        for labels, value in buckets.items():
            bound = float(dict(labels)["le"])
            rest = tuple(label for label in labels if label[0] != "le")
            by_labels.setdefault(rest, []).append((bound, value))
        for labels, values in by_labels.items():
            total = 0.0
            for bound, value in sorted(values):
                total += value
                bound_name: str = floatToGoString(bound)  # type: ignore[no-untyped-call]
                metric.add_sample(metric.name + "_bucket", {**dict(labels), "le": bound_name}, total)
            metric.add_sample(metric.name + "_count", dict(labels), total)

    def metrics(self) -> Iterable[Metric]:
        """All metrics."""
        infos = {name for name, of in self.gauges.items() if any(gauge.mode == "info" for gauge in of.values())}
        found = [self.metric(name, "gauge") for name in self.gauges if name not in infos]
        found.extend(self.metric(name.removesuffix("_info"), "info") for name in infos)
        for name in self.counts:
            found.extend(self.metric(name, kind) for kind in ("counter", "summary", "histogram"))
        return [metric for metric in found if metric is not None]


def look() -> Application | None:
    """The application of this process as it is now; `None` if nothing is published."""
    global _looking
    paths, own = store.publisher.paths, store.publisher.instance
    if not paths:
        return None
    if _looking is None or _looking[0] != own:
        observer = _native.Observer(paths=[os.path.dirname(paths[0])])
        mine = next((program for program in observer.refresh() if program.instance == own), None)
        _looking = (own, (mine.application if mine else None) or own, observer)
    return Application(_looking[2].refresh(application=_looking[1]))


class MultiProcessCollector:
    """As prometheus_client's class of this name: the metrics of all processes of the application."""

    def __init__(self, registry: Any = None, path: str | None = None) -> None:
        if registry is not None:
            registry.register(self)

    def collect(self) -> Iterable[Metric]:
        application = look()
        return application.metrics() if application is not None else []


def mark_process_dead(pid: int, path: str | None = None) -> None:
    """As prometheus_client's function of this name. It does nothing: which processes live is known."""
