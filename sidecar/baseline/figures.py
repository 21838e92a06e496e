"""Figures of performance, of many weighted tables at once: what the bootstrap asks for.

Every function takes counts with a leading axis of replicates and returns one value for each; NaN
where the figure does not exist (no positives, no spread).

Must not know: intervals, labels, columns.
"""

from __future__ import annotations

import numpy as np

from sidecar.baseline.edges import FloatArray


def macro(confusion: FloatArray) -> dict[str, FloatArray]:
    """Means over the classes, each as heavy, of `float64[replicate, target, prediction]`.

    A class that never occurs and is never predicted is left out; one that is never predicted has
    precision 0, one that never occurs recall 0, as scikit-learn has it (`zero_division=0`).
    """
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    occur, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    known = (occur + predicted) > 0
    precision, recall = _ratio(hits, predicted), _ratio(hits, occur)
    f1 = _ratio(2 * hits, occur + predicted)
    classes = known.sum(axis=1)
    return {
        f"{name}_macro": np.where(known, values, 0.0).sum(axis=1) / np.maximum(classes, 1)
        for name, values in (("precision", precision), ("recall", recall), ("f1", f1))
    }


def f1(confusion: FloatArray, positive: int) -> FloatArray:
    """Harmonic mean of precision and recall of one class: 2 TP / (2 TP + FP + FN)."""
    hits = confusion[:, positive, positive]
    total = confusion[:, positive, :].sum(axis=1) + confusion[:, :, positive].sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * hits / np.where(total > 0, total, np.nan), dtype=np.float64)


def auc(negatives: FloatArray, positives: FloatArray) -> FloatArray:
    """The probability that a positive has a higher score than a negative, ties counting half.

    `float64[replicate, score]` each, by rising distinct scores: the area under the ROC curve (Mann
    and Whitney 1947; Hanley, McNeil 1982). One pass.
    """
    below = np.cumsum(negatives, axis=1) - negatives / 2
    pairs = negatives.sum(axis=1) * positives.sum(axis=1)
    with np.errstate(invalid="ignore"):
        won = (positives * below).sum(axis=1)
        return np.asarray(won / np.where(pairs > 0, pairs, np.nan), dtype=np.float64)


def regression(counts: FloatArray, target: FloatArray, error: FloatArray) -> dict[str, FloatArray]:
    """`mae`, `rmse` and `r2` of rows with these targets and errors, `float64[row]` each.

    MAE = mean |e|    RMSE = sqrt(mean e²)    R² = 1 - sum e² / sum (y - mean y)²
    """
    n = np.maximum(counts.sum(axis=1), 1.0)
    centered = target - target.mean()  # a variance of unshifted sums is lost to cancellation
    squares = counts @ error**2
    spread = counts @ centered**2 - (counts @ centered) ** 2 / n
    with np.errstate(divide="ignore", invalid="ignore"):
        explained = 1 - squares / np.where(spread > 0, spread, np.nan)
    return {
        "mae": counts @ np.abs(error) / n,
        "rmse": np.sqrt(squares / n),
        "r2": np.asarray(explained, dtype=np.float64),
    }


def mean(counts: FloatArray, values: FloatArray) -> dict[str, FloatArray]:
    """The mean of rows with these values, `float64[row]`."""
    return {"mean": counts @ values / np.maximum(counts.sum(axis=1), 1.0)}


def _ratio(over: FloatArray, under: FloatArray) -> FloatArray:
    """0 where there is nothing to divide by."""
    return np.asarray(over / np.where(under > 0, under, 1.0), dtype=np.float64)
