#!/usr/bin/env python3
"""The command of CONFORMANCE.md section 7: what the images of a directory add up to.

    python3 values_reader.py DIRECTORY
"""

import json
import math
import os
import pathlib
import re
import struct
import sys

import mmstats_reader as m

AGGREGATION = {m.SUM: "sum", m.MIN: "min", m.MAX: "max", m.MEAN: "mean"}
LEDGER = re.compile(r"ledger-([0-9a-f]{16})-(0|[1-9][0-9]*)-(0|[1-9][0-9]*)\.mmst")
QUANTILES = ("0", "0.2", "0.5", "0.75", "0.8", "0.9", "0.99", "1")


class File:
    """One image: its fields with what their lanes have."""

    def __init__(self, path):
        memory, locked = m.map_file(path)
        self.path, self.owner = path, os.stat(path).st_uid
        m.look(memory, lambda memory: self._read(memory, locked))
        self.constants = {f.text["label"]: f for f in self.fields if f.storage == m.CONSTANT}

    def _read(self, memory, locked):
        image = m.Image(memory)
        self.header = image.header
        self.is_live = image.state != m.CLOSED and locked
        self.is_closed = image.state == m.CLOSED
        self.refused = [memory.u32(144), memory.u32(148)]
        self.parts = memory.u32(152)
        lanes = [m.Lane(image, number, self.is_live) for number in range(image.lanes_used)]
        self.fields, self.values = [], []
        for f in image.fields():
            if f.damage or f.state == m.FIELD_RETIRED or f.type not in m.TYPES or f.storage not in m.STORAGES:
                continue
            self.fields.append(f)
            self.values.append([] if f.storage == m.CONSTANT else [lane.read(f) for lane in lanes])

    def constant(self, label):
        f = self.constants.get(label)
        return m.decode(f, f.constant) if f else None

    def ledger(self):
        """Application and generation, if name, owner and constants agree (FILES.md section 3.3)."""
        name = LEDGER.fullmatch(self.path.name)
        application, generation = self.text("ledger.application"), self.constant("ledger.generation")
        if not (name and application and self.is_closed):
            return None
        agree = name[1] == fnv(application) and int(name[2]) == self.owner and int(name[3]) == generation
        return (application, generation) if agree else None

    def supersedes(self):
        raw = self.constants["ledger.supersedes"]
        data = blob(raw)
        return {data[at : at + 16] for at in range(0, len(data), 16)}

    def text(self, label):
        f = self.constants.get(label)
        return blob(f).decode() if f else None


def blob(f):
    """The bytes of a constant text or bytes."""
    length = struct.unpack_from("<I", f.constant)[0]
    return f.constant[8 : 8 + length]


def fnv(text):
    found = 0xCBF29CE484222325
    for byte in text.encode():
        found = (found ^ byte) * 0x100000001B3 % 2**64
    return f"{found:016x}"


def is_cumulative(f):
    """What a ledger takes in: FILES.md section 3.1."""
    if f.kind == m.COUNTER:
        return f.aggregation in (m.SUM, m.MIN, m.MAX)
    return f.kind in (m.TIMER, m.HISTOGRAM, m.AVERAGE) and f.aggregation != m.EACH


def is_listed(f):
    """Shown for each lane instead of combined. An unknown aggregation is as `each`, but of kinds with rules of their own."""
    unknown = f.aggregation not in AGGREGATION and f.kind not in m.COMBINE and f.kind != m.TIMESTAMP
    return f.aggregation == m.EACH or unknown or m.is_blob(f) or f.kind in (m.EVENTS, m.ACTIVITY)


def key(f):
    """Fields that combine: KINDS.md section 2.1."""
    found = [f.text["label"], f.text["unit"], sorted((f.text["attributes"] or {}).items()), f.type, f.flags & m.ARRAY]
    found += [f.kind, f.aggregation]
    if f.kind == m.HISTOGRAM:
        found.append(f.param >> 8 & 0xFF)
    else:
        found.append(f.count)
    if f.kind == m.WINDOW:
        found.append(f.param)
    if f.kind in (m.STATE, m.RATE):
        found.append(m.detail_items(f))
    return repr(found)


class Combined(m.Buckets):
    """Buckets of several histograms: element 0 ends at one boundary, the last one begins at another."""

    def __init__(self, scale, first, last, low, high):
        self.scale, self.lowest, self.last = scale, first, last - first + 1
        self.low, self.high = low, high

    def bounds(self, k):
        lower, upper = super().bounds(k)
        if k == 0:
            return 0, self.bound(self.low) if self.low is not None else upper
        return (self.bound(self.high), math.inf) if k == self.last and self.high is not None else (lower, upper)


