"""From rows as codecs give them to the numbers that are counted."""

import math

import pytest
from harness.counting import categorical, numeric
from harness.observing import OUTPUTS

from sidecar.errors import ConfigError
from sidecar.model import ColumnPart
from sidecar.model.numbers import as_number
from sidecar.monitor.rows import MOST_FORMS, Coding, RowCoder
from sidecar.payload import Outputs
from sidecar.sketch import NOT_COUNTED

AGE = numeric("age")
INCOME = numeric("income")
REGION = categorical("region", ("north", "3", "true", "2.5"))
NAMES = ("age", "income", "region")


def coder(*columns, **more):
    return RowCoder(columns or (AGE, INCOME, REGION, *OUTPUTS), **more)


def cells(of, names, row):
    return list(of.features(of.form(names), row))


def same(found, expected):
    """Equal, where NaN equals NaN."""
    return [None if value != value else value for value in found] == expected


@pytest.mark.parametrize(("value", "code"), [
    ("north", 0), ("3", 1), (3, 1), (3.0, 1), ("true", 2), (True, 2), (2.5, 3), ("2.5", 3),
    ("south", 4), ("3.0", 4), (1, 4), (False, 4), (1.0, 4), ("", 4), (math.inf, 4),
])  # fmt: skip
def test_a_category_is_known_whichever_way_it_is_written(value, code):
    assert Coding(REGION).code(value) == code


def test_one_and_true_are_two_categories():
    coding = Coding(categorical("c", ("true", "1", "0")))
    assert [coding.code(value) for value in (True, 1, 1.0, False, 0)] == [0, 1, 1, 3, 2]


@pytest.mark.parametrize("value", [None, math.nan, float("nan")])
def test_what_is_absent_is_missing_and_not_other(value):
    assert math.isnan(Coding(REGION).code(value))


def test_the_usual_row_is_taken_as_it_is():
    only_numbers = coder(AGE, INCOME)
    row = [30.0, 1000.0]
    assert only_numbers.features(only_numbers.form(("age", "income")), row) is row


def test_categories_are_coded_without_changing_the_row_itself():
    row = [30.0, 1000.0, "north"]
    assert cells(coder(), NAMES, row) == [30.0, 1000.0, 0.0]
    assert row == [30.0, 1000.0, "north"]


def test_columns_in_another_order_with_others_between_them_are_found():
    row = ["north", "unknown feature", 1000.0, 30.0]
    assert cells(coder(), ("region", "zip", "income", "age"), row) == [30.0, 1000.0, 0.0]


def test_features_that_a_body_does_not_have_are_missing():
    one = coder()
    found = one.numbers(cells(one, ("region", "age"), ["north", 30.0]))
    assert same(found, [30.0, None, 0.0])
    assert same(one.numbers(cells(one, (), [])), [None, None, None])


def test_rows_shorter_or_longer_than_their_names_are_no_fault_of_ours():
    one = coder()
    assert same(one.numbers(cells(one, NAMES, [30.0])), [30.0, None, None])
    assert cells(one, NAMES, [30.0, 1.0, "north", "more"]) == [30.0, 1.0, 0.0]


def test_forms_take_turns_and_are_remembered_within_bounds():
    one = coder()
    for number in range(3 * MOST_FORMS):
        names = ("age", f"invented-{number}", "income", "region")
        assert cells(one, names, [1.0, 0.0, 2.0, "3"]) == [1.0, 2.0, 1.0]
        assert cells(one, NAMES, [1.0, 2.0, "3"]) == [1.0, 2.0, 1.0]
        assert len(one._forms) <= MOST_FORMS


def test_equal_names_are_one_form_even_when_they_are_another_object():
    one = coder()
    assert one.form(NAMES) is one.form((*NAMES[:1], *NAMES[1:]))


@pytest.mark.parametrize(("value", "expected"), [
    (1, 1.0), (True, 1.0), ("1.5", 1.5), ("-inf", -math.inf), (10**400, math.inf),
    (-(10**400), -math.inf),
])  # fmt: skip
def test_what_reads_as_a_number_is_one(value, expected):
    assert as_number(value) == expected


@pytest.mark.parametrize("value", [None, "", "n/a", "1" * 65, "nan", math.nan])
def test_what_does_not_is_missing(value):
    assert math.isnan(as_number(value))


def test_predictions_scores_and_confidences_have_their_columns():
    outputs = Outputs([1, 0], [0.8, 0.3], [0.8, 0.7])
    assert coder().outputs(outputs, 0) == [1.0, 0.8, 0.8]
    assert coder().outputs(outputs, 1) == [0.0, 0.3, 0.7]


def test_an_answer_without_a_value_misses_it_and_an_unknown_answer_says_nothing():
    assert same(coder().outputs(Outputs([1]), 0), [1.0, None, None])
    assert same(coder().outputs(Outputs([1]), 5), [None, None, None])
    assert coder().outputs(None, 0) == [NOT_COUNTED] * 3


def test_a_numeric_prediction_is_a_number():
    price = RowCoder((numeric("prediction", part=ColumnPart.PREDICTION),))
    assert price.outputs(Outputs([3]), 0) == [3.0]
    assert price.outputs(Outputs(["2.5"]), 0) == [2.5]


def test_features_of_a_shadow_are_not_counted():
    shadow = coder(features_counted=False)
    assert cells(shadow, NAMES, [30.0, 1000.0, "north"]) == [NOT_COUNTED] * 3


def test_columns_that_do_not_begin_with_the_features_are_refused():
    with pytest.raises(ConfigError, match="begin with its features"):
        RowCoder((*OUTPUTS, AGE))
