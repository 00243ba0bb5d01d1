#!/usr/bin/env python3
"""Lists the single faults of a reader that mutate.py plants: plant.py python|c

Each comparison, condition, operand, constant, offset, mask and assignment of the parts of the reader that
conformance runs is changed, one at a time. The list is written to faults/NAME.txt; the reasons in it, of
faults that change nothing, stay. After a change of a reader: run it, then mutate.py, and look at both.
"""

import ast
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
READERS = {
    "python": ["python/mmstats_reader.py", "python/conform_reader.py"],
    "c": ["c/mmstats.h", "c/reader.c"],  # of the second one no faults are planted
}
# Functions of mmstats_reader.py that combine or print values: no fixture of level bytes runs them.
LEFT_OUT = set(
    "combine combine_scalars combine_timers combine_states combine_means is_damaged mean_of combine_rates "
    "combine_running bound bounds quantile show_histogram combine_histograms rates read_atomic read_events "
    "read_ring read_window read_rate read_activity read_histogram read _value has lane_value show_field show "
    "shown plain main fence type_name COMBINE QUANTILES TIMER_ELEMENTS BUILDING _native map_file _total look "
    "read_slot _TOTAL_STORE_ORDER Unsettled code HEADER_OFFSET".split()
)
# Lines that serve only these, or people.
LEFT_OUT_LINES = re.compile(
    r"e == 1 for e|kind == (AVERAGE|TIMER|RUNNING):|no durations|None, None, None|number, micros|\"number\": number"
    r"|return list\(elements\)|time\.sleep|self\.live|self\._native|self\.scale, self\.float"
)


# ---- A list of faults -------------------------------------------------------------


class Fault:
    """A line of a function (the number-th one that reads so), what it becomes, and why that changes
    nothing; `why` is None for a fault that has to be found."""

    def __init__(self, file, scope, number, old, new, why=None):
        self.file, self.scope, self.number, self.old, self.new, self.why = file, scope, number, old, new, why
        self.key = file, scope, number, old, new
        self.by_hand = False

    def apply(self, text):
        """The text of the file with the fault."""
        lines, seen = text.split("\n"), 0
        for i, (scope, line) in enumerate(zip(scopes(self.file, text), lines)):
            if scope == self.scope and line.strip() == self.old:
                seen += 1
                if seen == self.number:
                    new = self.new or ("#" if self.file.endswith(".py") else ";")
                    lines[i] = line[: len(line) - len(line.lstrip())] + new
                    return "\n".join(lines)
        sys.exit(f"{self.file} {self.scope}: {self.old!r} is not there: run plant.py")


def scopes(file, text):
    """For each line the function, class or table that it is in."""
    begin = r"(?:def|class) (\w+)|([A-Z_]+)(?:, [A-Z_]+)* = " if file.endswith(".py") else r"\w.*?(\w+)\(.*[^;]$"
    inner = r"\s+def (\w+)" if file.endswith(".py") else r"$^"
    out, now = [], "-"
    for line in text.split("\n"):
        found = re.match(begin, line) or re.match(inner, line)
        if found and any(found.groups()):
            now = next(filter(None, found.groups()))
        out.append(now)
    return out


def load(path):
    faults, file, scope, number, old = [], None, None, 1, None
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        mark, _, rest = line.partition(" ")
        if mark == "@":
            file, scope = rest.split(" ")
        elif mark[:1] == "-":
            number, old = int(mark[1:] or 1), rest
        elif mark in ("+", "*"):
            faults.append(Fault(file, scope, number, old, rest))
            faults[-1].by_hand = mark == "*"
        elif mark == "=":
            faults[-1].why = rest
    return faults


def save(path, about, faults):
    out, place, line = [f"# {line}" for line in about], None, None
    for f in faults:
        if (f.file, f.scope) != place:
            place, line = (f.file, f.scope), None
            out += ["", f"@ {f.file} {f.scope}"]
        if (f.number, f.old) != line:
            line = f.number, f.old
            out.append(f"-{f.number if f.number > 1 else ''} {f.old}")
        out.append(f"{'*' if f.by_hand else '+'} {f.new}")
        if f.why:
            out.append(f"= {f.why}")
    path.write_text("\n".join(out) + "\n", "utf-8")


# ---- Python -----------------------------------------------------------------------

