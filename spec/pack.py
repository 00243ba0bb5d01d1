#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makes a tarball of the documents, fixtures, readers and the runner in Python.

    python3 pack.py [DIRECTORY]     writes mmstats-spec-FORMAT-DOCUMENT.tar.gz there, or here
    python3 pack.py --check         also unpacks it in an empty directory and validates readers with it

The tarball needs Python 3 alone: it has all of this folder but the Rust crate. The same files give the same bytes.
--check runs the runner of the tarball, with nothing but a shell on PATH, on a reader of the tarball (C, or Python where
there is no C compiler), which has to pass all fixtures, and on the same reader without one check, which has to fail.
"""

import gzip
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
RUST = ("Cargo.toml", "src/", "tests/")
# What a tarball must have.
NEEDED = ("FORMAT.md", "KINDS.md", "FILES.md", "PROTOCOL.md", "REGISTRY.md", "CONFORMANCE.md", "CHANGES.md",
          "ERRATA.md", "LICENSE", "VERSION", "README.md", "layout.toml", "format.ksy", "musts.toml", "conform.py", "values/level.py",
          "fixtures/valid/example.mmst", "fixtures/source/make.py", "readers/c/mmstats.h")  # fmt: skip
# A check of a reader, and the same line without it.
BROKEN_C = ("if (i.lanes_offset + lanes > file_size)", "if (0)")
BROKEN_PYTHON = ("rule(lanes_end <= h.file_size,", "rule(True,")


def version():
    """Format and document version."""
    found = dict(line.split() for line in (HERE / "VERSION").read_text("utf-8").splitlines())
    for name in ("FORMAT.md", "KINDS.md", "FILES.md", "PROTOCOL.md", "REGISTRY.md"):
        text = (HERE / name).read_text("utf-8")
        said = re.search(r"Document version (\d+)", text)
        if not said or said[1] != found["document"]:
            sys.exit(f"{name}: it has to say: Document version {found['document']}")
    if f"| {found['document']} | {found['format']} |" not in (HERE / "CHANGES.md").read_text("utf-8"):
        sys.exit("CHANGES.md: no row for the version in VERSION")
    return f"{found['format']}-{found['document']}"


def files():
    """Names of the files, in order: those that git knows; of an unpacked tarball all."""
    listed = ""
    if shutil.which("git"):
        command = ["git", "ls-files", "-z", "."]
        listed = subprocess.run(command, cwd=HERE, capture_output=True, text=True).stdout
    names = listed.split("\0") if listed else [p.relative_to(HERE).as_posix() for p in HERE.rglob("*")]
    left_out = re.compile(r".*(__pycache__|\.tar\.gz$)")
    kept = sorted(name for name in names
                  if (HERE / name).is_file() and name and not name.startswith(RUST) and not left_out.match(name))  # fmt: skip
    missing = set(NEEDED) - set(kept)
    if missing:
        sys.exit(f"not there, or not known to git: {', '.join(sorted(missing))}")
    return kept


def pack(directory):
    """Writes the tarball and returns its path."""
    root = f"mmstats-spec-{version()}"
    path = directory / f"{root}.tar.gz"
    names = files()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in names:
            data = (HERE / name).read_bytes()
            entry = tarfile.TarInfo(f"{root}/{name}")
            entry.size, entry.mode = len(data), 0o755 if os.access(HERE / name, os.X_OK) else 0o644
            tar.addfile(entry, io.BytesIO(data))
    with open(path, "wb") as file, gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as out:
        out.write(raw.getvalue())
    print(f"{path}: {len(names)} files, {path.stat().st_size} bytes")
    return path


def conform(root, path, reader):
    """Exit code and last line of the unpacked runner, with a PATH that has a shell alone."""
    done = subprocess.run([sys.executable, "-S", str(root / "conform.py"), "run", "--strict", "--reader", reader],
                          cwd=root, env={"PATH": str(path)}, capture_output=True, text=True)  # fmt: skip
    lines = (done.stdout + done.stderr).strip().splitlines()
    return done.returncode, lines[-1] if lines else ""


def judge(name, good, code, last):
    """The result of a reader, as it has to be."""
    passed = re.fullmatch(r"(\d+) passed, 0 failed, 0 skipped", last)
    print(f"{name}: exit code {code}, {last}")
    if good and not (code == 0 and passed and int(passed[1]) > 1000):
        sys.exit(f"{name} has to pass all fixtures")
    if not good and code != 1:
        sys.exit(f"{name} has to fail")


def break_line(file, old, new):
    """The text of a reader with one line changed."""
    text = file.read_text("utf-8")
    if text.count(old) != 1:
        sys.exit(f"{file.name}: {old!r} is there {text.count(old)} times, not once")
    file.write_text(text.replace(old, new), "utf-8")


def check():
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        path = pack(directory)
        again = path.read_bytes()
        if pack(directory).read_bytes() != again:
            sys.exit("two tarballs of the same files differ")
        with tarfile.open(path) as tar:
            tar.extractall(directory, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        path.unlink()
        (root,) = directory.iterdir()
        bare = directory / "bin"
        bare.mkdir()
        (bare / "sh").symlink_to(shutil.which("sh"))
        if shutil.which("cargo", path=str(bare)):
            sys.exit("the PATH has cargo")
        cc = shutil.which("cc")
        if cc:
            reader = directory / "reader"
            source, line = root / "readers/c/mmstats.h", BROKEN_C
            build = [cc, "-std=c11", "-O1", "-o", str(reader), str(root / "readers/c/reader.c")]
        else:
            reader = f"{sys.executable} -S {root}/readers/python/conform_reader.py"
            source, line, build = root / "readers/python/mmstats_reader.py", BROKEN_PYTHON, ["true"]
        subprocess.run(build, check=True)
        judge("a reader of the tarball", True, *conform(root, bare, str(reader)))
        break_line(source, *line)
        subprocess.run(build, check=True)
        judge("the same without a check", False, *conform(root, bare, str(reader)))


def main():
    if sys.argv[1:] == ["--check"]:
        check()
    elif len(sys.argv) <= 2 and not "".join(sys.argv[1:]).startswith("-"):
        pack(pathlib.Path(*sys.argv[1:]).resolve())
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
