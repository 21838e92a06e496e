"""What a column of values is to a model, and how its values are told apart."""

from __future__ import annotations

from enum import StrEnum


class ColumnPart(StrEnum):
    """The place of a column in an exchange with a model.

    `MEASURE` is said of a request as a whole (its latency, its tokens); the others have a value
    for each row of a batched request.
    """

    FEATURE = "feature"
    PREDICTION = "prediction"
    SCORE = "score"
    MEASURE = "measure"


class ColumnKind(StrEnum):
    """Values on a line, or names."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
