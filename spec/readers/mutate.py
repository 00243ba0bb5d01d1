#!/usr/bin/env python3
"""Plants single faults in the readers in Python and C, and counts those that the fixtures find.

    python3 mutate.py [python|c] [--verbose]

The faults are listed in faults/ (plant.py makes the lists). A fault is found if the reader with it is wrong
about a fixture; and without codes, if it is wrong about one while codes are not compared (CONFORMANCE.md
section 3). Faults with a reason there change nothing that a fixture could show, and do not count. It fails
if less than LEAST of the others are found with codes.
"""

import json
import multiprocessing
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import time
import types

import plant

HERE = plant.HERE
sys.path.insert(0, str(HERE.parent))
import conform  # noqa: E402

LEAST = 0.97
SECONDS = 2  # that a fixture may take

# What the workers share: the fixtures as (path, id, refusal, documents), and the right answers.
FIXTURES, RIGHT = [], {}


class Slow(BaseException):
    """A reader with a fault does not come to an end."""


def slow(*_):
    raise Slow


# ---- Answers of a reader: an exit code and a document for each path ---------------


def python_answers(files, paths):
    """Of the reader in Python, whose files are `files`, in this process."""
    m, reader = types.ModuleType("mmstats_reader"), types.ModuleType("conform_reader")
    sys.modules["mmstats_reader"] = m
    for module, file in ((m, "mmstats_reader.py"), (reader, "conform_reader.py")):
        exec(compile(files[f"python/{file}"], file, "exec"), module.__dict__)
    m.time = types.SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: None)
    for path in paths:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            memory, _ = m.map_file(path)
            yield 0, m.look(memory, reader.document)
        except m.Refused as refusal:
            yield 1, {"refused": refusal.code}
        except m.Unsettled:
            yield 2, None
        except (Exception, Slow) as error:
            yield 3, repr(error)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


# Calls the reader in C in a child for each path of the standard input.
HARNESS = """
#define main reader_main
#include "reader.c"
#undef main
#include <sys/resource.h>
#include <sys/wait.h>
int main(void)
{
    static char path[4096];
    struct rlimit room = {1u << 28, 1u << 28};
    setrlimit(RLIMIT_AS, &room);
    while (fgets(path, sizeof path, stdin)) {
        path[strcspn(path, "\\n")] = 0;
        pid_t child = fork();
        if (child == 0) {
            alarm(2);
            _exit(reader_main(2, (char *[]){"reader", path, NULL}));
        }
        int status = 0;
        waitpid(child, &status, 0);
        printf("=%d\\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128);
        fflush(stdout);
    }
}
"""


def c_answers(files, paths):
    """Of the reader in C: nothing if it does not compile."""
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        for file in files:
            (directory / pathlib.Path(file).name).write_text(files[file], "utf-8")
        (directory / "harness.c").write_text(HARNESS, "utf-8")
        cc = ["cc", "-O0", "-w", "-std=gnu11", "-o", directory / "harness", directory / "harness.c"]
        if subprocess.run(cc, capture_output=True).returncode:
            return
        (directory / "paths").write_text("".join(f"{path}\n" for path in paths))
        with open(directory / "paths") as stdin, subprocess.Popen(
            [directory / "harness"], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as child:
            try:
                said = b""
                while line := child.stdout.readline(1 << 20):
                    if not line.startswith(b"="):
                        said = (said + line)[: 1 << 21]
                        continue
                    yield int(line[1:]), said and parsed(said)
                    said = b""
            finally:
                child.kill()


def parsed(said):
    try:
        return json.loads(said)
    except ValueError:
        return said.decode("utf-8", "replace")


ANSWERS = {"python": python_answers, "c": c_answers}


# ---- One fault ----------------------------------------------------------------------


def is_wrong(answer, fixture, strict):
    code, document = answer
    _, _, refused, documents = fixture
    return conform.judge(code, json.dumps(document).encode(), refused, documents, strict) not in (None, "mute")


def verdict(work):
    """The fixtures that find a fault with codes and without; None if it does not even start."""
    name, fault = work
    files = {file: (HERE / file).read_text("utf-8") for file in plant.READERS[name]}
    files[fault.file] = fault.apply(files[fault.file])
    found, answered = [None, None], False
    try:
        for i, answer in zip(ORDER, ANSWERS[name](files, [FIXTURES[i][0] for i in ORDER])):
            answered = True
            if answer == RIGHT[name][i]:
                continue
            for strict in (True, False):
                if not found[not strict] and is_wrong(answer, FIXTURES[i], strict):
                    found[not strict] = FIXTURES[i][1]
            if found[1]:
                ORDER.remove(i)  # those that found a fault come first for the next one
                ORDER.insert(0, i)
                break
    except (Exception, Slow) as error:
        answered, found = True, [repr(error)] * 2
    return fault, found if answered else None


ORDER = []


def start():
    signal.signal(signal.SIGALRM, slow)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    ORDER.extend(range(len(FIXTURES)))


def check(name, verbose):
    began, faults = time.monotonic(), plant.load(HERE / "faults" / f"{name}.txt")
    for fault in faults:
        fault.apply((HERE / fault.file).read_text("utf-8"))
    files = {file: (HERE / file).read_text("utf-8") for file in plant.READERS[name]}
    signal.signal(signal.SIGALRM, slow)
    RIGHT[name] = list(ANSWERS[name](files, [fixture[0] for fixture in FIXTURES]))
    assert len(RIGHT[name]) == len(FIXTURES)
    for answer, fixture in zip(RIGHT[name], FIXTURES):
        assert not is_wrong(answer, fixture, True), f"without a fault: {fixture[1]} {answer}"
    count = {"all": 0, "with": 0, "without": 0, "named": 0}
    with multiprocessing.get_context("fork").Pool(os.cpu_count(), start) as pool:
        for fault, found in pool.imap(verdict, [(name, fault) for fault in faults], 4):
            shown = f"{fault.file} {fault.scope}\n    - {fault.old}\n    + {fault.new}"
            if found is None:
                print(f"does not start: {shown}")
                continue
            if fault.why and not found[0]:
                count["named"] += 1
                continue
            if fault.why:
                print(f"found by {found[0]}, although it has a reason: {shown}\n    = {fault.why}")
            count["all"] += 1
            count["with"] += bool(found[0])
            count["without"] += bool(found[1])
            if not found[0]:
                print(f"NOT FOUND: {shown}")
            elif not found[1] and verbose:
                print(f"only by the code of {found[0]}: {shown}")
    share = count["with"] / count["all"]
    print(f"{name}: of {count['all']} faults {count['with']} found ({share:.1%}), without codes "
          f"{count['without']} ({count['without'] / count['all']:.1%}); {count['named']} more change nothing; "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip
    return share >= LEAST


def main():
    names = [name for name in sys.argv[1:] if name in ANSWERS] or list(ANSWERS)
    with tempfile.TemporaryDirectory() as directory:
        for i, (name, _, data, refused, documents) in enumerate(conform.load(HERE.parent / "fixtures")):
            path = pathlib.Path(directory) / f"{i}.mmst"
            path.write_bytes(data)
            FIXTURES.append((path, name, refused, documents))
        good = [check(name, "--verbose" in sys.argv) for name in names]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
