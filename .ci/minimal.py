#!/usr/bin/env python3
"""Writes a copy of the published crates, without their tests: minimal.py FOLDER

Cargo resolves a workspace as a whole, so dependencies of tests and benchmarks would raise the versions
that a user of a published crate can get."""

import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

root = pathlib.Path(__file__).resolve().parent.parent
copy = pathlib.Path(sys.argv[1])

manifest = (root / "Cargo.toml").read_text()
members = tomllib.loads(manifest)["workspace"]["members"]
published = [
    member
    for member in members
    if tomllib.loads((root / member / "Cargo.toml").read_text())["package"].get("publish") is not False
]
files = subprocess.check_output(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=root, text=True)
for name in filter(None, files.split("\0")):
    inside = any(name.startswith(member + "/") for member in published)
    if (inside or "/" not in name) and (root / name).is_file():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, copy / name)
(copy / "Cargo.lock").unlink(missing_ok=True)

listed = "".join(f'    "{member}",\n' for member in published)
manifest = re.sub(r"members = \[\n.*?\]", lambda _: f"members = [\n{listed}]", manifest, flags=re.S)
manifest = re.sub(r"^(exclude|default-members) = .*\n", "", manifest, flags=re.M)
(copy / "Cargo.toml").write_text(manifest)
for member in published:
    path = copy / member / "Cargo.toml"
    text = re.sub(r"^\[(target\..*\.)?dev-dependencies.*?\]\n(?:(?!\[).*\n?)*", "", path.read_text(), flags=re.M)
    path.write_text(text)
