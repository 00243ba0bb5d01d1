#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""A reader of mmstats images, format 3.0, in plain Python 3.

    python3 mmstats_reader.py FILE

It prints one JSON document: the state, instance and part of the image and its
fields, each combined over the lanes by its own rule and lane by lane. A file that
is refused gives {"refused": code, "offset": n, "message": ...} and exit code 1;
the offset is that of the header word at fault.

The sections below follow FORMAT.md and have its numbers. The document is the
authority; this file was written from it and from PROTOCOL.md alone. Where they leave
a choice it does as `mmstats show --json`: a lane with state 0 has no values, a timer
with count 0 has the sum 0, a mean rounds its sum to binary64 before it divides.

Values of the kinds that are more than a number: a state is its name (combined: names and
how many lanes), a timer, average, window and histogram an object with count and sum, events
a list with number, time and text, an activity an object with its rows, sections in
progress an object with their number and a time, a rate an object of windows in seconds and counts
per second.

About memory order. Python has neither atomics nor fences. What is done here:

- Single words are loaded through memoryviews of native 4 and 8 byte items. CPython
  copies such an item with a constant-size memcpy, which compilers turn into one
  load; nothing in the language promises it.
- x86-64 does not reorder loads with loads, and the interpreter does not reorder
  bytecode: there, the loops of PROTOCOL.md sections 2.2 and 9.2 hold as they are written.
- ARM and RISC-V may reorder loads. fence() goes through a lock twice there. The C
  library's locks then order the loads in practice, but no document says so. A
  reader that must be right on these machines loads through C, Rust or the like.
