"""The first rows of a watch without a reference, as they came, on their way to the controller.

At most `learn` rows of each worker, in chunks of at most 256 rows of one form; then no more. Rows
that could not be sent do not count: others take their place. Texts are cut, and rows of absurd
width left out, so that a chunk stays small whatever clients send.

Must not know: columns, where chunks go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from sidecar.model import CellKey
from sidecar.model.numbers import as_number
from sidecar.payload import Outputs, Value

CHUNK_ROWS: Final = 256
CHUNK_VALUES: Final = 65_536
WIDEST_ROW: Final = 4096
LONGEST_TEXT: Final = 256  # characters; longer ones are no categories
_BEYOND: Final = 2**63  # integers from here on do not fit into a message


class Learned(Protocol):
    """Takes a chunk: `rows[i]` has a value for each of `names`.

    `predictions` and `scores` have one entry per row, None where there is none; `segments` has, for
    each key, the text of each row or None. Returns False when the chunk could not be sent.
    """

    def __call__(
        self,
        *,
        key: CellKey,
        owner: str,
        names: tuple[str, ...],
        rows: list[list[Value]],
        predictions: list[Value],
        scores: list[float | None],
        segments: dict[str, list[str | None]],
    ) -> bool:
        """Take a chunk."""
        ...


class Learner:
    """Collects chunks for one watch. `left` is how many rows it still takes."""

    __slots__ = (
        "_key",
        "_learned",
        "_names",
        "_owner",
        "_predictions",
        "_rows",
        "_scores",
        "_segments",
        "left",
    )

    def __init__(self, key: CellKey, owner: str, rows: int, learned: Learned) -> None:
        self._key = key
        self._owner = owner
        self._learned = learned
        self.left = rows
        self._begin(())

    def _begin(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._rows: list[list[Value]] = []
        self._predictions: list[Value] = []
        self._scores: list[float | None] = []
        self._segments: dict[str, list[str | None]] = {}

    def take(
        self,
        names: tuple[str, ...],
        row: Sequence[Value],
        outputs: Outputs | None,
        at: int,
        segments: Mapping[str, str | None],
    ) -> None:
        """Take a row, the `at`-th of its request."""
        if self.left <= 0 or len(row) > WIDEST_ROW:
            return
        self.left -= 1
        if names != self._names:
            self.flush()
            self._begin(names)
        rows = self._rows
        rows.append([_sendable(value) for value in row])
        self._predictions.append(_at(outputs.predictions if outputs else (), at))
        score = _at(outputs.scores if outputs else (), at)
        self._scores.append(None if score is None else as_number(score))
        for name, text in segments.items():
            self._segments.setdefault(name, []).append(text)
        if len(rows) >= CHUNK_ROWS or len(rows) * len(row) >= CHUNK_VALUES or not self.left:
            self.flush()

    def flush(self) -> None:
        """Send what there is."""
        rows = self._rows
        if not rows:
            return
        sent = self._learned(
            key=self._key,
            owner=self._owner,
            names=self._names,
            rows=rows,
            predictions=self._predictions,
            scores=self._scores,
            segments=self._segments,
        )
        if not sent:
            self.left += len(rows)
        self._begin(self._names)


def _at(values: Sequence[Value], at: int) -> Value:
    return _sendable(values[at]) if at < len(values) else None


def _sendable(value: Value) -> Value:
    """A value that fits into a message."""
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, int) and not -_BEYOND <= value < _BEYOND:
        return as_number(value)
    return value
