"""The categories of a column, and how they are pooled into the bins of drift.

Categories stand in falling order of frequency (then of their text), so that rare ones are
neighbours. Each that holds 2 % of the reference or more is a bin; rarer ones are pooled, in order,
into bins of at least 2 %, and what is left over is pooled with `other`. So every bin is expected to
hold something, whatever the number of categories; only `other` alone, when no category is rare, is
a bin that the reference leaves empty: what comes to be there is new.

Must not know: files, rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sidecar.model import ColumnKind, ColumnPart
from sidecar.sketch.columns import Column

CATEGORIES_AT_MOST: Final = 256
LONGEST_CATEGORY: Final = 256  # characters; longer texts are no names of categories
SHARE_OF_A_BIN: Final = 0.02


def categorical_column(name: str, part: ColumnPart, counts: Mapping[str, int]) -> Column:
    """The column that tells the most frequent of these texts apart.

    Raises ValueError when there is none.
    """
    ranked = sorted(
        ((text, count) for text, count in counts.items() if len(text) <= LONGEST_CATEGORY),
        key=lambda entry: (-entry[1], entry[0]),
    )
    if not ranked:
        raise ValueError(f"{name}: no value to learn from")
    known = ranked[:CATEGORIES_AT_MOST]
    return Column(
        name=name,
        part=part,
        kind=ColumnKind.CATEGORICAL,
        categories=tuple(text for text, _ in known),
        bins=_bins([count for _, count in known], sum(counts.values())),
    )


def _bins(counts: list[int], total: int) -> tuple[int, ...]:
    """The first bucket of each bin; the last one ends with `other`."""
    bins = [0]
    held = 0
    for place, count in enumerate(counts):
        held += count
        if held >= SHARE_OF_A_BIN * total:
            bins.append(place + 1)
            held = 0
    return tuple(bins)
