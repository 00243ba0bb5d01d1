#!/usr/bin/env python3
"""Plants single faults in the Python reader and shows which fixture catches each.

    python3 mutate.py

A fault that no fixture catches is a gap in the fixtures, or is explained below (HARMLESS).
"""

import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
READER = HERE / "python" / "mmstats_reader.py"
CONFORM = HERE / "python" / "conform_reader.py"

# What stands there, and what the fault makes of it; the first place counts.
FAULTS = [
    # Wrong offsets and sizes.
    ('(48, "I", "part")', '(44, "I", "part")'),
    ('(52, "I", "file_size")', '(48, "I", "file_size")'),
    ('(14, "H", "header_size")', '(14, "B", "header_size")'),
    ('(64, "H", "descriptor_size")', '(64, "I", "descriptor_size")'),
    ('(16, "Q", "required_features")', '(16, "I", "required_features")'),
    ('(8, "I", "help")', '(4, "I", "help")'),
    ('(37, "B", "level")', '(36, "B", "level")'),
    ('(38, "H", "flags")', '(38, "B", "flags")', "only bits of the future are lost"),
    ('(40, "I", "param")', '(40, "H", "param")'),
    ("DESCRIPTOR_STATE = 48", "DESCRIPTOR_STATE = 52"),
    ("raw = self.memory.copy(offset, 64)", "raw = self.memory.copy(self.header.descriptor_offset + index * 64, 64)"),
    ("offset = self.header.descriptor_offset +", "offset = 192 +"),
    ("PRESENCE = 64", "PRESENCE = 60"),
    ("return 8 * -(-descriptor_capacity // 64)", "return 8 * (descriptor_capacity // 64)"),
    ("return cell + 8 + number", "return cell + 4 + number"),
    ("tail = cell + 8 + s * f.slot_size", "tail = cell + s * f.slot_size"),
    # Checks that are missing or off by one.
    ("rule(h.magic == MAGIC,", "rule(h.magic[1:4] == MAGIC[1:4],", "map_file() compares all eight bytes too"),
    ("rule(h.major == 3,", "rule(h.major >= 3,"),
    ("rule(h.checksum == fletcher64(raw[:120]),", "rule(True or"),
    ("rule(h.min_minor <= READER_MINOR,", "rule(True or h.min_minor <= READER_MINOR,"),
    ("rule(not h.required_features & ~KNOWN_FEATURES,", "rule(True,"),
    ("good = h.header_size >= 192 and", "good ="),
    ("and h.header_size % 64 == 0", ""),
    ("and h.header_size <= there", ""),
    ("rule(h.file_size <= there,", "rule(h.file_size <= there + 1,"),
    ("h.descriptor_size >= 64 and", ""),
    ("and h.descriptor_size % 8 == 0", ""),
    ("rule(h.descriptor_capacity <= MAX_DESCRIPTORS,", "rule(True,"),
    ("rule(1 <= h.lane_capacity <= MAX_LANES,", "rule(h.lane_capacity <= MAX_LANES,"),
    ('("lanes_offset", 64)', '("lanes_offset", 32)'),
    ('("lane_stride", 64)', '("lane_stride", 32)'),
    ('("cells_offset", 8)', '("cells_offset", 4)'),
    ('("heap_offset", 8)', '("heap_offset", 4)'),
    ("rule(h.descriptor_offset >= h.header_size,", "rule(h.descriptor_offset >= 192,"),
    ("rule(h.heap_offset >= descriptors_end,", "rule(h.heap_offset >= h.descriptor_offset,"),
    ("rule(h.lanes_offset >= h.heap_offset + h.heap_size,", "rule(h.lanes_offset >= h.heap_offset,"),
    ("rule(lanes_end <= h.file_size,", "rule(lanes_end <= there,"),
    ("lanes_end = h.lanes_offset + h.lane_capacity * h.lane_stride",
     "lanes_end = (h.lanes_offset + h.lane_capacity * h.lane_stride) & 0xFFFFFFFF"),
    ("<= h.cells_offset <= h.lane_stride", "<= h.cells_offset"),
    ("good = PRESENCE + presence_bytes(h.descriptor_capacity) <=", "good = PRESENCE <="),
    ("self._rule(self.state != BUILDING,", "self._rule(True,"),
    ("self._rule(self.state in (LIVE, CLOSED),", "self._rule(True,"),
    ("self._rule(self.field_count <= h.descriptor_capacity,", "self._rule(self.field_count <= h.descriptor_capacity + 1,"),
    ("self._rule(self.heap_used <= h.heap_size,", "self._rule(True,"),
    ("self._rule(self.lanes_used <= h.lane_capacity,", "self._rule(True,"),
    ("if f.state not in (FIELD_LIVE, FIELD_RETIRED):", "if False:"),
    ('places = {name: at for name, at in places.items() if at or name == "label"}', "places = {name: at for name, at in places.items() if at}"),
    ("if at % 4 or not", "if not"),
    ("not image.in_heap(at, 4):", "not at + 4 <= image.heap_end:"),
    ("not image.in_heap(at, 4):", "not image.in_heap(at, 1):"),
    ("not image.in_heap(at, 4):", "not image.header.heap_offset <= at < image.header.heap_offset + image.header.heap_size:"),
    ("if not 1 <= length <= STRING_LIMITS[name]:", "if not length <= STRING_LIMITS[name]:"),
    ("if not 1 <= length <= STRING_LIMITS[name]:", "if not 1 <= length:"),
    ("if not image.in_heap(at, round_up(2 + length, 4)):", "if False:"),
    (") != f.checksum:", ") & 0xFFFFFFFF != f.checksum & 0xFFFFFFFF:"),
    ("pieces = [f.raw[:48]]", "pieces = [f.raw[:44]]"),
    ("if not equals or not ATTRIBUTE_KEY.fullmatch(key)", "if not equals"),
    ("or key.decode() in attributes:", ":"),
    ("ATTRIBUTE_KEY = re.compile(rb\"[A-Za-z0-9_.-]{1,63}\")", "ATTRIBUTE_KEY = re.compile(rb\"[A-Za-z0-9_.-]+\")"),
    ("return 1 <= f.count <= MAX_BLOB", "return 1 <= f.count"),
    ("return f.count >= 1 and f.count * element_size(f) <= MAX_SLOT", "return f.count >= 1"),
    ("return f.count == 1", "return f.count >= 1"),
    ("is_blob(f) and f.flags & ARRAY", "False"),
    ("or f.storage == CONSTANT and f.flags & (MEMBER | OPTIONAL)", ""),
    ("or f.storage == ATOMIC and (f.flags & (ARRAY | MEMBER) or is_blob(f))", "or f.storage == ATOMIC and is_blob(f)"),
    ("or f.storage == JOURNAL and known and f.type != U64", ""),
    ("COUNTER: f.type in (1, 2, 3, 4, 9, 10),", ""),
    ("TIMER: f.type == U64 and not scalar and f.count == 5,", "TIMER: f.type == U64 and not scalar,"),
    ("EVENTS: f.type == TEXT,", ""),
    ("1 <= len(items) <= 1024 and", "1 <= len(items) and"),
    ("all(1 <= len(name) <= 63 for name in items)", "all(len(name) <= 63 for name in items)"),
    ("return f.member == 8", "return True"),
    ("return 1 <= f.param <= slots(f) - 2", "return 1 <= f.param <= slots(f)"),
    ("return bool(f.counter) and", "return"),
    ("1 <= len(items) <= 8 and digits", "1 <= len(items) and digits"),
    ("if not slots(f) or f.slot_size % 8 or", "if not slots(f) or"),
    ("if not slots(f) or f.slot_size % 8 or not least <= f.slot_size <= MAX_SLOT:", "if not slots(f) or f.slot_size % 8 or not least <= f.slot_size:"),
    ("if f.member % 8 or past or", "if past or"),
    ("if f.member % 8 or past or", "if f.member % 8 or"),
    ("or in_group and f.member < self.members_end:", ":"),
    ("elif f.slot_bits or f.slot_size:", "elif False:"),
    ("if f.member:\n", "if False:\n"),
    ("if f.place % 8 or not inside:", "if not inside:"),
    ("inside = self.header.cells_offset <= f.place and", "inside ="),
    ("and end <= self.header.lane_stride", ""),
    ("if not in_group and f.place < self.cells_end:", "if False:"),
    ("end += 8 * f.count if f.storage == JOURNAL else 0", "end += 0"),
    # Values.
    ("if length > f.count:", "if length > f.count + 1:"),
    ("blob = raw[8 : 8 + length]", "blob = raw[8 : 7 + length]"),
    ("if any(e > 1 for e in elements):", "if False:"),
    ("if elements[0] >= len(names):", "if elements[0] > len(names):"),
    ('wide = struct.unpack("<i" if code in "bhi" else "<I", word)[0]', 'wide = struct.unpack("<I", word)[0]', None, CONFORM),
    ('5: ("i8", "b")', '5: ("i8", "B")'),
    ('8: ("i64", "q")', '8: ("i64", "Q")'),
    ('struct.unpack_from(f"<{f.count}', 'struct.unpack_from(f">{f.count}'),
    ('raw[8 : 8 + length]\n', 'raw[8 : 8 + length].rstrip(b"\\0")\n', None, CONFORM),
    ("slot_at(f, cell, a), f.slot_size)", "slot_at(f, cell, a + 1), f.slot_size)"),
    ("return 1 << f.slot_bits if", "return 2 * f.slot_bits if"),
    ("if (b - a) % 2**32 <= slots(f) - 2 and", "if True and", "needs a writer between two loads: `conform stress` catches it"),
    ("if lane.state not in LANE:", "if False:", None, CONFORM),
    ("absent = f.flags & m.OPTIONAL and not", "absent = not", None, CONFORM),
    ("lane.presence[f.index // 32] >> f.index % 32 & 1", "lane.presence[f.index // 64] >> f.index % 32 & 1", None, CONFORM),
    ("if lane.state == m.NEVER_CLAIMED or absent:", "if absent:", None, CONFORM),
    ("if (old + next_total - total - (change >> 16)) % 2**48 == 0:", "if True:"),
    ("old = (total - sum(e) + e[i]) % 2**64", "old = e[i]"),
    ("if sum(e) % 2**64 == total:  # K11", "if True:"),
    ("raise Damaged(\"value-total\")", "return e, slot"),
    ("if f.type not in TYPES:\n        return 8", "if f.type not in TYPES:\n        return 0"),
    ("if f.storage not in STORAGES:\n            return", "if False:\n            return"),
    ("self.group = key", "self.group = None"),
    # What two readers could take differently (source/edges.py).
    ("(value_size(f) if f.type in TYPES else 1) > f.slot_size", "(value_size(f) if f.type in TYPES else 0) > f.slot_size"),
    ("image.constants_seen > 2 * image.heap_used", "image.constants_seen >= 2 * image.heap_used"),
    ("image.constants_seen > 2 * image.heap_used", "image.constants_seen > 2 * image.header.heap_size"),
    ("not image.in_heap(f.place, 1)", "not image.in_heap(f.place, 0)"),
    ("not image.in_heap(at, 4)", "not image.in_heap(at, 2)"),
    ("if known and not (kind_allows(f) and", "if not (kind_allows(f) and"),
    ("(f.storage not in STORAGES or kind_allows_storage(f))", "kind_allows_storage(f)"),
    ("            before = f\n", "            before = before if f.damage else f\n"),
    ("f.storage in (ATOMIC, LATCHED) and not f.damage", "f.storage in (ATOMIC, LATCHED)"),
    ('fullmatch(rb"[0-9]{1,6}", item) and int(item)', 'match(rb"[0-9]{1,6}$", item) and int(item)'),
    ("ATTRIBUTE_KEY.fullmatch(key)", "ATTRIBUTE_KEY.match(key)"),
    ("return f.count >= 3 and Buckets(f).good", "return Buckets(f).good"),
]  # fmt: skip