COMPARE = {
    ast.Lt: ("<", ["<=", ">="]), ast.LtE: ("<=", ["<"]), ast.Gt: (">", [">="]), ast.GtE: (">=", [">"]),
    ast.Eq: ("==", ["!=", ">=", "<="]), ast.NotEq: ("!=", ["=="]), ast.In: (" in ", [" not in "]),
    ast.NotIn: (" not in ", [" in "]), ast.Is: (" is ", [" is not "]), ast.IsNot: (" is not ", [" is "]),
}  # fmt: skip
BINARY = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "+"), ast.FloorDiv: ("//", "*"),
          ast.Mod: ("%", "//"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"), ast.LShift: ("<<", ">>"),
          ast.RShift: (">>", "<<")}  # fmt: skip
CODES = {"B": "b", "H": "B", "I": "H", "Q": "I", "b": "B", "h": "H", "i": "I", "q": "Q"}


def is_code(node):
    """U64, CONSTANT and the like: types, kinds and storages."""
    return isinstance(node, ast.Name) and node.id.isupper()


def python(text):
    """(line, begin, end, replacement) of each fault."""
    lines = text.split("\n")

    def between(a, b, old, new):
        """An operator between two nodes of one line."""
        if a.end_lineno == b.lineno:
            at = lines[a.end_lineno - 1].find(old, a.end_col_offset, b.col_offset)
            if at >= 0:
                yield a.end_lineno, at, at + len(old), new

    def replace(node, new):
        if node.lineno == node.end_lineno:
            yield node.lineno, node.col_offset, node.end_col_offset, new

    def source(node):
        return ast.get_source_segment(text, node)

    tree = ast.parse(text)
    # The 2 of 2**32, and offsets of words: loads round them down to a multiple of their size.
    bases = {n.left for n in ast.walk(tree) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Pow)}
    loads = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)
             and n.func.attr in ("u32", "u64")]  # fmt: skip
    steps = {c: 4 if n.func.attr == "u32" else 8 for n in loads for c in ast.walk(n) if isinstance(c, ast.Constant)}
    steps |= {n.value: 4 for n in ast.walk(tree) if isinstance(n, ast.Assign) and source(n.targets[0]) == "DESCRIPTOR_STATE"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            left = node.left
            for op, right in zip(node.ops, node.comparators):
                old, news = COMPARE[type(op)]
                constant = isinstance(right, ast.Constant) and type(right.value) is int and right.value
                for new in news if constant or is_code(right) else news[:1]:
                    yield from between(left, right, old, new)
                if isinstance(right, ast.Tuple) and len(right.elts) > 2:
                    for i in range(len(right.elts)):
                        rest = ", ".join(source(e) for j, e in enumerate(right.elts) if j != i)
                        yield from replace(right, f"({rest})")
                left = right
        elif isinstance(node, ast.BoolOp):
            for value in node.values:
                yield from replace(value, str(isinstance(node.op, ast.And)))
        elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
            yield from replace(node.test, "False")
            if isinstance(node, ast.IfExp):
                yield from replace(node.test, "True")
        elif isinstance(node, ast.comprehension):
            for test in node.ifs:
                yield from replace(test, "True")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub, ast.Invert)):
            yield from replace(node, source(node.operand))
        elif isinstance(node, ast.BinOp) and type(node.op) in BINARY:
            yield from between(node.left, node.right, *BINARY[type(node.op)])
        elif isinstance(node, ast.Constant) and type(node.value) is int and node not in bases:
            step = steps.get(node, 1)
            for new in (node.value + step, node.value - step) if node.value else (step,):
                yield from replace(node, str(new))
        elif isinstance(node, ast.Constant) and node.value in CODES:
            yield from replace(node, f'"{CODES[node.value]}"')
        elif isinstance(node, ast.Call):
            name = source(node.func)
            if name in ("rule", "self._rule"):
                yield from replace(node.args[0], "True")
            if name in ("round_up", "max", "min"):
                for argument in node.args[:1] if name == "round_up" else node.args:
                    yield from replace(node, source(argument))
        elif isinstance(node, ast.Return) and isinstance(node.value, (ast.Compare, ast.BoolOp)):
            yield from replace(node.value, "True")
        elif isinstance(node, ast.Dict):
            for value in node.values:
                if isinstance(value, (ast.Compare, ast.BoolOp)):
                    yield from replace(value, "True")
        elif isinstance(node, ast.AugAssign) or isinstance(node, ast.Assign) and isinstance(
            node.targets[0], (ast.Attribute, ast.Subscript)
        ):
            yield from replace(node, "pass")


# ---- C ----------------------------------------------------------------------------

