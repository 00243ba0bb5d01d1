#!/usr/bin/env python3
"""Writes the cases of level values: python3 make.py [--check]

A case is a folder with images and `expected.json`. What is expected was worked out by hand from KINDS.md and FILES.md;
nothing here computes it. `@OWNER@` in the name of an image stands for the number of the user who runs the check.
"""

import json
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "fixtures/source"))

from build import ARRAY, OPTIONAL, F, Image, fletcher64, little  # noqa: E402

AT = 1_700_000_000 * 10**9  # nanoseconds since 1970
APPLICATION = "shop"
NAME = "ledger-46dc5e18e28e2409-@OWNER@-{}.mmst"  # the FNV-1a hash of APPLICATION


def image(fields, instance=1, lanes=None, state=3, absent=False, **header):
    """The bytes of an image of an instance; it is closed. `absent`: no OPTIONAL field of lane 0 has a value."""
    lanes = lanes or max([len(f.lanes) for f in fields], default=0) or 1
    made = Image(fields, [1] * lanes, header=header, state=state)
    data = bytearray(made.bytes())
    data[32:48] = bytes([instance]) * 16
    if absent:
        data[made.lanes_offset + 64 : made.lanes_offset + 72] = bytes(8)
    data[120:128] = little(fletcher64(bytes(data[:120])), 8)
    return bytes(data)


def counter(*lanes, label="requests", **more):
    return F(label, lanes=list(lanes), **more)


def gauge(*lanes, type="f64", **more):
    return F("level", type, "gauge", flags=OPTIONAL, lanes=list(lanes), **more)


def histogram(scale, lowest, count, *changes, label="size"):
    """`changes`: (element, by, [sum, minimum, maximum]) in one lane."""
    param = 0x0400 | scale & 0xFF | (lowest & 0xFFFF) << 16
    return F(label, "u64", "histogram", "journal", count=count, flags=ARRAY, slot_size=40, param=param,
             lanes=[list(changes)])  # fmt: skip


def timer(*lanes):
    return F("took", "u64", "timer", "latched", count=5, flags=ARRAY, unit="nanoseconds",
             lanes=[[lane] for lane in lanes])  # fmt: skip


def pair(kind, *lanes, **more):
    return F("mean", "f64", kind, "latched", count=2, flags=ARRAY, lanes=[[lane] for lane in lanes], **more)


def member(value, instance, application=APPLICATION, label="jobs", **header):
    text = F("sys.application", "text", "info", "constant", rule="each", count=255, value=application)
    return image([text, counter(value, label=label), gauge(1.0, rule="sum")], instance, **header)


def ledger(generation, supersedes, jobs, incomplete=0, **header):
    constant = dict(kind="info", storage="constant", rule="each")
    fields = [
        F("ledger.application", "text", count=255, value=APPLICATION, **constant),
        F("ledger.generation", "u64", value=generation, **constant),
        F("ledger.instances", "u64", value=len(supersedes), **constant),
        F("ledger.incomplete", "u64", value=incomplete, **constant),
        F("ledger.supersedes", "bytes", count=16 * 512,
          value=b"".join(bytes([one]) * 16 for one in supersedes), **constant),
        counter(jobs, label="jobs"),
    ]  # fmt: skip
    return image(fields, 200 + generation, **header)


def field(value, label="requests", kind="counter", type="u64", rule="sum", unit="", verdict="consistent",
          **attributes):  # fmt: skip
    found = {"label": label, "unit": unit, "attributes": attributes, "type": type, "kind": kind,
             "aggregation": rule, "verdict": verdict}  # fmt: skip
    return found if value is None else found | {"value": value}


def number(value, **more):
    return field({"number": value}, **more)


def level(value, **more):
    return field(value and {"number": value}, **{"label": "level", "kind": "gauge", "type": "f64"} | more)


