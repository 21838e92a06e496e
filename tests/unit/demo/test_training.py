"""The demo's models learn what is in the rows, and survive being a file."""

import pickle

import numpy as np
import pytest

from sidecar.demo.dataset import FEATURES, Loans
from sidecar.demo.training import RECIPES, LoanModel, held_out, train


def columns(*rows):
    return {feature.name: [row[feature.name] for row in rows] for feature in FEATURES}


@pytest.mark.parametrize("name", RECIPES)
def test_each_model_ranks_rows_it_has_not_seen(name, loans):
    trained = train(name, loans)
    assert trained.auc > 0.95
    poor, rich = loans.rows[0] | {"car_value": 2_000.0}, loans.rows[0] | {"car_value": 80_000.0}
    low, high = trained.model.predict(columns(poor, rich))
    assert 0 <= low < 0.5 < high <= 1


def test_the_newest_fifth_is_kept_from_training(loans):
    kept = held_out(loans)
    assert kept.rows == loans.rows[480:]
    assert kept.repaid == loans.repaid[480:]
    # What is wrong only in rows that are kept changes nothing in the model.
    upside_down = tuple(loans.repaid[:480]) + tuple(not repaid for repaid in kept.repaid)
    ours, theirs = (
        train("trial", Loans(rows=loans.rows, repaid=repaid)).model.predict(columns(*kept.rows))
        for repaid in (loans.repaid, upside_down)
    )
    np.testing.assert_array_equal(ours, theirs)


def test_a_saved_model_predicts_the_same(loans, tmp_path):
    model = train("trial", loans).model
    model.save(tmp_path / "trial.model")
    again = LoanModel.load(tmp_path / "trial.model")
    rows = columns(*loans.rows[:50])
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))


def test_a_file_of_something_else_is_no_model(tmp_path):
    (tmp_path / "x").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(TypeError, match="holds no LoanModel"):
        LoanModel.load(tmp_path / "x")


def test_ranges_are_ranked_by_where_they_begin(loans):
    ranks = train("trial", loans).model.ranks
    assert list(ranks["salary_range"]) == ["0 - 20K €", "20K - 40K €", "40K - 60K €", "60K+ €"]
    assert list(ranks["size_of_downpayment"]) == ["0%", "5%", "10%", "20%"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"salary_range": ["a lot"]}, "input salary_range: one of 0 - 20K €"),
        ({"car_value": [1.0, 2.0]}, "same number of rows"),
        ({"car_value": None}, "missing inputs: car_value"),
    ],
)
def test_columns_a_model_cannot_read_are_a_value_error(loans, change, words):
    model = train("trial", loans).model
    asked = {name: values for name, values in (columns(loans.rows[0]) | change).items() if values}
    with pytest.raises(ValueError, match=words):
        model.predict(asked)
