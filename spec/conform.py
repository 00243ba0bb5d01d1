#!/usr/bin/env python3
"""conform, for those without Rust: checks a reader of the mmstats format (CONFORMANCE.md).

    python3 conform.py run --reader './my-reader {file}' [--strict] [--only GLOB] [--skip GLOB]
                           [--known-failures FILE] [--json REPORT] [--format 3.0]
    python3 conform.py list | explain ID | copy DIR

Python 3 and its standard library only.
"""

import argparse
import concurrent.futures
import fnmatch
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 5
# Members that say something by being there.
TAGS = {"verdict", "damaged", "retired", "value", "lanes", "u8", "u16", "u32", "u64", "i8", "i16",
        "i32", "i64", "f32", "f64", "bool", "text", "bytes"}  # fmt: skip


def load(root):
    """All fixtures: id, about, bytes, and either the code of a refusal or documents."""
    for path in sorted(root.glob("**/*.json")):
        folder = path.parent.relative_to(root).as_posix()
        if folder in ("source", "format-1"):
            continue
        expectation = json.loads(path.read_text("utf-8"))
        data = path.with_suffix(".mmst").read_bytes()
        name = f"{folder}/{path.stem}"
        about = expectation["about"]
        for part in expectation.get("truncate", []):
            for length in range(part["from"], part["to"] + 1):
                yield f"{name}@{length}", about, data[:length], part["refused"], None
        for patch in expectation.get("patches", []):
            patched, document = bytearray(data), json.loads(json.dumps(expectation["document"]))
            for at, raw in patch["bytes"].items():
                raw = bytes.fromhex(raw)
                patched[int(at) : int(at) + len(raw)] = raw
            document.update(patch.get("document", {}))
            for index, field in patch.get("fields", {}).items():
                document["fields"][int(index)] = field
            refused = patch.get("refused")
            yield (f"{name}@{patch['id']}", f"{about}: {patch['id']}", bytes(patched), refused,
                   None if refused else [document])  # fmt: skip
        if "truncate" in expectation or "patches" in expectation:
            continue
        if "refused" in expectation:
            yield name, about, data, expectation["refused"], None
        else:
            one = expectation.get("document")
            yield name, about, data, None, [one] if one else expectation["documents"]


