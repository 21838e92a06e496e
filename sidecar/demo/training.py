"""Three scikit-learn models of one question: will this loan be repaid?

`stable` and `next` are gradient boosting of two sizes, `trial` is a logistic regression. All take
the same named columns, so any of them can answer any request. A trained model is a file: the model
servers, processes of their own, load it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sidecar.demo.dataset import FEATURES, Cell, Loans

Columns = Mapping[str, Sequence[Cell]]

HELD_OUT_SHARE = 0.2
"""The last rows of the reference, in time order, are kept from training: they say how good a model
is (AUC), and are what its traffic is compared with later."""

THRESHOLD = 0.5
"""A loan whose probability to be repaid is at least this is predicted to be."""

RECIPES: Mapping[str, Callable[[], Any]] = {
    "stable": lambda: HistGradientBoostingClassifier(max_iter=40, random_state=0),
    "next": lambda: HistGradientBoostingClassifier(max_iter=80, max_leaf_nodes=15, random_state=0),
    "trial": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
}
"""Unfitted classifiers by the name of the model they become."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanModel:
    """A fitted classifier, and the ranks that turn categories into numbers.

    `ranks[column][category]` counts up with the category: both categorical columns are ranges
    ("20K - 40K €"), so their order carries meaning.
    """

    ranks: Mapping[str, Mapping[str, int]]
    classifier: Any

    def predict(self, columns: Columns) -> NDArray[np.float64]:
        """Return the probability that each loan is repaid, float64[rows].

        Raises ValueError for a missing column or a category never seen in training.
        """
        probabilities: NDArray[np.float64] = self.classifier.predict_proba(
            _matrix(columns, self.ranks)
        )
        return probabilities[:, 1]

    def save(self, path: Path) -> None:
        """Write the model to a file."""
        path.write_bytes(pickle.dumps(self))

    @staticmethod
    def load(path: Path) -> LoanModel:
        """Read a model that `save` wrote; only ever a file of our own, in a folder of our own."""
        model = pickle.loads(path.read_bytes())  # noqa: S301 - see the docstring
        if not isinstance(model, LoanModel):
            raise TypeError(f"{path} holds no LoanModel")
        return model


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model and how well it ranks the held-out rows (area under the ROC curve)."""

    model: LoanModel
    auc: float


def train(name: str, reference: Loans) -> Trained:
    """Fit the model called `name` on the older rows of the reference, score it on the newer."""
    columns = columns_of(reference)
    ranks = {f.name: _ranks(columns[f.name]) for f in FEATURES if f.datatype == "BYTES"}
    features = _matrix(columns, ranks)
    repaid = np.asarray(reference.repaid)
    split = _split(reference)
    # OpenMP's threads spin while they wait for each other: on a busy machine one thread is faster.
    with threadpool_limits(limits=1):
        classifier = RECIPES[name]().fit(features[:split], repaid[:split])
    model = LoanModel(ranks=ranks, classifier=classifier)
    scores = classifier.predict_proba(features[split:])[:, 1]
    return Trained(model=model, auc=float(roc_auc_score(repaid[split:], scores)))


def held_out(reference: Loans) -> Loans:
    """The rows that no model was trained on."""
    split = _split(reference)
    return Loans(rows=reference.rows[split:], repaid=reference.repaid[split:])


def columns_of(loans: Loans) -> dict[str, list[Cell]]:
    """The features, as a model takes them."""
    return {f.name: [row[f.name] for row in loans.rows] for f in FEATURES}


def _split(reference: Loans) -> int:
    return round(len(reference.rows) * (1 - HELD_OUT_SHARE))


def _ranks(values: Sequence[Cell]) -> dict[str, int]:
    categories = sorted({str(value) for value in values}, key=_lower_bound)
    return {category: rank for rank, category in enumerate(categories)}


def _lower_bound(category: str) -> tuple[int, int]:
    """`40K - 60K €` before `60K+ €`, `5%` before `10%`."""
    digits = category.lstrip()
    number = digits[: len(digits) - len(digits.lstrip("0123456789"))]
    return int(number or 0), len(category)


def _matrix(columns: Columns, ranks: Mapping[str, Mapping[str, int]]) -> NDArray[np.float64]:
    """Return float64[rows, features] in the order of FEATURES."""
    missing = [f.name for f in FEATURES if f.name not in columns]
    if missing:
        raise ValueError(f"missing inputs: {', '.join(missing)}")
    numbers = []
    for feature in FEATURES:
        values: Sequence[Cell] = columns[feature.name]
        if feature.datatype == "BYTES":
            values = _ranked(feature.name, values, ranks[feature.name])
        numbers.append(np.asarray(values, dtype=np.float64))
    if len({len(column) for column in numbers}) > 1:
        raise ValueError("all inputs must have the same number of rows")
    return np.column_stack(numbers)


def _ranked(name: str, values: Sequence[Cell], ranks: Mapping[str, int]) -> list[Cell]:
    try:
        return [ranks[str(value)] for value in values]
    except KeyError:
        raise ValueError(f"input {name}: one of {', '.join(ranks)} was expected") from None
