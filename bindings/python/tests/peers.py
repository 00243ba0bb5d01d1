"""Other packages that tests need, below target/: never committed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or Path(__file__).resolve().parents[3] / "target")


def source(requirement: str) -> Path:
    """The unpacked source distribution of `NAME==VERSION`."""
    name, _, version = requirement.partition("==")
    place = TARGET / "python" / "sources"
    unpacked = place / f"{name}-{version}"
    if not unpacked.is_dir():
        place.mkdir(parents=True, exist_ok=True)
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*download, "--no-binary", ":all:", "--dest", str(place), requirement], check=True, timeout=300)
        with tarfile.open(place / f"{name}-{version}.tar.gz") as archive:
            archive.extractall(place, filter="data")
    return unpacked
