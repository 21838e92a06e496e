"""What the sampled rows of a survey say of the model's performance and of business figures.

Raises ConfigError when the columns that are named cannot be compared.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sidecar.baseline import figures, performance
from sidecar.baseline.counting import plain_numbers
from sidecar.baseline.edges import FloatArray
from sidecar.baseline.intervals import bootstrap, proportion
from sidecar.baseline.kinds import kind_of, require_numbers
from sidecar.baseline.records import BusinessFigure, Estimate, Performance
from sidecar.baseline.survey import Survey
from sidecar.errors import ConfigError
from sidecar.model import ColumnKind

_SHOWN: Final = 10  # labels


def performance_of(survey: Survey, positive: str | None, *, seed: int = 0) -> Performance | None:
    """How predictions and scores compare with the target; None without one to compare.

    Raises ConfigError when the target is empty, or nothing can be compared with it.
    """
    roles = survey.roles
    if roles.target is None:
        return None
    if not survey.columns[roles.target].given:
        raise ConfigError("the target is empty: no row has a value", path=roles.target)
    if roles.prediction is None and roles.score is None:
        return None
    rng = np.random.default_rng(seed)
    kinds = {
        source: kind_of(source, survey.columns[source], roles)
        for source in (roles.target, roles.prediction)
        if source is not None
    }
    targets = survey.values(roles.target)
    predictions = survey.values(roles.prediction) if roles.prediction is not None else None
    if set(kinds.values()) == {ColumnKind.NUMERIC} and predictions is not None:
        return performance.regression(plain_numbers(targets), plain_numbers(predictions), rng=rng)
    if kinds[roles.target] is ColumnKind.NUMERIC:
        raise ConfigError(
            "the target is an amount, and there is no prediction of one to compare it with",
            path=roles.target,
        )
    if roles.prediction is not None:
        _require_common_label(survey, roles.target, roles.prediction, kinds[roles.prediction])
    return performance.classification(
        targets,
        predictions,
        survey.numbers(roles.score) if roles.score is not None else None,
        positive=positive,
        rng=rng,
    )


def business_of(survey: Survey, *, seed: int = 0) -> dict[str, BusinessFigure]:
    """The business figures by the name of their column: sums of all rows, means with intervals.

    A column of ones and zeros (or truths) is a share, and has Wilson's interval.
    """
    found: dict[str, BusinessFigure] = {}
    for name in survey.roles.business:
        seen = survey.columns[name]
        require_numbers(name, seen, survey.roles)
        values = survey.numbers(name)
        values = values[np.isfinite(values)]
        if not values.size:
            raise ConfigError("no row has a number", path=name)
        if not np.isfinite(seen.total):
            raise ConfigError("the sum is no finite number", path=name)
        if np.isin(values, (0.0, 1.0)).all():
            mean = proportion(int(values.sum()), int(values.size))
        else:
            mean = _mean(values, np.random.default_rng(seed))
        found[name] = BusinessFigure(
            n=seen.finite, missing=survey.rows - seen.finite, total=seen.total, mean=mean
        )
    return found


def _mean(values: FloatArray, rng: np.random.Generator) -> Estimate:
    return bootstrap(lambda counts: figures.mean(counts, values), np.ones(values.size), rng)["mean"]


def _require_common_label(survey: Survey, target: str, prediction: str, kind: ColumnKind) -> None:
    if kind is ColumnKind.NUMERIC:
        raise ConfigError(
            f"predictions are amounts, but the target {target} has labels; are they "
            f"probabilities? --score {prediction}",
            path=prediction,
        )
    known = set(survey.columns[target].categories())
    predicted = set(survey.columns[prediction].categories())
    if not known & predicted:
        said = [", ".join(sorted(labels)[:_SHOWN]) for labels in (predicted, known)]
        raise ConfigError(
            f"predictions ({said[0]}) and targets ({said[1]}) have no label in common",
            path=prediction,
        )
