#!/usr/bin/env python3
"""Writes tests/MUTANTS.md from what .ci/mutants has run.

Survivors with a reason to live are listed in tests/mutants.toml; any other one is shown as such.
"""

import json
import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
WANTED = 95


def key(name):
    """A mutant without its place: code above it moves."""
    return re.sub(r":\d+:\d+: ", ": ", name)


def place(name):
    """A mutant without its line, which tells it from others of the same words."""
    return re.sub(r":\d+:(\d+): ", r":\1: ", name)


def outcomes(crate):
    """The last answer about each mutant."""
    found = {}
    runs = (ROOT / "target/mutants" / crate).glob("*/mutants.out/outcomes.json")
    for path in sorted(runs, key=lambda path: path.stat().st_mtime):
        for outcome in json.loads(path.read_text())["outcomes"]:
            if isinstance(outcome["scenario"], dict):
                name = outcome["scenario"]["Mutant"]["name"]
                found[place(name)] = (name, outcome["summary"])
    return dict(found.values())


def main():
    table, rest = [], []
    accepted = tomllib.loads((ROOT / "tests/mutants.toml").read_text())["accepted"]
    good = True
    for crate in ("core", "observe"):
        found = outcomes(crate)
        count = {word: sum(s == word for s in found.values())
                 for word in ("CaughtMutant", "Timeout", "MissedMutant", "Unviable")}  # fmt: skip
        caught = count["CaughtMutant"] + count["Timeout"]
        viable = caught + count["MissedMutant"]
        missed = sorted(name for name, summary in found.items() if summary == "MissedMutant")
        reasons = {name: next((a["why"] for a in accepted if re.search(a["mutant"], key(name))), "")
                   for name in missed}  # fmt: skip
        excused = sum(bool(why) for why in reasons.values())
        share = 100 * caught / max(viable, 1)
        judged = 100 * caught / max(viable - excused, 1)
        good &= judged >= WANTED
        table.append(f"| {crate} | {len(found)} | {viable} | {caught} | {share:.1f} % | "
                     f"{excused} | {judged:.1f} % |")  # fmt: skip
        rest.append(f"\n## Survivors in {crate}\n\n| mutant | why |\n| --- | --- |\n")
        rest.extend(f"| `{name.replace('|', chr(92) + '|')}` | {why or '**nobody looks**'} |\n"
                    for name, why in reasons.items())  # fmt: skip
    text = (ROOT / "tests/mutants.toml").read_text()
    about = "\n".join(line[2:] for line in text.splitlines() if line.startswith("# "))
    report = ("# Mutants\n\n" + about + "\n\n"
              "| crate | run | viable | caught | | without a difference | of the others |\n"
              "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
              + "\n".join(table) + "\n" + "".join(rest))  # fmt: skip
    (ROOT / "tests/MUTANTS.md").write_text(report)
    print("\n".join(table))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
