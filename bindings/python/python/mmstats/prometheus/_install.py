"""prometheus_client with values in mmstats."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import metrics, multiprocess, registry, values

from .. import _stats
from . import _application
from ._store import Local, store
from ._value import GaugeValue, ValueClass

_TYPES = ("counter", "gauge", "summary", "histogram", "info")
_is_installed = False


def install(
    publisher: Any = None,
    *,
    application: str | None = None,
    name: str | None = None,
    directory: str | os.PathLike[str] | None = None,
) -> None:
    """Publishes the metrics of prometheus_client by mmstats; the import of `mmstats.prometheus` calls it.

    The registries show the sums over all processes of the application: workers that this process forks, and
    processes that give the same `application`, ended ones too. `publisher` is an instance of `Stats`, or its
    publisher, that shall have the metrics; without it they have a publisher of their own. Metrics that exist keep
    what they have counted.

    Arguments are for the time before the first metric; later ones raise RuntimeError.
    """
    global _is_installed
    settings = {"application": application, "name": name, "directory": directory}
    settings = {key: value for key, value in settings.items() if value is not None}
    if publisher is not None or settings:
        if store.is_started:
            raise RuntimeError("metrics are published already: call install before the first one")
        store.given = getattr(publisher, "publisher", publisher)
        store.settings = settings
    if _is_installed:
        return
    _is_installed = True
    values.ValueClass = ValueClass
    multiprocess.MultiProcessCollector = _application.MultiProcessCollector  # type: ignore[assignment, misc]
    multiprocess.mark_process_dead = _application.mark_process_dead
    _wrap_collect(registry.CollectorRegistry)
    _wrap_collect(registry.RestrictedRegistry)
    _wrap_set_function()
    _wrap_info()
    _wrap_enum()
    for collector in list(registry.REGISTRY._collector_to_names):
        if isinstance(collector, metrics.MetricWrapperBase) and collector._type in _TYPES[:4]:
            _adopt(collector)


def close() -> None:
    """Ends what is published. Metrics that exist count no longer for any reader; new ones are published anew. For
    tests that make the same metrics again."""
    store.close()


def _adopt(metric: Any) -> None:
    """Gives a metric that exists values of this package."""
    if metric._is_parent():
        for child in metric._metrics.values():
            _adopt(child)
        return
    names = ("_value", "_count", "_sum", "_buckets")
    before = {name: getattr(metric, name) for name in names if hasattr(metric, name)}
    created = getattr(metric, "_created", None)
    metric._metric_init()
    if created is not None:
        metric._created = created
    for name, old in before.items():
        new = getattr(metric, name)
        for one, other in zip(new, old, strict=True) if isinstance(old, list) else [(new, old)]:
            if isinstance(one, GaugeValue):
                one.set(other.get())
            elif other.get():
                one.inc(other.get())


def _wrap_collect(kind: Any) -> None:
    """Makes a registry show the whole application."""
    own: Callable[[Any], Iterable[Any]] = kind.collect

    def collect(self: Any) -> Iterable[Any]:
        found = list(own(self))
        application = _application.look() if store.is_started else None
        if application is None or application.is_alone:
            return iter(found)
        return iter([_whole(metric, application, getattr(self, "_name_set", None)) for metric in found])

    kind.collect = collect


def _whole(metric: Any, application: _application.Application, names: Any) -> Any:
    # Metrics of other collectors, of processes and platforms, are those of this process.
    found = application.metric(metric.name, metric.type) if metric.type in _TYPES else None
    if found is not None and names is not None:
        found = found._restricted_metric(names)  # type: ignore[no-untyped-call]
    if found is None:
        return metric
    found.unit = metric.unit
    return found


def _wrap_set_function() -> None:
    original = metrics.Gauge.set_function

    def set_function(self: Any, f: Callable[[], float]) -> None:
        original(self, f)
        if isinstance(self._value, GaugeValue):
            self._value.track(f)

    metrics.Gauge.set_function = set_function  # type: ignore[method-assign]


def _labels(metric: Any) -> tuple[tuple[str, str], ...]:
    return tuple(zip(metric._labelnames, metric._labelvalues, strict=True))


def _wrap_info() -> None:
    original = metrics.Info.info

    def info(self: Any, val: dict[str, str]) -> None:
        original(self, val)
        labels = (*_labels(self), *((key, str(value)) for key, value in val.items()))
        # The gauge of the labels before goes with its object.
        self._published = GaugeValue(self._name + "_info", labels, self._documentation, "info")
        self._published.set(1.0)

    metrics.Info.info = info  # type: ignore[method-assign]


def _wrap_enum() -> None:
    original = metrics.Enum.state

    def state(self: Any, state: str) -> None:
        original(self, state)
        states = _stats.state(*self._states, help=self._documentation)
        field = store.field(self._name, _labels(self), states)
        if not isinstance(field, Local):
            field.set(state)

    metrics.Enum.state = state  # type: ignore[method-assign]
