"""The class `Stats`, and the functions that declare its fields."""

from __future__ import annotations

from . import _life, _native

# Types alone: the import of `typing` takes longer than all else here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence
    from typing import Any, ClassVar, Literal, TypeVar

    Per = Literal["process", "thread"]
    Number = type[int] | type[float]
    Self = TypeVar("Self", bound="Stats")

# The names of the options that all fields have.
COMMON = ("unit", "attributes", "level", "aggregation")
# Those that one kind or another has.
OPTIONS = {
    *COMMON,
    *("cap", "capacity", "count", "entries", "error", "label", "labels", "members", "per_process", "range", "rows", "running"),
    *("states", "type", "value", "windows"),
}


class Declaration:
    """A field as a class declares it."""

    __slots__ = ("name", "options")

    def __init__(self, kind: str, help: str, **options: Any) -> None:
        unknown = ", ".join(name for name in options if name not in OPTIONS)
        if unknown:
            raise TypeError(f"a field of kind {kind} has no option {unknown}")
        self.name = ""
        labels = options.get("labels") or ()
        if isinstance(labels, str):
            labels = (labels,)
        options["labels"] = list(labels)
        if labels and options.get("per_process"):
            # The fields of a family are those of threads.
            options["per_process"] = False
        self.options = {key: value for key, value in options.items() if value is not None}
        self.options.update(kind=kind, help=help)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def declared(self, prefix: str, name: str) -> dict[str, Any]:
        label = self.options.get("label") or name
        return {**self.options, "label": f"{prefix}.{label}" if prefix else label}


def _type(type: Number | str) -> str:
    return type if isinstance(type, str) else type.__name__


# The functions return a declaration; `Stats.start` puts a field in its place. Their annotations say the type
# of the field, so that a class attribute has the type that its instances have.


def counter(
    help: str = "",
    *,
    type: Number = int,
    labels: Sequence[str] = (),
    cap: int | None = None,
    **common: Any,
) -> Any:
    """A number that only grows; with `type=float` also by fractions.

    With `labels` it is a family: `field.labels("GET", "200").inc()`. Beyond `cap` combinations all others are
    counted together, with the attribute `overflow="true"`.
    """
    return Declaration("counter", help, type=_type(type), labels=labels, cap=cap, **common)


def gauge(
    help: str = "",
    *,
    type: Number | str = float,
    per: Per = "process",
    labels: Sequence[str] = (),
    cap: int | None = None,
    **common: Any,
) -> Any:
    """A number that goes up and down: of the process, or one of each thread, which readers add up."""
    return Declaration(
        "gauge", help, type=_type(type), per_process=per == "process", labels=labels, cap=cap, **common
    )


def flag(help: str = "", *, per: Per = "process", **common: Any) -> Any:
    """True or false."""
    return Declaration("gauge", help, type="bool", per_process=per == "process", **common)


def text(help: str = "", *, size: int = 64, per: Per = "process", **common: Any) -> Any:
    """A text of at most `size` bytes; a longer one is cut."""
    return Declaration("text", help, capacity=size, per_process=per == "process", **common)


def blob(help: str = "", *, size: int = 64, per: Per = "process", **common: Any) -> Any:
    """At most `size` bytes."""
    return Declaration("blob", help, capacity=size, per_process=per == "process", **common)


def timestamp(help: str = "", *, per: Per = "process", **common: Any) -> Any:
    """A moment."""
    return Declaration("timestamp", help, per_process=per == "process", **common)


def state(*names: str, help: str = "", per: Per = "process", **common: Any) -> Any:
    """One of the named states."""
    return Declaration("state", help, states=list(names), per_process=per == "process", **common)


def group(help: str = "", *, per: Per = "process", **members: Any) -> Any:
    """Numbers that are published together, so that a reader sees no mixture: `group(idle=int, busy=int)`."""
    options = {key: members.pop(key) for key in COMMON if not isinstance(members.get(key, type), type)}
    pairs = [(name, _type(kind)) for name, kind in members.items()]
    return Declaration("group", help, members=pairs, per_process=per == "process", **options)


def array(help: str = "", *, length: int, type: Number = float, per: Per = "process", **common: Any) -> Any:
    """Numbers of one type that are published together."""
    return Declaration(
        "array", help, type=_type(type), count=length, per_process=per == "process", **common
    )


