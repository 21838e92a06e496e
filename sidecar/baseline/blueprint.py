"""Which columns a baseline has and how each is counted, decided from a survey of the data.

    prediction     is called `prediction`, the score `score`
    confidence     is made from the score, when scores are probabilities: the score itself when
                   there are more than two classes, else the larger of score and 1 - score
    kinds          as `sidecar.baseline.kinds` tells them
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

from sidecar.baseline.baseline import Baseline
from sidecar.baseline.categories import (
    CATEGORIES_AT_MOST,
    LONGEST_CATEGORY,
    categorical_column,
)
from sidecar.baseline.edges import FloatArray, numeric_column
from sidecar.baseline.kinds import kind_of, require_numbers
from sidecar.baseline.survey import Survey
from sidecar.errors import ConfigError
from sidecar.model import ColumnKind, ColumnPart
from sidecar.sketch.columns import Column

PREDICTION: Final = "prediction"
SCORE: Final = "score"
CONFIDENCE: Final = "confidence"

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


def draw_like(baseline: Baseline, survey: Survey) -> Blueprint:
    """The blueprint of another baseline, for data that shall be compared with it."""
    roles = survey.roles
    sources = {PREDICTION: roles.prediction, SCORE: roles.score, CONFIDENCE: roles.score}
    remarks: list[str] = []
    counted = []
    for column in baseline.columns:
        is_feature = column.part is ColumnPart.FEATURE
        source = column.name if is_feature else sources[column.name]
        if source is None:
            remarks.append(f"{column.name}: the data name no such column; it is left out")
        else:
            require_columns(survey.names, [source])
            counted.append(Counted(source, column))
    known = {one.source for one in counted}
    more = [name for name in survey.columns if roles.is_feature(name) and name not in known]
    remarks += [f"{name}: not in the baseline that this one is like; left out" for name in more]
    segments = tuple((one.name, one.values) for one in baseline.segments)
    require_columns(survey.names, (name for name, _ in segments))
    predictions = [one for one in counted if one.column.part is ColumnPart.PREDICTION]
    names = {one.column.name for one in counted if one.column.part is ColumnPart.SCORE}
    return Blueprint(
        counted=tuple(counted),
        confidence=_confidence_rule(predictions) if CONFIDENCE in names else ConfidenceRule.NONE,
        segments=segments,
        positive=roles.positive or baseline.positive,
        remarks=tuple(remarks),
    )


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
        if source is None:
            return ConfidenceRule.NONE, []
        require_numbers(source, self._survey.columns[source], self._roles)
        if self._is_empty(source, ColumnKind.NUMERIC, needed=True):
            return ConfidenceRule.NONE, []
        scores = self._survey.numbers(source)
        given = scores[~np.isnan(scores)]
        probabilities = given.min() >= 0 and given.max() <= 1
        rule = _confidence_rule(predictions) if probabilities else ConfidenceRule.NONE
        made = [numeric_column(SCORE, ColumnPart.SCORE, scores)]
        if rule is not ConfidenceRule.NONE:
            made.append(numeric_column(CONFIDENCE, ColumnPart.SCORE, rule.confidences(scores)))
        return rule, [Counted(source, column) for column in made]

    def _counted(self, source: str, name: str, part: ColumnPart) -> list[Counted]:
        """The column, or none when there is nothing to learn it from."""
        kind = kind_of(source, self._survey.columns[source], self._roles)
        if self._is_empty(source, kind, needed=part is not ColumnPart.FEATURE):
            return []
        if kind is ColumnKind.NUMERIC:
            column = numeric_column(name, part, self._survey.numbers(source))
        else:
            column = self._categorical(source, name, part)
        return [Counted(source, column)]

    def _is_empty(self, source: str, kind: ColumnKind, *, needed: bool) -> bool:
        """Whether no value can be learned from; that is refused where one is `needed`."""
        seen = self._survey.columns[source]
        if not seen.given:
            why = "no row has a value"
        elif kind is ColumnKind.CATEGORICAL:
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


def _confidence_rule(predictions: list[Counted]) -> ConfidenceRule:
    """How the confidence follows from scores that are probabilities."""
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