def cases():
    """Name, about, rule, complete, images, expected fields."""
    yield ("lanes-images-programs", "two lanes, two images of one program, and another program",
           "KINDS.md section 2", True,
           {"a0": image([counter(5, 7)], parts=2), "a1": image([counter(11)], part=1),
            "b": image([counter(100)], 2)},
           [number("123")])  # fmt: skip
    yield ("sum-beyond-64-bits", "a sum that u64 cannot hold", "KINDS.md section 2", True,
           {"a": image([counter(2**64 - 1, 2**64 - 1)]), "b": image([counter(1)], 2)},
           [number("36893488147419103231")])  # fmt: skip
    yield ("units-apart", "one label, different units", "KINDS.md section 2.1", True,
           {"a": image([counter(1, unit="bytes")]), "b": image([counter(2, unit="kibibytes")], 2),
            "c": image([counter(4, unit="bytes")], 3)},
           [number("5", unit="bytes"), number("2", unit="kibibytes")])  # fmt: skip
    yield ("types-apart", "one label, different types", "KINDS.md section 2.1", True,
           {"a": image([counter(1)]), "b": image([counter(2, type="u32")], 2)},
           [number("1"), number("2", type="u32")])  # fmt: skip
    yield ("kinds-apart", "one label, a counter and a gauge", "KINDS.md section 2.1", True,
           {"a": image([counter(1)]), "b": image([counter(2, kind="gauge")], 2)},
           [number("1"), number("2", kind="gauge")])  # fmt: skip
    yield ("rules-apart", "one label, different rules", "KINDS.md section 2.1", True,
           {"a": image([counter(1)]), "b": image([counter(2, rule="max")], 2), "c": image([counter(9, rule="max")], 3)},
           [number("1"), number("9", rule="max")])  # fmt: skip
    yield ("unknown-kinds-apart", "kinds of a later version", "KINDS.md section 2.1", True,
           {"a": image([counter(1, over={"kind": 77})]), "b": image([counter(2, over={"kind": 78})], 2),
            "c": image([counter(4, over={"kind": 78})], 3)},
           [number("1", kind="unknown"), number("6", kind="unknown")])  # fmt: skip
    yield ("array-of-one-apart", "a number, and an array of one number", "KINDS.md section 2.1", True,
           {"a": image([gauge(1, type="u32", rule="sum")]),
            "b": image([F("level", "u32", "gauge", "latched", flags=ARRAY, lanes=[[[2]]])], 2)},
           [level("1", type="u32"), field({"numbers": ["2"]}, label="level", kind="gauge", type="u32")])  # fmt: skip
    yield ("refused-file", "one of two files is no image", "CONFORMANCE.md section 7", True,
           {"a": image([counter(1)]), "b": b"no image" * 64}, [number("1")])  # fmt: skip
    yield ("attributes-apart", "a family of two", "KINDS.md section 2.1", True,
           {"a": image([counter(1, attributes={"code": "200"}), counter(2, attributes={"code": "500"})]),
            "b": image([counter(4, attributes={"code": "500"}), counter(8)], 2)},
           [number("1", code="200"), number("6", code="500"), number("8")])  # fmt: skip
    yield ("help-together", "other help, level and room: one field", "KINDS.md section 2.1", True,
           {"a": image([counter(1, help="Requests.")]), "b": image([counter(2, level=2)], 2),
            "c": image([F("requests", storage="latched", lanes=[[1, 2, 4]])], 3)},
           [number("7")])  # fmt: skip
    yield ("min", "the smallest; NaN and lanes without a value take no part", "KINDS.md section 2.2", True,
           {"a": image([gauge(float("nan"), 3.5, None, float("nan"), rule="min")]), "b": image([gauge(-2.0, rule="min")], 2)},
           [level("-2", rule="min")])  # fmt: skip
    yield ("max", "the largest of three programs", "KINDS.md section 2.2", True,
           {"a": image([gauge(3.5, rule="max")]), "b": image([gauge(-2.0, 7.25, rule="max")], 2),
            "c": image([gauge(None, rule="max")], 3)},
           [level("7.25", rule="max")])  # fmt: skip
    yield ("only-nan", "NaN where there is nothing else", "KINDS.md section 2.2", True,
           {"a": image([gauge(float("nan"), rule="max")])}, [level("NaN", rule="max")])  # fmt: skip
    yield ("mean-of-values", "over values, not over programs: (1 + 2 + 6) / 3", "KINDS.md section 2.2", True,
           {"a": image([gauge(1.0, 2.0, rule="mean")]), "b": image([gauge(6.0, rule="mean")], 2)},
           [level("3", rule="mean")])  # fmt: skip
    yield ("mean-of-integers", "integers have a mean that is none", "KINDS.md section 2.2", True,
           {"a": image([gauge(1, type="u8", rule="mean")]), "b": image([gauge(2, type="u8", rule="mean")], 2)},
           [level("1.5", rule="mean", type="u8")])  # fmt: skip
    yield ("absent", "no value anywhere", "KINDS.md section 2.2", True,
           {"a": image([gauge(None, rule="sum")]), "b": image([gauge(None, rule="sum")], 2)},
           [level(None, verdict="absent")])  # fmt: skip
    yield ("bools", "the number of true ones", "KINDS.md section 2.2", True,
           {"a": image([gauge(1, 0, type="bool", rule="sum")]), "b": image([gauge(1, 1, type="bool", rule="sum")], 2)},
           [level("3", type="bool")])  # fmt: skip
    yield ("arrays", "element by element", "KINDS.md section 2.2", True,
           {name: image([F("slots", "i16", "gauge", "latched", count=3, flags=ARRAY, lanes=[[value]])], n)
            for n, (name, value) in enumerate({"a": [1, -2, 300], "b": [10, -20, 32767]}.items(), 1)},
           [field({"numbers": ["11", "-22", "33067"]}, label="slots", kind="gauge", type="i16")])  # fmt: skip
    yield ("damaged-part", "a part is damaged, the others are added", "KINDS.md section 2.2", True,
           {"a": image([pair("average", [2.0, 10.0], [1.0, float("inf")])]), "b": image([pair("average", [3.0, 20.0])], 2)},
           [field({"count": "5", "sum": "30", "mean": "6"}, label="mean", kind="average", type="f64",
                  verdict="damaged")])  # fmt: skip
    names = dict(type="u8", kind="state", detail=["idle", "busy", "ill"])
    yield ("states", "how many lanes are in each state; other names are another field", "KINDS.md section 2.3", True,
           {"a": image([F("phase", lanes=[0, 1], **names)]), "b": image([F("phase", lanes=[1, 1], **names)], 2),
            "c": image([F("phase", lanes=[0], **names | {"detail": ["off", "on"]})], 3)},
           [field({"states": {"idle": "1", "busy": "3"}}, label="phase", kind="state", type="u8"),
            field({"states": {"off": "1"}}, label="phase", kind="state", type="u8")])  # fmt: skip
    yield ("averages", "counts and sums are added; a mean of means would be 4", "KINDS.md section 2.3", True,
           {"a": image([pair("average", [1.0, 6.0], [0.0, 99.0])]), "b": image([pair("average", [3.0, 6.0])], 2)},
           [field({"count": "4", "sum": "12", "mean": "3"}, label="mean", kind="average", type="f64")])  # fmt: skip
    yield ("averages-unused", "an average that nothing was recorded into", "KINDS.md section 2.3", True,
           {"a": image([pair("average", [0.0, 0.0])])},
           [field({"count": "0", "sum": "0", "mean": None}, label="mean", kind="average", type="f64")])  # fmt: skip
    yield ("timers", "last is of the part with the largest count", "KINDS.md section 2.3", True,
           {"a": image([timer([5, 50, 5, 15, 7], [0, 9, 9, 9, 9])]), "b": image([timer([3, 60, 10, 30, 20])], 2)},
           [field({"count": "8", "sum": "110", "min": "5", "max": "30", "last": "7"}, label="took", kind="timer",
                  unit="nanoseconds")])  # fmt: skip
    yield ("timers-unused", "a timer that nothing was recorded into", "KINDS.md section 1", True,
           {"a": image([timer([0, 0, 0, 0, 0])])},
           [field({"count": "0", "sum": "0", "min": None, "max": None, "last": None}, label="took", kind="timer",
                  unit="nanoseconds")])  # fmt: skip
    yield ("windows", "the last two of each: 2, 4 and 3", "KINDS.md section 5", True,
           {name: image([F("mean", "f64", "window", "latched", param=2, slot_bits=2, lanes=[values])], n)
            for n, (name, values) in enumerate({"a": [1.0, 2.0, 4.0], "b": [3.0], "c": []}.items(), 1)},
           [field({"count": "3", "sum": "9", "mean": "3"}, label="mean", kind="window", type="f64")])  # fmt: skip
    yield ("windows-apart", "windows of two and of three values", "KINDS.md section 2.1", True,
           {name: image([F("mean", "f64", "window", "latched", param=most, slot_bits=3, lanes=[[1.0, 2.0, 6.0]])], most)
            for name, most in {"a": 2, "b": 3}.items()},
           [field({"count": "2", "sum": "8", "mean": "4"}, label="mean", kind="window", type="f64"),
            field({"count": "3", "sum": "9", "mean": "3"}, label="mean", kind="window", type="f64")])  # fmt: skip
    yield ("window-without-a-value", "an OPTIONAL window whose bit was taken back", "FORMAT.md section 7", True,
           {"a": image([F("mean", "f64", "window", "latched", param=2, slot_bits=2, flags=OPTIONAL, lanes=[[1.0, 2.0]])],
                       absent=True)},
           [field(None, label="mean", kind="window", type="f64", verdict="absent")])  # fmt: skip
    second = 10**9
    rated = {
        "a": [counter(70), F("requests.rate", "u64", "rate", "latched", count=2, flags=ARRAY, param=1000,
                             detail=["60"], slot_bits=3, lanes=[[[AT, 10], [AT + second, 40]]])],
        "b": [counter(9), F("requests.rate", "u64", "rate", "latched", count=2, flags=ARRAY, param=1000,
                            detail=["60"], slot_bits=3,
                            lanes=[[[AT, 0], [AT + 2 * second, 5], [AT + 4 * second, 8]]])],
    }  # fmt: skip
    yield ("rates", "of closed programs up to their newest checkpoint: 30 / 1 s and 8 / 4 s", "KINDS.md section 6", True,
           {name: image(fields, n) for n, (name, fields) in enumerate(rated.items(), 1)},
           [number("79"), field({"rates": {"60": "32"}}, label="requests.rate", kind="rate")])  # fmt: skip
    yield ("rate-windows-equal", "a window that is there twice is one", "KINDS.md section 6", True,
           {"a": image([counter(70), F("requests.rate", "u64", "rate", "latched", count=2, flags=ARRAY, param=1000,
                                       detail=["60", "060", "60"], slot_bits=3, lanes=[[[AT, 10], [AT + 2 * second, 20]]])])},
           [number("70"), field({"rates": {"60": "5"}}, label="requests.rate", kind="rate")])  # fmt: skip
    idle = [counter(9), F("requests.rate", "u64", "rate", "latched", count=2, flags=ARRAY, param=1000, detail=["10"],
                          slot_bits=3, lanes=[[[AT, 0], [AT + 60 * second, 5], [AT + 61 * second, 8]]])]  # fmt: skip
    yield ("rate-after-a-pause", "nothing was added between the checkpoints: 3 / 10 s", "KINDS.md section 6", True,
           {"a": image(idle)}, [number("9"), field({"rates": {"10": "0.3"}}, label="requests.rate", kind="rate")])  # fmt: skip
    micro = AT // 1000
    yield ("running", "three and one in progress, the oldest known begin", "KINDS.md section 8", True,
           {name: image([F("took.running", "u64", "running", flags=OPTIONAL, lanes=lanes)], n)
            for n, (name, lanes) in enumerate({"a": [3 << 52 | micro, micro - 9], "b": [1 << 52 | micro - 5]}.items(), 1)},
           [field({"number": "4", "since": str(AT - 5000)}, label="took.running", kind="running")])  # fmt: skip
    yield ("timestamps", "the latest, though the rule is sum", "KINDS.md section 2.3", True,
           {"a": image([F("when", "u64", "timestamp", lanes=[20, 30])]), "b": image([F("when", "u64", "timestamp", lanes=[10])], 2)},
           [number("30", label="when", kind="timestamp")])  # fmt: skip

    # Scale 0, lowest 0: element k, 1 to 5, counts values above 2^(k-1), at most 2^k; 0 those up to 1; 6 those above 32.
    def sizes(count, total, low, high, **quantiles):
        found = {"count": count, "sum": total, "min": low, "max": high}
        found["quantiles"] = {key.replace("q", "").replace("_", "."): value for key, value in quantiles.items()}
        return [field(found, label="size", kind="histogram")]

    yield ("histograms", "two programs with the same buckets: 3, 3, 10, 10 in elements 2 and 4", "KINDS.md section 4", True,
           {"a": image([histogram(0, 0, 7, (2, 1, [3, 3, 3]), (4, 1, [13, 3, 10]))]),
            "b": image([histogram(0, 0, 7, (2, 1, [3, 3, 3]), (4, 1, [13, 3, 10]))], 2)},
           # 2 * 2 * 4 / 6 = 2.67 is below the minimum; 2 * 8 * 16 / 24 = 10.67 above the maximum.
           sizes("4", "26", "3", "10", q0="3", q0_5="3", q0_75="10", q1="10"))  # fmt: skip
    yield ("histogram-estimates", "1, 3, 5, 5, 30: ranks 3 and 4 are in (4, 8]", "KINDS.md section 4.2", True,
           {"a": image([histogram(0, 0, 7, (0, 1, [1, 1, 1]), (2, 1, [4, 1, 3]), (3, 2, [14, 1, 5]), (5, 1, [44, 1, 30]))])},
           sizes("5", "44", "1", "30", q0="1", q0_2="1", q0_5="5.333333333333333", q0_8="5.333333333333333", q1="30"))  # fmt: skip
    yield ("histogram-scales", "scales 1 and 0: two buckets of the finer one are one", "KINDS.md section 4.3", True,
           # At scale 1 element k counts values above 2^((k-1)/2), at most 2^(k/2): 5 is in (4, 5.66], 7 in (5.66, 8].
           {"a": image([histogram(1, 0, 12, (5, 1, [5, 5, 5]), (6, 1, [12, 5, 7]))]),
            "b": image([histogram(0, 0, 7, (3, 2, [12, 6, 6]))], 2)},
           sizes("4", "24", "5", "7", q0="5", q0_5="5.333333333333333", q1="7"))  # fmt: skip
    yield ("histogram-finer-range", "an odd lowest at scale 1: up to 2^1.5 there is up to 2^2 at scale 0",
           "KINDS.md section 4.3", True,
           {"a": image([histogram(1, 3, 12, (0, 2, [4, 2, 2]))]),
            "b": image([histogram(0, 0, 7, (2, 1, [3, 3, 3]), (4, 1, [13, 3, 10]))], 2)},
           sizes("4", "17", "2", "10", q0="2", q0_5="< 4", q0_75="< 4", q1="10"))  # fmt: skip
    yield ("histogram-ranges", "what is below the range of one is a bound for both", "KINDS.md section 4.3", True,
           # lowest 3: element 0 counts values up to 8, element 1 those in (8, 16].
           {"a": image([histogram(0, 3, 7, (0, 2, [10, 5, 5]), (1, 1, [20, 5, 10]))]),
            "b": image([histogram(0, 0, 7, (3, 1, [6, 6, 6]), (5, 1, [36, 6, 30]))], 2)},
           sizes("5", "56", "5", "30", q0="5", q0_5="< 8", q0_8="10.666666666666666", q1="30"))  # fmt: skip
    yield ("histogram-above", "what is above the range of one is a bound for both", "KINDS.md section 4.3", True,
           # count 4: element 3 counts values above 4.
           {"a": image([histogram(0, 0, 4, (1, 1, [2, 2, 2]), (3, 1, [102, 2, 100]))]),
            "b": image([histogram(0, 0, 9, (6, 2, [80, 40, 40]))], 2)},
           sizes("4", "182", "2", "100", q0="2", q0_5="> 4", q0_75="> 4", q1="100"))  # fmt: skip
    yield ("histogram-above-alone", "all values of two are above the range of one", "KINDS.md section 4.3", True,
           {"a": image([histogram(0, 0, 4, (3, 1, [100, 100, 100]))]),
            "b": image([histogram(0, 0, 9, (6, 2, [80, 40, 40]))], 2)},
           sizes("3", "180", "40", "100", q0="40", q0_5="> 4", q1="100"))  # fmt: skip
    yield ("histogram-ranges-cross", "below the range of one is above that of the other", "KINDS.md section 4.3", True,
           # Up to 2^5 is element 0 of the first; above 2^2 the last element of the second.
           {"a": image([histogram(0, 5, 4, (0, 2, [40, 20, 20]))]),
            "b": image([histogram(0, 0, 4, (3, 2, [120, 60, 60]))], 2)},
           sizes("4", "160", "20", "60", q0="20", q0_5="< 32", q0_75="> 4", q1="60"))  # fmt: skip
    yield ("histogram-equal", "equal values above the buckets are known", "KINDS.md section 4.2", True,
           {"a": image([histogram(0, 0, 7, (6, 4, [2000, 500, 500]))])},
           sizes("4", "2000", "500", "500", q0="500", q0_5="500", q1="500"))  # fmt: skip
    yield ("histogram-clamped", "an estimate below the minimum", "KINDS.md section 4.2", True,
           {"a": image([histogram(0, 0, 7, (5, 3, [91, 30, 31]))])},
           sizes("3", "91", "30", "31", q0="30", q0_5="30", q1="31"))  # fmt: skip
    yield ("histogram-below", "all values below the buckets", "KINDS.md section 4.2", True,
           {"a": image([histogram(0, 0, 7, (0, 3, [1, 0, 1]))])},
           sizes("3", "1", "0", "1", q0="0", q0_5="< 1", q1="1"))  # fmt: skip
    yield ("histogram-unused", "one of two has no values", "KINDS.md section 4", True,
           {"a": image([histogram(0, 0, 7)]), "b": image([histogram(0, 0, 7, (4, 2, [20, 10, 10]))], 2)},
           sizes("2", "20", "10", "10", q0="10", q0_5="10", q1="10"))  # fmt: skip

    for name, about, images in (
        ("part-missing-at-the-end", "part 0 says that there are three", {"a0": (0, 3), "a1": (1, 0)}),
        ("part-missing-in-the-middle", "parts 0 and 2", {"a0": (0, 3), "a2": (2, 0)}),
        ("part-missing-at-the-start", "part 1 alone", {"a1": (1, 0)}),
    ):
        made = {key: image([counter(10 ** (1 + part))], part=part, parts=parts) for key, (part, parts) in images.items()}
        yield (name, about, "FORMAT.md section 3", False, made,
               [number(str(sum(10 ** (1 + part) for part, _ in images.values())))])  # fmt: skip
    yield ("part-beyond-the-number", "part 1 was made after part 0 was read", "FORMAT.md section 3", True,
           {"a0": image([counter(1)], parts=1), "a1": image([counter(2)], part=1)}, [number("3")])  # fmt: skip
    yield ("part-number-unknown", "parts is 0: part 0 does not say how many there are", "FORMAT.md section 3", True,
           {"a0": image([counter(1)]), "a1": image([counter(2)], part=1)}, [number("3")])  # fmt: skip
    yield ("lanes-refused", "a thread whose counters are in no file", "FORMAT.md section 3", False,
           {"a": image([counter(1)], lanes_refused=1)}, [number("1")])  # fmt: skip
    yield ("fields-refused", "a field that is in no file", "FORMAT.md section 3", False,
           {"a": image([counter(1)], fields_refused=1), "b": image([counter(2)], 2)}, [number("3")])  # fmt: skip

    jobs = dict(label="jobs")
    yield ("ledger", "two members are in the ledger, one still has its file; another is not",
           "FILES.md section 3.3", True,
           {NAME.format(1): ledger(1, [1, 2], 30), "m2": member(20, 2), "m3": member(5, 3)},
           [number("35", **jobs), level("2")])  # fmt: skip
    yield ("ledger-generations", "the highest generation counts, the one before does not", "FILES.md section 3.3", True,
           {NAME.format(1): ledger(1, [1], 10), NAME.format(2): ledger(2, [1, 2], 31), "m2": member(20, 2)},
           [number("31", **jobs), level("1")])  # fmt: skip
    yield ("ledger-damaged", "the highest generation is no image: the one before counts", "FILES.md section 3.3", True,
           {NAME.format(1): ledger(1, [1, 2], 30), NAME.format(2): b"no image" * 64, "m2": member(20, 2)},
           [number("30", **jobs), level("1")])  # fmt: skip
    yield ("ledger-of-another-application", "a member of another application stays", "FILES.md section 3.3", True,
           {NAME.format(1): ledger(1, [1, 2], 30), "m2": member(20, 2, "office")},
           [number("50", **jobs), level("1")])  # fmt: skip
    yield ("ledger-incomplete", "something of a member was missing when it was taken in", "FILES.md section 3.1", False,
           {NAME.format(1): ledger(1, [1], 10, incomplete=1)}, [number("10", **jobs)])  # fmt: skip
    yield ("ledger-refused", "a sum for which the ledger had no room", "FILES.md section 3.1", False,
           {NAME.format(1): ledger(1, [1], 10, fields_refused=1)}, [number("10", **jobs)])  # fmt: skip


def main():
    check = "--check" in sys.argv
    wanted = {}
    for name, about, rule, complete, images, fields in cases():
        for key, data in images.items():
            key = key if key.endswith(".mmst") else f"{key}.mmst"
            wanted[HERE / name / key] = data
        head = {"about": about, "rule": rule, "complete": complete}
        lines = [f'{json.dumps(k)}: {json.dumps(v)}' for k, v in head.items()]
        lines.append('"fields": [\n' + ",\n".join(json.dumps(f) for f in fields) + "]")
        wanted[HERE / name / "expected.json"] = ("{" + ",\n".join(lines) + "}\n").encode()
    there = {path for path in HERE.glob("*/*") if path.suffix in (".mmst", ".json")}
    differs = [path for path, data in wanted.items() if not path.exists() or path.read_bytes() != data]
    differs += there - set(wanted)
    if not check:
        for path in there - set(wanted):
            path.unlink()
        for path, data in wanted.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
    if check and differs:
        sys.exit("\n".join(str(path.relative_to(HERE)) for path in differs))
    print(f"{len(list(cases()))} cases, {len(differs)} files written")


if __name__ == "__main__":
    main()
