"""Which columns a baseline gets, and what data are refused for."""

import numpy as np
import pytest

from sidecar.baseline import learn
from sidecar.baseline.blueprint import draw, draw_like, require_columns
from sidecar.baseline.roles import Chunk, Roles
from sidecar.baseline.survey import Survey
from sidecar.errors import ConfigError
from sidecar.model import ColumnKind, ColumnPart


def surveyed(columns, roles=None, chunk_rows=None):
    """A survey of these columns, in chunks."""
    survey = Survey(roles or Roles())
    rows = len(next(iter(columns.values())))
    step = chunk_rows or rows
    for first in range(0, rows, step):
        part = {name: values[first : first + step] for name, values in columns.items()}
        survey.add(Chunk(first + 1, min(step, rows - first), part))
    return survey


def kinds(columns, roles=None, chunk_rows=None):
    blueprint = draw(surveyed(columns, roles, chunk_rows))
    return {one.column.name: one.column.kind for one in blueprint.counted}


N = 200
CODES = np.arange(N) % 32 * 1.0


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.arange(N) * 1.5, ColumnKind.NUMERIC),
        (np.arange(N) * 1.0, ColumnKind.NUMERIC),
        (CODES, ColumnKind.CATEGORICAL),
        (np.arange(N) % 33 * 1.0, ColumnKind.NUMERIC),
        (CODES + 0.5, ColumnKind.NUMERIC),
        (np.where(CODES > 3, CODES, np.nan), ColumnKind.CATEGORICAL),
        (np.full(N, 4.0), ColumnKind.NUMERIC),
        (np.arange(N) % 2 * 1.0, ColumnKind.CATEGORICAL),
        (["a", None] * 100, ColumnKind.CATEGORICAL),
        ([True, False] * 100, ColumnKind.CATEGORICAL),
        ([True, "unknown"] * 100, ColumnKind.CATEGORICAL),
        ([1.5, None] * 100, ColumnKind.NUMERIC),
        ([1.5, "NA"] * 100, ColumnKind.NUMERIC),
    ],
)
@pytest.mark.parametrize("chunk_rows", [N, 7])
def test_the_kind_of_a_column_follows_from_its_values(values, kind, chunk_rows):
    assert kinds({"x": values}, chunk_rows=chunk_rows) == {"x": kind}


def test_few_rows_do_not_make_amounts_into_codes():
    assert kinds({"age": np.arange(30.0)}) == {"age": ColumnKind.NUMERIC}
    assert kinds({"flag": np.array([0.0, 1.0])}) == {"flag": ColumnKind.CATEGORICAL}


def test_what_is_said_of_a_column_outranks_how_it_looks():
    columns = {"code": CODES, "zip": np.arange(N) * 1.0}
    roles = Roles(numeric=("code",), categorical=("zip",))

    assert kinds(columns, roles) == {"code": ColumnKind.NUMERIC, "zip": ColumnKind.CATEGORICAL}


def test_codes_keep_their_spelling_without_a_fraction():
    (one,) = draw(surveyed({"x": CODES})).counted
    assert set(one.column.categories) == {str(code) for code in range(32)}


@pytest.mark.parametrize("chunk_rows", [N, 7])
def test_numbers_and_texts_in_one_column_are_refused_with_the_first_of_each(chunk_rows):
    values = [None, *([1.5] * 100), "n/a", "twelve", *([2.5] * 97)]
    with pytest.raises(ConfigError) as refused:
        kinds({"x": values}, chunk_rows=chunk_rows)

    assert refused.value.path == "x"
    assert "197 numbers (the first in row 2)" in refused.value.reason
    assert "1 texts (row 103: 'twelve')" in refused.value.reason
    assert "--categorical x" in refused.value.reason


def test_numbers_and_truths_in_one_column_are_refused():
    with pytest.raises(ConfigError, match="100 truth values"):
        kinds({"x": [1.5, True] * 100})


def test_a_text_in_a_column_that_is_said_to_be_numeric_is_refused():
    with pytest.raises(ConfigError, match="row 3 has 'many'"):
        kinds({"x": [1.0, None, "many", 3.0]}, Roles(numeric=("x",)))


def test_texts_that_read_as_numbers_serve_where_numbers_are_asked_for():
    values = ["1.5", "NA", "-2e3", None] * 50
    assert kinds({"x": values}) == {"x": ColumnKind.CATEGORICAL}

    made = learn("m", {"x": values}, Roles(numeric=("x",)))
    assert made.columns[0].kind is ColumnKind.NUMERIC
    assert (made.distribution("x").count, made.distribution("x").missing) == (100, 100)


def test_numbers_beside_codes_with_leading_zeros_are_refused_as_well():
    with pytest.raises(ConfigError, match=r"row 2: '01234'.*--categorical zip"):
        kinds({"zip": [53113.0, "01234"] * 100})


def test_traffic_is_never_refused_but_has_the_kind_of_most_of_its_values():
    roles = Roles(strict=False, score="s", prediction="p")
    columns = {
        "x": [1.5, 2.5, "a"] * 50,
        "y": [1.5, "b", "a"] * 50,
        "s": ["?"] * 150,
        "p": [None] * 150,
    }
    assert kinds(columns, roles) == {"x": ColumnKind.NUMERIC, "y": ColumnKind.CATEGORICAL}


