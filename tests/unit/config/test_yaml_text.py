"""YAML to plain values: its types, its lines, and what is refused."""

import math

import pytest

from sidecar.config.problems import InvalidConfig
from sidecar.config.yaml_text import LONGEST_TEXT_BYTES, MOST_VALUES, read_yaml


def refusal_of(text: str) -> str:
    """The only problem of a text, as a sentence."""
    with pytest.raises(InvalidConfig) as refused:
        read_yaml(text)
    (problem,) = refused.value.problems
    return str(problem)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-7", -7),
        ("+7", 7),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-.inf", -math.inf),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("[a, [1]]", ["a", [1]]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_values_have_the_types_of_yaml_1_2(text, value):
    read = read_yaml(text).value

    assert read == value
    assert type(read) is type(value)


def test_not_a_number_is_a_number():
    assert math.isnan(read_yaml(".nan").value)


def test_the_line_of_every_value_is_known():
    lines = read_yaml("a: 1\nb:\n  - x\n  - c.d: 2\n").lines

    assert lines == {"$": 1, "$.a": 1, "$.b": 2, "$.b[0]": 3, "$.b[1]": 4, '$.b[1]["c.d"]': 4}


def test_anchors_aliases_and_merge_keys_work_and_own_keys_win():
    text = """
    base: &base {a: 1, b: {c: 2}}
    other: &other {b: 3, d: 4}
    one: {<<: *base, a: 5}
    two: {a: 6, <<: [*base, *other]}
    """

    value = read_yaml(text).value

    assert value["one"] == {"a": 5, "b": {"c": 2}}
    assert value["two"] == {"a": 6, "b": {"c": 2}, "d": 4}


def test_values_of_aliases_are_separate():
    value = read_yaml("a: &x {k: 1}\nb: *x").value

    assert value["a"] is not value["b"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "a: 1\nb: 2\na: 3",
            "$.a (line 3): expected each key once, found it again, after line 1",
        ),
        (
            "{a: {b: 1, b: 1}}",
            "$.a.b (line 1): expected each key once, found it again, after line 1",
        ),
        ("1: x", '$ (line 1): expected text as a key, found 1; quote it: "1"'),
        ("a: {null: x}", '$.a (line 1): expected text as a key, found null; quote it: "null"'),
        ("? [a]\n: 1", "$ (line 1): expected text as a key, found a list or mapping"),
        (
            "a: [1",
            (
                "$ (line 1, column 6): expected valid YAML, found an error (expected ',' "
                "or ']', but got '<stream end>')"
            ),
        ),
        (
            "a: *nowhere",
            (
                "$ (line 1, column 4): expected valid YAML, found an error (found undefined "
                "alias 'nowhere')"
            ),
        ),
        (
            "a: 1\n---\nb: 2",
            (
                "$ (line 2, column 1): expected valid YAML, found an error (but found another "
                "document)"
            ),
        ),
        ("a: \x07", "$: expected valid YAML, found characters that YAML does not allow"),
        (
            "&a [*a]",
            (
                "$ (line 1, column 1): expected valid YAML, found an error (an alias inside of "
                "what it stands for)"
            ),
        ),
        ("a: {<<: 1}", "$.a (line 1): expected a mapping after `<<`, found 1"),
        ("!!int x", "$ (line 1): expected what the tag 'tag:yaml.org,2002:int' says, found \"x\""),
        (
            "a: !!python/object/apply:os.system [true]",
            (
                "$.a (line 1): expected a plain value, found the tag "
                "'tag:yaml.org,2002:python/object/apply:os.system'"
            ),
        ),
        ("a: !secret x", "$.a (line 1): expected a plain value, found the tag '!secret'"),
    ],
)
def test_what_is_refused_says_where_and_why(text, sentence):
    assert refusal_of(text) == sentence


def test_bounds_hold_before_anything_is_built():
    too_deep, too_long = "[" * 20_000, "a" * (LONGEST_TEXT_BYTES + 1)

    assert refusal_of(too_deep) == "$: expected reasonable nesting, found far too many levels"
    assert refusal_of(too_long) == "$: expected at most 1 MiB of text, found more"


def test_every_duplicate_is_reported_not_the_first():
    with pytest.raises(InvalidConfig) as refused:
        read_yaml("a: 1\na: 1\nb: 1\nb: 1\n")

    assert [problem.path for problem in refused.value.problems] == ["$.a", "$.b"]


def test_aliases_that_grow_exponentially_are_refused_before_they_do():
    levels = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(20):
        name, inner = chr(98 + level), chr(97 + level)
        levels.append(f"{name}: &{name} [{', '.join([f'*{inner}'] * 10)}]")

    assert f"more than {MOST_VALUES} values" in refusal_of("\n".join(levels))
