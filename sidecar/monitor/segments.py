"""Which block of an area a row is counted in: one for each segment key.

Without segments there is a single block. A value that is none of those told apart, or that a
request does not have, is counted in the block of `other`.

Must not know: columns, codecs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sidecar.config.observation import SegmentPlan
from sidecar.model.categories import category_of
from sidecar.monitor.exchanges import Request
from sidecar.monitor.fields import FieldFinder
from sidecar.payload import Inputs, Source, Value

LONGEST_VALUE: Final = 200  # characters of a segment's value or an entity's key that are looked at


class SourcedValue:
    """Reads the value of one source of a request.

    `asked` are the sources that the codec finds, in the order of `Inputs.sourced`; a header it
    cannot see.
    """

    __slots__ = ("_at", "_finder", "feature")

    def __init__(self, source: Source, asked: Sequence[Source]) -> None:
        self._finder = None if source.header is None else FieldFinder(source.header.encode())
        self._at = -1 if source.header is not None else asked.index(source)
        self.feature = source.feature

    @property
    def in_head(self) -> bool:
        """Whether a body says nothing about it."""
        return self._finder is not None

    def header(self, request: Request) -> str | None:
        """The value of a source that is in the head."""
        if self._finder is None:
            return None
        found = self._finder.find(request.wire, request.body_at)
        return None if found is None else found[:LONGEST_VALUE].decode("latin-1")

    def text(self, request: Request, inputs: Inputs) -> str | None:
        """The value as a category reads; None when there is none."""
        if self.in_head:
            return self.header(request)
        sourced = inputs.sourced
        return text_of(sourced[self._at]) if self._at < len(sourced) else None


def text_of(value: Value) -> str | None:
    """A value as a category reads."""
    if isinstance(value, str):
        return value[:LONGEST_VALUE]
    return None if value is None or value != value else category_of(value)  # noqa: PLR0124


class SegmentKey:
    """One key: from the value of a request, or of a row, to where its block begins."""

    __slots__ = ("_bases", "_other", "name", "source")

    def __init__(self, plan: SegmentPlan, asked: Sequence[Source], bases: Sequence[int]) -> None:
        self.name = plan.name
        self.source = SourcedValue(plan.source, asked)
        *known, self._other = bases
        self._bases: dict[str | None, int] = dict(zip(plan.values, known, strict=True))

    def base(self, text: str | None) -> int:
        """Where the block of a value begins in the area, in words."""
        return self._bases.get(text, self._other)


def asked_of_codec(sources: Sequence[Source]) -> tuple[Source, ...]:
    """Those sources that stand in the body, each once."""
    return tuple(dict.fromkeys(source for source in sources if source.header is None))
