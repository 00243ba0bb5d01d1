#!/usr/bin/env python3
"""Files of every machine, read by every machine.

    matrix.py NAME=DIRECTORY[=EMULATOR]...

DIRECTORY has the programs `mmstats` and `mmstats-specimen` of that machine. Prints two tables, writer
by reader: whether all read the same from a file, and the verdicts of reads from a living writer.
The last reader is spec/readers/python.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

PATIENCE = 300
LOOKS = 20_000
PYTHON = pathlib.Path("spec/readers/python/conform_reader.py")


def command(machine, program):
    _, directory, emulator = machine
    return [*emulator, f"{directory}/{program}"]


def out(words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: status {done.returncode}\n{done.stderr}")
    return done.stdout


def shown(machine, file):
    """Output of `mmstats show` for a file, without the parts of one process."""
    document = json.loads(out([*command(machine, "mmstats"), "show", "--json", str(file)]))
    (only,) = document["files"]
    for name in ["path", "pid", "command", "instance"]:
        only.pop(name)
    only["fields"] = [field for field in only["fields"] if not field["label"].startswith("sys.")]
    return only


def by_python(file):
    """Output of the Python reader, without the storage of values: machines of 32 bits latch values
    of 64."""
    document = json.loads(out([sys.executable, str(PYTHON), str(file)]))
    document.pop("instance")
    fields = document["fields"]
    document["fields"] = [f for f in fields if not f.get("label", "").startswith("sys.")]
    for field in document["fields"]:
        field.pop("storage", None)
    return document


def files(machines, directory):
    """Prints the first table; returns whether all files are the same."""
    same = True
    print("\nwriter (down) and reader: do they say the same?")
    readers = [name for name, place, _ in machines if place]
    print(f"{'':12}" + "".join(f"{name:>12}" for name in [*readers, "python"]))
    wanted = {}
    for writer in machines:
        place = directory / writer[0]
        if writer[1]:
            out([*command(writer, "mmstats-specimen"), "write", str(place)])
        cells = []
        for reader in [*(m for m in machines if m[1]), None]:
            verdicts = []
            for file in sorted(place.glob("*.mmst")):
                found = shown(reader, file) if reader else by_python(file)
                key = (file.name, reader is None)
                reference = wanted.setdefault(key, found)
                verdicts.append(found == reference)
                if found != reference:
                    differ(writer[0], reader[0] if reader else "python", file.name, reference, found)
            ok = len(verdicts) > 0 and all(verdicts)
            same &= ok
            cells.append("same" if ok else "DIFFERS")
        print(f"{writer[0]:12}" + "".join(f"{cell:>12}" for cell in cells))
    for (name, _), document in sorted(wanted.items()):
        print(f"{name}: {len(document['fields'])} fields")
    return same


def differ(writer, reader, name, wanted, found):
    wanted = {field.get("label"): field for field in wanted["fields"]}
    other = [field for field in found["fields"] if wanted.get(field.get("label")) != field]
    print(f"  {name} of {writer}, by {reader}: {len(other)} fields differ", file=sys.stderr)
    for field in other[:3]:
        print(f"    {field}\n    instead of {wanted.get(field.get('label'))}", file=sys.stderr)


def living(machines, directory):
    """Prints the second table; returns whether no value was torn and all verdicts are right."""
    good = True
    machines = [machine for machine in machines if machine[1]]
    print(f"\nwriter (down) at full speed, and reader: values and contended of {LOOKS} looks at the"
          "\ncounter, a u64; and of a group")
    print(f"{'':12}" + "".join(f"{name:>24}" for name, *_ in machines))
    for writer in machines:
        place = directory / f"beat-{writer[0]}"
        place.mkdir()
        beat = subprocess.Popen([*command(writer, "mmstats-specimen"), "beat", str(place)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        cells = []
        try:
            beat.stdout.readline()
            for reader in machines:
                text = out([*command(reader, "mmstats-specimen"), "watch",
                            str(place / "beat.mmst"), str(LOOKS)])
                told = {words[0]: [int(word.split("=")[1]) for word in words[1:]]
                        for words in map(str.split, text.splitlines())}
                (values, contended), (pairs, refused) = told["counter"], told["pair.up"]
                cells.append(f"{values}+{contended}; {pairs}+{refused}")
                # A machine of 32 bits cannot read 64 bits of a machine of 64 at once; everything else
                # is rarely contended.
                cannot = narrow(reader) and not narrow(writer)
                good &= values == 0 if cannot else values > LOOKS // 2
                good &= told["narrow"][0] == LOOKS and pairs > LOOKS // 2
        finally:
            beat.stdin.close()
            beat.wait(PATIENCE)
        print(f"{writer[0]:12}" + "".join(f"{cell:>24}" for cell in cells))
    return good


def narrow(machine):
    return machine[0] in ("i686", "armv7")


def main():
    machines = []
    for word in sys.argv[1:]:
        name, directory, *emulator = word.split("=", 2)
        machines.append((name, directory, emulator[0].split() if emulator else []))
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        # Images that firmware left, if .ci/devices was here before.
        for image in sorted(pathlib.Path("target/firmware").glob("specimen-*.mmst")):
            device = image.stem.removeprefix("specimen-")
            (directory / device).mkdir()
            (directory / device / "core.mmst").write_bytes(image.read_bytes())
            machines.append((device, "", []))
        if not any(name for name, place, _ in machines if not place):
            print("no images of firmware here: .ci/devices makes them")
        good = files(machines, directory)
        good &= living(machines, directory)
    sys.exit(0 if good else "the matrix is not as it has to be")


if __name__ == "__main__":
    main()