CHECK = """
import json, pathlib, sys, tempfile
sys.path.insert(0, sys.argv[2])
import conform
import conform_reader as reader
import mmstats_reader as m

caught = 0
with tempfile.TemporaryDirectory() as directory:
    path = pathlib.Path(directory) / "x.mmst"
    for name, _, data, refused, documents in conform.load(pathlib.Path(sys.argv[1])):
        path.write_bytes(data)
        code, out = 0, ""
        try:
            memory, _ = m.map_file(path)
            out = json.dumps(reader.document(memory))
        except m.Refused as refusal:
            code, out = 1, json.dumps({"refused": refusal.code})
        except Exception as error:
            code = 3
        path.unlink()
        if conform.judge(code, out.encode(), refused, documents, True):
            print(name, flush=True)
            caught += 1
            if caught == 20:
                break  # that is enough
"""


def main():
    caught, explained, gaps = 0, 0, []
    for fault in FAULTS:
        old, new, why, where = (*fault, None, None)[:4]
        where = where or READER
        with tempfile.TemporaryDirectory() as directory:
            directory = pathlib.Path(directory)
            for source in (READER, CONFORM, HERE.parent / "conform.py"):
                text = source.read_text("utf-8")
                if source == where:
                    assert old in text, f"{source.name}: {old!r} is not there"
                    text = text.replace(old, new, 1)
                (directory / source.name).write_text(text, "utf-8")
            try:
                done = subprocess.run(
                    [sys.executable, "-c", CHECK, str(HERE.parent / "fixtures"), str(directory)],
                    capture_output=True, text=True, timeout=300,
                )  # fmt: skip
                found = done.stdout.split()
                if done.returncode:
                    found.append("(it does not run)")
            except subprocess.TimeoutExpired as slow:
                found = (slow.stdout or b"").decode().split() + ["(no end)"]
        shown = old.strip().splitlines()[0][:58]
        if found:
            caught += 1
            print(f"{shown:60} {found[0]}" + (f" and {len(found) - 1} more" if found[1:] else ""))
        elif why:
            explained += 1
            print(f"{shown:60} not caught: {why}")
        else:
            gaps.append(shown)
            print(f"{shown:60} NOT CAUGHT")
    print(f"{len(FAULTS)} faults, {caught} caught, {explained} explained, {len(gaps)} gaps")
    sys.exit(1 if gaps or caught < 0.95 * len(FAULTS) else 0)


if __name__ == "__main__":
    main()