def test_a_feature_without_a_value_is_left_out_with_a_remark():
    columns = {"x": np.arange(N) * 1.5, "gone": [None] * N, "far": np.full(N, np.inf)}
    blueprint = draw(surveyed(columns))

    assert [one.column.name for one in blueprint.counted] == ["x"]
    assert blueprint.remarks == (
        "gone: no row has a value; the column is left out",
        "far: no row that was sampled has a finite number; the column is left out",
    )


@pytest.mark.parametrize(
    ("roles", "name"),
    [
        (Roles(prediction="gone"), "gone"),
        (Roles(score="gone"), "gone"),
        (Roles(segments=("gone",), ignore=("gone",)), "gone"),
    ],
)
def test_what_a_baseline_is_asked_for_may_not_be_empty(roles, name):
    with pytest.raises(ConfigError, match="no row has a value") as refused:
        draw(surveyed({"x": np.arange(N) * 1.5, "gone": [None] * N}, roles))
    assert refused.value.path == name


def test_scores_are_numbers():
    with pytest.raises(ConfigError, match="row 1 has 'high'"):
        draw(surveyed({"s": ["high", "low"] * 10}, Roles(score="s")))


def test_a_column_of_names_that_look_like_an_identifier_is_remarked_on():
    (remark,) = draw(surveyed({"id": [f"user {row}" for row in range(1000)]})).remarks
    assert "is it an identifier? --ignore id leaves it out" in remark


def test_more_features_than_a_request_may_have_are_refused_but_not_columns_without_use():
    columns = {f"key-{number}": [1.0] for number in range(5000)}
    with pytest.raises(ConfigError, match=r"5000 features so far.*'key-4999'"):
        surveyed(columns)
    assert surveyed(columns, Roles(ignore=tuple(columns)[:1000])).rows == 1


def test_columns_with_a_role_are_no_features():
    columns = {name: np.arange(N) * 1.5 for name in "xptsbi"} | {"g": ["a", "b"] * 100}
    roles = Roles(
        prediction="p", target="t", score="s", business=("b",), ignore=("i",), segments=("g",)
    )
    blueprint = draw(surveyed(columns, roles))
    features = [
        one.column.name for one in blueprint.counted if one.column.part is ColumnPart.FEATURE
    ]
    assert features == ["x", "g"]  # a segment is a feature, unless it is ignored


def test_confidence_follows_from_probabilities():
    scores = np.linspace(0.0, 1.0, N)
    two = learn("m", {"p": ["a", "b"] * 100, "s": scores}, Roles(prediction="p", score="s"))
    more = learn(
        "m", {"p": ["a", "b", "c", "d"] * 50, "s": scores}, Roles(prediction="p", score="s")
    )
    margins = learn("m", {"s": scores * 7}, Roles(score="s"))

    assert two.distribution("confidence").quantile(0.0).lower >= 0.5
    assert more.distribution("confidence").quantile(0.0).lower < 0.1
    assert [column.name for column in margins.columns] == ["score"]


def test_segments_are_the_most_frequent_values_or_those_that_are_listed():
    columns = {"g": ["a"] * 5 + ["b"] * 9 + ["c"] * 7, "h": [True, False, True] * 7}
    roles = Roles(segments=("g", "h"), segment_values={"g": 2, "h": ("false", "maybe")})

    assert draw(surveyed(columns, roles)).segments == (("g", ("b", "c")), ("h", ("false", "maybe")))


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        (["0", "1"], "1"),
        ([0.0, 1.0], "1"),
        ([-1.0, 1.0], "1"),
        ([True, False], "true"),
        (["cat", "dog"], None),
        ([0.0, 1.0, 2.0, 1.0], None),
    ],
)
def test_the_positive_class_is_plain_or_not_guessed(labels, positive):
    survey = surveyed({"p": labels * (N // len(labels))}, Roles(prediction="p"))
    assert draw(survey).positive == positive


def test_a_positive_class_that_never_occurs_is_refused():
    with pytest.raises(ConfigError, match="the labels are: cat, dog"):
        draw(surveyed({"p": ["cat", "dog"]}, Roles(prediction="p", positive="bird")))


def test_a_column_that_is_not_there_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean `income`"):
        require_columns(["age", "income"], ["incom"])
    with pytest.raises(ConfigError, match="there are: age, income"):
        require_columns(["age", "income"], ["zzz"])


def test_data_can_be_counted_into_the_columns_of_another_baseline(baseline, columns):
    roles = Roles(prediction="answer", score="probability")
    some = {name: values[:300] for name, values in columns.items()} | {
        "new": columns["rooms"][:300]
    }
    blueprint = draw_like(baseline, surveyed(some, roles))

    assert tuple(one.column for one in blueprint.counted) == baseline.columns
    assert blueprint.segments == (("region", baseline.segments[0].values),)
    assert "new: not in the baseline that this one is like; left out" in blueprint.remarks


def test_data_that_lack_a_column_of_the_other_baseline_are_refused(baseline, columns):
    some = {name: values for name, values in columns.items() if name != "rooms"}
    with pytest.raises(ConfigError) as refused:
        draw_like(baseline, surveyed(some, Roles(prediction="answer", score="probability")))
    assert refused.value.path == "rooms"


def test_a_column_whose_role_is_not_named_is_left_out_of_the_likeness(baseline, columns):
    blueprint = draw_like(baseline, surveyed(columns, Roles(ignore=("answer", "probability"))))

    assert "prediction: the data name no such column; it is left out" in blueprint.remarks
    parts = {one.column.part for one in blueprint.counted}
    assert parts == {ColumnPart.FEATURE}
