"""Where files are, as the environment says."""

from __future__ import annotations

import os

# Empty: the directory of this user for programs that publish, which `mmstats show` looks at.
DEFAULT_PATH = os.environ.get("MMSTATS_PATH", "")
DEFAULT_FILENAME = os.environ.get("MMSTATS_FILES", "{CMD}-{PID}-{ID}.mmst")
DEFAULT_GLOB = os.environ.get("MMSTATS_GLOB", "")
DEFAULT_STRING_SIZE = 255
