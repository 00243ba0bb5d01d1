#!/usr/bin/env python3
"""Writes tests/MUTANTS.md from what .ci/mutants has run.

Survivors with a reason to live are listed in tests/mutants.toml; any other one is shown as such.

    mutants.py                   the report
    mutants.py sample CRATE N    names of some mutants, of which `compare` asks cargo-mutants
    mutants.py compare           whether cargo-mutants says the same of them
"""

import json
import pathlib
import random
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "target/mutants"
CRATES = ("core", "observe")
CAUGHT = ("CaughtMutant", "Timeout")
WANTED = 95


def key(name):
    """A mutant without its place: code above it moves."""
    return re.sub(r":\d+:\d+: ", ": ", name)


def outcomes(crate, runs):
    """What was said of each mutant, and by whom it was caught."""
    found = {}
    for run in runs:
        path = WORK / crate / run / "mutants.out/outcomes.json"
        for outcome in json.loads(path.read_text())["outcomes"] if path.exists() else ():
            if isinstance(outcome["scenario"], dict):
                name = outcome["scenario"]["Mutant"]["name"]
                found[name] = (outcome["summary"], outcome.get("by", crate))
    return found


def names(crate):
    """All that cargo-mutants lists."""
    return [mutant["name"] for mutant in json.loads((WORK / f"{crate}.json").read_text())]


def sample(crate, count):
    found = outcomes(crate, ["all"])
    print("\n".join(random.sample(sorted(found), int(count))))


def compare():
    """cargo-mutants runs the tests of the crate itself only."""
    same, other = 0, 0
    for crate in CRATES:
        ours = outcomes(crate, ["all"])
        for name, (theirs, _) in outcomes(crate, ["check"]).items():
            mine, by = ours.get(name, ("nothing", ""))
            if mine in CAUGHT:
                mine = "CaughtMutant" if by.split()[0] == crate else "MissedMutant"
            if mine == ("CaughtMutant" if theirs == "Timeout" else theirs):
                same += 1
            else:
                other += 1
                print(f"{name}: {mine} here, {theirs} by cargo-mutants")
    print(f"{same} the same, {other} not")
    return 0 if same and not other else 1


def main():
    table, rest = [], []
    accepted = tomllib.loads((ROOT / "tests/mutants.toml").read_text())["accepted"]
    good = True
    for crate in CRATES:
        listed = names(crate)
        found = outcomes(crate, ["all", "apart"])
        found = {name: found[name] for name in listed if name in found}
        caught = [by for summary, by in found.values() if summary in CAUGHT]
        own = sum(by.split()[0] == crate for by in caught)
        missed = {n: by for n, (summary, by) in found.items() if summary == "MissedMutant"}
        viable = len(caught) + len(missed)
        reasons = {name: next((a["why"] for a in accepted if re.search(a["mutant"], key(name))), "")
                   for name in missed}  # fmt: skip
        excused = sum(bool(why) for why in reasons.values())
        share = 100 * len(caught) / max(viable, 1)
        judged = 100 * len(caught) / max(viable - excused, 1)
        good &= judged >= WANTED and len(found) == len(listed)
        table.append(f"| {crate} | {len(listed)} | {len(found)} | {viable} | {len(caught)} | {own} "
                     f"| {share:.1f} % | {excused} | {judged:.1f} % |")  # fmt: skip
        rest.append(f"\n## Survivors in {crate}\n\n| mutant | why |\n| --- | --- |\n")
        rest.extend(f"| `{name.replace('|', chr(92) + '|')}` | {why or missed[name]} |\n"
                    for name, why in reasons.items())  # fmt: skip
        unasked = [name for name in listed if name not in found]
        if unasked:
            rest.append(f"\n{len(unasked)} were not run.\n")
    text = (ROOT / "tests/mutants.toml").read_text()
    about = "\n".join(line.removeprefix("#").strip()
                      for line in text.splitlines() if line.startswith("#"))  # fmt: skip
    report = ("# Mutants\n\n" + about + "\n\n"
              "| crate | mutants | run | viable | caught | by its own tests | "
              "| without a difference | of the others |\n"
              "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
              + "\n".join(table) + "\n" + "".join(rest))  # fmt: skip
    (ROOT / "tests/MUTANTS.md").write_text(report)
    print("\n".join(table))
    return 0 if good else 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["sample", crate, count]:
            sys.exit(sample(crate, count))
        case ["compare"]:
            sys.exit(compare())
        case _:
            sys.exit(main())
