#!/usr/bin/env python3
"""Compiles format.ksy and holds it against layout.toml and the fixtures.

    python3 kaitai.py DIRECTORY-WITH-node_modules

It needs kaitai-struct-compiler (npm) in that directory and kaitaistruct (PyPI).
"""

import importlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

SPEC = pathlib.Path(__file__).resolve().parent.parent
# The compiler for JavaScript takes the parsed document; JSON is YAML, so Python need not know YAML.
COMPILE = """
const { createRequire } = require("module");
const need = createRequire(process.argv[1] + "/");
const fs = require("fs");
const compiler = need("kaitai-struct-compiler");
const yaml = need("js-yaml");
const parsed = yaml.load(fs.readFileSync(process.argv[2], "utf8"));
compiler.compile("python", parsed, null, false).then((files) => {
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(process.argv[3] + "/" + name, text);
}).catch((error) => { console.error(String(error)); process.exit(1); });
"""


def compiled(modules):
    directory = tempfile.mkdtemp()
    ksy = SPEC / "format.ksy"
    subprocess.run(["node", "-e", COMPILE, str(modules), str(ksy), directory], check=True)
    sys.path.insert(0, directory)
    return importlib.import_module("mmstats").Mmstats


def sizes(text, name):
    """Names and sizes of the fields of a structure in format.ksy, in their order."""
    body = re.search(rf"\n  {name}:\n    seq:\n(.*?)\n(    instances|  [a-z])", text, re.S)[1] + "\n"
    size = {"u1": 1, "u2": 2, "u4": 4, "u8": 8}
    for item in body.split("      - id: ")[1:]:
        field = item.split("\n")[0]
        kind = re.search(r"type: (u\d)\n", item)
        length = re.search(r"size: (\d+)\n", item)
        if "repeat" not in item:
            yield field, size[kind[1]] if kind else int(length[1]) if length else 8


RENAMED = {"label": "label_offset", "unit": "unit_offset", "help": "help_offset",
           "attributes": "attributes_offset", "detail": "detail_offset", "type": "data_type"}  # fmt: skip


def compare_layout():
    """Every field of layout.toml is in format.ksy, at the same place."""
    text = (SPEC / "format.ksy").read_text("utf-8")
    layout = tomllib.loads((SPEC / "layout.toml").read_text("utf-8"))
    count = 0
    for structure in layout["structure"]:
        if structure["name"] not in ("header", "descriptor", "lane"):
            continue
        at, wanted = 0, []
        for field in structure["field"]:
            if isinstance(field["offset"], int) and isinstance(field["size"], int):
                name = field["name"]
                if name == "reserved":
                    name = f"reserved_{field['offset']}"
                elif structure["name"] == "descriptor":
                    name = RENAMED.get(name, name)
                wanted.append((name, field["offset"], field["size"]))
        found = []
        for name, size in sizes(text, structure["name"]):
            found.append((name, at, size))
            at += size
        assert found == wanted, (structure["name"], set(found) ^ set(wanted))
        count += len(found)
    return count


def name_of(enum):
    return getattr(enum, "name", "unknown")


def compare(image, document):
    """What Kaitai reads is what the expectation of a fixture says, as far as it goes."""
    h = image.header
    assert h.instance.hex() == document["instance"] and str(h.part) == document["part"]
    assert name_of(h.state) == document["state"]
    lanes = [name_of(lane.state).replace("unknown", "damaged") for lane in image.lanes]
    assert lanes == document["lanes"], (lanes, document["lanes"])
    for number, (d, field) in enumerate(zip(image.descriptors, document["fields"], strict=True)):
        if "damaged" in field:
            continue
        assert d.label.text == field["label"]
        assert (d.unit.text if d.unit else "") == field["unit"]
        assert (d.help.text if d.help else "") == field["help"]
        pairs = d.attributes.text.split("\0") if d.attributes else []
        assert dict(pair.split("=", 1) for pair in pairs) == field["attributes"]
        assert (d.detail.text.split("\0") if d.detail else []) == field["detail"]
        names = (name_of(d.data_type), name_of(d.kind), name_of(d.aggregation), name_of(d.storage))
        assert names == (field["type"], field["kind"], field["aggregation"], field["storage"])
        assert (str(d.count), str(d.param)) == (field["count"], field["param"])
        assert (d.state == 2) == field.get("retired", False)
        for lane, value in zip(image.lanes, field.get("lanes", [])):
            if "verdict" in value or names[3] == "constant":
                continue
            cell = lane.cells[number]
            if names[3] == "atomic" and names[0] == "u64":
                assert str(cell.word) == value["u64"]
            if names[3] == "journal" and "mid-write" not in document:
                total = sum(cell.elements) % 2**64
                # Of a writer that died between two stores, one element may be ahead.
                assert abs(total - int(value["total"])) < 2**30
            if names[3] == "table":
                assert str(cell.refused) == value["refused"]
                used = cell.used if lane.state.name == "owned" else 0
                assert [str(n) for n in range(d.param) if used >> n & 1] == [r["row"] for r in value["rows"]]
                for row in value["rows"]:
                    raw = cell.rows[int(row["row"])].newest
                    length = int.from_bytes(raw[16:20], "little")
                    if "verdict" not in row:
                        assert raw[24 : 24 + length].decode() == row["text"]
                        assert str(int.from_bytes(raw[:8], "little")) == row["since"]
            if names[0] == "text" and names[3] == "latched":
                raw = cell.newest[d.member :]
                length = int.from_bytes(raw[:4], "little")
                assert raw[8 : 8 + length].decode() == value["text"]


def main():
    mmstats = compiled(pathlib.Path(sys.argv[1]).resolve())
    fields = compare_layout()
    read = refused = 0
    for path in sorted(SPEC.glob("fixtures/*/*.json")):
        if path.parent.name in ("format-1", "source"):
            continue
        expectation = json.loads(path.read_text("utf-8"))
        documents = expectation.get("documents") or [expectation.get("document")]
        file = path.with_suffix(".mmst")
        if documents[0]:
            try:
                compare(mmstats.from_file(str(file)), documents[0])
            except Exception:
                print(f"FAILED {path.parent.name}/{path.stem}")
                raise
            read += 1
        elif expectation.get("refused") in ("bad-magic", "unsupported-major", "unsupported-minor", "required-features"):
            try:
                mmstats.from_file(str(file)).header
            except Exception:
                refused += 1
                continue
            sys.exit(f"FAILED {path.parent.name}/{path.stem}: accepted")
    print(f"format.ksy: {fields} fields as in layout.toml, {read} images read, {refused} refused")


if __name__ == "__main__":
    main()
