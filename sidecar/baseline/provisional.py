"""A baseline where there is none: from the first rows that workers saw.

Nobody has accepted it as what the model's inputs should be, so it is marked provisional. Nothing
that clients may send is refused: a column of numbers and texts has the kind of most of its values,
one without values is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sidecar.baseline.baseline import Baseline
from sidecar.baseline.counting import Value, Values
from sidecar.baseline.learning import learn
from sidecar.baseline.roles import Roles


def provisional(
    model: str,
    names: Sequence[str],
    rows: Sequence[Sequence[Value]],
    predictions: Sequence[Value] = (),
    scores: Sequence[Value] = (),
    segments: Mapping[str, Sequence[Value]] | None = None,
    *,
    segment_values: Mapping[str, int | tuple[str, ...]] | None = None,
    positive: str | None = None,
) -> Baseline:
    """What was learned from `rows`, where `rows[i][j]` is the value of the feature `names[j]`.

    Predictions and scores are one per row, or none at all; so are the values of each segment key.
    `segment_values` says of a key which of its values are told apart, or how many of the most
    frequent (10 unless told). Raises ValueError when lengths differ.
    """
    by_column = zip(*rows, strict=True) if rows else ((),) * len(names)
    columns: dict[str, Values] = dict(zip(names, map(list, by_column), strict=True))

    def joined(name: str, values: Sequence[Value]) -> str:
        """The name of no feature, under which these values are now a column as well."""
        if len(values) not in {0, len(rows)}:
            raise ValueError(f"{len(values)} values of {name} for {len(rows)} rows")
        while name in columns:
            name += "_"
        columns[name] = values or [None] * len(rows)
        return name

    prediction = joined("prediction", predictions)
    score = joined("score", scores)
    keys = {joined(name, values): name for name, values in (segments or {}).items()}
    told_apart = segment_values or {}
    learned = learn(
        model,
        columns,
        Roles(
            prediction=prediction,
            score=score,
            segments=tuple(keys),
            ignore=tuple(keys),
            segment_values={
                key: told_apart[name] for key, name in keys.items() if name in told_apart
            },
            strict=False,
        ),
    )
    return replace(
        learned,
        provisional=True,
        positive=positive or learned.positive,
        segments=tuple(replace(one, name=keys[one.name]) for one in learned.segments),
    )
