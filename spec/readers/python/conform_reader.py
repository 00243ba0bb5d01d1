#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The command of CONFORMANCE.md around mmstats_reader.py.

    python3 conform_reader.py [--repeat N] FILE
    python3 conform_reader.py --stdin
"""

import json
import struct
import sys

import mmstats_reader as m

STORAGE = {m.CONSTANT: "constant", m.ATOMIC: "atomic", m.LATCHED: "latched", m.JOURNAL: "journal",
           m.TABLE: "table"}  # fmt: skip
AGGREGATION = {m.SUM: "sum", m.MIN: "min", m.MAX: "max", m.MEAN: "mean", m.EACH: "each"}
LEVEL = {0: "info", 1: "diagnostic"}
LANE = {m.NEVER_CLAIMED: "never", m.OWNED: "owned", m.HANDED_BACK: "returned"}


def element(code, raw):
    """One element as text: integers in decimal, floats as their bits."""
    if code in "fd":
        return raw[::-1].hex()
    return str(struct.unpack("<" + code, raw)[0])


def tagged(f, raw):
    """A value in the form of heap and slots, after decode() has found it good."""
    m.decode(f, raw)
    name, code = m.TYPES[f.type]
    if m.is_blob(f):
        length, flags = struct.unpack_from("<II", raw)
        blob = raw[8 : 8 + length]
        value = blob.decode() if f.type == m.TEXT else blob.hex()
        return {name: value, "cut": bool(flags & 1)}
    size = m.element_size(f)
    values = [element(code, raw[i * size : (i + 1) * size]) for i in range(f.count)]
    if f.type == m.BOOL:
        values = ["true" if v == "1" else "false" for v in values]
    return {name: values if f.flags & m.ARRAY else values[0]}


def atomic(image, f, base):
    """The cell's word, narrowed to the type."""
    cell = base + f.place
    if m.element_size(f) == 8:
        return tagged(f, struct.pack("<Q", image.memory.u64(cell)))
    word = struct.pack("<I", image.memory.u32(cell))
    if f.type == m.F32:
        return tagged(f, word)
    code = m.TYPES[f.type][1]
    wide = struct.unpack("<i" if code in "bhi" else "<I", word)[0]
    try:
        return tagged(f, struct.pack("<" + code, wide))
    except struct.error:
        raise m.Damaged("value-range") from None


def table(image, lane, f):
    """The rows in use of a table."""
    found, refused = m.rows_of(image, f, lane)
    rows = []
    for number, raw in found:
        row = {"row": str(number)}
        try:
            if raw is None:
                raise m.Contended
            since, begun = struct.unpack_from("<2Q", raw)
            row |= {"since": str(since), "number": str(begun)} | tagged(f, raw[f.member :])
        except m.Contended:
            row |= {"verdict": "contended"}
        except m.Damaged as damage:
            row = {"row": str(number), "verdict": "damaged", "code": damage.code}
        rows.append(row)
    return {"rows": rows, "refused": str(refused)}


def in_lane(image, lane, f):
    """The value of one field in one lane."""
    try:
        if lane.state not in LANE:
            raise m.Damaged("lane-state")
        absent = f.flags & m.OPTIONAL and not lane.presence[f.index // 32] >> f.index % 32 & 1
        if lane.state == m.NEVER_CLAIMED or absent:
            return {"verdict": "absent"}
        if f.storage == m.ATOMIC:
            return atomic(image, f, lane.base)
        if f.storage == m.JOURNAL:
            elements, slot = m.read_journal(image, f, lane.base)
            total, _, *words = [str(word) for word in slot]
            return {"u64": [str(e) for e in elements], "total": total, "words": words}
        if f.storage == m.TABLE:
            return table(image, lane, f)
        key = (f.place, f.slot_bits, f.slot_size)
        if key not in lane.slots:
            lane.slots[key] = m.read_slot(image, f, lane.base)
        return tagged(f, lane.slots[key][f.member :])
    except m.Contended:
        return {"verdict": "contended"}
    except m.Damaged as damage:
        return {"verdict": "damaged", "code": damage.code}


def field(image, lanes, f):
    if f.damage:
        return {"damaged": f.damage}
    out = {name: f.text[name] or "" for name in ("label", "unit", "help")}
    out |= {
        "attributes": f.text["attributes"] or {},
        "type": m.TYPES[f.type][0] if f.type in m.TYPES else "unknown",
        "kind": m.KINDS.get(f.kind, "unknown"),
        "aggregation": AGGREGATION.get(f.aggregation, "unknown"),
        "storage": STORAGE.get(f.storage, "unknown"),
        "level": LEVEL.get(f.level, "debug"),
        "count": str(f.count),
        "param": str(f.param),
        "detail": m.detail_items(f),
    }
    if f.state == m.FIELD_RETIRED:
        return out | {"retired": True}
    if f.type not in m.TYPES or f.storage not in STORAGE:
        return out
    if f.storage == m.CONSTANT:
        try:
            return out | {"value": tagged(f, f.constant)}
        except m.Damaged as damage:
            return out | {"value": {"verdict": "damaged", "code": damage.code}}
    return out | {"lanes": [in_lane(image, lane, f) for lane in lanes]}


def document(memory):
    image = m.Image(memory)
    h = image.header
    lanes = [m.Lane(image, number, False) for number in range(image.lanes_used)]
    return {
        "format": f"{h.major}.{h.minor}",
        "state": "closed" if image.state == m.CLOSED else "live",
        "instance": h.instance.hex(),
        "part": str(h.part),
        "lanes": [LANE.get(lane.state, "damaged") for lane in lanes],
        "fields": [field(image, lanes, f) for f in image.fields()],
    }


def read(path, times, say):
    """Gives the documents of a file to `say`; returns the exit code."""
    try:
        memory, _ = m.map_file(path)
        for _ in range(times):
            say(json.dumps(m.look(memory, document)))
        return 0
    except m.Refused as refused:
        say(json.dumps({"refused": refused.code}))
        return 1
    except m.Unsettled as unsettled:
        print(unsettled, file=sys.stderr)
        return 2


def main(arguments):
    if arguments == ["--stdin"]:
        for path in sys.stdin:
            said = []
            code = read(path.rstrip("\n"), 1, said.append)
            print(code, *said, flush=True)
        return 0
    times = 1
    if arguments[:1] == ["--repeat"]:
        times, arguments = int(arguments[1]), arguments[2:]
    return read(arguments[0], times, lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