"""

import fcntl
import json
import math
import mmap
import os
import platform
import re
import stat
import struct
import sys
import threading
import time
from types import SimpleNamespace

READER_MINOR = 0
KNOWN_FEATURES = 0

# Orders of loads: see above.
_TOTAL_STORE_ORDER = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
_lock = threading.Lock()


def fence():
    """Stands where PROTOCOL.md has an acquire fence."""
    if not _TOTAL_STORE_ORDER:
        for _ in range(2):
            with _lock:
                pass


class Refused(Exception):
    """The image breaks a rule of section 10.1."""

    def __init__(self, code, offset, message):
        super().__init__(message)
        self.code, self.offset = code, offset


class Damaged(Exception):
    """A field or a value breaks a rule of section 10.2 or 10.3."""

    @property
    def code(self):
        return self.args[0]


class Contended(Exception):
    """A latched cell changed too often while it was read (PROTOCOL.md section 2.2)."""


# ---- 1. Byte order, word size, units ------------------------------------------


class Memory:
    """Naturally aligned loads of little-endian words from read-only memory."""

    def __init__(self, buffer):
        self.bytes = memoryview(buffer)
        self.size = len(self.bytes)
        self._u32 = self.bytes[: self.size & ~3].cast("I")
        self._u64 = self.bytes[: self.size & ~7].cast("Q")

    def u32(self, offset):
        return self._native(self._u32[offset >> 2], 4)

    def u64(self, offset):
        return self._native(self._u64[offset >> 3], 8)

    def copy(self, offset, size):
        """An own copy. It may be torn: the callers check, or the bytes are final."""
        return bytes(self.bytes[offset : offset + size])

    @staticmethod
    def _native(value, size):
        if sys.byteorder == "big":
            return int.from_bytes(value.to_bytes(size, "big"), "little")
        return value


def round_up(n, unit):
    return -(-n // unit) * unit


# ---- 3. Header ----------------------------------------------------------------

MAGIC = b"\x89MMS\r\n\x1a\n"
FIXED_HEADER = (  # offset, struct code, name; the reserved bytes are left out
    (0, "8s", "magic"),
    (8, "H", "major"),
    (10, "H", "minor"),
    (12, "H", "min_minor"),
    (14, "H", "header_size"),
    (16, "Q", "required_features"),
    (24, "Q", "optional_features"),
    (32, "16s", "instance"),
    (48, "I", "part"),
    (52, "I", "file_size"),
    (56, "I", "descriptor_offset"),
    (60, "I", "descriptor_capacity"),
    (64, "H", "descriptor_size"),
    (68, "I", "heap_offset"),
    (72, "I", "heap_size"),
    (76, "I", "lanes_offset"),
    (80, "I", "lane_stride"),
    (84, "I", "lane_capacity"),
    (88, "I", "cells_offset"),
    (120, "Q", "checksum"),
)
HEADER_OFFSET = {name: offset for offset, _, name in FIXED_HEADER}
HEADER_OFFSET.update(state=128, field_count=132, heap_used=136, lanes_used=140)

BUILDING, LIVE, CLOSED = 1, 2, 3


def parse(table, raw):
    """The named values of a table of (offset, struct code, name)."""
    return SimpleNamespace(
        **{name: struct.unpack_from("<" + code, raw, offset)[0] for offset, code, name in table}
    )


# ---- 4. Descriptors -----------------------------------------------------------

DESCRIPTOR = (
    (0, "I", "label"),
    (4, "I", "unit"),
    (8, "I", "help"),
    (12, "I", "attributes"),
    (16, "B", "type"),
    (17, "B", "kind"),
    (18, "B", "aggregation"),
    (19, "B", "storage"),
    (20, "I", "count"),
    (24, "I", "place"),
    (28, "I", "slot_size"),
    (32, "I", "member"),
    (36, "B", "slot_bits"),
    (37, "B", "level"),
    (38, "H", "flags"),
    (40, "I", "param"),
    (44, "I", "detail"),
    (56, "Q", "checksum"),
)
DESCRIPTOR_STATE = 48
FIELD_LIVE, FIELD_RETIRED = 1, 2
OPTIONAL, ARRAY, MEMBER = 1, 2, 4
CONSTANT, ATOMIC, LATCHED, JOURNAL, TABLE = 1, 2, 3, 4, 5

# 4.1 Data types: name, struct code; the element size is that of the code.
TYPES = {
    1: ("u8", "B"), 2: ("u16", "H"), 3: ("u32", "I"), 4: ("u64", "Q"),
    5: ("i8", "b"), 6: ("i16", "h"), 7: ("i32", "i"), 8: ("i64", "q"),
    9: ("f32", "f"), 10: ("f64", "d"), 11: ("bool", "B"),
    12: ("text", "s"), 13: ("bytes", "s"),
}  # fmt: skip
U64, I64, F32, F64, BOOL, TEXT, BYTES = 4, 8, 9, 10, 11, 12, 13

# KINDS.md sections 1 and 2: kinds and aggregation
COUNTER, GAUGE, INFO, STATE, HISTOGRAM, AVERAGE, TIMER = 1, 2, 3, 4, 5, 6, 7
EVENTS, WINDOW, RATE, TIMESTAMP, ACTIVITY, RUNNING = 8, 9, 10, 11, 12, 13
KINDS = {
    COUNTER: "counter", GAUGE: "gauge", INFO: "info", STATE: "state",
    HISTOGRAM: "histogram", AVERAGE: "average", TIMER: "timer", EVENTS: "events",
    WINDOW: "window", RATE: "rate", TIMESTAMP: "timestamp", ACTIVITY: "activity",
    RUNNING: "running",
}  # fmt: skip
WIDE = (U64, I64, F64)
TIMER_ELEMENTS = ("count", "sum", "min", "max", "last")
SUM, MIN, MAX, MEAN, EACH = 1, 2, 3, 4, 5


def kind_allows(f):
    """KINDS.md Section 1, but for the storage."""
    scalar = not f.flags & ARRAY
    return {
        COUNTER: f.type in (1, 2, 3, 4, 9, 10),
        STATE: f.type in (1, 2, 3) and scalar,
        HISTOGRAM: f.type == U64 and not scalar and f.count >= 3,
        AVERAGE: f.type in WIDE and not scalar and f.count == 2,
        TIMER: f.type == U64 and not scalar and f.count == 5,
        EVENTS: f.type == TEXT,
        WINDOW: f.type in WIDE and scalar,
        RATE: f.type == U64 and not scalar and f.count == 2,
        TIMESTAMP: f.type in (U64, I64) and scalar,
        ACTIVITY: f.type == TEXT,
        RUNNING: f.type == U64 and scalar,
    }.get(f.kind, True)


def kind_allows_storage(f):
    if f.kind == HISTOGRAM:
        return f.storage == JOURNAL
    if f.kind in (EVENTS, WINDOW, RATE):
        return f.storage == LATCHED
    if f.kind == ACTIVITY or f.storage == TABLE:  # of an unknown kind it may be
        return f.storage == TABLE and (f.kind == ACTIVITY or f.kind not in KINDS)
    return f.storage != JOURNAL or f.kind not in (STATE, AVERAGE, TIMER, TIMESTAMP, RUNNING)


def slots(f):
    return 1 << f.slot_bits if 1 <= f.slot_bits <= MAX_SLOT_BITS else 0


def detail_items(f):
    return f.text["detail"].split("\0") if f.text["detail"] else []


def is_blob(f):
    return f.type in (TEXT, BYTES)


def element_size(f):
    return struct.calcsize(TYPES[f.type][1])


def value_size(f):
    """Size of the value of a known type in a slot; of an unknown type, 8 (section 10)."""
    if f.type not in TYPES:
        return 8
    return 8 + f.count if is_blob(f) else f.count * element_size(f)


def count_is_good(f):
    if is_blob(f):
        return 1 <= f.count <= MAX_BLOB
    if f.flags & ARRAY:
        return f.count >= 1 and f.count * element_size(f) <= MAX_SLOT
    return f.count == 1


def type_name(f):
    name = TYPES[f.type][0] if f.type in TYPES else f"unknown({f.type})"
    return f"{name}[{f.count}]" if f.flags & ARRAY and f.type in TYPES else name


def combine(f, values):
    """KINDS.md Section 2, over the values that are present; None where nothing is combined."""
    if f.kind in COMBINE:
        return None if f.aggregation == EACH else COMBINE[f.kind](values)
    rule = f.aggregation
    if f.kind == TIMESTAMP and rule in (SUM, MEAN):
        rule = MAX
    if is_blob(f) or rule not in (SUM, MIN, MAX, MEAN):
        return None
    if f.flags & ARRAY:
        return [combine_scalars(rule, column) for column in zip(*values)]
    return combine_scalars(rule, values)


def combine_scalars(rule, values):
    if rule in (MIN, MAX):
        numbers = [v for v in values if v == v] or values  # a NaN is no extreme
        return (min if rule == MIN else max)(numbers)
    total = +values[0]
    for value in values[1:]:  # integers are as wide as they need, floats are binary64
        total += value
    return total if rule == SUM else float(total) / len(values)


def combine_timers(values):
    used = [v for v in values if v["count"]]
    if not used:
        return values[0]
    return {
        "count": sum(v["count"] for v in used),
        "sum": sum(v["sum"] for v in used),
        "min": min(v["min"] for v in used),
        "max": max(v["max"] for v in used),
        "last": max(used, key=lambda v: v["count"])["last"],
    }


def combine_states(values):
    return {name: values.count(name) for name in sorted(set(values))}


def combine_means(values):
    used = [v for v in values if v["count"] and not is_damaged(v)]
    return mean_of(sum(v["count"] for v in used), sum(v["sum"] for v in used))


def is_damaged(value):
    """Of an average or window, and of a histogram: no writer records this (KINDS.md section 2)."""
    numbers = [value[name] for name in ("count", "sum", "min", "max") if name in value]
    return value["count"] < 0 or not all(n is None or math.isfinite(n) for n in numbers)


def mean_of(count, total):
    return {"count": count, "sum": total, "mean": total / count if count else None}


def combine_rates(values):
    good = [[v[window] for v in values if v[window] is not None] for window in values[0]]
    return {window: sum(g) if g else None for window, g in zip(values[0], good)}


def combine_running(values):
    known = [v["since"] for v in values if v["since"] is not None]
    return {"number": sum(v["number"] for v in values), "since": min(known, default=None)}


# KINDS.md section 4: histogram

QUANTILES = ("0.5", "0.9", "0.99", "0.999")


class Buckets:
    """What the elements of a histogram count."""

    def __init__(self, f):
        scale, ty, self.lowest = struct.unpack("<bBh", struct.pack("<I", f.param))
        self.scale, self.float, self.count = scale, ty == F64, f.count
        self.good = -4 <= scale <= 8 and ty in (U64, F64) and f.slot_size >= 40

    def bound(self, number):
        """base^number; 0 or infinite where binary64 has no such number."""
        if self.scale < 0:
            octave, part = number << -self.scale, 0
        else:
            octave, part = number >> self.scale, number % 2**self.scale / 2**self.scale
        try:
            return math.ldexp(2.0**part, octave)
        except OverflowError:
            return math.inf

    def bounds(self, k):
        return self.bound(self.lowest + k - 1), self.bound(self.lowest + k)


def quantile(buckets, elements, low, high, q):
    """A number, or a bound as a text: "< u" or "> l". `low` and `high` may be None: not known."""
    n = sum(elements)
    rank = min(max(math.ceil(q * n), 1), n)
    if low is not None and (rank == 1 or low == high):
        return low
    if high is not None and rank == n:
        return high
    k, seen = 0, elements[0]
    while seen < rank:
        k += 1
        seen += elements[k]
    lower, upper = buckets.bounds(k)
    if k == 0 or lower == 0 and k < len(elements) - 1:
        return f"< {upper if high is None else min(upper, high)}"
    if k == len(elements) - 1 or upper == math.inf:
        return f"> {lower}"
    estimate = lower * (upper / (lower + upper)) * 2
    estimate = estimate if low is None else max(estimate, low)
    return estimate if high is None else min(estimate, high)


def show_histogram(buckets, elements, words):
    """Elements and the words sum, minimum and maximum, decoded."""
    count = sum(elements)
    total, low, high = words if count else (0, None, None)
    return {
        "count": count,
        "sum": total,
        "min": low,
        "max": high,
        "quantiles": {
            q: quantile(buckets, elements, low, high, float(q)) if count else None
            for q in QUANTILES
        },
        "scale": buckets.scale,
        "lowest": buckets.lowest,
        "elements": elements,
        "buckets": buckets,
    }


def combine_histograms(values):
    """Of one field, so all have the same buckets: no scale and no range to bring together."""
    used = [v for v in values if v["count"] and not is_damaged(v)]
    if not used:
        return values[0]
    elements = [sum(column) for column in zip(*(v["elements"] for v in used))]
    words = sum(v["sum"] for v in used), min(v["min"] for v in used), max(v["max"] for v in used)
    return show_histogram(used[0]["buckets"], elements, words)


COMBINE = {
    STATE: combine_states,
    HISTOGRAM: combine_histograms,
    AVERAGE: combine_means,
    TIMER: combine_timers,
    EVENTS: lambda values: None,
    ACTIVITY: lambda values: None,
    RUNNING: combine_running,
    WINDOW: combine_means,
    RATE: combine_rates,
}

# KINDS.md section 6: rate


def rates(f, checkpoints, counter, now):
    """For each window; `checkpoints` are the readable ones in the order of their numbers."""
    pairs = zip(checkpoints, checkpoints[1:])
    set_back = [i for i, (a, b) in enumerate(pairs, 1) if a[0] > b[0]]
    checkpoints = checkpoints[set_back[-1] if set_back else 0 :]
    newest = checkpoints[-1]
    t, c = (newest[0], newest[1]) if now is None else (max(now, newest[0]), counter)
    out = {}
    for window in detail_items(f):
        begin = t - int(window) * 10**9
        before = [i for i, (time, _) in enumerate(checkpoints) if time <= begin]
        start = checkpoints[before[-1] if before else 0]
        if before and start[0] + f.param * 10**6 <= begin:
            after = checkpoints[before[-1] + 1 :]
            start = begin, after[0][1] if after else c
        out[window] = (c - start[1]) / (t - start[0]) * 1e9 if t > start[0] else None
    return out


# ---- 5. Heap ------------------------------------------------------------------

ATTRIBUTE_KEY = re.compile(rb"[A-Za-z0-9_.-]{1,63}")


def heap_string(image, offset):
    """A string that check_strings() has seen: all its bytes, then the text alone."""
    length = struct.unpack("<H", image.memory.copy(offset, 2))[0]
    raw = image.memory.copy(offset, round_up(2 + length, 4))
    return raw, raw[2 : 2 + length]


def parse_attributes(raw):
    attributes = {}
    for item in raw.split(b"\0"):
        key, equals, value = item.partition(b"=")
        if not equals or not ATTRIBUTE_KEY.fullmatch(key) or key.decode() in attributes:
            raise Damaged("attributes")
        attributes[key.decode()] = value.decode()
    return attributes


def constant_bytes(image, f):
    """A constant's value with its padding; None where its place or size is not known."""
    if f.type not in TYPES or not count_is_good(f) or f.place % 8:
        return None
    size = value_size(f)
    if is_blob(f):
        if not image.in_heap(f.place, 8):
            return None
        size = 8 + min(image.memory.u32(f.place), f.count)
    size = round_up(size, 8)
    if not image.in_heap(f.place, size):
        return None
    image.constants_seen += size  # constants do not overlap: this bounds the work
    if image.constants_seen > 2 * image.heap_used:
        raise Damaged("cell-overlap")
    return image.memory.copy(f.place, size)


