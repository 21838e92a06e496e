"""How well a model did on rows whose target is known.

    classification   accuracy; of two classes with a known positive one precision, recall, F1 and,
                     with scores, AUC and calibration; of more classes precision, recall and F1 as
                     means over the classes
    regression       MAE, RMSE, R²

Proportions have Wilson intervals, all else bootstrap ones. Everything is computed from the sampled
rows: up to 200,000 these are all rows.

Must not know: files, where rows come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from sidecar.baseline import figures
from sidecar.baseline.counting import Value, as_codes
from sidecar.baseline.edges import FloatArray
from sidecar.baseline.intervals import bootstrap, proportion
from sidecar.baseline.records import CalibrationBin, Confusion, Estimate, Performance, Task
from sidecar.model.categories import category_of

# Tables of more classes are neither read nor cheap to resample; only the accuracy is given.
CLASSES_AT_MOST: Final = 50
CALIBRATION_BINS: Final = 10

BoolArray = npt.NDArray[np.bool_]


def classification(
    targets: Sequence[Value],
    predictions: Sequence[Value] | None,
    scores: FloatArray | None,
    *,
    positive: str | None,
    rng: np.random.Generator,
) -> Performance | None:
    """Figures of rows with these targets; None when there is nothing to compare them with."""
    found: dict[str, Estimate] = {}
    confusion: Confusion | None = None
    rows = 0
    if predictions is not None:
        compared = _compared(targets, predictions)
        rows = len(compared)
        if compared:
            hits = sum(target == prediction for target, prediction in compared)
            found["accuracy"] = proportion(hits, rows)
            confusion = _confusion(compared)
    if confusion is not None:
        found |= _of_confusion(confusion, positive, rng)
    calibration: tuple[CalibrationBin, ...] = ()
    if scores is not None and positive is not None:
        is_positive = as_codes((positive,), targets)  # 0 positive, 1 other, NaN missing
        known = ~np.isnan(is_positive) & np.isfinite(scores)
        chosen, hit = scores[known], is_positive[known] == 0
        rows = max(rows, int(known.sum()))
        found |= _auc(chosen, hit, rng)
        calibration = _calibration(chosen, hit)
    if not found:
        return None
    return Performance(
        task=Task.CLASSIFICATION,
        rows=rows,
        positive=positive,
        figures=found,
        confusion=confusion,
        calibration=calibration,
    )


def regression(
    targets: FloatArray, predictions: FloatArray, *, rng: np.random.Generator
) -> Performance | None:
    """Figures of `float64[n]` targets and predictions; None when no row has both."""
    known = np.isfinite(targets) & np.isfinite(predictions)
    target, error = targets[known], predictions[known] - targets[known]
    if not target.size:
        return None
    return Performance(
        task=Task.REGRESSION,
        rows=int(target.size),
        positive=None,
        figures=bootstrap(
            lambda counts: figures.regression(counts, target, error), np.ones(target.size), rng
        ),
    )


def _compared(targets: Sequence[Value], predictions: Sequence[Value]) -> list[tuple[str, str]]:
    """The pairs of which both are given, as categories."""
    return [
        (category_of(target), category_of(prediction))
        for target, prediction in zip(targets, predictions, strict=True)
        if target is not None and prediction is not None
        if target == target and prediction == prediction  # noqa: PLR0124 - NaN alone differs
    ]


def _confusion(compared: Sequence[tuple[str, str]]) -> Confusion | None:
    times = Counter(compared)
    labels = tuple(sorted({label for pair in times for label in pair}))
    if len(labels) > CLASSES_AT_MOST:
        return None
    return Confusion(
        labels=labels,
        counts=tuple(
            tuple(times[target, prediction] for prediction in labels) for target in labels
        ),
    )


def _of_confusion(
    confusion: Confusion, positive: str | None, rng: np.random.Generator
) -> dict[str, Estimate]:
    counts = np.array(confusion.counts, dtype=np.float64)
    square = counts.shape
    if positive is None or len(confusion.labels) > 2:
        return bootstrap(
            lambda tables: figures.macro(tables.reshape(-1, *square)), counts.ravel(), rng
        )
    if positive not in confusion.labels:
        return {}
    at = confusion.labels.index(positive)
    hits, predicted, occur = (
        round(float(number)) for number in (counts[at, at], counts[:, at].sum(), counts[at].sum())
    )
    found: dict[str, Estimate] = {}
    if predicted:
        found["precision"] = proportion(hits, predicted)
    if occur:
        found["recall"] = proportion(hits, occur)
    return found | bootstrap(
        lambda tables: {"f1": figures.f1(tables.reshape(-1, *square), at)}, counts.ravel(), rng
    )


def _auc(scores: FloatArray, positive: BoolArray, rng: np.random.Generator) -> dict[str, Estimate]:
    distinct, places = np.unique(scores, return_inverse=True)
    by_score = [
        np.bincount(places[chosen], minlength=distinct.size) for chosen in (~positive, positive)
    ]

    def area(counts: FloatArray) -> dict[str, FloatArray]:
        negatives, positives = np.split(counts, 2, axis=1)
        return {"auc": figures.auc(negatives, positives)}

    return bootstrap(area, np.concatenate(by_score).astype(np.float64), rng) if scores.size else {}


def _calibration(scores: FloatArray, positive: BoolArray) -> tuple[CalibrationBin, ...]:
    """Ten even bins of probabilities; none when a score is no probability. The last has 1 in it."""
    if not scores.size or scores.min() < 0 or scores.max() > 1:
        return ()
    bounds = np.arange(CALIBRATION_BINS + 1) / CALIBRATION_BINS
    bins = np.searchsorted(bounds[1:-1], scores, side="right")
    made = []
    for place in range(CALIBRATION_BINS):
        inside = bins == place
        if inside.any():
            made.append(
                CalibrationBin(
                    low=float(bounds[place]),
                    high=float(bounds[place + 1]),
                    n=int(inside.sum()),
                    mean_score=float(scores[inside].mean()),
                    positive_share=float(positive[inside].mean()),
                )
            )
    return tuple(made)
