"""`python -m mmstats.compat.clean [FILE...]`: removes the files of processes that have ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from .reader import InvalidMmStatsVersion, MmStatsReader
from .slurpstats import files


def clean(paths: Iterable[str]) -> None:
    """Removes files whose process does not exist any more."""
    alive = removed = 0
    for fn in paths:
        if os.path.isdir(fn):
            continue
        try:
            reader = MmStatsReader.from_file(fn)
        except InvalidMmStatsVersion:
            print(f"Invalid file: {fn}")
            continue
        except PermissionError:
            print(f"Permission denied: {fn}")
            continue
        except OSError:
            continue
        pid = next((int(value) for label, value in reader if label.endswith("sys.pid")), None)
        if pid is None:
            print(f"File has no sys.pid entry: {fn}")
            continue
        if reader._program.state in ("live", "unknown"):
            alive += 1
            continue
        print(f"PID {pid} not found. Deleting {fn}")
        try:
            os.remove(fn)
            removed += 1
        except OSError as error:
            print(f"Could not remove {fn}: {error}")
    print(f"Removed {removed}  -  {alive} alive")


def cli() -> None:
    clean(files(sys.argv[1:]))


if __name__ == "__main__":
    cli()