C = [
    (r"(?<![<\-])<(?![<=a-z])", ["<="]), (r"(?<!<)<=", ["<"]), (r"(?<![>\-])>(?![>=])", [">="]),
    (r"(?<!>)>=", [">"]), (r"==", ["!="]), (r"!=", ["=="]), (r"&&", ["||"]), (r"\|\|", ["&&"]),
    (r" \+ ", [" - "]), (r" - ", [" + "]), (r" \* ", [" + "]), (r" / ", [" * "]), (r" % ", [" / "]),
    (r" & ", [" | "]), (r" \| ", [" & "]), (r"<<(?!=)", [">>"]), (r">>(?!=)", ["<<"]), (r"!(?=[a-z(])", [""]),
    (r"(?<=if \()[^()]*(?:\([^()]*\)[^()]*)*(?=\)$)", ["0"]),
    (r"^\s*[a-z_>.\[\]-]+ (?:[+|]?=) [^{]*;$", [";"]),
]  # fmt: skip


def c(text):
    comment = False
    for number, line in enumerate(text.split("\n"), 1):
        code = re.sub(r"/\*.*?\*/", lambda m: " " * len(m[0]), line)
        code = re.sub(r'"(\\.|[^"])*"', lambda m: '"' + "x" * (len(m[0]) - 2) + '"', code)
        code = re.sub(r"'(\\.|[^'])'", lambda m: "'" + "x" * (len(m[0]) - 2) + "'", code)
        was, comment = comment, "/*" in code or comment and "*/" not in code
        code = code.rstrip()
        if was or comment or code.lstrip().startswith(("#", "_Static", "for (int k", "for (int i = 7")):
            continue
        for pattern, news in C:
            for found in re.finditer(pattern, code):
                for new in news:
                    if new == ";":
                        yield number, len(line) - len(line.lstrip()), len(line), ";"
                    else:
                        yield number, found.start(), found.end(), new
        for found in re.finditer(r"(?<![\w.])(0x[0-9a-fA-F]+|\d+)(u?)(?!\w)", code):
            value = int(found[1], 0)
            for new in (value + (8 if "mm_u64" in code else 4 if "mm_u" in code else 1),):
                yield number, found.start(), found.end(), f"{new}{found[2]}"


# Functions of the reader in C that are for writers, or alike on every machine.
C_LEFT_OUT = re.compile(r"mmw_|mm_le32|mm_u32$|mm_u64$|mm_fence|mm_(begin|end)_look|main|-$")


def faults(name):
    for file in READERS[name]:
        text = (HERE / file).read_text("utf-8")
        lines, where = text.split("\n"), scopes(file, text)
        seen = set()
        if file == "c/reader.c":
            continue
        for number, begin, end, new in sorted((python if name == "python" else c)(text)):
            line, scope = lines[number - 1], where[number - 1]
            if name == "python" and scope in LEFT_OUT | ({"main", "read"} if "conform" in file else set()):
                continue
            if name == "c" and C_LEFT_OUT.match(scope):
                continue
            changed = (line[:begin] + new + line[end:]).strip()
            nth = sum(s == scope and text.strip() == line.strip()
                      for s, text in zip(where[:number], lines[:number]))  # fmt: skip
            if name == "python" and LEFT_OUT_LINES.search(line):
                continue
            fault = Fault(file, scope, nth, line.strip(), changed)
            if changed != line.strip() and fault.key not in seen:
                seen.add(fault.key)
                yield fault


def by_line(name, faults):
    """In the order of the lines of the reader."""
    order = {}
    for file in READERS[name]:
        text = (HERE / file).read_text("utf-8")
        seen = {}
        for scope, line in zip(scopes(file, text), text.split("\n")):
            seen[scope, line.strip()] = number = seen.get((scope, line.strip()), 0) + 1
            order[file, scope, number, line.strip()] = len(order)
    return sorted(faults, key=lambda f: (order[f.key[:4]], f.by_hand))


def main():
    (name,) = sys.argv[1:]
    path = HERE / "faults" / f"{name}.txt"
    listed, found = load(path), list(faults(name))
    reasons = {fault.key: fault.why for fault in listed if not fault.by_hand}
    for fault in found:
        fault.why = reasons.get(fault.key)
    lost = [key for key, why in reasons.items() if why and key not in {f.key for f in found}]
    for key in lost:
        print("no longer there, with its reason:", *key)
    found = by_line(name, found + [fault for fault in listed if fault.by_hand])
    save(path, [f"Faults of the {name} reader, by plant.py; mutate.py plants them one at a time.",
                "`@` file and function, `-` a line (a number: which of equal ones), `+` the line with a fault,",
                "`*` the same, written by hand, `=` why that fault changes nothing that a fixture could show."], found)  # fmt: skip
    print(f"{len(found)} faults, {sum(bool(f.why) for f in found)} with a reason")


if __name__ == "__main__":
    main()
