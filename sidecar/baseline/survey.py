"""The first look at data: what kind of values each column has, and a sample of them.

In memory bounded by the number of columns, whatever the number of rows: counts of types, the most
frequent texts, and a `RowSample`.

Which column is counted how is decided from it by `sidecar.baseline.blueprint`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

import numpy as np

from sidecar.baseline.categories import LONGEST_CATEGORY
from sidecar.baseline.counting import Value, Values, plain_numbers
from sidecar.baseline.edges import FloatArray
from sidecar.baseline.roles import Chunk, Roles
from sidecar.baseline.sample import RowSample, SampledNumbers, SampledValues, capacity_for
from sidecar.errors import ConfigError
from sidecar.model.categories import category_of
from sidecar.model.numbers import as_number
from sidecar.payload.columns import MOST_COLUMNS

CODES_AT_MOST: Final = 32
"""Integers with at most so many distinct values are codes of categories, not amounts."""

# Of texts as many are counted at a time; when there are more, the rarer half is forgotten. What is
# frequent enough to be a category survives.
_TEXTS_AT_MOST: Final = 20_000

NOT_GIVEN: Final = frozenset(
    {"", "NA", "N/A", "n/a", "na", "NaN", "nan", "null", "NULL", "None", "none", "-", "?"}
)
"""Texts that stand for a missing value in a column of numbers."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """The first value of some type, by its row."""

    row: int
    text: str


class ColumnSurvey:
    """What was seen of one column.

    Of `texts`, `blanks` stand for a missing value and `words` do not even read as numbers. `finite`
    values, truths among them as 1 and 0, sum to `total`.
    """

    def __init__(self, *, as_texts: bool) -> None:
        self.numbers = 0
        self.truths = 0
        self.texts = 0
        self.blanks = 0
        self.words = 0
        self.finite = 0
        self.total = 0.0
        self.whole = True
        self.first_number: Sighting | None = None
        self.first_text: Sighting | None = None  # that is no blank
        self.first_word: Sighting | None = None
        self._codes: Counter[float] | None = Counter()
        self._texts: Counter[str] = Counter()
        self._as_texts = as_texts

    @property
    def given(self) -> int:
        """How many values there are that are not missing."""
        return self.numbers + self.truths + self.texts

    def categories(self) -> Counter[str]:
        """How often each text was seen, or what reads as one; not all, when there are too many."""
        found = Counter(self._texts)
        for code, times in (self._codes or {}).items():
            if not self._as_texts:
                found[category_of(code)] += times
        return found

    def codes(self) -> int | None:
        """How many distinct whole numbers there are; None for amounts: too many, or fractions."""
        return len(self._codes) if self._codes is not None and self.whole else None

    def sum_up(self, numbers: FloatArray) -> None:
        """Values of a chunk as numbers, `float64[n]`."""
        finite = numbers[np.isfinite(numbers)]
        self.finite += finite.size
        with np.errstate(over="ignore", invalid="ignore"):
            self.total += float(finite.sum())

    def see_numbers(self, values: FloatArray, first_row: int) -> None:
        """Values of a chunk, `float64[n]`."""
        given = ~np.isnan(values)
        finite = values[np.isfinite(values)]
        if self.first_number is None and given.any():
            place = int(np.argmax(given))
            self.first_number = Sighting(first_row + place, category_of(float(values[place])))
        self.numbers += int(given.sum())
        if self._as_texts:
            for value, times in zip(*np.unique(values[given], return_counts=True), strict=True):
                self._texts[category_of(float(value))] += int(times)
            self._forget_rare_texts()
        self.whole = self.whole and bool((finite == np.floor(finite)).all())
        if not self.whole or self._codes is None:
            self._codes = None
            return
        for value, times in zip(*np.unique(finite, return_counts=True), strict=True):
            self._codes[float(value)] += int(times)
            if len(self._codes) > CODES_AT_MOST:
                self._codes = None
                return

    def see_values(self, values: list[Value], first_row: int) -> FloatArray:
        """Values of a chunk, of any type; the same as numbers (`plain_numbers`)."""
        types = Counter(map(type, values))
        texts, truths = types.pop(str, 0), types.pop(bool, 0)
        numbers = plain_numbers(values)
        if not texts and not truths:
            self.see_numbers(numbers, first_row)
            return numbers
        by_text = Counter(value for value in values if isinstance(value, str))
        said = by_text.keys() - NOT_GIVEN
        words = {text for text in said if np.isnan(as_number(text))}
        self.first_text = self.first_text or _first(values, said, first_row)
        self.first_word = self.first_word or _first(values, words, first_row)
        self.texts += texts
        self.truths += truths
        self.blanks += sum(by_text[text] for text in NOT_GIVEN)
        self.words += sum(by_text[text] for text in words)
        for text, times in by_text.items():
            if len(text) <= LONGEST_CATEGORY:
                self._texts[category_of(text)] += times
        for truth in (value for value in values if isinstance(value, bool)):
            self._texts[category_of(truth)] += 1
        self._forget_rare_texts()
        is_number = np.array([not isinstance(value, str | bool) for value in values])
        self.see_numbers(np.where(is_number, numbers, np.nan), first_row)
        return numbers

    def _forget_rare_texts(self) -> None:
        if len(self._texts) > _TEXTS_AT_MOST:
            self._texts = Counter(dict(self._texts.most_common(_TEXTS_AT_MOST // 2)))


def _first(values: list[Value], wanted: AbstractSet[Value], first_row: int) -> Sighting | None:
    """The first of these texts."""
    for row, value in enumerate(values, start=first_row) if wanted else ():
        if value in wanted:
            return Sighting(row, str(value))
    return None


class Survey:
    """What was seen of the data so far; `seed` decides which rows are sampled."""

    def __init__(self, roles: Roles, *, seed: int = 0) -> None:
        self.roles = roles
        self.rows = 0
        self.names: dict[str, None] = {}  # of all columns, in order; `columns` leaves some out
        self.columns: dict[str, ColumnSurvey] = {}
        self._rng = np.random.default_rng(seed)
        self._sample: RowSample | None = None
        self._numbers: dict[str, SampledNumbers] = {}
        self._values: dict[str, SampledValues] = {}
        self._compared = {roles.prediction, roles.target}
        self._as_texts = {*roles.segments, *roles.categorical}
        self._unused = {*roles.ignore, roles.time} - {*roles.segments}

    @property
    def sampled_rows(self) -> int:
        """How many rows are in the sample."""
        return self._sample.size if self._sample is not None else 0

    def add(self, chunk: Chunk) -> None:
        """The next rows. Raises ConfigError (too many columns)."""
        if self._sample is None:
            self._sample = RowSample(capacity_for(len(chunk.columns)), self._rng)
        chosen, places = self._sample.choose(chunk.rows)
        self._meet(chunk.columns)
        for name in chunk.columns:
            if name not in self.columns and name not in self._unused:
                self.columns[name] = ColumnSurvey(as_texts=name in self._as_texts)
                self._numbers[name] = SampledNumbers()
                if name in self._compared:
                    self._values[name] = SampledValues()
        absent: list[Value] = [None] * chunk.rows
        for name, column in self.columns.items():
            values: Values = chunk.columns.get(name, absent)
            if isinstance(values, np.ndarray):
                numbers = values
                column.see_numbers(values, chunk.first_row)
            else:
                numbers = column.see_values(list(values), chunk.first_row)
            column.sum_up(numbers)
            self._numbers[name].put(numbers, chosen, places)
            if name in self._values:
                self._values[name].put(values, chosen, places)
        self.rows += chunk.rows

    def _meet(self, names: Iterable[str]) -> None:
        """Raises ConfigError for more features than any request may have."""
        known = len(self.names)
        self.names |= dict.fromkeys(names)
        if len(self.names) > max(known, MOST_COLUMNS) and self.roles.strict:
            features = sum(self.roles.is_feature(name) for name in self.names)
            if features > MOST_COLUMNS:
                raise ConfigError(
                    f"{features} features so far, and a model has at most {MOST_COLUMNS} here; "
                    f"are keys of the data values, such as {list(self.names)[-1]!r}?",
                    path="--data",
                )

    def numbers(self, name: str) -> FloatArray:
        """`float64[sampled_rows]`: the sampled values of a column, NaN where there is none."""
        return self._numbers[name].values(self.sampled_rows)

    def values(self, name: str) -> list[Value]:
        """The sampled predictions or targets, texts and all."""
        return self._values[name].values(self.sampled_rows)
