#!/usr/bin/env python3
"""Every condition on the operating system has a reason: on its line, in a comment just above, or at
an earlier place of the same condition in the file.

Conditions on the width of pointers are explained in core/src/region; that tests/ is for Linux, at the
top of tests/tests/it/main.rs.
"""

import re
import subprocess
import sys

files = subprocess.check_output(["git", "ls-files", "*.rs"], text=True).split()
condition = re.compile(
    r"cfg(?:_attr|!)?\((.*\b(?:unix|windows|target_os|target_family|target_vendor|target_env)\b.*?)\)\]?"
)
bare, found = [], 0
for file in files:
    if file.startswith("tests/src/"):
        continue
    explained = set()
    lines = open(file, encoding="utf-8").read().split("\n")
    for number, line in enumerate(lines):
        match = condition.search(line)
        # Documentation shows conditions to users.
        if not match or re.match(r"\s*//[/!]", line):
            continue
        found += 1
        above = lines[max(0, number - 3) : number]
        if "//" in line or any(text.strip().startswith("//") for text in above):
            explained.add(match[1])
        elif match[1] not in explained:
            bare.append(f"{file}:{number + 1}: {line.strip()}")

print("\n".join(bare))
print(f"{found} conditions on the system, {len(bare)} without a reason")
sys.exit(1 if bare or not found else 0)
