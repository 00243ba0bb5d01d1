#!/usr/bin/env python3
"""Plants a fault in the loops of the Python reader, one at a time, which `conform stress` has to find.

    python3 wrong.py CONFORM [NAME...]

Each is a mistake against PROTOCOL.md that no file at rest shows: it needs a writer that runs. Fails if fewer than
LEAST of all are found.
"""

import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
LEAST = 24
SECONDS = "8"
FILES = ("mmstats_reader.py", "conform_reader.py")

CHECK = "if (b - a) % 2**32 <= slots(f) - 2 and time.monotonic() - began <= 2:\n            return raw"
COPY = "raw = image.memory.copy(slot_at(f, cell, a), f.slot_size)"
LATCH = f"""        a = image.memory.u32(cell)
        fence()
        {COPY}
        fence()
        b = image.memory.u32(cell)
"""
K3 = 'e = list(struct.unpack(f"<{f.count}Q", memory.copy(tail, 8 * f.count)))'
K6 = "if moved > s - 2:"
K7 = 'slot = struct.unpack(f"<{f.slot_size // 8}Q", memory.copy(slot_at(f, cell, b), f.slot_size))'
K9 = "c = memory.u32(cell)  # K9"
K9_BOUND = "if (c - a) % 2**32 > s - 2 or"
REDO = "for _, change in heads[:-1]:  # K10"
TOTAL = "if sum(e) % 2**64 == total:  # K11"
UNDO = "if i < f.count:  # K12"
USED = "used = memory.u32(cell) | memory.u32(cell + 4) << 32"
ROOM = "if memory.u32(156) == before:"

