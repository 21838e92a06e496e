"""What the columns of some data are to a model; what is not named here is a feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Struct

from sidecar.baseline.counting import Values


class Roles(Struct, frozen=True, kw_only=True):
    """Names of columns. A segment is a feature as well, unless it is also in `ignore`.

    categorical, numeric: the kind of these columns, where a look at the values would mislead
    positive:             the label of the positive class, where it is not plain
    segment_values:       which values of a segment key are told apart, or how many: the most
                          frequent ones. Else the 10 most frequent
    strict:               whether a column of numbers and texts is refused; otherwise its kind is
                          that of most of its values
    """

    prediction: str | None = None
    score: str | None = None
    target: str | None = None
    time: str | None = None
    segments: tuple[str, ...] = ()
    business: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    positive: str | None = None
    segment_values: dict[str, int | tuple[str, ...]] = {}
    strict: bool = True

    @property
    def named(self) -> tuple[str, ...]:
        """Every column that is named, each once."""
        single = (self.prediction, self.score, self.target, self.time)
        several = (self.segments, self.business, self.ignore, self.categorical, self.numeric)
        names = [name for name in single if name is not None]
        return tuple(dict.fromkeys([*names, *(name for group in several for name in group)]))

    def is_feature(self, name: str) -> bool:
        """Whether a column goes into the model."""
        single = (self.prediction, self.score, self.target, self.time)
        return name not in single and name not in self.business and name not in self.ignore


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive rows: `columns[name]` has `rows` values. `first_row` counts from 1."""

    first_row: int
    rows: int
    columns: Mapping[str, Values]