# ---- 6. Storage ---------------------------------------------------------------


def decode(f, raw):
    """A value in the form of heap and slots. Raises Damaged."""
    if is_blob(f):
        length = struct.unpack_from("<I", raw)[0]
        if length > f.count:
            raise Damaged("value-length")
        blob = raw[8 : 8 + length]
        if f.type == BYTES:
            return blob.hex()
        try:
            return blob.decode()
        except UnicodeDecodeError:
            raise Damaged("value-utf8") from None
    elements = struct.unpack_from(f"<{f.count}{TYPES[f.type][1]}", raw)
    if f.type == BOOL:
        if any(e > 1 for e in elements):
            raise Damaged("value-range")
        elements = [e == 1 for e in elements]
    if f.kind == STATE:
        names = detail_items(f)
        if elements[0] >= len(names):
            raise Damaged("value-range")
        return names[elements[0]]
    if f.kind == AVERAGE:
        return mean_of(*elements)
    if f.kind == TIMER:
        if elements[0] == 0:  # no durations: the other elements have no meaning
            elements = (0, 0, None, None, None)
        return dict(zip(TIMER_ELEMENTS, elements))
    if f.kind == RUNNING:
        number, micros = elements[0] >> 52, elements[0] & (1 << 52) - 1
        return {"number": number, "since": micros * 1000 if number and micros else None}
    return list(elements) if f.flags & ARRAY else elements[0]


