"""What each model is compared with: reference rows that it was not trained on, with its answers.

Of every model two files are made: the table as CSV, such as a user would have one, and the baseline
of it, which is what `sidecar baseline build` makes of the table.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

from sidecar.baseline import encode
from sidecar.baseline.roles import Roles
from sidecar.dataset import open_dataset
from sidecar.dataset.learning import learn_from
from sidecar.demo.dataset import FEATURES, Loans
from sidecar.demo.training import THRESHOLD, LoanModel, columns_of

_ROLES: Final = Roles(prediction="prediction", score="score", target="repaid")


def build(name: str, model: LoanModel, reference: Loans, folder: Path) -> Path:
    """Write `NAME.csv` and `NAME.json` into the folder, and return the path of the baseline."""
    folder.mkdir(exist_ok=True)
    table = folder / f"{name}.csv"
    _write(table, model, reference)
    learned = learn_from(open_dataset([table]), name, _ROLES)
    baseline = table.with_suffix(".json")
    baseline.write_text(encode(learned.baseline), encoding="utf-8")
    return baseline


def _write(table: Path, model: LoanModel, reference: Loans) -> None:
    scores = model.predict(columns_of(reference)).tolist()
    with table.open("w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow([*(feature.name for feature in FEATURES), "prediction", "score", "repaid"])
        for row, score, repaid in zip(reference.rows, scores, reference.repaid, strict=True):
            features = (row[feature.name] for feature in FEATURES)
            lines.writerow([*features, int(score >= THRESHOLD), score, int(repaid)])