def histograms(values):
    """KINDS.md section 4.3."""
    used = [v for v in values if v["count"] and not m.is_damaged(v)]
    if not used:
        return values[0]
    scale = min(v["scale"] for v in used)
    counts, zeros, overs, low, high = {}, 0, 0, None, None
    for v in used:
        shift, elements, lowest = v["scale"] - scale, v["elements"], v["lowest"]
        if elements[0]:
            zeros += elements[0]
            low = max(x for x in (low, -(-lowest >> shift)) if x is not None)
        if elements[-1]:
            overs += elements[-1]
            high = min(x for x in (high, lowest + len(elements) - 2 >> shift) if x is not None)
        for k, n in enumerate(elements[1:-1], 1):
            if n:
                bucket = lowest + k - 1 >> shift
                counts[bucket] = counts.get(bucket, 0) + n
    for bucket in sorted(counts):
        if low is not None and bucket + 1 <= low:
            zeros += counts.pop(bucket)
        elif high is not None and bucket >= high:
            overs += counts.pop(bucket)
    first, last = min(counts, default=0), max(counts, default=-1) + 1
    elements = [zeros] + [counts.get(bucket, 0) for bucket in range(first, last)] + [overs]
    buckets = Combined(scale, first, last, low, high)
    words = sum(v["sum"] for v in used), min(v["min"] for v in used), max(v["max"] for v in used)
    return m.show_histogram(buckets, elements, words)


def number(value):
    if value is None:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return repr(int(value)) if isinstance(value, int) else repr(value)


def shown(f, values):
    if f.kind == m.HISTOGRAM:
        value = histograms(values)
        found = {name: number(value[name]) for name in ("count", "sum", "min", "max")}
        if value["count"]:
            ask = lambda q: m.quantile(value["buckets"], value["elements"], value["min"], value["max"], float(q))  # noqa: E731
            answers = {q: ask(q) for q in QUANTILES}
            found["quantiles"] = {q: a if isinstance(a, str) else number(a) for q, a in answers.items()}
        return found
    value = m.combine(f, values)
    if f.kind in (m.AVERAGE, m.WINDOW, m.TIMER, m.RUNNING):
        return {name: number(part) for name, part in value.items()}
    if f.kind == m.STATE:
        return {"states": {name: str(n) for name, n in value.items()}}
    if f.kind == m.RATE:
        return {"rates": {str(int(window)): number(rate) for window, rate in value.items()}}
    if isinstance(value, list):
        return {"numbers": [number(one) for one in value]}
    return {"number": number(value)}


def is_complete(files, ledgers):
    programs = {}
    for file in files:
        if file not in ledgers:
            programs.setdefault(file.header.instance, []).append(file)
    for parts in programs.values():
        numbers = {file.header.part for file in parts}
        said = next((file.parts for file in parts if file.header.part == 0), 0)
        if numbers != set(range(max(max(numbers) + 1, said))):
            return False
    missing = any(ledger.constant("ledger.incomplete") for ledger in ledgers)
    return not missing and not any(sum(file.refused) for file in files)


def document(directory):
    files = []
    for path in sorted(pathlib.Path(directory).glob("*.mmst")):
        try:
            files.append(File(path))
        except m.Refused as refused:
            print(f"{path.name}: {refused}", file=sys.stderr)
    ledgers = {}
    for file in files:
        file.is_ledger = file.ledger()
        if file.is_ledger:
            application, generation = file.is_ledger
            best = ledgers.get((application, file.owner))
            if not best or best.is_ledger[1] < generation:
                ledgers[application, file.owner] = file
    valid = set(ledgers.values())
    files = [file for file in files if not file.is_ledger or file in valid]
    groups = {}
    for file in files:
        ledger = ledgers.get((file.text("sys.application"), file.owner))
        taken = ledger and not file.is_live and file.header.instance in ledger.supersedes()
        for f, values in zip(file.fields, file.values):
            apart = is_listed(f)
            if f.storage != m.CONSTANT and not apart and not (taken and is_cumulative(f)):
                groups.setdefault(key(f), (f, []))[1].extend(values)
    return {"complete": is_complete(files, valid), "fields": [field(f, values) for f, values in groups.values()]}


def field(f, values):
    verdicts = {verdict for _, verdict, _ in values}
    order = ("damaged", "contended", "consistent")
    good = [value for value, verdict, _ in values if verdict == "consistent"]
    if f.kind in (m.AVERAGE, m.WINDOW, m.HISTOGRAM) and any(m.is_damaged(value) for value in good):
        verdicts.add("damaged")
    out = {
        "label": f.text["label"],
        "unit": f.text["unit"] or "",
        "attributes": f.text["attributes"] or {},
        "type": m.TYPES[f.type][0],
        "kind": m.KINDS.get(f.kind, "unknown"),
        "aggregation": AGGREGATION.get(f.aggregation, "unknown"),
        "verdict": next((v for v in order if v in verdicts), "absent"),
    }
    return out | ({"value": shown(f, good)} if good else {})


if __name__ == "__main__":
    print(json.dumps(document(sys.argv[1])))
