#!/usr/bin/env python3
"""Runs the firmware of a target in QEMU, takes its memory after it hangs, and has `mmstats` show
what is in it.

    run.py TARGET ELF MMSTATS        three lives and a post-mortem; status 0 if all is as it has to be
    run.py --size TARGET WRITER BARE   bytes of flash for a writer with ten fields
    run.py --image TARGET ELF FILE   the image that a firmware leaves when it hangs, as a file
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

# Longer than it takes on a busy machine: the machine's own clock counts instructions.
PATIENCE = 120
# QEMU, machine, and where the memory is that is taken: address and bytes.
BOARDS = {
    "thumbv7em-none-eabihf": ("qemu-system-arm", ["-M", "mps2-an386"], 0x2000_0000, 0x21_0000),
    "thumbv6m-none-eabi": ("qemu-system-arm", ["-M", "microbit"], 0x2000_0000, 0x4000),
    "riscv32imc-unknown-none-elf": (
        "qemu-system-riscv32", ["-M", "virt", "-bios", "none"], 0x8010_0000, 0x11_0000),
}
# Most bytes of flash for a writer with ten fields: all of it, and what runs again and again.
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
        listener.settimeout(PATIENCE)
        # One instruction is a nanosecond, however fast this machine is, and an interrupt comes
        # between any two of them.
        self.process = subprocess.Popen(
            [qemu, *options, "-kernel", elf, "-icount", "shift=0", "-display", "none",
             "-serial", "none", "-qmp", f"unix:{monitor}",
             "-semihosting-config", "enable=on,target=native"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        # Nobody waits for ever for a machine that says nothing.
        self.alarm = threading.Timer(PATIENCE, self.process.kill)
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
        """Without an answer: the machine may be gone before there is one."""
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
        """What the firmware prints after `word`."""
        for line in self.process.stdout:
            print("  " + line.rstrip())
            if line.startswith(word):
                return line[len(word):].strip()
        sys.exit(f"it ended with status {self.process.wait()} and did not say {word!r}")

    def take_memory(self, path):
        self.ask("stop")
        # The microbit's RAM is no part of what QEMU takes for the machine's: by its processor's eyes.
        save = "memsave" if "microbit" in self.process.args else "pmemsave"
        self.ask(save, val=self.start, size=self.size, filename=str(path))


def lives(target, elf, mmstats):
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        dump = directory / "ram"
        with Machine(target, elf, directory) as machine:
            tale = machine.until("hangs:")
            machine.take_memory(dump)
            machine.ask("system_reset")
            machine.tell("cont")
            left = machine.until("left:")
            status = machine.process.wait(PATIENCE)
        then, now = numbers(tale), numbers(left)
        expect("exit status", status, 0)
        expect("after the reset", now, {**then, "boots": then["boots"] + 1})
        post_mortem(dump, then, mmstats, directory)


def post_mortem(dump, then, mmstats, directory):
    """What `mmstats` finds in the memory of the device that hangs."""
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
    """The number of the last update: the second life went on from the rounds of the first."""
    return then["rounds"] & 0x3FFF


def text(value):
    """A text of one lane, as JSON gives it."""
    while isinstance(value, (list, dict)):
        value = value[0] if isinstance(value, list) else value.get("text", value.get("value"))
    return value


def numbers(tale):
    return {name: int(value) for name, value in (pair.split("=") for pair in tale.split())}


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found!r}, not {wanted!r}")


def run(command, directory):
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=PATIENCE)
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
        lives(arguments[0], arguments[1], os.path.abspath(arguments[2]))
