"""From a row as a codec gives it to the numbers of a row that is counted.

A client repeats itself: requests of the same form come with the very same tuple of names, so where
each feature stands is worked out once per form, and the usual row (all features, in order, all
numbers) is copied as it is. What is no number is looked at only when packing it has failed.

    numeric       the number; a text that reads as one; else missing
    categorical   the code of its text (`category_of`); one past the last code is `other`
    missing       NaN
    NOT_COUNTED   a feature of a shadow (the primary's are counted), an output nobody could read

Must not know: where rows are counted, who sent them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isfinite, nan
from operator import itemgetter
from typing import Final

import numpy as np

from sidecar.errors import ConfigError
from sidecar.model import ColumnKind, ColumnPart
from sidecar.model.categories import category_of
from sidecar.model.numbers import as_number
from sidecar.payload import Outputs, Value
from sidecar.sketch.columns import Column
from sidecar.sketch.distribution import FloatArray
from sidecar.sketch.fused import NOT_COUNTED

CONFIDENCE: Final = "confidence"
"""The name of the score column that holds the highest probabilities."""

MOST_FORMS: Final = 256  # remembered; whoever invents forms must not make memory grow

_LARGEST_EXACT: Final = 2.0**53  # beyond it not every integer is a float

Cells = list[float]


class Coding:
    """The codes of a categorical column, as floats; `other` is the last.

    `simple` says that no category is a number so large that an integer beside it would be rounded
    to it.
    """

    __slots__ = ("_codes", "_known", "_numbers", "_other", "_texts", "simple")

    def __init__(self, column: Column) -> None:
        self._texts = {text: float(code) for code, text in enumerate(column.categories)}
        self._other = float(len(column.categories))
        self._known: dict[Value, float] = {}
        self._known.update(self._texts)
        for text, code in self._texts.items():
            number = as_number(text)
            # `3` and `3.0` are one key and one category; the text `3.0` is another.
            if isfinite(number) and category_of(number) == text:
                self._known[number] = code
        numbers = sorted(number for number in self._known if isinstance(number, float))
        self.simple = all(abs(number) < _LARGEST_EXACT for number in numbers)
        self._numbers = np.array([*numbers, inf])
        self._codes = np.array([*[self._known[number] for number in numbers], self._other])

    def codes(self, numbers: FloatArray) -> FloatArray:
        """The codes of many values that are numbers, or NaN where one is missing."""
        places = np.searchsorted(self._numbers, numbers).clip(max=len(self._numbers) - 1)
        codes = np.where(self._numbers[places] == numbers, self._codes[places], self._other)
        found: FloatArray = np.where(np.isnan(numbers), nan, codes)
        return found

    def code(self, value: Value) -> float:
        """The code of a value; NaN when it is missing."""
        if value is None:
            return nan
        if isinstance(value, bool):  # would be found as 0 or 1
            return self._texts.get(category_of(value), self._other)
        code = self._known.get(value)
        if code is not None:
            return code
        return nan if value != value else self._other  # noqa: PLR0124 -- NaN


class Form:
    """Where the features of a watch stand in rows of one form."""

    __slots__ = ("as_it_is", "names", "pick", "width")

    def __init__(self, names: tuple[str, ...], features: Sequence[str]) -> None:
        self.names = names
        self.width = len(names)
        self.as_it_is = names == tuple(features)
        places = {name: place for place, name in enumerate(names)}
        self.pick = _picker([places.get(name, -1) for name in features])


class RowCoder:
    """Makes cells of rows, in the order of `columns`: features first, then what a model says.

    Raises ConfigError when they stand in another order. With `features_counted` False all cells of
    features are NOT_COUNTED.
    """

    __slots__ = (
        "_codings",
        "_confidence",
        "_features",
        "_form",
        "_forms",
        "_none",
        "_numeric",
        "_outputs",
        "_width",
        "features_counted",
    )

    def __init__(self, columns: Sequence[Column], *, features_counted: bool = True) -> None:
        features = [column for column in columns if column.part is ColumnPart.FEATURE]
        if list(columns[: len(features)]) != features:
            raise ConfigError("the columns of a watch begin with its features")
        self.features_counted = features_counted
        self._features = [column.name for column in features]
        self._width = len(features)
        self._none = [NOT_COUNTED] * len(features)
        self._codings = [
            (place, Coding(column).code)
            for place, column in enumerate(features)
            if column.kind is ColumnKind.CATEGORICAL
        ]
        self._numeric = [
            place for place, column in enumerate(features) if column.kind is ColumnKind.NUMERIC
        ]
        self._outputs = [_output_of(column) for column in columns[len(features) :]]
        self._forms: dict[tuple[str, ...], Form] = {}
        self._form = Form((), self._features)

    def form(self, names: tuple[str, ...]) -> Form:
        """The form of rows with these names; cheap when it was the last one too."""
        form = self._form
        if form.names is not names:
            found = self._forms.get(names)
            if found is None:
                if len(self._forms) >= MOST_FORMS:
                    self._forms.clear()
                found = self._forms[names] = Form(names, self._features)
            if found.names is not names and found.names == names:
                found.names = names  # found at once when it comes again
            self._form = form = found
        return form

    def features(self, form: Form, row: Sequence[Value]) -> Sequence[Value]:
        """The features of a row, coded as far as they are categorical: numbers, nearly always."""
        if not self.features_counted:
            return self._none
        if len(row) != form.width:
            row = [*row[: form.width], *[None] * (form.width - len(row))]
        if form.as_it_is:
            if not self._codings:
                return row
            cells = list(row)
        else:
            cells = form.pick(row)
        for place, code in self._codings:
            cells[place] = code(cells[place])
        return cells

    def numbers(self, cells: Sequence[Value]) -> Cells:
        """The same with numbers only, for cells that could not be packed as they are."""
        coded = list(cells)
        for place in self._numeric:
            coded[place] = as_number(coded[place])
        return coded  # type: ignore[return-value]  # categorical ones are codes already

    def outputs(self, outputs: Outputs | None, row: int) -> Cells:
        """The cells of what a model said of a row; `outputs` None: unknown, which says nothing."""
        if outputs is None:
            return [NOT_COUNTED] * len(self._outputs)
        said = (outputs.predictions, outputs.scores, outputs.confidences)
        cells: Cells = []
        for which, coding in self._outputs:
            values = said[which]
            value = values[row] if row < len(values) else None
            if coding is not None:
                cells.append(coding.code(value))
            else:
                cells.append(value if type(value) is float else as_number(value))
        return cells


def _output_of(column: Column) -> tuple[int, Coding | None]:
    """Which of predictions, scores and confidences a column counts, and how it codes them."""
    coding = Coding(column) if column.kind is ColumnKind.CATEGORICAL else None
    if column.part is ColumnPart.PREDICTION:
        return 0, coding
    return (2 if column.name == CONFIDENCE else 1), coding


def _picker(places: list[int]) -> Callable[[Sequence[Value]], list[Value]]:
    """Takes the values at these places, None for -1."""
    if not places:
        return lambda _: []
    if len(places) == 1 or min(places) < 0:
        return lambda row: [row[place] if place >= 0 else None for place in places]
    pick = itemgetter(*places)
    return lambda row: list(pick(row))
