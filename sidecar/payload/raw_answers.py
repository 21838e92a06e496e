"""Answers as they stand: which outputs are prediction and score, and not yet what they say.

For those who want to know where in a body the values are from which `Answers` concludes the rest.

Must not know: protocols.
"""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.payload.answers import Answers
from sidecar.payload.columns import Column
from sidecar.payload.extract import Inputs, Outputs, Undecodable, Value
from sidecar.payload.names import Reason


class Unread(Outputs):
    """Outputs whose `predictions` and `scores` are the values of the two, all in one row."""


class RawAnswers(Answers):
    """Chooses outputs as `Answers` does, and leaves them as they are. For answers of one row."""

    def read(
        self,
        prediction: Column | None,
        score: Column | None,
        inputs: Inputs | None,  # noqa: ARG002 - it has one row
    ) -> Outputs:
        """The values of both."""
        return Unread(_values(prediction), _values(score))  # type: ignore[arg-type]  # unread

    def read_row(self, name: str, values: Sequence[Value]) -> Outputs:
        """The values of the only output."""
        is_score = self.choose((name,)).score == name
        return Unread((), values) if is_score else Unread(values)  # type: ignore[arg-type]


def _values(column: Column | None) -> Sequence[Value]:
    """The values of one row. Raises Undecodable when there are several."""
    if column is None:
        return ()
    if not column.vectors:
        return column.values
    if len(column.vectors) > 1:
        raise Undecodable(Reason.SHAPE, "several rows in answer to one")
    return column.vectors[0]
