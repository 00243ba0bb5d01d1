#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""conform, for those without Rust: checks a reader of the mmstats format (CONFORMANCE.md).

    python3 conform.py run --reader './my-reader {file}' [--strict] [--only GLOB] [--skip GLOB]
                           [--known-failures FILE] [--json REPORT] [--format 3.0]
    python3 conform.py run --level values --reader ./my-reader
    python3 conform.py list | explain ID | copy DIR

Python 3 and its standard library only.
"""

import argparse
import concurrent.futures
import fnmatch
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "values"))

import level  # noqa: E402

LIMIT = 5  # seconds
MOST = 64 << 20  # bytes that a reader may print
# Result of judge() for a correct answer.
GOOD = {None: "passed", "mute": "passed", "skipped": "skipped"}


class Unable(Exception):
    """The reader cannot be judged, with the reason."""


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
        for key, value in sorted(wanted.items()):
            if key not in got:
                if key == "code" and not strict:
                    continue
                return f'{place}: no "{key}", but {short(got)}'
            is_code = key == "code" or key == "damaged" and isinstance(value, str)
            if is_code and isinstance(got[key], str) and not strict:
                continue
            found = difference(f"{place}.{key}", value, got[key], strict)
            if found:
                return found
        more = (set(got) - set(wanted)) & TAGS
        return f'{place}: "{min(more)}" is too much: {short(got)}' if more else None
    if isinstance(wanted, list) and isinstance(got, list):
        if len(wanted) != len(got):
            return f"{place}: {len(got)} elements, not {len(wanted)}"
        pairs = enumerate(zip(wanted, got))
        return next(filter(None, (difference(f"{place}[{i}]", a, b, strict) for i, (a, b) in pairs)), None)
    same = type(wanted) is type(got) and wanted == got
    return None if same else f"{place}: {short(got)}, not {short(wanted)}"


def short(value):
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text[:100] + "..." if len(text) > 100 else text


def judge(code, out, refused, documents, strict):
    """None if all is well, "mute" if only a code is missing that is not asked for, "skipped", or what
    is wrong."""
    if code == 2:
        return "skipped"
    if code not in (0, 1):
        return f"ended by signal {-code}" if code < 0 else f"exit code {code}"
    try:
        text = out.decode("utf-8")
    except ValueError:
        return "it does not print UTF-8"
    if refused and code == 0:
        return f"accepted; it has to be refused: {refused}"
    if code == 0 and not text.strip():
        return "it prints nothing"
    try:
        # Output of a refusal counts only if there is a code to compare.
        got = json.loads(text) if code == 0 or refused and text.strip() else None
    except ValueError as error:
        return f"no JSON: {error}"
    if refused:
        said = got.get("refused") if isinstance(got, dict) else None
        if not isinstance(said, str):
            return f'refused without the code "{refused}"' if strict else "mute"
        if not strict or said == refused:
            return None
        return f'refused as "{said}", not as "{refused}"'
    if code == 1:
        said = text.strip()
        return f"refused; it has to be accepted: {said}" if said else "refused without a code; it has to be accepted"
    differences = [difference("", document, got, strict) for document in documents]
    return None if None in differences else differences[0]


def output(command):
    """Exit code and output, at most a little more than MOST."""
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    said = {}

    def take(pipe):
        said[pipe] = pipe.read(MOST + 1)
        pipe.close()  # ends a reader that still prints

    threads = [threading.Thread(target=take, args=(p,), daemon=True) for p in (child.stdout, child.stderr)]
    for thread in threads:
        thread.start()
    try:
        code = child.wait(LIMIT)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        raise TimeoutError(f"no end after {LIMIT} s") from None
    for thread in threads:
        # A program that it left behind may hold the pipes open.
        thread.join(LIMIT)
        if thread.is_alive():
            raise TimeoutError(f"its output has no end after {LIMIT} s")
    return code, said[child.stdout], said[child.stderr]


def command(reader, path):
    command = reader.replace("{file}", '"$1"') if "{file}" in reader else f'{reader} "$1"'
    return ["sh", "-c", f"exec {command}", "sh", str(path)]


def one(reader, directory, number, fixture, strict):
    name, _, data, refused, documents = fixture
    path = pathlib.Path(directory) / f"{number}.mmst"
    path.write_bytes(data)
    try:
        code, out, err = output(command(reader, path))
    except TimeoutError as slow:
        return name, str(slow)
    finally:
        path.unlink()
    err = err.decode("utf-8", "replace").strip()
    if code in (126, 127):
        raise Unable(f"the reader does not start: {err}")
    if max(len(out), len(err)) > MOST:
        return name, f"it prints more than {MOST >> 20} MiB"
    why = judge(code, out, refused, documents, strict)
    last = err.splitlines()[-1:]
    if why not in GOOD and last:
        why += f" (it said: {last[0]})"
    return name, why


def run(options, fixtures, ids):
    known = set()
    if options.known_failures:
        lines = pathlib.Path(options.known_failures).read_text("utf-8").splitlines()
        known = {line.strip() for line in lines if line.strip() and not line.strip().startswith("#")}
    with tempfile.TemporaryDirectory() as directory:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            work = [pool.submit(one, options.reader, directory, i, f, options.strict)
                    for i, f in enumerate(fixtures)]  # fmt: skip
            try:
                results = sorted(w.result() for w in work)
            except Unable:
                pool.shutdown(cancel_futures=True)
                raise
    if options.json:
        report = [{"id": n, "result": GOOD.get(w, "failed")} | ({} if w in GOOD else {"why": w})
                  for n, w in results]  # fmt: skip
        text = json.dumps({"format": "3.0", "reader": options.reader, "fixtures": report}, indent=1)
        pathlib.Path(options.json).write_text(text + "\n", "utf-8")
    count = {"passed": 0, "failed": 0, "skipped": 0, "known": 0}
    mute = 0
    for name, why in results:
        bad = why not in GOOD
        if bad and name in known:
            count["known"] += 1
        elif bad or name in known:
            print(f"FAILED {name}: {why or 'known to fail, but it does not'}")
            count["failed"] += 1
        else:
            count[GOOD[why]] += 1
            mute += why == "mute"
    for name in sorted(known - ids):
        print(f"FAILED {name}: known to fail, but there is no such fixture")
        count["failed"] += 1
    if count["known"]:
        print(f"{count['known']} failed as known")
    if mute:
        print(f"{mute} refusals had no code, as those of a reader that only crashes: try --strict")
    if count["skipped"] and not count["passed"] + count["failed"]:
        print("nothing passed: the reader exits with 2 for all of them, which says that it cannot say")
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**count))
    return not count["failed"] and count["passed"] > 0


def expected(refused, documents):
    return json.dumps({"refused": refused} if refused else {"documents": documents}, indent=2, ensure_ascii=False)


def explain(root, name):
    """Bytes, rule and expectation; of a file that is another one but for some bytes, these."""
    fixtures = {fixture[0]: fixture for fixture in load(root)}
    if name not in fixtures:
        parts = sum(other.startswith(f"{name}@") for other in fixtures)
        if parts:
            raise Unable(f"{name} is {parts} fixtures; `list --only '{name}@*'` names them")
        raise Unable(f"no fixture {name}; `list` names all")
    base, part, _ = name.partition("@")
    if not part:
        print_bytes(root, name)
        said = (root / f"{name}.json").read_text("utf-8")
        print(f"\nA reader has to say of {name}:\n\n{said}", end="")
        return
    _, about, data, refused, documents = fixtures[name]
    print(f"# {name}: {about}")
    was = (root / f"{base}.mmst").read_bytes()
    if len(data) < len(was):
        print(f"The first {len(data)} bytes of {base}.")
    at = 0
    while at < len(data):
        end = at
        while end < len(data) and data[end] != was[end]:
            end += 1
        if end > at:
            print(f"{at:04x}  {data[at:end].hex(' '):<11}  was {was[at:end].hex(' ')}")
        at = max(end, at + 1)
    print(f"\nThe other bytes are those of {base}:\n")
    print_bytes(root, base)
    print(f"\nA reader has to say of {name}:\n\n{expected(refused, documents)}")


def print_bytes(root, name):
    """The lines of a file; those of its base too."""
    path = root / f"{name}.hex"
    if path.is_file():
        text = path.read_text("utf-8")
    else:
        text = f"# {name}: the file of a producer; `mmstats dump {name}.mmst` prints its bytes\n"
    print(text, end="")
    for line in text.splitlines():
        if line.startswith("base "):
            print(f"\nThe bytes are those of {line[5:]}, with the lines above over them:\n")
            print_bytes(root, line[5:])


def braces(pattern):
    """The patterns that `{a,b}` stands for, which fnmatch does not know."""
    before, opened, rest = pattern.partition("{")
    inside, closed, after = rest.partition("}")
    if bool(opened) != bool(closed) or "[" in pattern and "]" not in pattern:
        raise Unable(f"the pattern {pattern!r} has a bracket that is not closed")
    if not opened:
        return [pattern]
    return [one for part in inside.split(",") for one in braces(before + part + after)]


def copy(fixtures, directory):
    """All files, those that are others cut or changed too."""
    for name, _, data, refused, documents in fixtures:
        path = directory / f"{name}.mmst"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.with_suffix(".json").write_text(expected(refused, documents) + "\n", "utf-8")
    print(f"{len(fixtures)} fixtures in {directory}")


def main():
    try:
        sys.exit(0 if work() else 1)
    except BrokenPipeError:  # a long list was not read to its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(0)
    except (OSError, ValueError, Unable) as error:
        print(f"conform.py: {error}", file=sys.stderr)
        sys.exit(2)


def work():
    parser = argparse.ArgumentParser(prog="conform.py", description=__doc__.splitlines()[0])
    parser.add_argument("--fixtures", type=pathlib.Path, default=HERE / "fixtures")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("run", "list"):
        parsed = commands.add_parser(name)
        parsed.add_argument("--only", action="append", default=[])
        parsed.add_argument("--skip", action="append", default=[])
        if name == "run":
            parsed.add_argument("--reader", required=True)
            parsed.add_argument("--level", choices=("bytes", "values"), default="bytes")
            parsed.add_argument("--strict", action="store_true")
            parsed.add_argument("--known-failures")
            parsed.add_argument("--json")
            parsed.add_argument("--format", default="3.0")
    commands.add_parser("copy").add_argument("directory", type=pathlib.Path)
    commands.add_parser("explain").add_argument("id")
    options = parser.parse_args()
    if options.command == "explain":
        explain(options.fixtures, options.id)
        return True
    if getattr(options, "level", "") == "values":
        return level.run(lambda directory: output(command(options.reader, directory)), options.fixtures.parent / "values")
    everything = sorted(load(options.fixtures), key=lambda fixture: fixture[0])
    if not everything:
        raise Unable(f"{options.fixtures}: no fixtures")
    if options.command == "copy":
        copy(everything, options.directory)
        return True

    def match(name, patterns):
        each = (one for pattern in patterns for one in braces(pattern))
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in each)

    if getattr(options, "format", "3.0") != "3.0":
        raise Unable(f"no fixtures of format {options.format}; there is 3.0")
    fixtures = [f for f in everything
                if (not options.only or match(f[0], options.only)) and not match(f[0], options.skip)]  # fmt: skip
    if not fixtures:
        raise Unable("no fixture matches; `list` names all")
    if options.command == "list":
        for name, about, *_ in fixtures:
            print(f"{name:48} {about}")
        return True
    return run(options, fixtures, {fixture[0] for fixture in everything})


if __name__ == "__main__":
    main()
