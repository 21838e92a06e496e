"""JSON Pointers (RFC 6901): the path to one value of a document."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_TOKENS: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")  # RFC 6901 4: no leading zeros; no list is longer


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer taken apart: `steps` are its reference tokens, with the index each may be."""

    text: str
    steps: tuple[tuple[str, int | None], ...]

    @classmethod
    def parse(cls, text: str) -> Pointer:
        """The pointer that a text is. Raises ValueError when it is none, with what to write."""
        if text and not text.startswith("/"):
            raise ValueError("a JSON Pointer is empty or begins with `/`")
        if not _TOKENS.fullmatch(text):
            raise ValueError("in a JSON Pointer `~` is written `~0`, and `/` in a name `~1`")
        # RFC 6901 4: first `~1`, then `~0`, so that `~01` means `~1`.
        tokens = [t.replace("~1", "/").replace("~0", "~") for t in text.split("/")[1:]]
        return cls(text, tuple((t, int(t) if _INDEX.fullmatch(t) else None) for t in tokens))

    def find(self, document: object) -> object:
        """The value it points to; None, as for a null, when there is none."""
        for name, index in self.steps:
            if isinstance(document, dict):
                document = document.get(name)
            elif isinstance(document, list) and index is not None and index < len(document):
                document = document[index]
            else:
                return None
        return document
