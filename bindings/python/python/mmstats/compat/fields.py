"""The fields of the original library: descriptors of a model."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

from .. import _native, _stats
from .defaults import DEFAULT_STRING_SIZE


class Field:
    """A field of a model. It is published under `label`, or else under its own name."""

    def __init__(self, label: str | None = None) -> None:
        self.label = label
        self.key = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.key = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}(label={self.label!r})"

    def _declaration(self) -> Any:
        raise NotImplementedError

    def _begin(self, published: _native._Field | None, model: Any) -> Any:
        """What a model keeps of the field."""
        raise NotImplementedError

    def __get__(self, inst: Any, owner: type) -> Any:
        return self if inst is None else inst._fields[self.key].get()


class Cell:
    """A value that is assigned: of the process, as all threads see it."""

    def __init__(self, field: ReadWriteField, published: Any) -> None:
        self.field = field
        self.published = published
        # Without a file there is nothing to read.
        self.last = field.initial

    def get(self) -> Any:
        value = self.published.value
        if isinstance(value, list):
            value = next((one for one in value if one is not None), None)
        shown = self.field.shown(self.last if value is None else value)
        if isinstance(shown, (Integer, Float)):
            shown.cell = self
        return shown

    def set(self, value: Any) -> None:
        if not isinstance(value, Changed) or value.cell is not self:
            self._store(value)
            return
        # Assigned again it is a plain number.
        value.cell = None
        if self.field.is_integer:
            # It wraps around, which the published field does not.
            with _lock:
                self._store(self.get() + value.amount)
        else:
            self.published.inc(value.amount)

    def _store(self, value: Any) -> None:
        self.last = self.field.stored(value)
        self.published.set(self.last)


# Held while an integer changes by what it was.
_lock = threading.Lock()


def _forked() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forked)


class Changed:
    """Marks the result of `x += n`: its assignment to the field that `x` was read from adds to what other threads
    have added meanwhile."""

    cell: Cell | None
    amount: Any


class Integer(int):
    # The field that it was read from, and what was added since.
    cell: Cell | None = None
    amount: Any = 0

    def __iadd__(self, amount: Any) -> Any:  # type: ignore[misc]
        return _changed(ChangedInteger, self, int(self) + amount, amount)

    def __isub__(self, amount: Any) -> Any:  # type: ignore[misc]
        return _changed(ChangedInteger, self, int(self) - amount, -amount)

    def __reduce__(self) -> Any:
        return int, (int(self),)


class ChangedInteger(Integer, Changed):
    pass


class Float(float):
    cell: Cell | None = None
    amount: Any = 0

    def __iadd__(self, amount: Any) -> Any:  # type: ignore[misc]
        return _changed(ChangedFloat, self, float(self) + amount, amount)

    def __isub__(self, amount: Any) -> Any:  # type: ignore[misc]
        return _changed(ChangedFloat, self, float(self) - amount, -amount)

    def __reduce__(self) -> Any:
        return float, (float(self),)


class ChangedFloat(Float, Changed):
    pass


def _changed(kind: Any, old: Integer | Float, value: Any, amount: Any) -> Any:
    if not isinstance(value, int if kind is ChangedInteger else float):
        return value
    changed = kind(value)
    changed.cell = old.cell
    changed.amount = old.amount + amount
    return changed


class ReadWriteField(Field):
    """Base of fields that are assigned."""

    initial: Any = 0
    is_integer = False

    def stored(self, value: Any) -> Any:
        """The value as it is published."""
        return value

    def shown(self, value: Any) -> Any:
        """The published value as the program sees it."""
        return value

    def _begin(self, published: Any, model: Any) -> Cell:
        cell = Cell(self, published)
        cell.set(self.initial)
        return cell

    def __set__(self, inst: Any, value: Any) -> None:
        inst._fields[self.key].set(value)


class BufferedDescriptorField(ReadWriteField):
    """Base of numbers; integers wrap around as those of C do."""

    type = ""
    bits = 0

    @property
    def is_integer(self) -> bool:  # type: ignore[override]
        return self.bits > 0

    def _declaration(self) -> Any:
        return _stats.gauge(type=self.type)

    def stored(self, value: Any) -> Any:
        if not self.bits:
            return float(value)
        value = int(value) & ((1 << self.bits) - 1)
        is_signed = self.type.startswith("i")
        return value - (1 << self.bits) if is_signed and value >> (self.bits - 1) else value

    def shown(self, value: Any) -> Any:
        return Integer(value) if self.bits else Float(value)


class UInt64Field(BufferedDescriptorField):
    type, bits = "u64", 64


class UIntField(BufferedDescriptorField):
    type, bits = "u32", 32


class IntField(BufferedDescriptorField):
    type, bits = "i32", 32


class UShortField(BufferedDescriptorField):
    type, bits = "u16", 16


class ShortField(BufferedDescriptorField):
    type, bits = "i16", 16


class ByteField(BufferedDescriptorField):
    type, bits = "i8", 8


class FloatField(BufferedDescriptorField):
    type = "f32"


class DoubleField(BufferedDescriptorField):
    type = "f64"


class BoolField(ReadWriteField):
    def __init__(self, initial: Any = False, label: str | None = None) -> None:
        super().__init__(label)
        self.initial = bool(initial)

    def _declaration(self) -> Any:
        return _stats.flag(aggregation="each")

    def stored(self, value: Any) -> bool:
        return bool(value)

    def shown(self, value: Any) -> bool:
        return bool(value)


class StringField(ReadWriteField):
    """A text of at most `size` bytes in UTF-8; a longer one is cut between characters."""

    initial = ""

    def __init__(self, size: int = DEFAULT_STRING_SIZE, label: str | None = None) -> None:
        super().__init__(label)
        self.size = size

    def _declaration(self) -> Any:
        return _stats.text(size=self.size)

    def stored(self, value: Any) -> str:
        data: bytes = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
        return data[: self.size].decode("utf-8", "ignore")


class ReadOnlyField(Field):
    """Base of constants. A function as `value` is called when the model is made."""

    kind: Callable[[Any], Any] = str

    def __init__(self, label: str | None = None, value: Any = None) -> None:
        super().__init__(label)
        self.value = value

    def resolve(self) -> Any:
        value = self.value() if callable(self.value) else self.value
        if value is None:
            raise ValueError("value must be set")
        return type(self).kind(value)

    def _begin(self, published: Any, model: Any) -> Constant:
        return Constant(model._constants[self.key])


class Constant:
    def __init__(self, value: Any) -> None:
        self.value = value

    def get(self) -> Any:
        return self.value


class StaticUIntField(ReadOnlyField):
    kind = int


class StaticInt64Field(ReadOnlyField):
    kind = int


class StaticUInt64Field(ReadOnlyField):
    kind = int


class StaticFloatField(ReadOnlyField):
    kind = float


class StaticDoubleField(ReadOnlyField):
    kind = float


class StaticTextField(ReadOnlyField):
    kind = str


class Internal:
    """What `stats.field` is for a field with methods."""

    def __init__(self, field: Any, published: Any, model: Any) -> None:
        self.field = field
        self.published = published
        self.model = model

    def get(self) -> Any:
        return self


class MethodField(Field):
    InternalClass: Any = None

    def _begin(self, published: Any, model: Any) -> Any:
        return type(self).InternalClass(self, published, model)


class CounterField(MethodField):
    """A counter of 64 bits with `inc(n)` and `value`. Each thread counts for itself, readers add up."""

    def _declaration(self) -> Any:
        return _stats.counter()

    class InternalClass(Internal):
        def inc(self, n: int = 1) -> None:
            if n >= 0:
                self.published.inc(n)
            else:
                self.value = self.value + n

        incr = inc

        @property
        def value(self) -> int:
            return self.published.value or 0

        @value.setter
        def value(self, value: int) -> None:
            # A counter only grows: another one takes its place.
            value = int(value) % (1 << 64)
            self.published.retire()
            self.published = self.model._publisher.add(self.model._declare(self.field))
            self.published.inc(value)


class _Mean(Internal):
    def add(self, value: float) -> None:
        """Adds a value."""
        self.published.observe(float(value))

    @property
    def value(self) -> float:
        """The mean; 0.0 without values."""
        read = self.published.value
        return float((read and read["mean"]) or 0.0)


class AverageField(MethodField):
    """The mean of all values: `add(x)` and `value`."""

    InternalClass = _Mean

    def _declaration(self) -> Any:
        return _stats.average()


class MovingAverageField(MethodField):
    """The mean of the last `size` values of each thread: `add(x)` and `value`."""

    InternalClass = _Mean

    def __init__(self, size: int = 100, label: str | None = None) -> None:
        super().__init__(label)
        self.size = size

    def _declaration(self) -> Any:
        return _stats.window(length=self.size, type=float)


class TimerContext:
    """A block that is timed."""

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self.start = timer()
        self.end: float | None = None

    @property
    def done(self) -> bool:
        return self.end is not None

    @property
    def elapsed(self) -> float:
        return (self._timer() if self.end is None else self.end) - self.start

    def stop(self) -> None:
        self.end = self._timer()


class TimerField(MovingAverageField):
    """The mean of the last durations, by `with stats.field as context:`, or by `start()` and `stop()`.

    Blocks may be nested; each thread has its own.
    """

    def __init__(self, timer: Callable[[], float] = time.time, size: int = 100, label: str | None = None) -> None:
        super().__init__(size, label)
        self.timer = timer

    class InternalClass(_Mean):
        def __init__(self, field: Any, published: Any, model: Any) -> None:
            super().__init__(field, published, model)
            self._own = threading.local()

        def start(self) -> TimerContext:
            context = TimerContext(self.field.timer)
            self._own.__dict__.setdefault("running", []).append(context)
            return context

        def stop(self) -> None:
            context = self._own.running.pop()
            context.stop()
            self._own.last = context
            self.add(context.elapsed)

        def __enter__(self) -> TimerContext:
            return self.start()

        def __exit__(self, *_exception: object) -> None:
            self.stop()

        @property
        def last(self) -> float:
            """The last duration of this thread; while one is measured, how long it takes so far."""
            own = self._own.__dict__
            context = own["running"][-1] if own.get("running") else own.get("last")
            return context.elapsed if context is not None else 0.0


# The names of earlier versions.
BoolStat, IntStat, ShortStat, StringStat, UIntStat = BoolField, IntField, ShortField, StringField, UIntField
