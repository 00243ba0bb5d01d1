"""/proc for your application: publish the live state of a program, and look at that of others.

    import mmstats as mm

    class Web(mm.Stats, prefix="web"):
        requests: mm.Counter = mm.counter("Requests served.")

    web = Web.start()
    web.requests.inc()

`mmstats show` prints the values from another process, also after this one was killed.
"""

from ._native import (
    Activity,
    Array,
    Average,
    Blob,
    Counter,
    Error,
    Event,
    Events,
    Family,
    Field,
    Flag,
    FloatCounter,
    Gauge,
    Group,
    Histogram,
    Info,
    Latency,
    Observer,
    Program,
    Publisher,
    Rate,
    State,
    Text,
    Timer,
    Timestamp,
    Window,
    __version__,
)
from ._stats import (
    Stats,
    activity,
    array,
    average,
    blob,
    counter,
    events,
    flag,
    gauge,
    group,
    histogram,
    info,
    latency,
    rate,
    state,
    text,
    timer,
    timestamp,
    window,
)

# Not from `typing`, whose import takes longer than all else here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._exceptions import record_exceptions
    from ._logging import EventHandler
    from ._stacks import watch_stacks
    from ._timing import timed

# Imported when they are first used: they need modules that take longer than all else.
_LATER = {
    "EventHandler": "_logging",
    "record_exceptions": "_exceptions",
    "timed": "_timing",
    "watch_stacks": "_stacks",
}


def __getattr__(name: str) -> object:
    # The names of the original library of this name.
    is_original = name.endswith(("Field", "Stat", "MmStats")) or name.startswith("DEFAULT_")
    if name not in _LATER and not is_original:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module(f".{_LATER.get(name, 'compat')}", __name__)
    if not hasattr(module, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(module, name)
    globals()[name] = found
    return found


__all__ = [
    "Activity",
    "Array",
    "Average",
    "Blob",
    "Counter",
    "Error",
    "Event",
    "EventHandler",
    "Events",
    "Family",
    "Field",
    "Flag",
    "FloatCounter",
    "Gauge",
    "Group",
    "Histogram",
    "Info",
    "Latency",
    "Observer",
    "Program",
    "Publisher",
    "Rate",
    "State",
    "Stats",
    "Text",
    "Timer",
    "Timestamp",
    "Window",
    "__version__",
    "activity",
    "array",
    "average",
    "blob",
    "counter",
    "events",
    "flag",
    "gauge",
    "group",
    "histogram",
    "info",
    "latency",
    "rate",
    "record_exceptions",
    "state",
    "text",
    "timed",
    "timer",
    "timestamp",
    "watch_stacks",
    "window",
]
