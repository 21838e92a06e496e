"""Which columns a baseline has and how each is counted, decided from a survey of the data.

    prediction     is called `prediction`, the score `score`
    confidence     is made from the score, when scores are probabilities: the score itself when
                   there are more than two classes, else the larger of score and 1 - score
    categorical    texts, truths, and whole numbers with 2 to 32 distinct values that occur four
                   times on average (two values: always)
    numeric        all other numbers
    left out       features without a single value, with a remark

Raises ConfigError, with the name of the column and what helps.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from sidecar.baseline.categories import (
    CATEGORIES_AT_MOST,
    LONGEST_CATEGORY,
    categorical_column,
)
from sidecar.baseline.edges import FloatArray, numeric_column
from sidecar.baseline.survey import NOT_GIVEN, ColumnSurvey, Survey
from sidecar.errors import ConfigError
from sidecar.model import ColumnKind, ColumnPart
from sidecar.sketch.columns import Column

PREDICTION: Final = "prediction"
SCORE: Final = "score"
CONFIDENCE: Final = "confidence"

_OCCUR: Final = 4
_SEGMENT_VALUES: Final = 10
# A column with so many texts, of which the frequent ones are this small a share, names things.
_SHARE_OF_AN_ID: Final = 0.5


class ConfidenceRule(StrEnum):
    """How the confidence of a prediction follows from its score."""

    NONE = "none"
    LARGER_SIDE = "larger_side"
    SCORE = "score"

    def confidences(self, scores: FloatArray) -> FloatArray:
        """`float64[n]` of `float64[n]`; missing stays missing."""
        return np.maximum(scores, 1 - scores) if self is ConfidenceRule.LARGER_SIDE else scores


@dataclass(frozen=True, slots=True)
class Counted:
    """A column, and the name of the column of the data whose values it counts."""

    source: str
    column: Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """What is to be counted; `segments` are keys with the values that are told apart."""

    counted: tuple[Counted, ...]
    confidence: ConfidenceRule
    segments: tuple[tuple[str, tuple[str, ...]], ...]
    positive: str | None
    remarks: tuple[str, ...]


def draw(survey: Survey) -> Blueprint:
    """The blueprint for data of which `survey` has seen every row."""
    return _Draughtsman(survey).draw()


class _Draughtsman:
    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._roles = survey.roles
        self._remarks: list[str] = []

    def draw(self) -> Blueprint:
        roles = self._roles
        counted = [
            column
            for name in self._survey.columns
            if roles.is_feature(name)
            for column in self._counted(name, name, ColumnPart.FEATURE)
        ]
        predictions = self._predictions()
        rule, scores = self._scores(predictions)
        return Blueprint(
            counted=(*counted, *predictions, *scores),
            confidence=rule,
            segments=tuple((name, self._segment(name)) for name in roles.segments),
            positive=self._positive(predictions),
            remarks=tuple(self._remarks),
        )

    def _predictions(self) -> list[Counted]:
        source = self._roles.prediction
        if source is None:
            return []
        return self._counted(source, PREDICTION, ColumnPart.PREDICTION)

    def _scores(self, predictions: list[Counted]) -> tuple[ConfidenceRule, list[Counted]]:
        source = self._roles.score
        if source is None or self._is_empty(source, needed=True):
            return ConfidenceRule.NONE, []
        self._refuse_texts(source, self._survey.columns[source])
        scores = self._survey.numbers(source)
        rule = _confidence_rule(scores, predictions)
        made = [numeric_column(SCORE, ColumnPart.SCORE, scores)]
        if rule is not ConfidenceRule.NONE:
            made.append(numeric_column(CONFIDENCE, ColumnPart.SCORE, rule.confidences(scores)))
        return rule, [Counted(source, column) for column in made]

    def _counted(self, source: str, name: str, part: ColumnPart) -> list[Counted]:
        """The column, or none when there is nothing to learn it from."""
        if self._is_empty(source, needed=part is not ColumnPart.FEATURE):
            return []
        if self._kind(source) is ColumnKind.NUMERIC:
            column = numeric_column(name, part, self._survey.numbers(source))
        else:
            column = self._categorical(source, name, part)
        return [Counted(source, column)]

    def _is_empty(self, source: str, *, needed: bool) -> bool:
        """Whether no value can be learned from; that is refused where one is `needed`."""
        seen = self._survey.columns[source]
        if not seen.given:
            why = "no row has a value"
        elif self._kind(source) is ColumnKind.CATEGORICAL:
            why = "" if seen.categories() else f"no text is shorter than {LONGEST_CATEGORY + 1}"
        else:
            finite = np.isfinite(self._survey.numbers(source)).any()
            why = "" if finite else "no row that was sampled has a finite number"
        if why and needed and self._roles.strict:
            raise ConfigError(why, path=source)
        if why:
            self._remarks.append(f"{source}: {why}; the column is left out")
        return bool(why)

    def _categorical(self, source: str, name: str, part: ColumnPart) -> Column:
        categories = self._survey.columns[source].categories()
        column = categorical_column(name, part, categories)
        given = self._survey.columns[source].given
        known = sum(categories[text] for text in column.categories)
        if len(column.categories) == CATEGORIES_AT_MOST and known < _SHARE_OF_AN_ID * given:
            self._remarks.append(
                f"{source}: {CATEGORIES_AT_MOST} categories hold only {100 * known / given:.0f} % "
                f"of the rows; is it an identifier? --ignore {source} leaves it out"
            )
        return column

    def _kind(self, source: str) -> ColumnKind:
        seen = self._survey.columns[source]
        if source in self._roles.categorical:
            return ColumnKind.CATEGORICAL
        if source in self._roles.numeric:
            self._refuse_texts(source, seen)
            return ColumnKind.NUMERIC
        texts = seen.texts - (seen.texts_among(NOT_GIVEN) if seen.numbers else 0)
        if seen.numbers and (texts or seen.truths):
            if self._roles.strict:
                raise ConfigError(_mixed(seen, texts, source), path=source)
            more_numbers = seen.numbers >= texts + seen.truths
            return ColumnKind.NUMERIC if more_numbers else ColumnKind.CATEGORICAL
        if texts or seen.truths:
            return ColumnKind.CATEGORICAL
        codes = seen.codes()
        if codes is not None and (codes == 2 or (codes > 2 and seen.numbers >= _OCCUR * codes)):
            return ColumnKind.CATEGORICAL
        return ColumnKind.NUMERIC

    def _refuse_texts(self, source: str, seen: ColumnSurvey) -> None:
        if self._roles.strict and seen.texts > seen.texts_among(NOT_GIVEN) and seen.first_text:
            raise ConfigError(
                f"named as numeric, but row {seen.first_text.row} has "
                f"{seen.first_text.text[:40]!r}",
                path=source,
            )

    def _segment(self, name: str) -> tuple[str, ...]:
        told_apart = self._roles.segment_values.get(name, _SEGMENT_VALUES)
        if not isinstance(told_apart, int):
            return told_apart
        seen = self._survey.columns[name]
        if not seen.given and self._roles.strict:
            raise ConfigError("no row has a value, so it makes no segments", path=name)
        ranked = sorted(seen.categories().items(), key=lambda entry: (-entry[1], entry[0]))
        return tuple(text for text, _ in ranked[:told_apart])

    def _positive(self, predictions: list[Counted]) -> str | None:
        """The category that counts as positive: the one named, or the plain one of two."""
        labels = {label for one in predictions for label in one.column.categories}
        if self._roles.target is not None:
            labels |= set(self._survey.columns[self._roles.target].categories())
        named = self._roles.positive
        if named is not None:
            if labels and named not in labels:
                known = ", ".join(sorted(labels)[:10])
                raise ConfigError(f"no row has it; the labels are: {known}", path="--positive")
            return named
        plain = ({"0", "1"}, "1"), ({"-1", "1"}, "1"), ({"false", "true"}, "true")
        return next((label for pair, label in plain if labels and labels <= pair), None)


def _mixed(seen: ColumnSurvey, texts: int, source: str) -> str:
    said = [f"{seen.numbers} numbers"]
    if seen.first_number is not None:
        said[0] += f" (the first in row {seen.first_number.row})"
    if texts and seen.first_text is not None:
        said.append(f"{texts} texts (row {seen.first_text.row}: {seen.first_text.text[:40]!r})")
    if seen.truths:
        said.append(f"{seen.truths} truth values")
    return (
        f"mixed types: {' and '.join(said)}; clean the data, or count it as names with "
        f"--categorical {source}"
    )


def _confidence_rule(scores: FloatArray, predictions: list[Counted]) -> ConfidenceRule:
    given = scores[~np.isnan(scores)]
    if given.min() < 0 or given.max() > 1:
        return ConfidenceRule.NONE
    if any(len(one.column.categories) > 2 for one in predictions):
        return ConfidenceRule.SCORE
    return ConfidenceRule.LARGER_SIDE


def require_columns(names: Iterable[str], wanted: Iterable[str]) -> None:
    """Raise ConfigError for the first wanted column that the data do not have."""
    there = list(names)
    for name in wanted:
        if name not in there:
            close = difflib.get_close_matches(name, there, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(there[:20])}"
            raise ConfigError(f"the data have no such column; {hint}", path=name)
