"""Shapes of bodies as one watch reads them: from the bytes of many bodies to cells of its columns.

What `payload` finds in a body of a shape are numbers in slots; here they become what the watch
counts. A text of a categorical column is looked up while it is read; a number of such a column, and
`true` and `false`, get their codes afterwards. Everything comes out as `RowCoder` would have it.

Must not know: exchanges, queues, counters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from sidecar.board import Kernels
from sidecar.model import ColumnKind, ColumnPart
from sidecar.model.numbers import as_number
from sidecar.monitor.rows import CONFIDENCE, Coding
from sidecar.payload import Value
from sidecar.payload.answers import Answers
from sidecar.payload.row_answers import BoolArray, RowAnswers, read_rows
from sidecar.payload.scan import ByteArray, Pattern, TextList
from sidecar.payload.shapes import Kind, Shape
from sidecar.sketch import Column, FloatArray, IntArray

RAREST: Final = 1024  # of so many bodies that fit no shape, one is looked at all the same


class Patience:
    """When to look for the shape of a body that fits none: less and less often.

    Looking costs as much as reading some dozens of bodies, and clients may invent shapes.
    """

    __slots__ = ("_looked", "_skip")

    def __init__(self) -> None:
        self._looked = 0
        self._skip = 0

    def ends(self) -> bool:
        """Asked for every such body; says whether to look now."""
        if self._skip > 0:
            self._skip -= 1
            return False
        self._skip = min((1 << self._looked) - 1, RAREST)
        self._looked = min(self._looked + 1, RAREST.bit_length())
        return True


class RequestShape:
    """A shape of requests, as the features of a watch.

    `features` are its columns of features, `codings` those of the categorical ones, by place.
    """

    __slots__ = ("_absent", "_codes", "_pattern", "_slots", "_truths")

    def __init__(
        self, shape: Shape, pattern: Pattern, slots: list[int], codings: dict[int, Coding]
    ) -> None:
        kinds = [None if slot < 0 else shape.kinds[slot] for slot in slots]
        self._pattern = pattern
        self._slots = _places([max(slot, 0) for slot in slots])
        self._absent = [at for at, slot in enumerate(slots) if slot < 0]
        self._truths = [(at, codings[at]) for at in codings if kinds[at] is Kind.TRUTH]
        self._codes = [(at, codings[at]) for at in codings if kinds[at] in (Kind.NUMBER, Kind.NULL)]

    @classmethod
    def of(
        cls, shape: Shape, features: Sequence[Column], codings: dict[int, Coding]
    ) -> RequestShape | None:
        """None when a text stands where numbers are counted, for it may read as one."""
        place_of = {name: at for at, name in enumerate(shape.names)}
        lists: dict[int, TextList | None] = dict.fromkeys(range(len(shape.places)))
        for column in features:
            place = place_of.get(column.name)
            if place is None:
                continue
            del lists[place]
            if column.kind is ColumnKind.CATEGORICAL:
                lists[place] = TextList(column.categories, len(column.categories))
        pattern = shape.pattern(lists)
        if pattern is None:
            return None
        slots = [
            -1 if place is None else _slot(shape.places[place])
            for place in (place_of.get(column.name) for column in features)
        ]
        if not all(coding.simple for coding in codings.values()):
            return None
        return cls(shape, pattern, slots, codings)

    def read(
        self, kernels: Kernels, data: ByteArray, starts: IntArray, ends: IntArray, cells: FloatArray
    ) -> BoolArray | None:
        """Write `cells: float64[body, feature]`; returns which bodies have this shape, None: all.

        The cells of others say nothing afterwards.
        """
        numbers, fits = _numbers(self._pattern, kernels, data, starts, ends)
        if not cells.shape[1]:
            return fits
        cells[:] = numbers[:, self._slots]
        for at in self._absent:
            cells[:, at] = np.nan
        for at, coding in self._truths:
            cells[:, at] = np.where(cells[:, at] == 1.0, coding.code(True), coding.code(False))
        for at, coding in self._codes:
            cells[:, at] = coding.codes(cells[:, at])
        return fits

    def has(self, kernels: Kernels, data: ByteArray, starts: IntArray, ends: IntArray) -> bool:
        """Whether all these bodies have this shape."""
        return _numbers(self._pattern, kernels, data, starts, ends)[1] is None


class AnswerShape:
    """A shape of answers, as the outputs that a watch counts."""

    __slots__ = ("_answers", "_pattern", "_prediction", "_score", "_texts")

    def __init__(
        self, answers: Answers, shape: Shape, pattern: Pattern, texts: tuple[str, ...]
    ) -> None:
        slots = [_slot(place) for place in shape.places]
        self._answers = answers
        self._pattern = pattern
        self._prediction = _places(slots[: shape.predictions])
        self._score = _places(slots[shape.predictions :])
        self._texts = texts

    @classmethod
    def of(cls, shape: Shape, answers: Answers, prediction: Column | None) -> AnswerShape | None:
        """`prediction` is the column that counts it. None when it is a text and that has none."""
        texts: tuple[str, ...] = ()
        lists: dict[int, TextList | None] = {}
        if shape.predictions == 1 and shape.kinds[_slot(shape.places[0])] is Kind.TEXT:
            # Any other text may be what another model says, too, so all have to be known.
            texts = () if prediction is None else prediction.categories
            lists[0] = TextList(texts)
        pattern = shape.pattern(lists)
        return None if pattern is None else cls(answers, shape, pattern, texts)

    def read(
        self, kernels: Kernels, data: ByteArray, starts: IntArray, ends: IntArray
    ) -> tuple[RowAnswers, BoolArray | None]:
        """What the answers say, and which of them have this shape, None: all.

        What is said of the others says nothing.
        """
        numbers, fits = _numbers(self._pattern, kernels, data, starts, ends)
        if fits is not None:
            numbers[~fits] = 0.0
        said, readable = read_rows(
            self._answers, numbers[:, self._prediction], numbers[:, self._score], self._texts
        )
        if fits is None or readable is None:
            return said, readable if fits is None else fits
        return said, fits & readable

    def has(self, kernels: Kernels, data: ByteArray, starts: IntArray, ends: IntArray) -> bool:
        """Whether all these bodies have this shape, and can be read by it."""
        return self.read(kernels, data, starts, ends)[1] is None


class OutputCoder:
    """Makes cells of what answers say, as `RowCoder.outputs` does."""

    __slots__ = ("_columns", "_labels", "_tables")

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns: list[tuple[int, Coding | None]] = []
        for column in columns:
            coding = Coding(column) if column.kind is ColumnKind.CATEGORICAL else None
            which = 0
            if column.part is not ColumnPart.PREDICTION:
                which = 2 if column.name == CONFIDENCE else 1
            self._columns.append((which, coding))
        self._labels: tuple[Value, ...] | None = None
        self._tables: list[FloatArray] = []

    def fill(self, cells: FloatArray, said: RowAnswers) -> None:
        """Write `float64[answer, output]`."""
        if said.labels != self._labels:
            self._labels = said.labels
            self._tables = [_codes_of(said.labels, coding) for _, coding in self._columns]
        for at, (which, coding) in enumerate(self._columns):
            values = (said.predictions, said.scores, said.confidences)[which]
            if which == 0 and said.labels:
                places = values
                if not said.complete:
                    places = np.where(np.isnan(values), len(said.labels), values)
                values = self._tables[at].take(places.astype(np.intp))
            elif coding is not None:
                values = coding.codes(values)
            cells[:, at] = values


def _codes_of(labels: Sequence[Value], coding: Coding | None) -> FloatArray:
    """What is counted for each label, and NaN behind them, for none."""
    code = as_number if coding is None else coding.code
    return np.array([*map(code, labels), np.nan])


def _numbers(
    pattern: Pattern, kernels: Kernels, data: ByteArray, starts: IntArray, ends: IntArray
) -> tuple[FloatArray, BoolArray | None]:
    """`float64[body, slot]`, and which bodies could be read; None: all."""
    numbers, matched, read = pattern.read(
        kernels.scan_bodies, kernels.nearest_doubles, data, starts, ends
    )
    return numbers, None if read == len(starts) else matched != 0


def _slot(place: int | None) -> int:
    return -1 if place is None else place


def _places(slots: list[int]) -> slice | list[int]:
    """An index of these slots; copying neighbours costs a third of picking."""
    if slots and slots == list(range(slots[0], slots[0] + len(slots))):
        return slice(slots[0], slots[0] + len(slots))
    return slots or slice(0)