def read_atomic(image, f, lane):
    cell = lane + f.place
    if element_size(f) == 8:
        return decode(f, struct.pack("<Q", image.memory.u64(cell)))
    word = struct.pack("<I", image.memory.u32(cell))
    if f.type == F32:
        return decode(f, word)
    # Widened to 32 bits: narrow it again, and check that no bit is lost.
    code = TYPES[f.type][1]
    wide = struct.unpack("<i" if code in "bhi" else "<I", word)[0]
    try:
        return decode(f, struct.pack("<" + code, wide))
    except struct.error:
        raise Damaged("value-range") from None


def read_slot(image, f, lane):
    """PROTOCOL.md section 2.2 and 8: a copy of the newest slot of a latched cell."""
    return read_cell(image, f, lane + f.place)


def read_cell(image, f, cell):
    for _ in range(16):
        began = time.monotonic()
        a = image.memory.u32(cell)
        fence()
        raw = image.memory.copy(slot_at(f, cell, a), f.slot_size)
        fence()
        b = image.memory.u32(cell)
        # After more than two seconds seq may have come round (section 2.3).
        if (b - a) % 2**32 <= slots(f) - 2 and time.monotonic() - began <= 2:
            return raw
        time.sleep(0)
    raise Contended


def slot_at(f, cell, number):
    return cell + 8 + number % slots(f) * f.slot_size


def read_ring(image, f, lane, most, whole):
    """PROTOCOL.md section 2.5: the last values, at most `most`, as (number, slot), and seq.

    With `whole` all of them or none, so that they are of one moment."""
    cell = lane + f.place
    for _ in range(16):
        began = time.monotonic()
        a = image.memory.u32(cell)
        fence()
        first = max(a - min(most, slots(f) - 1), 0) + 1
        values = [
            (n, image.memory.copy(slot_at(f, cell, n), f.slot_size)) for n in range(first, a + 1)
        ]
        fence()
        b = image.memory.u32(cell)
        values = [(n, raw) for n, raw in values if (b - n) % 2**32 <= slots(f) - 2]
        complete = len(values) == a + 1 - first
        if (values if not whole else complete) or a == 0:
            if time.monotonic() - began <= 2:
                return values, a
        time.sleep(0)
    raise Contended


def read_events(image, f, lane):
    values, _ = read_ring(image, f, lane, slots(f), whole=False)
    events = []
    for number, raw in values:
        event = {"number": number, "time": struct.unpack_from("<Q", raw)[0], "text": None}
        try:
            event["text"] = decode(f, raw[f.member :])
        except Damaged as damage:  # of this event alone
            event["code"] = damage.code
        events.append(event)
    return events


