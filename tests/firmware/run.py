#!/usr/bin/env python3
"""Runs the firmware of a target in QEMU, takes its memory after it hangs, and checks what `mmstats`
shows of it.

    run.py TARGET ELF MMSTATS        three runs and a post-mortem; status 0 if all checks pass
    run.py --size TARGET WRITER BARE   flash of a writer with ten fields, in bytes
    run.py --image TARGET ELF FILE   image of a firmware that hangs, as a file
"""

import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading

# Seconds; more than a busy host needs. The machine's clock counts instructions.
TIMEOUT = 120
# QEMU, machine, address and size of the memory that is read.
BOARDS = {
    "thumbv7em-none-eabihf": ("qemu-system-arm", ["-M", "mps2-an386"], 0x2000_0000, 0x21_0000),
    "thumbv6m-none-eabi": ("qemu-system-arm", ["-M", "microbit"], 0x2000_0000, 0x4000),
    "riscv32imc-unknown-none-elf": (
        "qemu-system-riscv32", ["-M", "virt", "-bios", "none"], 0x8010_0000, 0x11_0000),
}
# Limits of flash for a writer with ten fields, in bytes: in all, and for updates.
LIMIT = 4096
UPDATES = 1536


class Machine:
    """A firmware in QEMU, and the monitor."""

    def __init__(self, target, elf, directory):
        qemu, options, self.start, self.size = BOARDS[target]
        monitor = directory / "monitor"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(monitor))
        listener.listen()
        listener.settimeout(TIMEOUT)
        # One instruction takes a nanosecond, so that an interrupt can come between any two.
        self.process = subprocess.Popen(
            [qemu, *options, "-kernel", elf, "-icount", "shift=0", "-display", "none",
             "-serial", "none", "-qmp", f"unix:{monitor}",
             "-semihosting-config", "enable=on,target=native"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.alarm = threading.Timer(TIMEOUT, self.process.kill)
        self.alarm.start()
        self.monitor = listener.accept()[0].makefile("rw")
        self.monitor.readline()
        self.ask("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.alarm.cancel()

    def tell(self, command, **arguments):
        """Sends a command without waiting for the answer: the machine may end before it."""
        print(json.dumps({"execute": command, "arguments": arguments}), file=self.monitor, flush=True)

    def ask(self, command, **arguments):
        self.tell(command, **arguments)
        for line in self.monitor:
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                sys.exit(f"{command}: {answer['error']}")
        sys.exit(f"{command}: the monitor is gone")

    def until(self, word):
        """The rest of the line that starts with `word`."""
        for line in self.process.stdout:
            print("  " + line.rstrip())
            if line.startswith(word):
                return line[len(word):].strip()
        sys.exit(f"it ended with status {self.process.wait()} and did not say {word!r}")

    def take_memory(self, path):
        self.ask("stop")
        # The RAM of the microbit has an address only for its processor.
        save = "memsave" if "microbit" in self.process.args else "pmemsave"
        self.ask(save, val=self.start, size=self.size, filename=str(path))


def runs(target, elf, mmstats):
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        dump = directory / "ram"
        with Machine(target, elf, directory) as machine:
            printed = machine.until("hangs:")
            machine.take_memory(dump)
            machine.ask("system_reset")
            machine.tell("cont")
            left = machine.until("left:")
            status = machine.process.wait(TIMEOUT)
        then, now = numbers(printed), numbers(left)
        expect("exit status", status, 0)
        expect("after the reset", now, {**then, "boots": then["boots"] + 1})
        post_mortem(dump, then, mmstats, directory)


def post_mortem(dump, then, mmstats, directory):
    """Checks what `mmstats` finds in the memory of the device that hangs."""
    print("  $ mmstats scan ram")
    shown = run([mmstats, "scan", "ram"], dump.parent)
    print("".join(f"  {line}\n" for line in shown.splitlines()), end="")
    run([mmstats, "scan", "ram", "--extract", str(directory / "found")], dump.parent)
    (image,) = (directory / "found").iterdir()
    document = json.loads(run([mmstats, "show", "--json", "--all", str(image)], directory))
    fields = {field["label"]: field for field in document["files"][0]["fields"]}
    expect("verdicts", {field["verdict"] for field in fields.values()}, {"consistent"})
    values = {label: field["value"] for label, field in fields.items()}
    n = last_update(then)
    litres = n << 20
    for label, value in {
        "boots": then["boots"],
        "rounds": then["rounds"],
        "bytes": then["bytes"],
        "supply": [3.3, 3.29, -0.5, 3.31][n % 4],
        "celsius": n,
        "pumping": int(n % 2 == 1),
        "flow.litres": litres,
        "flow.drops": -20_000 * litres,
    }.items():
        expect(label, float(values[label]), float(value))
    expect("doing", text(values["doing"]), ["idle", "filling the tank", "größer", "measuring"][n % 4])
    events = json.loads(run([mmstats, "events", "--json", str(image)], directory).splitlines()[-1])
    expect("the last event", events["text"], "sixty-four rounds")


def last_update(then):
    """Number of the last update: the second run continues the rounds of the first."""
    return then["rounds"] & 0x3FFF


def text(value):
    """A text of one lane in JSON."""
    while isinstance(value, (list, dict)):
        value = value[0] if isinstance(value, list) else value.get("text", value.get("value"))
    return value


def numbers(printed):
    return {name: int(value) for name, value in (pair.split("=") for pair in printed.split())}


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found!r}, not {wanted!r}")


def run(command, directory):
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=TIMEOUT)
    if done.returncode != 0:
        sys.exit(f"{command}: {done.returncode}: {done.stderr}")
    return done.stdout


def flash(path):
    """Bytes of an ELF file for 32 bits that lie in flash: allocated sections with contents."""
    elf = pathlib.Path(path).read_bytes()
    (table,) = struct.unpack_from("<I", elf, 0x20)
    size, count = struct.unpack_from("<HH", elf, 0x2E)
    total = 0
    for at in range(table, table + size * count, size):
        _, kind, flags, _, _, length = struct.unpack_from("<6I", elf, at)
        # Not what is only reserved (NOBITS), and only what is loaded (ALLOC).
        total += length if kind != 8 and flags & 2 else 0
    return total


def symbol(path, name):
    """Bytes of the symbol with this in its (mangled) name, in a 32-bit ELF file."""
    elf = pathlib.Path(path).read_bytes()
    (table,) = struct.unpack_from("<I", elf, 0x20)
    size, count = struct.unpack_from("<HH", elf, 0x2E)
    sections = [struct.unpack_from("<10I", elf, table + i * size) for i in range(count)]
    for _, kind, _, _, start, length, link, *_ in sections:
        if kind != 2:
            continue
        names = sections[link][4]
        for at in range(start, start + length, 16):
            label, _, bytes_ = struct.unpack_from("<3I", elf, at)
            end = elf.index(b"\0", names + label)
            if name in elf[names + label:end].decode():
                return bytes_
    sys.exit(f"{path}: no symbol {name}")


def measure(target, writer, bare):
    whole = flash(writer) - flash(bare)
    image, update = symbol(writer, "6fields5IMAGE"), symbol(writer, "6update")
    print(f"{target:30} {whole:>6,} = {image:,} of names and places, {update:,} for the updates, "
          f"{whole - image - update:,} to start")
    if whole > LIMIT or update > UPDATES:
        sys.exit(f"{target}: the limits are {LIMIT} and {UPDATES}")


def image(target, elf, file):
    """What lies in the retained memory when the firmware says that it hangs."""
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        with Machine(target, elf, directory) as machine:
            machine.until("hangs:")
            machine.take_memory(directory / "ram")
        ram = (directory / "ram").read_bytes()
        # The last: the stack may hold a copy of the first bytes.
        at = ram.rindex(b"\x89MMS\r\n\x1a\n")
        (size,) = struct.unpack_from("<I", ram, at + 52)
        pathlib.Path(file).write_bytes(ram[at:at + size])


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--size"]:
        measure(*arguments[1:])
    elif arguments[:1] == ["--image"]:
        image(*arguments[1:])
    else:
        runs(arguments[0], arguments[1], os.path.abspath(arguments[2]))
