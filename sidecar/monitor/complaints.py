"""What is said when a fault of ours meets an exchange: each kind once, and nothing of a payload."""

from __future__ import annotations

import logging
from typing import Final

log: Final = logging.getLogger("sidecar.worker")


class Complaints:
    """Logs faults; `message` says what became of the exchange."""

    __slots__ = ("_message", "_seen")

    def __init__(self, message: str) -> None:
        self._message = message
        self._seen: set[type[Exception]] = set()

    def about(self, error: Exception) -> None:
        """Log what went wrong, each kind once; without the text, which may quote a payload."""
        kind = type(error)
        if kind not in self._seen:
            self._seen.add(kind)
            log.error(self._message, extra={"kind": kind.__name__, "where": _place_of(error)})


def _place_of(error: Exception) -> str:
    """The innermost line of code that an error passed."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown"
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