def timer(help: str = "", *, labels: Sequence[str] = (), cap: int | None = None, **common: Any) -> Any:
    """Durations: how many, their sum, the shortest, the longest and the last."""
    return Declaration("timer", help, labels=labels, cap=cap, **common)


def latency(
    help: str = "",
    *,
    error: float | None = None,
    labels: Sequence[str] = (),
    cap: int | None = None,
    **common: Any,
) -> Any:
    """Durations with quantiles, of the relative error `error`."""
    return Declaration("latency", help, error=error, labels=labels, cap=cap, **common)


def histogram(
    help: str = "",
    *,
    type: Number = float,
    error: float | None = None,
    range: tuple[float, float] | None = None,
    labels: Sequence[str] = (),
    cap: int | None = None,
    **common: Any,
) -> Any:
    """Values with quantiles, of the relative error `error`."""
    return Declaration(
        "histogram", help, type=_type(type), error=error, range=range, labels=labels, cap=cap, **common
    )


def average(help: str = "", **common: Any) -> Any:
    """The average of all values."""
    return Declaration("average", help, **common)


def window(help: str = "", *, length: int = 100, type: Number = float, **common: Any) -> Any:
    """The average of the last `length` values of each thread."""
    return Declaration("window", help, type=_type(type), count=length, **common)


def rate(help: str = "", *, seconds: Iterable[int] = (), **common: Any) -> Any:
    """A counter with its rates over the last seconds."""
    return Declaration("rate", help, windows=list(seconds), **common)


def events(help: str = "", *, size: int | None = None, entries: int | None = None, **common: Any) -> Any:
    """The last `entries` lines of each thread, of at most `size` bytes: a black box."""
    return Declaration("events", help, capacity=size, entries=entries, **common)


def activity(help: str = "", *, size: int | None = None, rows: int | None = None, **common: Any) -> Any:
    """What is in progress: `with web.doing.begin("GET /"):`."""
    return Declaration("activity", help, capacity=size, rows=rows, **common)


def info(value: str | bool | int | float, help: str = "", **common: Any) -> Any:
    """A constant."""
    return Declaration("info", help, value=value, **common)


class Stats:
    """The fields of a program. Subclasses declare them; `start` publishes them.

    A subclass has the fields of its bases too. `prefix` stands before each label.
    """

    _prefix: ClassVar[str] = ""
    _declarations: ClassVar[dict[str, Declaration]] = {}

    publisher: _native.Publisher

    def __init_subclass__(cls, *, prefix: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if prefix is not None:
            cls._prefix = prefix
        declarations = dict(cls._declarations)
        for name, value in vars(cls).items():
            if isinstance(value, Declaration):
                declarations[name] = value
            else:
                declarations.pop(name, None)
        cls._declarations = declarations

    def __init__(self) -> None:
        raise TypeError(f"{type(self).__name__}.start() makes an instance")

    @classmethod
    def start(
        cls: type[Self],
        *,
        name: str | None = None,
        directory: str | os.PathLike[str] | None = None,
        application: str | None = None,
        lanes: int | None = None,
        private: bool = False,
        keep: bool = False,
        access: Literal["owner", "group", "everybody"] | None = None,
        interval: float | None = None,
        persistent: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Creates the file and returns the fields.

        The variables `MMSTATS_*` apply where an argument is not given. With `private` a program that can create
        no file goes on without. A file is closed and removed at the end of the program, or kept with `keep`;
        that of a killed program stays. In a forked child the first update makes a file of its own.
        """
        settings = {
            "name": name,
            "directory": directory,
            "application": application,
            "lanes": lanes,
            "private": private,
            "keep": keep,
            "access": access,
            "interval": interval,
            "persistent": persistent,
        }
        names = list(cls._declarations)
        declared = [cls._declarations[name].declared(cls._prefix, name) for name in names]
        publisher, fields = _life.start(settings, declared)
        stats = object.__new__(cls)
        stats.publisher = publisher
        stats.__dict__.update(zip(names, fields, strict=True))
        return stats

    def add(self, name: str, declaration: Any) -> Any:
        """Adds a field while the program runs: `web.add("plugins", mm.counter("Plugins loaded."))`; returns it."""
        return self.publisher.add(declaration.declared(self._prefix, name))

    def close(self) -> None:
        """Closes the file; later updates are seen by no reader."""
        self.publisher.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