def read_window(image, f, lane):
    values, _ = read_ring(image, f, lane, f.param, whole=True)
    numbers = [decode(f, raw[f.member :]) for _, raw in values]
    total = +numbers[0] if numbers else 0
    for number in numbers[1:]:
        total += number
    return mean_of(len(numbers), total)


def read_rate(image, f, lane, live):
    values, _ = read_ring(image, f, lane, slots(f), whole=False)
    checkpoints = [struct.unpack_from("<2Q", raw, f.member) for _, raw in values]
    if not checkpoints:
        return None
    fence()
    counter = lane_value(image, f.counter, lane)
    return rates(f, checkpoints, counter, time.time_ns() if live else None)


def rows_of(image, f, lane):
    """PROTOCOL.md section 11.3: the rows in use as (row, slot or None if contended), and refused."""
    memory, cell = image.memory, lane.base + f.place
    used = memory.u32(cell) | memory.u32(cell + 4) << 32
    fence()
    if lane.state != OWNED:
        used = 0
    rows = []
    for row in range(f.param):
        if used >> row & 1:
            try:
                rows.append((row, read_cell(image, f, cell + ROWS + row * row_size(f))))
            except Contended:
                rows.append((row, None))
    return rows, memory.u64(cell + 16)


ROWS = 32  # where row 0 of a table is


def row_size(f):
    return 8 + slots(f) * f.slot_size


def read_activity(image, f, lane):
    rows, refused = rows_of(image, f, lane)
    out = []
    for _, raw in rows:
        if raw is None:
            out.append({"text": None, "verdict": "contended"})
            continue
        since, number = struct.unpack_from("<2Q", raw)
        row = {"number": number, "since": since or None, "text": None}
        try:
            row["text"] = decode(f, raw[f.member :])
        except Damaged as damage:  # of this row alone
            row["code"] = damage.code
        out.append(row)
    out.sort(key=lambda row: row.get("number", 0))
    return {"rows": out, "refused": refused}


def read_journal(image, f, lane):
    """PROTOCOL.md section 9.2: the elements and the newest slot, as tuples of u64."""
    memory, cell, s = image.memory, lane + f.place, slots(f)
    tail = cell + 8 + s * f.slot_size
    for _ in range(16):
        began = time.monotonic()
        a = memory.u32(cell)  # K1
        fence()
        e = list(struct.unpack(f"<{f.count}Q", memory.copy(tail, 8 * f.count)))
        fence()
        b = memory.u32(cell)  # K5
        fence()
        moved = (b - a) % 2**32
        if moved > s - 2:
            continue
        heads = [
            (memory.u64(slot_at(f, cell, a + n)), memory.u64(slot_at(f, cell, a + n) + 8))
            for n in range(1, moved + 2)
        ]
        slot = struct.unpack(f"<{f.slot_size // 8}Q", memory.copy(slot_at(f, cell, b), f.slot_size))
        fence()
        c = memory.u32(cell)  # K9
        if (c - a) % 2**32 > s - 2 or time.monotonic() - began > 2:
            time.sleep(0)
            continue
        for _, change in heads[:-1]:  # K10
            i = change & 0xFFFF
            if i < f.count:
                ahead = ((change >> 16) - e[i] + 2**47) % 2**48 - 2**47
                e[i] = (e[i] + ahead) % 2**64
        total, (next_total, change) = slot[0], heads[-1]
        if sum(e) % 2**64 == total:  # K11
            return e, slot
        i = change & 0xFFFF
        if i < f.count:  # K12
            old = (total - sum(e) + e[i]) % 2**64
            if (old + next_total - total - (change >> 16)) % 2**48 == 0:
                e[i] = old
                return e, slot
        if c == a:
            raise Damaged("value-total")
        time.sleep(0)
    raise Contended


def read_histogram(image, f, lane):
    elements, slot = read_journal(image, f, lane)
    buckets = Buckets(f)
    words = slot[2:5]
    if buckets.float:
        words = struct.unpack("<3d", struct.pack("<3Q", *words))
    return show_histogram(buckets, elements, words)


# ---- 7. Lanes -----------------------------------------------------------------

NEVER_CLAIMED, OWNED, HANDED_BACK = 0, 1, 2
PRESENCE = 64


