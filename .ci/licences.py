#!/usr/bin/env python3
"""Every dependency that ships must be usable under MIT or Apache-2.0 terms.

Reads `cargo metadata` and evaluates each SPDX expression against the list below.
"""
import json
import re
import subprocess
import sys

ACCEPTED = {
    "MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause",
    "ISC", "Zlib", "0BSD", "Unlicense", "CC0-1.0", "MIT-0", "Unicode-3.0", "BSL-1.0",
}


def accepted(expression):
    """OR: one side is enough. AND: both are needed. Parentheses nest."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def disjunction():
        value = conjunction()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            value = conjunction() or value
        return value

    def conjunction():
        value = atom()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            value = atom() and value
        return value

    def atom():
        token = tokens.pop(0)
        if token == "(":
            value = disjunction()
            tokens.pop(0)
            return value
        while tokens and tokens[0] == "WITH":
            token += " WITH " + tokens[1]
            del tokens[:2]
        return token in ACCEPTED

    return disjunction()


assert accepted("MIT OR GPL-3.0") and accepted("(MIT OR GPL-2.0) AND Unicode-3.0")
assert not accepted("GPL-3.0") and not accepted("MIT AND GPL-3.0")

metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--format-version=1"]))
refused = [
    f"{package['name']} {package['version']}: {package['license'] or 'no licence'}"
    for package in metadata["packages"]
    if not package["license"] or not accepted(package["license"])
]
for line in refused:
    print(line)
print(f"{len(metadata['packages']) - len(refused)} packages accepted, {len(refused)} refused")
sys.exit(bool(refused))
