"""What a codec finds in the bodies of an exchange.

Rows, not columns: requests carry one row mostly, and a row as the protocol has it needs no copying.
Structs and not dataclasses: several are made per exchange, at a fifth of the cost.

Must not know: protocols, edges, where values are counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from sidecar.payload.names import Reason

Value = float | int | bool | str | None
"""A cell of a row: a number, a category, or missing."""


class Undecodable(Exception):  # noqa: N818 - it states a fact about a body; nobody has failed
    """A body that could not be read, and why; `detail` never quotes it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Body(Struct, frozen=True):
    """A body as it passed, and what its head said about it.

    `json_bytes` is the length of the JSON part when tensors follow it in binary.
    """

    data: bytes | memoryview
    path: bytes = b""
    content_type: bytes = b""
    content_encoding: bytes = b""
    json_bytes: int | None = None


class Inputs(Struct):
    """A request: `rows[i][j]` is the value of the feature `names[j]` in row `i`.

    `names` is the same object for requests of the same form, so that it can be compared by
    identity; empty when the form of the body does not name its columns. `sourced` are the values
    of the sources that the codec was asked to find, None where there is none.
    """

    names: tuple[str, ...]
    rows: Sequence[Sequence[Value]]
    sourced: tuple[Value, ...] = ()


class Outputs(Struct):
    """An answer: one prediction and one score per row, as far as there are any.

    A score is the probability of the positive class when there are two, else the highest one, or
    what the model calls its score. `confidences` are the highest probabilities. `measures` are said
    of the answer as a whole, such as `completion_tokens`.
    """

    predictions: Sequence[Value] = ()
    scores: Sequence[float] = ()
    confidences: Sequence[float] = ()
    measures: dict[str, float] = {}
