"""Whether a shadow says what the primary said, for each request that both were asked.

The answers are read in whatever order they come. A ticket belongs to one request and its copies: it
holds what was read first until the other side is known, and lives no longer than they do.

Must not know: how bodies are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from math import isclose
from typing import Final

import numpy as np
from msgspec import Struct

from sidecar.model.categories import category_of
from sidecar.monitor.bodies import BodyReader
from sidecar.monitor.exchanges import SHORT_BYTES, Request
from sidecar.payload import Codec, Outputs, Value
from sidecar.payload.row_answers import BoolArray, RowAnswers
from sidecar.sketch import FloatArray

RELATIVE_TOLERANCE: Final = 1e-6  # between numbers: float32 on one side, float64 on the other
MOST_COMPARED: Final = 4096  # predictions of one answer; those of larger batches are not held


class Verdict(Enum):
    """What a comparison says."""

    AGREED = "the same predictions"
    DIFFERED = "other predictions"
    UNPAIRED = "one of them has none"


Tell = Callable[[Verdict], None]


class Ticket(Struct, gc=False):
    """What the primary and the shadows of one request share.

    `bodies` reads the request for all of them, as the primary's watch does, if there is one. An
    answer that is the same to the byte says the same, and is decoded once: see `known`. `chosen`
    says, once one of them was considered, whether the budget allows to read them: all or none.
    `said` is set where the primary was read with others: what it said is the entry `at`.
    """

    request: Request
    bodies: BodyReader | None = None
    chosen: bool | None = None
    said: RowAnswers | None = None
    at: int = 0
    _settled: bool = False
    _primary: Outputs | None = None
    _known: tuple[bytes, Codec, Outputs] | None = None
    _waiting: list[tuple[Outputs, Tell]] | None = None

    def known(self, answer: bytes, codec: Codec) -> Outputs | None:
        """What these bytes were found to say, if the same codec has read them before."""
        if self._known is not None and self._known[0] == answer and self._known[1] is codec:
            return self._known[2]
        return None

    def know(self, answer: bytes, codec: Codec, outputs: Outputs) -> None:
        """Remember what an answer said, unless it is large."""
        if answer and len(answer) <= SHORT_BYTES:
            self._known = (answer, codec, outputs)

    def settle(self, primary: Outputs | None) -> None:
        """The primary's answer is known, or there is none to compare with."""
        if self._settled:
            return
        self._settled = True
        self._primary = primary
        waiting, self._waiting = self._waiting, None
        for shadow, tell in waiting or ():
            tell(compare(primary, shadow))

    def settle_as(self, said: RowAnswers, at: int) -> None:
        """The same, for a primary that was read with others."""
        self.said = said
        self.at = at
        self.chosen = True
        if self._waiting is not None:
            self.settle(said.outputs(at))
        self._settled = True

    def compare(self, shadow: Outputs | None, tell: Tell) -> None:
        """Tell whether a shadow's answer is the primary's, now or as soon as that is known."""
        if self.said is not None and self._primary is None:
            self._primary = self.said.outputs(self.at)
        if shadow is None or self._settled:
            tell(compare(self._primary, shadow))
        elif self._waiting is None:
            self._waiting = [(shadow, tell)]
        else:
            self._waiting.append((shadow, tell))


def compare(primary: Outputs | None, shadow: Outputs | None) -> Verdict:
    """Compare predictions, or scores where a side has no predictions; row by row, flattened."""
    if primary is None or shadow is None:
        return Verdict.UNPAIRED
    if primary.predictions and shadow.predictions:
        ours: Sequence[Value] = primary.predictions
        theirs: Sequence[Value] = shadow.predictions
    else:
        ours, theirs = primary.scores, shadow.scores
    if not ours or not theirs or len(ours) > MOST_COMPARED:
        return Verdict.UNPAIRED
    if ours == theirs:
        return Verdict.AGREED
    agree = len(ours) == len(theirs) and all(map(same, ours, theirs))
    return Verdict.AGREED if agree else Verdict.DIFFERED


def same(one: Value, other: Value) -> bool:
    """Whether two predictions say the same: numbers nearly, categories by their text."""
    if one is None or other is None:
        return one is other
    if isinstance(one, float | int) and isinstance(other, float | int):
        if one != one:  # noqa: PLR0124 -- NaN
            return other != other  # noqa: PLR0124
        return isclose(one, other, rel_tol=RELATIVE_TOLERANCE)
    return category_of(one) == category_of(other)


def compare_rows(primary: RowAnswers, shadow: RowAnswers) -> tuple[int, int]:
    """`compare` for many answers: how many can be compared, and how many of them say the same.

    Entry by entry; both mean the same labels by the same numbers.
    """
    ours, theirs = primary.predictions, shadow.predictions
    if primary.complete and shadow.complete:
        if primary.labels:
            return len(ours), int(np.count_nonzero(ours == theirs))
        return len(ours), int(np.count_nonzero(_near(ours, theirs)))
    decided = ~(np.isnan(ours) | np.isnan(theirs))
    ours = np.where(decided, ours, primary.scores)
    theirs = np.where(decided, theirs, shadow.scores)
    paired = int(np.count_nonzero(~(np.isnan(ours) | np.isnan(theirs))))
    return paired, int(np.count_nonzero(_near(ours, theirs)))


def _near(ours: FloatArray, theirs: FloatArray) -> BoolArray:
    """As `isclose` of math has it, which is symmetric; that of NumPy is not. NaN is near none."""
    near: BoolArray = np.abs(ours - theirs) <= RELATIVE_TOLERANCE * np.maximum(
        np.abs(ours), np.abs(theirs)
    )
    return near