# Name, what is wrong, and what stands there and what the fault makes of it, for each place.
WRONG = [
    ("latch-unchecked", "R6 is left out", (CHECK, "if True:\n            return raw")),
    ("latch-one-more", "R6 accepts S - 1 publishes", (CHECK, CHECK.replace("- 2 and", "- 1 and"))),
    ("latch-two-more", "R6 accepts S publishes", (CHECK, CHECK.replace("- 2 and", "and"))),
    ("latch-half", "R6 accepts any later number", (CHECK, CHECK.replace("slots(f) - 2 and", "2**31 and"))),
    ("latch-number-early", "R5 comes before R3",
     (LATCH, LATCH.replace("        b = image.memory.u32(cell)\n", "").replace(COPY, f"b = a\n        {COPY}"))),
    ("latch-number-late", "R1 comes after R3",
     (LATCH, LATCH + "        a = b\n")),
    ("latch-last-attempt", "the last of 16 attempts is taken as it is",
     (CHECK + "\n        time.sleep(0)\n    raise Contended", CHECK + "\n        time.sleep(0)\n    return raw")),
    ("latch-never", "every value is contended", (CHECK, CHECK.replace("if (b", "if False and (b"))),
    ("latch-old-copy", "a later attempt keeps the copy of the first one",
     (f"{COPY}\n", f"{COPY} if _ == 0 else raw\n")),
    ("latch-next-slot", "the slot of the number after that of R1", (COPY, COPY.replace("cell, a)", "cell, a + 1)"))),
    ("latch-copied-twice", "the second half is copied again after R6",
     (CHECK, CHECK + "[: f.slot_size // 2] + image.memory.copy(slot_at(f, cell, a), f.slot_size)[f.slot_size // 2 :]")),
    ("presence-late", "presence is loaded after the slot",
     ("        key = (f.place, f.slot_bits, f.slot_size)\n        if key not in lane.slots:",
      "        key = (f.place, f.slot_bits, f.slot_size)\n        lane.slots[key] = m.read_slot(image, f, lane.base)\n"
      "        if f.flags & m.OPTIONAL and not image.memory.u32(lane.base + 64) >> f.index & 1:\n"
      '            return {"verdict": "absent"}\n'
      "        if key not in lane.slots:"),
     ("absent = f.flags & m.OPTIONAL and not", "absent = f.flags & m.OPTIONAL and f.storage != m.LATCHED and not")),
    ("presence-ignored", "an absent value is shown", ("absent = f.flags & m.OPTIONAL and not", "absent = False and not")),
    ("journal-unbounded", "K6 and K9 have no bound", (K6, "if False:"), (K9_BOUND, "if")),
    ("journal-one-more", "K6 and K9 accept S - 1 changes",
     (K6, "if moved > s - 1:"), (K9_BOUND, "if (c - a) % 2**32 > s - 1 or")),
    ("journal-two-more", "K6 and K9 accept S changes",
     (K6, "if moved > s:"), (K9_BOUND, "if (c - a) % 2**32 > s or")),
    ("journal-no-last-number", "K9 is not loaded", (K9, "c = b")),
    ("journal-last-one-more", "K9 accepts S - 1 changes", (K9_BOUND, "if (c - a) % 2**32 > s - 1 or")),
    ("journal-last-two-more", "K9 accepts S changes", (K9_BOUND, "if (c - a) % 2**32 > s or")),
    ("journal-no-redo", "K10 is left out", (REDO, "for _, change in []:")),
    ("journal-redo-all", "K10 takes change b + 1 too", (REDO, "for _, change in heads:")),
    ("journal-no-total", "K11 is left out", (TOTAL, "if True:")),
    ("journal-no-undo", "K12 is left out", (UNDO, "if False:")),
    ("journal-undo-before", "K12 takes the index of change b",
     ("total, (next_total, change) = slot[0], heads[-1]",
      "total, (next_total, change) = slot[0], (heads[-1][0], slot[1])")),
    ("journal-elements-late", "K3 comes after K5",
     (f"{K3}\n        fence()\n        b = memory.u32(cell)  # K5", f"b = memory.u32(cell)\n        {K3}")),
    ("journal-first-slot", "the slot of number a, not b", (K7, K7.replace("cell, b)", "cell, a)"))),
    ("journal-newer-slot", "the slot of a number loaded later", (K7, K7.replace("cell, b)", "cell, memory.u32(cell))"))),
    ("journal-slot-again", "the slot is copied again after the checks",
     (TOTAL + "\n            return e, slot", TOTAL + f"\n            {K7}\n            return e, slot")),
    ("table-used-late", "used is loaded after the rows",
     (USED, "used = 2**64 - 1"),
     ("    return rows, memory.u64(cell + 16)\n",
      "    used = memory.u32(cell)\n    return [row for row in rows if used >> row[0] & 1], memory.u64(cell + 16)\n")),
    ("table-row-twice", "the text of a row from a second copy",
     ("since, begun = struct.unpack_from(\"<2Q\", raw)",
      "since, begun = struct.unpack_from(\"<2Q\", raw)\n"
      "            raw = dict(m.rows_of(image, f, lane)[0]).get(number) or raw")),
    ("atomic-halves", "an atomic cell of 8 bytes is loaded in two halves",
     ("return decode(f, struct.pack(\"<Q\", image.memory.u64(cell)))",
      "return decode(f, struct.pack(\"<2I\", image.memory.u32(cell), image.memory.u32(cell + 4)))")),
    ("room-unchecked", "Q5 is left out", (ROOM, "if True:")),
    ("one-look", "every look is the first one",
     ("say(json.dumps(m.look(memory, document)))", "say(found := json.dumps(m.look(memory, document)) if _ == 0 else found)")),
]  # fmt: skip


def plant(directory, places):
    """Copies the reader with these places changed."""
    texts = {name: (HERE / "python" / name).read_text("utf-8") for name in FILES}
    for old, new in places:
        names = [name for name in FILES if texts[name].count(old) == 1]
        if len(names) != 1:
            sys.exit(f"not once in the reader: {old!r}")
        texts[names[0]] = texts[names[0]].replace(old, new)
    for name, text in texts.items():
        compile(text, name, "exec")
        (directory / name).write_text(text, "utf-8")


def main():
    conform, names = sys.argv[1], sys.argv[2:]
    found = 0
    chosen = [wrong for wrong in WRONG if not names or wrong[0] in names]
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        for name, about, *places in chosen:
            plant(directory, places)
            reader = f"{sys.executable} -S {directory}/conform_reader.py"
            done = subprocess.run([conform, "stress", "--seconds", SECONDS, "--reader", reader],
                                  capture_output=True, text=True)  # fmt: skip
            said = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
            if done.returncode not in (0, 1):
                sys.exit(f"{name}: {done.stdout}{done.stderr}")
            found += done.returncode
            result = said[0][7:90] if said else "NOT FOUND"
            print(f"{name:24} {about:52} {result}", flush=True)
    print(f"{found} of {len(chosen)} wrong readers found")
    sys.exit(0 if found >= min(LEAST, len(chosen)) else 1)


if __name__ == "__main__":
    main()
