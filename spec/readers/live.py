#!/usr/bin/env python3
"""A publisher in C that the Rust tools show, and one in Rust that the readers show, while they live.

    python3 live.py MMSTATS WRITER READER...

MMSTATS is the command of this project, WRITER the publisher in C (readers/c/writer.c), each READER a
command of CONFORMANCE.md.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

PATIENCE = 30  # seconds, on a machine that does other things too
DESCRIPTION = (
    "counter\trounds\t\tHow often it went round.\t0\n"
    "gauge\thalf\tratio\tHalf of the rounds.\t\n"
    "text40\tsame\t\tThe round, twice.\t\n"
)


def until(what, ask):
    """Asks again until there is an answer."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answer = ask()
        if answer is not None:
            return answer
        time.sleep(0.02)
    sys.exit(f"FAILED: {what}: nothing came in {PATIENCE} s")


def output(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def from_c(mmstats, writer, directory):
    """ls and show of a publisher in C: live with changing, consistent values, then closed."""
    description, file = directory / "fields.txt", directory / "in-c.mmst"
    description.write_text(DESCRIPTION, "utf-8")
    listed = [mmstats, "ls", "--json", str(directory)]

    def state():
        states = [f["state"] for f in output(listed)["files"] if f["path"] == str(file)]
        return states[0] if states else None

    def values():
        shown = output([mmstats, "show", "--json", str(file)])["files"][0]
        found = {f["label"]: f.get("value") for f in shown["fields"]}
        assert set(found) == {"rounds", "half", "same"}, shown
        if found["same"] is not None:
            first, _, second = found["same"].partition(" ")
            assert first == second and first.isdigit(), f"mixed: {found}"
        return shown["state"], found

    child = subprocess.Popen([writer, str(description), str(file), "300"])
    try:
        assert until("the file of the writer in C", state) == "live"
        seen = 0
        while seen < 5:
            before = values()[1]["rounds"]

            def further():
                state, now = values()
                assert state == "live", f"{state} before the counter went on"
                return now if now["rounds"] > before and now["half"] and now["same"] else None

            until("values that go on", further)
            seen += 1
        child.terminate()
        assert child.wait(timeout=PATIENCE) == 0
    finally:
        child.kill()
        child.wait()
    assert state() == "closed" and values()[0] == "closed", "it ended, but is not closed"
    state, last = values()
    assert last["half"] == last["rounds"] / 2 and last["same"] == f"{last['rounds']} {last['rounds']}", last
    print(f"in C: shown by mmstats, live and then closed after {last['rounds']} rounds")


def from_rust(mmstats, readers, directory):
    """Documents of each reader for the demo: the fields that mmstats shows, and changing values."""
    environment = os.environ | {"MMSTATS_PATH": str(directory)}
    child = subprocess.Popen(
        [mmstats, "demo-publisher", "--threads", "2"], env=environment, stdin=subprocess.PIPE
    )
    try:
        file = until("the file of the demo", lambda: next(directory.glob("[!.]*.mmst"), None))
        show = [mmstats, "show", "--json", "--level", "debug", str(file)]
        shown = until("fields", lambda: output(show)["files"][0])
        labels = {f["label"] for f in shown["fields"]}
        assert shown["state"] == "live" and len(labels) > 15, shown
        for reader in readers:
            def blocks():
                document = output([*reader.split(), str(file)])
                assert document["state"] == "live"
                # The parts of a rate are one field of two.
                assert labels <= {f["label"] for f in document["fields"]}, reader
                bad = [f for f in document["fields"] if "damaged" in f or any(
                    lane.get("verdict") == "damaged" for lane in f.get("lanes", []))]  # fmt: skip
                assert not bad, bad
                field = next(f for f in document["fields"] if f["label"] == "demo.blocks")
                return sum(int(lane.get("u64", 0)) for lane in field["lanes"])

            before = blocks()
            after = until(f"a block more, by {reader}", lambda: next((b for b in [blocks()] if b > before), None))
            ours = next(f["value"] for f in output(show)["files"][0]["fields"] if f["label"] == "demo.blocks")
            assert ours >= after, (reader, after, ours)
            print(f"in Rust: read by {reader.split()[-1].rsplit('/', 1)[-1]}, from {before} blocks to {after}")
    finally:
        child.kill()
        child.wait()


def main():
    mmstats, writer, *readers = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        from_c(mmstats, writer, pathlib.Path(directory))
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o700)
        from_rust(mmstats, readers, pathlib.Path(directory))


if __name__ == "__main__":
    main()
