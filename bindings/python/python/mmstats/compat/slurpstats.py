"""`python -m mmstats.compat.slurpstats [FILE...]`: prints all fields of files."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Sequence

from .. import _native
from .defaults import DEFAULT_GLOB
from .reader import InvalidMmStatsVersion, MmStatsReader


def files(arguments: Sequence[str]) -> list[str]:
    """The files that are named, or else those of all programs."""
    if arguments:
        return list(dict.fromkeys(arguments))
    if DEFAULT_GLOB:
        return sorted(glob.glob(DEFAULT_GLOB))
    with _native.Observer() as observer:
        return [os.fspath(path) for program in observer.refresh() for path in program.paths]


def slurp_stats(fn: str) -> None:
    """Prints the fields of a file."""
    stats = list(MmStatsReader.from_file(fn))
    print("==>", fn)
    width = max((len(label) for label, _ in stats), default=0)
    for label, value in stats:
        print(f"  {label:<{width}} {value}")
    print()


def main() -> None:
    try:
        for fn in files(sys.argv[1:]):
            try:
                slurp_stats(fn)
            except BrokenPipeError:
                raise
            except (OSError, InvalidMmStatsVersion) as error:
                print(f"Error reading: {fn}\n{error}", file=sys.stderr)
    except BrokenPipeError:
        # Its reader has seen enough: nothing is left to be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