def presence_bytes(descriptor_capacity):
    return 8 * -(-descriptor_capacity // 64)


class Lane:
    """One lane, with the slots that were read from it: each group is read once.

    The presence words are all loaded before the first cell, so that a bit that is
    seen belongs to a value that is older than the copy of its slot.
    """

    def __init__(self, image, number, live):
        h = image.header
        self.live = live
        self.image, self.number = image, number
        self.base = h.lanes_offset + number * h.lane_stride
        self.state = image.memory.u32(self.base)
        words = presence_bytes(h.descriptor_capacity) // 4
        self.presence = [image.memory.u32(self.base + PRESENCE + 4 * w) for w in range(words)]
        fence()
        self.slots = {}

    def read(self, f):
        """Value and verdict of an undamaged field that is no constant."""
        try:
            if self.state not in (NEVER_CLAIMED, OWNED, HANDED_BACK):
                raise Damaged("lane-state")
            if self.state == NEVER_CLAIMED:
                return None, "absent", None
            if not self.has(f):
                return None, "absent", None
            value = self._value(f)
            return value, "absent" if value is None else "consistent", None
        except Contended:
            return None, "contended", None
        except Damaged as damage:
            return None, "damaged", damage.code

    def has(self, f):
        return not f.flags & OPTIONAL or self.presence[f.index // 32] >> f.index % 32 & 1

    def _value(self, f):
        """None where there is none, though the field is not OPTIONAL."""
        image, base = self.image, self.base
        if f.kind == EVENTS:
            return read_events(image, f, base) or None
        if f.kind == WINDOW:
            return read_window(image, f, base)
        if f.kind == RATE:
            return read_rate(image, f, base, self.live) if self.has(f.counter) else None
        if f.kind == HISTOGRAM:
            return read_histogram(image, f, base)
        if f.storage == TABLE:
            return read_activity(image, f, self)
        if f.storage == JOURNAL:
            return read_journal(image, f, base)[0]
        if f.storage == LATCHED:
            if f.place not in self.slots:
                self.slots[f.place] = read_slot(image, f, base)
            return decode(f, self.slots[f.place][f.member :])
        return lane_value(image, f, base)


def lane_value(image, f, base):
    """The value of a scalar, newest now."""
    if f.storage == ATOMIC:
        return read_atomic(image, f, base)
    return decode(f, read_slot(image, f, base)[f.member :])


# ---- 8. Checksum --------------------------------------------------------------


def fletcher64(data):
    a = b = 0
    for (word,) in struct.iter_unpack("<I", data):
        a = (a + word) % 0xFFFFFFFF
        b = (b + a) % 0xFFFFFFFF
    return b << 32 | a


# ---- 9. Limits ----------------------------------------------------------------

MAX_DESCRIPTORS = 16_777_216
MAX_LANES = 65_536
MAX_SLOT = 1_048_576
MAX_BLOB = 1_048_560
MAX_SLOT_BITS = 16
MAX_ELEMENTS = 65_536
MAX_ROWS = 64
STRING_LIMITS = {"label": 255, "unit": 63, "help": 4096, "attributes": 4096, "detail": 4096}


# ---- FILES.md section 1: files -------------------------------------------------


def map_file(path):
    """Maps a regular file read-only; returns its memory and whether it is locked."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file")
        first = os.pread(fd, 8, 0)
        if first != MAGIC[: len(first)]:
            raise Refused("bad-magic", 0, f"the file begins with {first.hex(' ')}")
        if status.st_size < 192:
            raise Refused("too-short", status.st_size, f"{status.st_size} bytes")
        mapping = mmap.mmap(fd, status.st_size, mmap.MAP_SHARED, mmap.PROT_READ)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # given back with the fd
            locked = False
        except BlockingIOError:
            locked = True
        return Memory(mapping), locked
    finally:
        os.close(fd)


# ---- 10. Reading an image: the checks -----------------------------------------


class Image:
    """An image whose header passed the checks of the first table."""

    def __init__(self, memory):
        self.memory = memory
        raw = memory.copy(0, 128)  # a copy: the bytes that are checked are those that are used
        self.header = parse(FIXED_HEADER, raw)
        self._check_header(self.header, raw)
        h = self.header
        self.state = memory.u32(128)
        fence()
        self._rule(self.state != BUILDING, "building", "state")
        self._rule(self.state in (LIVE, CLOSED), "bad-state", "state")
        self.field_count = memory.u32(132)
        fence()
        self.heap_used, self.lanes_used = memory.u32(136), memory.u32(140)
        fence()
        self._rule(self.field_count <= h.descriptor_capacity, "field-count", "field_count")
        self._rule(self.heap_used <= h.heap_size, "heap-used", "heap_used")
        self._rule(self.lanes_used <= h.lane_capacity, "lanes-used", "lanes_used")
        self.heap_end = h.heap_offset + self.heap_used
        self.constants_seen = 0

    def in_heap(self, offset, size):
        return self.header.heap_offset <= offset and offset + size <= self.heap_end

    def _rule(self, holds, code, name):
        if not holds:
            value = getattr(self.header, name, getattr(self, name, None))
            raise Refused(code, HEADER_OFFSET[name], f"{name} is {value!r}")

    def _check_header(self, h, raw):
        rule, there = self._rule, self.memory.size
        rule(h.magic == MAGIC, "bad-magic", "magic")
        rule(h.major == 3, "unsupported-major", "major")
        rule(h.checksum == fletcher64(raw[:120]), "header-checksum", "checksum")
        rule(h.min_minor <= READER_MINOR, "unsupported-minor", "min_minor")
        rule(not h.required_features & ~KNOWN_FEATURES, "required-features", "required_features")
        good = h.header_size >= 192 and h.header_size % 64 == 0 and h.header_size <= there
        rule(good, "header-size", "header_size")
        rule(h.file_size <= there, "file-size", "file_size")
        good = h.descriptor_size >= 64 and h.descriptor_size % 8 == 0
        rule(good, "descriptor-size", "descriptor_size")
        rule(h.descriptor_capacity <= MAX_DESCRIPTORS, "limit", "descriptor_capacity")
        rule(1 <= h.lane_capacity <= MAX_LANES, "limit", "lane_capacity")
        for name, unit in (
            ("descriptor_offset", 8), ("heap_offset", 8), ("heap_size", 8),
            ("lanes_offset", 64), ("lane_stride", 64), ("cells_offset", 8),
        ):  # fmt: skip
            rule(getattr(h, name) % unit == 0, "alignment", name)
        descriptors_end = h.descriptor_offset + h.descriptor_capacity * h.descriptor_size
        rule(h.descriptor_offset >= h.header_size, "section-order", "descriptor_offset")
        rule(h.heap_offset >= descriptors_end, "section-order", "heap_offset")
        rule(h.lanes_offset >= h.heap_offset + h.heap_size, "section-order", "lanes_offset")
        # The sections are in order, so the end of the last one is the end of all.
        lanes_end = h.lanes_offset + h.lane_capacity * h.lane_stride
        rule(lanes_end <= h.file_size, "section-bounds", "lane_capacity")
        good = PRESENCE + presence_bytes(h.descriptor_capacity) <= h.cells_offset <= h.lane_stride
        rule(good, "lane-layout", "cells_offset")

    def fields(self):
        """All descriptors; f.damage is the code of the first rule that one breaks."""
        layout = Layout(self.header)
        before = None
        for index in range(self.field_count):
            f = self._field(index)
            f.counter = before if before and can_have_rate(before) else None
            try:
                check_strings(self, f)
                check_description(f)
                layout.check(self, f)
            except Damaged as damage:
                f.damage = damage.code
            yield f
            before = f

    def _field(self, index):
        offset = self.header.descriptor_offset + index * self.header.descriptor_size
        state = self.memory.u32(offset + DESCRIPTOR_STATE)
        raw = self.memory.copy(offset, 64)
        f = parse(DESCRIPTOR, raw)
        f.index, f.state, f.raw, f.damage = index, state, raw, None
        f.text = {name: None for name in STRING_LIMITS}
        return f


def check_strings(image, f):
    """The rules from field-state to attributes."""
    if f.state not in (FIELD_LIVE, FIELD_RETIRED):
        raise Damaged("field-state")
    places = {name: getattr(f, name) for name in STRING_LIMITS}
    places = {name: at for name, at in places.items() if at or name == "label"}
    pieces = [f.raw[:48]]
    for name, at in places.items():
        if at % 4 or not image.in_heap(at, 4):
            raise Damaged("string-place")
        length = int.from_bytes(image.memory.copy(at, 2), "little")
        if not 1 <= length <= STRING_LIMITS[name]:
            raise Damaged("string-length")
        if not image.in_heap(at, round_up(2 + length, 4)):
            raise Damaged("string-length")
    for name, at in places.items():
        raw, f.text[name] = heap_string(image, at)
        pieces.append(raw)
    f.constant = constant_bytes(image, f) if f.storage == CONSTANT else None
    if f.storage != CONSTANT or f.constant is not None:
        if fletcher64(b"".join(pieces + [f.constant or b""])) != f.checksum:
            f.text = {name: None for name in f.text}
            raise Damaged("field-checksum")
    try:
        decoded = {name: raw and raw.decode() for name, raw in f.text.items()}
    except UnicodeDecodeError:
        f.text = {name: None for name in f.text}
        raise Damaged("utf8") from None
    attributes, f.text = f.text["attributes"], decoded
    f.text["attributes"] = None
    f.text["attributes"] = parse_attributes(attributes) if attributes else {}


def can_have_rate(f):
    good = f.kind == COUNTER and f.type == U64 and not f.flags & ARRAY
    return good and f.storage in (ATOMIC, LATCHED) and not f.damage


def check_description(f):
    """The rules count, type-storage, kind-type and kind-param."""
    known = f.type in TYPES
    if known and not count_is_good(f):
        raise Damaged("count")
    if f.storage == JOURNAL and not 2 <= f.count <= MAX_ELEMENTS:
        raise Damaged("count")
    if (
        is_blob(f) and f.flags & ARRAY
        or f.storage == CONSTANT and f.flags & (MEMBER | OPTIONAL)
        or f.storage == ATOMIC and (f.flags & (ARRAY | MEMBER) or is_blob(f))
        or f.storage == JOURNAL and f.flags & (ARRAY | MEMBER | OPTIONAL) != ARRAY
        or f.storage == JOURNAL and known and f.type != U64
        or f.storage == TABLE and (f.flags & (ARRAY | MEMBER | OPTIONAL) or known and f.type != TEXT)
    ):  # fmt: skip
        raise Damaged("type-storage")
    if known and not (kind_allows(f) and (f.storage not in STORAGES or kind_allows_storage(f))):
        raise Damaged("kind-type")
    if not param_is_good(f):
        raise Damaged("kind-param")


STORAGES = (CONSTANT, ATOMIC, LATCHED, JOURNAL, TABLE)


def param_is_good(f):
    """KINDS.md sections 3 to 7, as `kind-param` asks."""
    if f.kind == ACTIVITY or f.storage == TABLE:
        return f.member == 16 and 1 <= f.param <= MAX_ROWS
    items = [item.encode() for item in detail_items(f)]
    if f.kind == STATE:
        return 1 <= len(items) <= 1024 and all(1 <= len(name) <= 63 for name in items)
    if f.kind == HISTOGRAM:
        return f.count >= 3 and Buckets(f).good
    if f.kind == EVENTS:
        return f.member == 8
    if f.kind == WINDOW:
        return 1 <= f.param <= slots(f) - 2
    if f.kind == RATE:
        digits = all(re.fullmatch(rb"[0-9]{1,6}", item) and int(item) for item in items)
        return bool(f.counter) and f.param >= 1 and 1 <= len(items) <= 8 and digits
    return True


class Layout:
    """The rules from slots to cell-overlap; it remembers the cell before."""

    def __init__(self, header):
        self.header = header
        self.cells_end = header.cells_offset
        self.group = None  # place, slot_bits and slot_size of the current run
        self.members_end = 0

    def check(self, image, f):
        if f.storage not in STORAGES:
            return  # as if the descriptor was not there: a group continues after it
        key, in_group = None, False
        if f.storage in (LATCHED, TABLE):
            self.check_slots(f, 8)
            if f.flags & MEMBER:
                key = (f.place, f.slot_bits, f.slot_size)
                in_group = key == self.group
            # A value of an unknown type begins in the slot.
            past = f.member + (value_size(f) if f.type in TYPES else 1) > f.slot_size
            if f.member % 8 or past or in_group and f.member < self.members_end:
                raise Damaged("member")
        else:
            if f.storage == JOURNAL:
                self.check_slots(f, 16)
            elif f.slot_bits or f.slot_size:
                raise Damaged("slots")
            if f.member:
                raise Damaged("member")
        if f.storage == CONSTANT:
            known = f.constant is not None or f.type not in TYPES
            if f.place % 8 or not known or not image.in_heap(f.place, 1):
                raise Damaged("cell-place")
        else:
            end = f.place + 8 + slots(f) * f.slot_size  # atomic: there are none
            end += 8 * f.count if f.storage == JOURNAL else 0
            if f.storage == TABLE:
                end = f.place + ROWS + f.param * row_size(f)
            inside = self.header.cells_offset <= f.place and end <= self.header.lane_stride
            if f.place % 8 or not inside:
                raise Damaged("cell-place")
            if not in_group and f.place < self.cells_end:
                raise Damaged("cell-overlap")
            self.cells_end = end
        self.group = key
        self.members_end = round_up(f.member + value_size(f), 8)

    @staticmethod
    def check_slots(f, least):
        if not slots(f) or f.slot_size % 8 or not least <= f.slot_size <= MAX_SLOT:
            raise Damaged("slots")


# ---- The document that is printed ---------------------------------------------


def show_field(image, lanes, f):
    out = {
        "label": f.text["label"],
        "type": type_name(f),
        "kind": KINDS.get(f.kind, "unknown"),
        "unit": f.text["unit"] or "",
        "help": f.text["help"] or "",
        "attributes": f.text["attributes"] or {},
        "value": None,
        "verdict": "consistent",
        "lanes": [],
    }
    if f.damage:
        return out | {"verdict": "damaged", "code": f.damage}
    if f.state == FIELD_RETIRED:
        return out | {"verdict": "retired"}
    if f.type not in TYPES or f.storage not in STORAGES:
        return out | {"verdict": "unknown"}
    if f.storage == CONSTANT:
        try:
            return out | {"value": decode(f, f.constant)}
        except Damaged as damage:
            return out | {"verdict": "damaged", "code": damage.code}
    for lane in lanes:
        value, verdict, code = lane.read(f)
        entry = {"lane": lane.number, "value": value, "verdict": verdict}
        out["lanes"].append(entry | ({"code": code} if code else {}))
    # The whole is as good as its worst part; absent parts take no part.
    verdicts = {entry["verdict"] for entry in out["lanes"]}
    order = ("damaged", "contended", "consistent")
    out["verdict"] = next((v for v in order if v in verdicts), "absent")
    if out["verdict"] == "damaged":
        out["code"] = next(e["code"] for e in out["lanes"] if "code" in e)
    good = [entry["value"] for entry in out["lanes"] if entry["verdict"] == "consistent"]
    if good:
        out["value"] = combine(f, good)
    return out


class Unsettled(OSError):
    """Room of retired fields was used again during each look."""


def look(memory, read):
    """What `read` makes of one moment of the descriptions: PROTOCOL.md section 5.2, Q1 to Q6."""
    if memory.size < 192:
        return read(memory)
    for _ in range(16):
        before = memory.u32(156)  # Q1
        fence()  # Q2
        found = read(memory)  # Q3
        fence()  # Q4
        if memory.u32(156) == before:  # Q5, Q6
            return found
        time.sleep(0.001)  # the writer comes to an end meanwhile
    raise Unsettled("room of fields was used again during each of 16 looks")


def show(path):
    memory, locked = map_file(path)
    return look(memory, lambda memory: shown(memory, locked))


def shown(memory, locked):
    image = Image(memory)
    state = "closed" if image.state == CLOSED else "live" if locked else "dead"
    lanes = [Lane(image, number, state == "live") for number in range(image.lanes_used)]
    return {
        "state": state,
        "instance": image.header.instance.hex(),
        "part": image.header.part,
        "fields": [show_field(image, lanes, f) for f in image.fields()],
    }


def plain(value):
    """JSON has no infinities and no NaN: they become strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items() if not isinstance(v, Buckets)}
    return [plain(v) for v in value] if isinstance(value, list) else value


def main(arguments):
    if len(arguments) != 1:
        print("usage: mmstats_reader.py FILE", file=sys.stderr)
        return 2
    try:
        document, code = show(arguments[0]), 0
    except Refused as refused:
        document = {"refused": refused.code, "offset": refused.offset, "message": str(refused)}
        code = 1
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(plain(document), ensure_ascii=False, allow_nan=False))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
