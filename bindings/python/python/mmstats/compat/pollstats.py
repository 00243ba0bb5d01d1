"""`python -m mmstats.compat.pollstats [OPTIONS] FIELDS FILE...`: how much fields change, line by line."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from .. import _native
from .reader import InvalidMmStatsVersion, MmStatsReader

_BOLD, _YELLOW, _DEFAULT = "\033[1m", "\033[1;33m", "\033[0;0m"
_WIDTH = 20


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pollstats")
    parser.add_argument("-c", "--count", type=int)
    parser.add_argument("-d", "--delay", type=float, default=1)
    parser.add_argument("-f", "--filter", nargs="*", default=[], help="only files with this field, or FIELD=VALUE")
    parser.add_argument("-n", "--headers", type=int, default=20, help="print headers every HEADERS lines")
    parser.add_argument("-p", "--prefix", default="", help="field prefix")
    parser.add_argument("-v", action="count", dest="verbosity", default=0)
    parser.add_argument("--version", action="version", version=f"%(prog)s {_native.__version__}")
    parser.add_argument("fields", help="fields, separated by commas")
    parser.add_argument("files", nargs="+")
    return parser


class PollStats:
    def __init__(self, args: argparse.Namespace) -> None:
        self.prefix: str = args.prefix
        self.fields = [args.prefix + field for field in args.fields.split(",")]
        self.before: dict[str, Any] = dict.fromkeys(self.fields, 0)
        self.args = args
        self.files = [fn for fn in dict.fromkeys(args.files) if self._is_wanted(fn)]
        self.print_headers()

    def _read(self, fn: str) -> dict[str, Any] | None:
        try:
            return dict(MmStatsReader.from_file(fn))
        except (OSError, InvalidMmStatsVersion) as error:
            if self.args.verbosity:
                print(f"Skipping {fn} - {error}", file=sys.stderr)
            return None

    def _is_wanted(self, fn: str) -> bool:
        read = self._read(fn)
        if read is None:
            return False
        pairs = [text.split("=", 1) for text in self.args.filter if "=" in text]
        starts = (*self.fields, *(text for text in self.args.filter if "=" not in text))
        has_field = any(label.startswith(starts) for label in read)
        return has_field or any(str(read.get(label)) == value for label, value in pairs)

    def print_headers(self) -> None:
        titles = (field.removeprefix(self.prefix)[:_WIDTH].center(_WIDTH) for field in self.fields)
        print("|".join(_BOLD + title + _DEFAULT for title in titles), flush=True)

    def read_once(self) -> None:
        read = [found for found in map(self._read, self.files) if found is not None]
        now = {field: sum(found.get(field, 0) for found in read) for field in self.fields}
        print("|".join(f"{_YELLOW}{int(now[f] - self.before[f]):19d}{_DEFAULT} " for f in self.fields), flush=True)
        self.before = now

    def run(self) -> None:
        lines = 0
        while self.args.count is None or lines < self.args.count:
            if lines and lines % self.args.headers == 0 and self.args.count is None:
                self.print_headers()
            self.read_once()
            lines += 1
            time.sleep(self.args.delay)


def main() -> None:
    try:
        PollStats(_arguments().parse_args()).run()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
