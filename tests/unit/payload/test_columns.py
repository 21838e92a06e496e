"""Nested lists and objects, made flat without recursion and without growing."""

import pytest

from sidecar.payload import Undecodable
from sidecar.payload.columns import Column, column_of, column_of_matrix, leaves, matrix_of


@pytest.mark.parametrize(
    ("entries", "column"),
    [
        ([1, "a", None, True], Column([1, "a", None, True])),
        ([], Column([])),
        ([[1], [2]], Column([1, 2])),
        ([[[1]], [[2]]], Column([1, 2])),
        ([[1, 2], [3, 4]], Column((), [[1, 2], [3, 4]])),
        ([[[1, 2], [3, 4]]], Column((), [[1, 2, 3, 4]])),
        ([{"b64": "aGk="}, 1], Column([None, 1])),
        ([[], []], Column([None, None])),
    ],
)
def test_a_column_is_a_value_or_a_vector_per_row(entries, column):
    assert column_of(entries) == column


@pytest.mark.parametrize(
    "entries", [[1, [2]], [[1], 2], [[1, 2], [3]], [[1], [2, 3]], [{"a": 1}, [1]]]
)
def test_rows_of_different_kinds_are_refused(entries):
    with pytest.raises(Undecodable, match="rows of different"):
        column_of(entries)


def test_a_matrix_is_left_as_it_is_and_the_document_too():
    flat, deep = [[1, 2], [3, 4]], [[1, [2]], [3, [4]]]

    assert matrix_of(flat) is flat
    assert matrix_of(deep) == [[1, 2], [3, 4]]
    assert deep == [[1, [2]], [3, [4]]]


def test_a_matrix_of_no_rows_is_an_empty_column():
    assert column_of_matrix([]) == Column([])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"user": {"age": 3, "name": "x"}}, [("user.age", 3), ("user.name", "x")]),
        ({"pixel": [1, [2, 3]]}, [("pixel[0]", 1), ("pixel[1][0]", 2), ("pixel[1][1]", 3)]),
        ({"one": [[[5]]]}, [("one", 5)]),
        ({"image": {"b64": "aGk="}}, [("image", None)]),
        ({"none": [], "empty": {}}, [("none", None), ("empty", None)]),
    ],
)
def test_leaves_are_named_by_their_way_in_the_order_of_the_text(value, found):
    assert leaves("", value) == found


def nested(levels: int, inner: object) -> object:
    for _ in range(levels):
        inner = [inner]
    return inner


def test_nesting_of_any_depth_needs_no_recursion():
    assert leaves("x", nested(100_000, 7)) == [("x", 7)]


@pytest.mark.parametrize(
    "value",
    [
        list(range(5000)),
        {str(number): 1 for number in range(5000)},
        [[0] * 100] * 100,
        [[[0, 0]] * 2000, [[0, 0]] * 2000],
        {"a" * 600: {"b" * 600: 1}},
        {"k": nested(1, [1] * 2)} | {"x" * 2000: 1},
    ],
)
def test_what_would_be_too_many_columns_or_too_long_names_is_refused(value):
    with pytest.raises(Undecodable):
        leaves("", value)


def test_names_cannot_be_made_to_fill_memory():
    inner: object = 1
    for _ in range(200):
        inner = {"k" * 4: inner, "sibling": [1] * 4000}

    with pytest.raises(Undecodable, match="more than 4096"):
        leaves("", inner)
