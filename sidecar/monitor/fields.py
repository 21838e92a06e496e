"""Finds a field in a head when it is asked for, which is seldom: most bodies speak for themselves.

The head was checked by those who forwarded it: lines end in CRLF, no name is folded. Of a repeated
field the first line counts.

Must not know: what a field means.
"""

from __future__ import annotations


class FieldFinder:
    """Finds one field, by its name in any case.

    Senders do not change how they spell a name: the spelling seen last is looked for first, at a
    third of the cost.
    """

    __slots__ = ("_lower", "_spelled")

    def __init__(self, name: bytes) -> None:
        self._lower = b"\r\n%b:" % name.lower()
        self._spelled = b"\r\n%b:" % name.title()

    def find(self, head: bytes, end: int) -> bytes | None:
        """The value in `head[:end]`, without the space around it; None when it is not there."""
        at = head.find(self._spelled, 0, end)
        if at < 0:
            at = head[:end].lower().find(self._lower)
            if at < 0:
                return None
            self._spelled = head[at : at + len(self._lower)]
        at += len(self._lower)
        return head[at : head.find(b"\r\n", at)].strip(b" \t")
