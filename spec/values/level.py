# SPDX-License-Identifier: MIT OR Apache-2.0
"""Level values of conformance, for conform.py: directories of images, and what they add up to."""

import json
import math
import os
import pathlib
import shutil
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# Members of a field by which it is found.
NAMES = ("label", "unit", "attributes", "type", "kind", "aggregation")


def run(answer, place=HERE):
    """Whether a reader has the expected values; `answer` gives exit code, output and messages for a directory."""
    failed = 0
    cases = sorted(path.parent for path in place.glob("*/expected.json"))
    for case in cases:
        why = one(answer, case)
        if why:
            print(f"FAILED {case.name}: {why}")
            failed += 1
    print(f"{len(cases) - failed} passed, {failed} failed, 0 skipped")
    return bool(cases) and not failed


def one(answer, case):
    expected = json.loads((case / "expected.json").read_text("utf-8"))
    with tempfile.TemporaryDirectory() as directory:
        owner = str(os.stat(directory).st_uid)
        for path in case.glob("*.mmst"):
            shutil.copyfile(path, pathlib.Path(directory) / path.name.replace("@OWNER@", owner))
        try:
            code, out, err = answer(directory)
            if code:
                return f"exit code {code}: {err.decode('utf-8', 'replace').strip()}"
            return difference(expected, json.loads(out))
        except (TimeoutError, ValueError) as error:
            return str(error)


def difference(expected, got):
    """What is not as expected, or None."""
    if expected["complete"] != got.get("complete"):
        return f"complete is {got.get('complete')}, not {expected['complete']}"
    for field in expected["fields"]:
        label = field["label"]
        here, there = (sum(f["label"] == label for f in of["fields"]) for of in (got, expected))
        if here != there:
            return f"{label} stands {here} times, not {there} times"
        found = [f for f in got["fields"] if all(f.get(name) == field[name] for name in NAMES)]
        if not any(f["verdict"] == field["verdict"] and same(field.get("value"), f.get("value")) for f in found):
            return f"{label} is {[(f['verdict'], f.get('value')) for f in found]}, not {field['verdict']} {field.get('value')}"
    return None


def same(expected, got):
    """Whether all that is expected is there; states and rates that are not expected must not be."""
    if isinstance(expected, dict) and isinstance(got, dict):
        whole = [name for name in ("states", "rates") if name in expected and isinstance(got.get(name), dict)]
        if any(set(expected[name]) != set(got[name]) for name in whole):
            return False
        return all(same(value, got.get(name)) for name, value in expected.items())
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(map(same, expected, got))
    if isinstance(expected, str) and isinstance(got, str):
        return same_number(expected, got)
    return expected is None and got is None


def same_number(expected, got):
    """Numbers and bounds, `< u` or `> l`: integers exactly, others nearly."""
    (sign, _, expected), (other, _, got) = (text.rpartition(" ") for text in (expected, got))
    if sign != other:
        return False
    if expected.isdigit() and got.isdigit():
        return int(expected) == int(got)
    try:
        a, b = float(expected), float(got)
    except ValueError:
        return False
    return math.isnan(a) and math.isnan(b) or math.isclose(a, b, rel_tol=1e-12)
