#!/usr/bin/env python3
"""Checks every link of every document: the file exists, and the anchor in it.

Looks at relative links and images in all .md files that git knows, at anchors (of headings as GitHub
names them, and `<a id>`), at sections that the documents of the format name in words ("section 4.5",
"PROTOCOL.md section 2.3") also in source files, and at paths in backquotes that begin with a folder of this repository.
Links to other sites are left alone.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPEC = ROOT / "spec"
# Source files whose comments name sections of the documents.
SOURCES = ("*.rs", "*.py", "*.c", "*.h", "*.go", "*.java", "*.mjs", "*.rb", "*.toml", "*.pml", "*.ksy", "*.hex")
FENCE = re.compile(r"^(```|~~~).*?^\1[`~]*$", re.M | re.S)
LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
NAMED = re.compile(r"^\s*\[[^\]]+\]:\s+(\S+)", re.M)


def anchors(text):
    """The anchors of a document: its headings, and elements with an id."""
    found, seen = set(re.findall(r'<a (?:id|name)="([^"]+)"', text)), {}
    for heading in re.findall(r"^#{1,6} +(.*?)#*$", FENCE.sub("", text), re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"<[^>]*>", "", heading))
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        number = seen[slug] = seen.get(slug, -1) + 1
        found.add(f"{slug}-{number}" if number else slug)
    return found


def sections(name):
    text = (SPEC / name).read_text("utf-8")
    return set(re.findall(r"^#+ ([0-9]+(?:\.[0-9]+)*)\.? ", text, re.M))


def references(path, text, numbers):
    """Sections that a document names and that are not there."""
    text = re.sub(r"\s+", " ", text)
    own = path.name if path.name in numbers and path.parent == SPEC else None
    pattern = r"(?:(FORMAT|KINDS|FILES|PROTOCOL|CONFORMANCE)(?:\.md)?`?\]?(?:\([^)]*\))?(?:,? |'s ))?sections? ((?:[0-9]+(?:\.[0-9]+)*(?:, | and | to | or )?)+)"
    for document, which in re.findall(pattern, text):
        name = f"{document}.md" if document else own
        for number in re.findall(r"[0-9]+(?:\.[0-9]+)*", which) if name else ():
            if number not in numbers[name]:
                yield f"{name} has no section {number}"


def tracked(*patterns):
    """The files that git knows."""
    listed = subprocess.check_output(["git", "ls-files", "-z", *patterns], cwd=ROOT).decode().split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


def main():
    documents = {ROOT / name: (ROOT / name).read_text("utf-8") for name in tracked("*.md")}
    places = {path: anchors(text) for path, text in documents.items()}
    numbers = {name: sections(name) for name in ("FORMAT.md", "KINDS.md", "FILES.md", "PROTOCOL.md", "CONFORMANCE.md")}
    folders = {entry.name for entry in ROOT.iterdir() if entry.is_dir()} - {"target", ".git"}
    wrong, count = [], 0
    for path, text in documents.items():
        name = path.relative_to(ROOT)
        plain = FENCE.sub("", text)
        for target in LINK.findall(re.sub(r"`[^`\n]*`", "``", plain)) + NAMED.findall(plain):
            # Other sites, and the names of Rust's documentation.
            if re.match(r"[a-z+]+:", target) or "::" in target:
                continue
            count += 1
            file, _, place = target.partition("#")
            other = (path.parent / file).resolve() if file else path
            if not other.exists():
                wrong.append(f"{name}: {target} is not there")
            elif place and other in places and place not in places[other]:
                wrong.append(f"{name}: {target}: no such place")
        for piece in re.findall(r"`([\w.-]+(?:/[\w.-]+)+)`", plain):
            if piece.split("/")[0] not in folders:
                continue
            count += 1
            if not any((base / piece).exists() for base in (ROOT, path.parent, SPEC, SPEC / "fixtures")):
                # valid/small stands for three files.
                if not list((SPEC / "fixtures").glob(f"{piece}.*")):
                    wrong.append(f"{name}: {piece} is not there")
        for why in references(path, plain, numbers):
            wrong.append(f"{name}: {why}")
    for path in map(ROOT.joinpath, tracked(*SOURCES)):
        # A comment that goes on in the next line.
        text = re.sub(r"\n[ \t]*(?://[/!]?|#|\*)[ \t]*", " ", path.read_text("utf-8"))
        wrong += [f"{path.relative_to(ROOT)}: {why}" for why in references(path, text, numbers)]
    print(f"{len(documents)} documents, {count} links and paths, {len(wrong)} wrong")
    sys.exit("\n".join(wrong) or (None if count else "no links were found"))


if __name__ == "__main__":
    main()