def difference(place, wanted, got, strict):
    """The first place where a reader's document is not as expected, or None."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key, value in wanted.items():
            if key not in got:
                if key == "code" and not strict:
                    continue
                return f"{place}: no {key!r}"
            is_code = key == "code" or key == "damaged" and isinstance(value, str)
            if is_code and isinstance(got[key], str) and not strict:
                continue
            found = difference(f"{place}.{key}", value, got[key], strict)
            if found:
                return found
        more = (set(got) - set(wanted)) & TAGS
        return f"{place}: {more.pop()!r} is too much" if more else None
    if isinstance(wanted, list) and isinstance(got, list):
        if len(wanted) != len(got):
            return f"{place}: {len(got)} elements, not {len(wanted)}"
        pairs = enumerate(zip(wanted, got))
        return next(filter(None, (difference(f"{place}[{i}]", a, b, strict) for i, (a, b) in pairs)), None)
    same = type(wanted) is type(got) and wanted == got
    return None if same else f"{place}: {str(got)[:100]}, not {str(wanted)[:100]}"


def judge(code, out, refused, documents, strict):
    """None if all is well, "skipped", or what is wrong."""
    if code == 2:
        return "skipped"
    if code not in (0, 1):
        return f"ended by signal {-code}" if code < 0 else f"exit code {code}"
    try:
        got = json.loads(out.decode("utf-8")) if code == 0 or out.strip() else None
    except ValueError as error:
        return f"no JSON in UTF-8: {error}"
    if refused:
        if code == 0:
            return f"accepted; it has to be refused: {refused}"
        said = got.get("refused") if isinstance(got, dict) else None
        return f"refused as {said}, not as {refused}" if strict and said != refused else None
    if code == 1:
        return f"refused: {out.decode('utf-8').strip()}"
    differences = [difference("", document, got, strict) for document in documents]
    return None if None in differences else differences[0]


def one(reader, directory, number, fixture, strict):
    name, _, data, refused, documents = fixture
    path = pathlib.Path(directory) / f"{number}.mmst"
    path.write_bytes(data)
    command = reader.replace("{file}", '"$1"') if "{file}" in reader else f'{reader} "$1"'
    try:
        done = subprocess.run(
            ["sh", "-c", f"exec {command}", "sh", str(path)],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return name, f"no end after {LIMIT} s"
    finally:
        path.unlink()
    why = judge(done.returncode, done.stdout, refused, documents, strict)
    last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
    if why and why != "skipped" and last:
        why += f" (it said: {last[0]})"
    return name, why


def run(options, fixtures):
    known = set()
    if options.known_failures:
        lines = pathlib.Path(options.known_failures).read_text("utf-8").splitlines()
        known = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    with tempfile.TemporaryDirectory() as directory:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            work = [pool.submit(one, options.reader, directory, i, f, options.strict)
                    for i, f in enumerate(fixtures)]  # fmt: skip
            results = [w.result() for w in work]
    if options.json:
        report = [{"id": n, "result": "passed" if not w else "skipped" if w == "skipped" else "failed"}
                  | ({"why": w} if w and w != "skipped" else {}) for n, w in results]  # fmt: skip
        text = json.dumps({"format": "3.0", "reader": options.reader, "fixtures": report}, indent=1)
        pathlib.Path(options.json).write_text(text + "\n", "utf-8")
    count = {"passed": 0, "failed": 0, "skipped": 0, "known": 0}
    for name, why in results:
        bad = why not in (None, "skipped")
        if bad and name in known:
            count["known"] += 1
        elif bad or name in known:
            print(f"FAILED {name}: {why or 'known to fail, but it does not'}")
            count["failed"] += 1
        else:
            count[why or "passed"] += 1
    for name in sorted(known - {n for n, _ in results}):
        print(f"FAILED {name}: known to fail, but it was not run")
        count["failed"] += 1
    if count["known"]:
        print(f"{count['known']} failed as known")
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**count))
    return not count["failed"] and count["passed"] > 0


def explain(root, name):
    name = name.split("@")[0]
    path = root / f"{name}.hex"
    if not path.is_file():
        sys.exit(f"conform: no fixture {name}; `list` names all")
    text = path.read_text("utf-8")
    print(text + "\n" + path.with_suffix(".json").read_text("utf-8"), end="")
    for line in text.splitlines():
        if line.startswith("base "):
            print(f"\nThe bytes are those of {line[5:]}, with the lines above over them:\n")
            explain(root, line[5:])


def braces(pattern):
    """The patterns that `{a,b}` stands for, which fnmatch does not know."""
    before, opened, rest = pattern.partition("{")
    inside, closed, after = rest.partition("}")
    if not (opened and closed):
        return [pattern]
    return [one for part in inside.split(",") for one in braces(before + part + after)]


def main():
    parser = argparse.ArgumentParser(prog="conform.py", description=__doc__.splitlines()[0])
    parser.add_argument("--fixtures", type=pathlib.Path, default=HERE / "fixtures")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("run", "list"):
        command = commands.add_parser(name)
        command.add_argument("--only", action="append", default=[])
        command.add_argument("--skip", action="append", default=[])
        if name == "run":
            command.add_argument("--reader", required=True)
            command.add_argument("--strict", action="store_true")
            command.add_argument("--known-failures")
            command.add_argument("--json")
            command.add_argument("--format", default="3.0", choices=["3.0"])
    commands.add_parser("copy").add_argument("directory", type=pathlib.Path)
    commands.add_parser("explain").add_argument("id")
    options = parser.parse_args()
    if options.command == "explain":
        return explain(options.fixtures, options.id)
    if options.command == "copy":
        ignore = shutil.ignore_patterns("source", "__pycache__")
        shutil.copytree(options.fixtures, options.directory, ignore=ignore, dirs_exist_ok=True)
        return None

    def match(name, patterns):
        each = (one for pattern in patterns for one in braces(pattern))
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in each)

    fixtures = [f for f in load(options.fixtures)
                if (not options.only or match(f[0], options.only)) and not match(f[0], options.skip)]  # fmt: skip
    if options.command == "list":
        for name, about, *_ in fixtures:
            print(f"{name:48} {about}")
        return None
    sys.exit(0 if run(options, fixtures) else 1)


if __name__ == "__main__":
    main()
