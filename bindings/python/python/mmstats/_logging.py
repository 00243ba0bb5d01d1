"""Log records in the black box."""

from __future__ import annotations

import logging

from . import _native
from ._text import published


class EventHandler(logging.Handler):
    """Records each log record as a line of an `events` field: the last ones survive a crash."""

    def __init__(self, events: _native.Events, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.events = events

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.events.record(published(self.format(record)))
        except Exception:
            self.handleError(record)
