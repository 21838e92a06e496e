"""Names of columns, which of them are observed, and where sources stand."""

import pytest

from sidecar.payload import Reason, Source, Undecodable
from sidecar.payload.columns import MOST_COLUMNS
from sidecar.payload.forms import Forms, numbered


def test_names_are_the_same_object_for_requests_of_one_form():
    forms = Forms()

    for names in (
        [forms.named(("a", "b"), [[1, 2]]).names for _ in range(2)],
        [forms.bare("x", 3, [[1, 2, 3]]).names for _ in range(2)],
        [forms.partly_named(("a", "b[0]"), [[1, 2]]).names for _ in range(2)],
    ):
        assert names[0] is names[1]


@pytest.mark.parametrize(
    ("features", "baseline", "expected"),
    [
        ((), (), ("x[0]", "x[1]")),
        (("age", "income"), (), ("age", "income")),
        ((), ("age", "income"), ("age", "income")),
        (("age", "income"), ("other", "names"), ("age", "income")),
        ((), ("age", "income", "more"), ("x[0]", "x[1]")),
        (("x[1]",), (), ("x[1]",)),
    ],
)
def test_rows_without_names_are_called_by_settings_then_baseline(features, baseline, expected):
    assert Forms(features, baseline).bare("x", 2, [[1, 2]]).names == expected


def test_names_of_the_baseline_never_rename_what_has_a_name():
    assert Forms((), ("age", "income")).named(("a", "b"), [[1, 2]]).names == ("a", "b")


def test_features_choose_among_named_columns_in_their_own_order():
    inputs = Forms(("c", "a", "nope")).named(("a", "b", "c"), [[1, 2, 3], [4, 5, 6]])

    assert inputs.names == ("c", "a", "nope")
    assert inputs.rows == [[3, 1, None], [6, 4, None]]


def test_rows_pass_untouched_when_nothing_is_chosen():
    rows = [[1, 2]]

    assert Forms(("a", "b")).named(("a", "b"), rows).rows is rows


@pytest.mark.parametrize(
    ("read", "detail"),
    [
        (lambda forms: forms.named(("x", "y", "z"), [[1, 2, 3]]), "3 columns, none of which"),
        (lambda forms: forms.bare("x", 3, [[1, 2, 3]]), "3 columns, none of which"),
        (lambda forms: forms.named(("a", "a"), [[1, 2]]), "two columns of one name"),
        (lambda forms: forms.bare("x", MOST_COLUMNS + 1, []), "more than 4096"),
        (lambda forms: forms.bare("x", 10**18, []), "more than 4096"),
        (
            lambda forms: forms.named(tuple(map(str, range(MOST_COLUMNS + 1))), []),
            "more than 4096",
        ),
    ],
)
def test_columns_that_cannot_be_told_are_refused(read, detail):
    with pytest.raises(Undecodable, match=detail) as refused:
        read(Forms(("a", "b")))
    assert refused.value.reason is Reason.SHAPE


def test_sources_are_found_in_the_first_row_and_in_the_document():
    forms = Forms(
        sources=(
            Source(feature="b"),
            Source(pointer="/meta/region"),
            Source(header="x-tier"),
            Source(feature="nope"),
            Source(pointer="/meta"),
        )
    )

    inputs = forms.named(("a", "b"), [[1, 2], [3, 4]], {"meta": {"region": "eu"}})

    assert inputs.sourced == (2, "eu", None, None, None)


def test_a_source_may_be_a_feature_that_is_not_observed():
    inputs = Forms(("a",), sources=(Source(feature="b"),)).named(("a", "b"), [[1, 2]])

    assert (inputs.names, inputs.rows, inputs.sourced) == (("a",), [[1]], (2,))


def test_a_source_goes_by_the_names_that_bare_rows_are_given():
    inputs = Forms((), ("age", "income"), (Source(feature="income"),)).bare("x", 2, [[1, 2]])

    assert inputs.sourced == (2,)


def test_without_a_row_a_feature_has_no_value():
    assert Forms(sources=(Source(feature="a"),)).named(("a",), []).sourced == (None,)


def test_forms_of_hostile_clients_are_not_remembered_without_end():
    forms = Forms()
    first = forms.named(("kept",), [[1]]).names

    for number in range(1000):
        forms.named((f"column {number}",), [[1]])
    forms.named(("x" * 100_000,), [[1]])

    assert len(forms._forms) == 64
    assert forms.named(("kept",), [[1]]).names == first
    assert sum(len(name) for form in forms._forms.values() for name in form.names) < 10_000


def test_a_single_numbered_column_needs_no_number():
    assert (numbered("x", 1), numbered("x", 2), numbered("x", 0)) == (("x",), ("x[0]", "x[1]"), ())
