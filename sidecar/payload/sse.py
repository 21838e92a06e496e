"""Server-sent events, as far as answers of language models use them: a `data:` line per event.

Bytes come in any portions; what is not yet a whole line is held, and never more than one line of
bounded length. A longer one is passed over and counted, and reading goes on after it.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html (lines that end in a bare CR,
and events of several `data:` lines, are of that format and of no such server).
"""

from __future__ import annotations

from typing import Final

LONGEST_LINE: Final = 64 * 1024
"""Bytes of a line; a chunk with the log probabilities of twenty candidates has about 4 KiB."""

_FIELD: Final = b"data:"


class EventLines:
    """Cuts a stream into the data of its events."""

    def __init__(self, longest_line: int = LONGEST_LINE) -> None:
        self._longest = longest_line
        self._held = bytearray()
        self._passing_over = False
        self.overflows = 0
        """Lines that were too long to be read."""

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        """The data of the events whose lines are complete with these bytes."""
        first, *others = bytes(data).split(b"\n")
        self._hold(first)
        if not others:
            return []
        *lines, last = (self._whole_line(), *others)
        found = [event for line in lines if (event := self._data_of(line)) is not None]
        self._hold(last)
        return found

    def finish(self) -> list[bytes]:
        """The data of a last line that was never ended."""
        data = self._data_of(self._whole_line())
        return [] if data is None else [data]

    def _hold(self, part: bytes) -> None:
        if self._passing_over or len(self._held) + len(part) > self._longest:
            self._held.clear()
            self._passing_over = True
        else:
            self._held += part

    def _whole_line(self) -> bytes:
        """What was held, now that its line has ended."""
        line = bytes(self._held)
        self.overflows += self._passing_over
        self._held.clear()
        self._passing_over = False
        return line

    def _data_of(self, line: bytes) -> bytes | None:
        if len(line) > self._longest:
            self.overflows += 1
            return None
        if not line.startswith(_FIELD):
            return None  # a comment, another field, or the end of an event
        return line[len(_FIELD) :].strip()
