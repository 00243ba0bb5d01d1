#!/usr/bin/env python3
"""The two runners say the same: alike.py CONFORM

Runs the runner in Rust and the one in Python with the same words, right and wrong ones, and compares
exit codes, and output that is meant to be equal.
"""

import pathlib
import subprocess
import sys
import tempfile

SPEC = pathlib.Path(__file__).resolve().parent.parent
READER = f"python3 {SPEC}/readers/python/conform_reader.py"


def main():
    rust = sys.argv[1]
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        known, report = directory / "known", directory / "report"
        known.write_text("  # these\nvalid/small\nvalid/closed\n", "utf-8")
        run = ["run", "--only", "valid/{s,c}[lm]*", "--reader"]
        cases = [
            ["list"], ["list", "--only", "{valid,either}/*", "--skip", "valid/l*"], ["list", "--only", "none"],
            ["list", "--only", "valid/{"], ["list", "--only", "valid/["], ["--fixtures", "/none", "list"],
            ["explain", "malformed/state-0"], ["explain", "none"], ["explain", "sweep/header"],
            ["explain", "gold/0.1.0/text"], ["explain", "valid/small@3"],
            [*run, READER], [*run, READER, "--strict"], [*run, READER, "--format", "2.0"],
            [*run, READER, "--json", str(report)], [*run, READER, "--json", "/none/x"], run,
            [*run, READER, "--known-failures", str(known)], [*run, "false", "--known-failures", str(known)],
            [*run, READER, "--known-failures", "/none"], [*run, "/none"], [*run, "true"], [*run, "false"],
            [*run, "exit 2;"], [*run, "kill -9 $$;"], [*run, "exit 7;"], [*run, "yes"], [*run, "sleep 30;"],
            [*run, "sh -c 'sleep 8 & exit 0'"], [*run, "sh -c 'printf \"\\377\"'"], ["copy", "/proc/none"],
            ["run", "--only", "malformed/state-*", "--reader", "sh -c 'echo x; exit 1'"],
            ["run", "--only", "malformed/state-*", "--reader", "echo {};"],
            ["run", "--only", "malformed/state-*", "--reader", "sh -c 'exit 1'"],
            ["run", "--only", "valid/small", "--reader", "echo '{\"format\": 3, \"\": [\"ü\"]}';:"],
            ["run", "--only", "valid/small", "--reader", "echo '{\"state\": 3}';:"],
            ["run", "--only", "valid/small", "--reader", "sh -c 'exit 2'"],
            ["run", "--only", "malformed/state-*", "--strict", "--reader", "sh -c 'echo {}; exit 1'"],
            [],
        ]  # fmt: skip
        differ = 0
        for words in cases:
            said, reports = [], []
            for runner in ([rust], [sys.executable, str(SPEC / "conform.py")]):
                done = subprocess.run([*runner, *words], capture_output=True, timeout=300)
                out = done.stdout.decode().splitlines()
                # Messages of the two JSON libraries, and of the two systems of globs, are their own.
                said.append((done.returncode, [line for line in out if "no JSON" not in line and
                                               "ended by" not in line] if words[:1] != ["explain"] else out[:9],
                             "Traceback" in done.stderr.decode() or "panicked" in done.stderr.decode()))  # fmt: skip
                reports.append(report.read_text("utf-8").count('"passed"') if report.exists() else None)
                report.unlink(missing_ok=True)
            if said[0] != said[1] or said[0][2] or reports[0] != reports[1]:
                differ += 1
                print(f"FAILED {words}:\n  {str(said[0])[:300]} {reports[0]}\n  {str(said[1])[:300]} {reports[1]}")
        copies = [directory / "rust", directory / "python"]
        subprocess.run([rust, "copy", copies[0]], check=True, capture_output=True)
        subprocess.run([sys.executable, SPEC / "conform.py", "copy", copies[1]], check=True, capture_output=True)
        files = [{p.relative_to(c).as_posix(): p.read_bytes() for p in c.rglob("*.mmst")} for c in copies]
        if files[0] != files[1] or len(files[0]) < 1000:
            differ += 1
            print("FAILED copy")
    print(f"the two runners: {len(cases) + 1} commands, {differ} differ")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
