#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The writer of CONFORMANCE.md section 4, of level 2:  conform_writer.py DESCRIPTION FILE

It writes a whole file at once, so it needs none of the orders of PROTOCOL.md: no reader sees the file before it is
complete. The bytes come from fixtures/source/build.py, which is written from FORMAT.md.
"""

import fcntl
import os
import pathlib
import re
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "fixtures/source"))
from build import ARRAY, MEMBER, OPTIONAL, RULES, TYPES, Cut, F, Image, fletcher64, little, up  # noqa: E402

SCALARS = [name for name in TYPES if name not in ("text", "bytes")]
INTEGER = r"0|-?[1-9][0-9]*"
FLOAT = r"-?(Infinity|(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?)"
MOST_SLOT, MOST_BLOB = 1_048_576, 1_048_560


class Wrong(Exception):
    """The description breaks a rule: exit code 1."""


class NotSupported(Exception):
    """A kind that this writer does not have: exit code 2."""


def need(condition, what):
    if not condition:
        raise Wrong(what)


def count_of(text, least, most):
    need(re.fullmatch(INTEGER, text) and least <= int(text) <= most, f"{text} is not {least} to {most}")
    return int(text)


def number(type, text):
    """A scalar, in the range of its type."""
    if type == "bool":
        need(text in ("true", "false"), f"{text!r} is neither true nor false")
        return text == "true"
    is_float = type in ("f32", "f64")
    need(re.fullmatch(FLOAT if is_float else INTEGER, text), f"{text!r} is no number")
    value = float(text) if is_float else int(text)
    try:
        struct.pack("<" + TYPES[type][2], value)
    except (struct.error, OverflowError):
        raise Wrong(f"{text} is no {type}") from None
    return value


def blob(type, text, capacity):
    """Text or bytes, cut to fit."""
    if type == "bytes":
        need(re.fullmatch(r"([0-9a-f]{2})*", text), "bytes are pairs of hexadecimal digits")
        value = bytes.fromhex(text)
        return value if len(value) <= capacity else Cut(value[:capacity])
    raw = text.encode()
    return text if len(raw) <= capacity else Cut(raw[:capacity].decode(errors="ignore"))


def attributes(cells):
    found = {}
    for cell in cells:
        key, equals, value = cell.partition("=")
        need(equals and re.fullmatch(r"[A-Za-z0-9_.-]{1,63}", key), f"{cell!r} is no attribute")
        need(key not in found, f"{key} is there twice")
        found[key] = value
    need(len("\0".join(cells).encode()) <= 4096, "attributes are too long")
    return found


def scalar(type, rule):
    if type not in SCALARS or rule not in RULES[1:]:
        raise NotSupported(f"{type} {rule}")
    return {"type": type, "kind": "gauge", "rule": rule}


def histogram(parts, value):
    """Fields of F, and how many samples were refused."""
    scale, lowest = count_of(parts[0], -4, 0), count_of(parts[1], -(2**15), 2**15 - 1)
    count = count_of(parts[2], 3, 65_536)
    steps, total, refused = [], 0, 0
    low = high = None
    for sample in (number("u64", text) for text in value.split(" ") if text):
        if sample >= 2**60:
            refused += 1
            continue
        # KINDS.md section 4.1: bucket b of scale 0 is above 2^b and at most 2^(b + 1).
        bucket = (max(sample, 1) - 1).bit_length() - 1 >> -scale
        element = min(max(bucket - lowest + 1, 0), count - 1) if sample else 0
        total += sample
        low = sample if low is None else min(low, sample)
        high = sample if high is None else max(high, sample)
        steps.append((element, 1, [total, low, high]))
    param = little(scale, 1) + b"\x04" + little(lowest, 2)
    more = {"type": "u64", "kind": "histogram", "storage": "journal", "count": count, "flags": ARRAY,
            "slot_size": 40, "slot_bits": 5, "param": int.from_bytes(param, "little"), "lanes": [steps]}  # fmt: skip
    return more, refused


def field(cells, group):
    """The field of a line, and its refused samples. `group` has the members so far, or is empty."""
    need(len(cells) >= 5, "five cells are needed")
    kind, label, unit, help, value = cells[:5]
    need(1 <= len(label.encode()) <= 255, "label")
    need(len(unit.encode()) <= 63 and len(help.encode()) <= 4096, "unit or help")
    more, refused, present = {}, 0, value != ""
    word, *parts = kind.split(":")
    text = re.fullmatch(r"(text|bytes)([0-9]+)", kind)
    if kind == "counter":
        more = {"lanes": [number("u64", value)]}
    elif kind == "gauge" or (word == "gauge" and len(parts) == 2):
        type, _, count = (parts[0] if parts else "f64").partition("*")
        more = scalar(type, parts[1] if parts else "sum") | {"flags": OPTIONAL}
        if count:
            most = MOST_SLOT // TYPES[type][1]
            count = count_of(count, 1, most)
            more |= {"storage": "latched", "count": count, "flags": OPTIONAL | ARRAY}
            values = [number(type, text) for text in value.split(" ")] if present else []
            need(len(values) in (0, count), "number of elements")
            more["lanes"] = [[values] if present else None]
        else:
            more["lanes"] = [number(type, value) if present else None]
    elif text:
        type, capacity = text[1], count_of(text[2], 1, MOST_BLOB)
        stored = [blob(type, value, capacity)] if present else None
        more = {"type": type, "kind": "gauge", "rule": "each", "storage": "latched", "count": capacity,
                "flags": OPTIONAL, "lanes": [stored]}  # fmt: skip
    elif word == "constant" and len(parts) == 1:
        type, _, count = parts[0].partition("*")
        more = {"type": type, "kind": "info", "rule": "each", "storage": "constant"}
        if type in ("text", "bytes") and not count:
            stored = blob(type, value, MOST_BLOB)
            need(not isinstance(stored, Cut), "the constant is too long")
            more |= {"value": stored, "count": max(1, len(value.encode()))}
        elif type in SCALARS and count:
            count = count_of(count, 1, MOST_SLOT // TYPES[type][1])
            values = [number(type, text) for text in value.split(" ")]
            need(len(values) == count, "number of elements")
            more |= {"value": values, "count": count, "flags": ARRAY}
        elif type in SCALARS:
            more["value"] = number(type, value)
        else:
            raise NotSupported(kind)
    elif word in ("group", "member") and len(parts) == 2:
        if word == "group":
            group.clear()
        need(word == "group" or group, "a member without a group")
        more = scalar(*parts) | {"storage": "latched", "flags": MEMBER, "same_cell": bool(group)}
        more["member"] = 8 * len(group)
        more["lanes"] = [[number(parts[0], value)]]
    elif word == "state" and parts:
        need(len(set(parts)) == len(parts) <= 1024, "names of states")
        need(all(1 <= len(name.encode()) <= 63 for name in parts), "names of states")
        need(len(":".join(parts).encode()) <= 4096, "names of states")
        more = {"type": "u32", "kind": "state", "detail": parts, "flags": OPTIONAL}
        more["lanes"] = [count_of(value, 0, len(parts) - 1) if present else None]
    elif word == "histogram" and len(parts) == 3:
        more, refused = histogram(parts, value)
    else:
        raise NotSupported(kind)
    made = F(label, unit=unit, help=help, attributes=attributes(cells[5:]), **more)
    if word in ("group", "member"):
        group.append(made)
        # The slot of the first is that of all.
        group[0].slot_size = up(8 * len(group), 8)
        need(group[0].slot_size <= MOST_SLOT, "the group is too large")
    else:
        group.clear()
    return made, refused


def image(text):
    """The bytes of the file."""
    fields, refused, group = [], 0, []
    for line in text.split("\n")[:-1]:
        made, more = field(line.split("\t"), group)
        fields.append(made)
        refused += more
    built = Image(fields, state=3)
    data = bytearray(built.bytes())
    data[32:48] = os.urandom(16)
    data[120:128] = little(fletcher64(data[:120]), 8)
    data[built.lanes_offset + 8 : built.lanes_offset + 16] = little(refused, 8)
    return bytes(data)


def main(description, path):
    try:
        data = image(pathlib.Path(description).read_bytes().decode())
    except (Wrong, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 1
    except NotSupported as error:
        print(f"not supported: {error}", file=sys.stderr)
        return 2
    # FILES.md section 1: under another name, whole, locked, then linked without replacing.
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "xb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(data)
            file.flush()
            os.link(temporary, path)
        except OSError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            os.unlink(temporary)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print("usage: conform_writer.py DESCRIPTION FILE", file=sys.stderr)
        sys.exit(3)
    sys.exit(main(*sys.argv[1:]))
