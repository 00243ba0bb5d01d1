#!/usr/bin/env python3
"""Every condition on the operating system has a reason: on its line, or in a comment just above.

Conditions on the width of pointers are explained where the atoms are, in core/src/region. That the
tests of the whole are for Linux (tests/) is said once at the top.
"""

import re
import subprocess
import sys

files = subprocess.check_output(["git", "ls-files", "*.rs"], text=True).split()
condition = re.compile(
    r"cfg(_attr|!)?\(.*\b(unix|windows|target_os|target_family|target_vendor|target_env)\b"
)
bare, found = [], 0
for file in files:
    if file.startswith("tests/src/"):
        continue
    lines = open(file, encoding="utf-8").read().split("\n")
    for number, line in enumerate(lines):
        # Documentation shows conditions to others.
        if not condition.search(line) or re.match(r"\s*//[/!]", line):
            continue
        found += 1
        above = lines[max(0, number - 3) : number]
        if "//" in line or any(text.strip().startswith("//") for text in above):
            continue
        bare.append(f"{file}:{number + 1}: {line.strip()}")

print("\n".join(bare))
print(f"{found} conditions on the system, {len(bare)} without a reason")
sys.exit(1 if bare or not found else 0)
