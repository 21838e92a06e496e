"""Secret columns are found wherever protocols put them, and rows without names are not trusted."""

import json

import pytest

from sidecar.payload import Body, Inputs, PayloadSettings, codec_for
from sidecar.records import ColumnRule, How, RedactionRules, Redactor, Withheld

S = "078-05-1120"
MASK = "***"


def redacted(
    value: object, *secret: str, names=(), expected=False, how: How = How.MASK, **head: bytes
):
    """A request without its secret columns, read again; or why it is not kept."""
    rules = RedactionRules(columns=tuple(ColumnRule(name=name) for name in secret), how=how)
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    found = Redactor(rules, b"k" * 16).request_body(
        Body(data, **head), 100_000, names=names, expected=expected
    )
    if found.withheld is not None:
        return found.withheld
    return found.data if head else json.loads(found.data)


def tensor(name: str, shape: list[int], data: list) -> dict:
    return {"name": name, "shape": shape, "datatype": "BYTES", "data": data}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"instances": [{"ssn": S, "age": 3}]}, {"instances": [{"ssn": MASK, "age": 3}]}),
        (
            {"inputs": {"ssn": [S, S], "age": [3, 4]}},
            {"inputs": {"ssn": [MASK] * 2, "age": [3, 4]}},
        ),
        ({"dataframe_records": [{"ssn": S}]}, {"dataframe_records": [{"ssn": MASK}]}),
        (
            {"dataframe_split": {"index": [0, 1], "columns": ["age", "ssn"], "data": [[3, S]]}},
            {"dataframe_split": {"index": [0, 1], "columns": ["age", "ssn"], "data": [[3, MASK]]}},
        ),
        (
            {"data": {"names": ["ssn", "age"], "ndarray": [[S, 3], [S, 4]]}},
            {"data": {"names": ["ssn", "age"], "ndarray": [[MASK, 3], [MASK, 4]]}},
        ),
        (
            {"inputs": [tensor("ssn", [2, 1], [S, S]), tensor("age", [2], [3, 4])]},
            {"inputs": [tensor("ssn", [2, 1], [MASK] * 2), tensor("age", [2], [3, 4])]},
        ),
        (
            {"inputs": [tensor("ssn", [2, 1], [[S], [S]])]},
            {"inputs": [tensor("ssn", [2, 1], [[MASK], [MASK]])]},
        ),
        ([{"ssn": S}, {"age": 3}], [{"ssn": MASK}, {"age": 3}]),
        ({"deep": [{"er": {"ssn": {"number": S}}}]}, {"deep": [{"er": {"ssn": MASK}}]}),
        (
            {"messages": [{"role": "user", "content": "hi", "ssn": S}], "model": "m"},
            {"messages": [{"role": "user", "content": "hi", "ssn": MASK}], "model": "m"},
        ),
    ],
)
def test_a_column_with_a_name_is_found_by_it(document, expected):
    assert redacted(document, "ssn") == expected


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"instances": [[S, 3], [S, 4]]}, {"instances": [[MASK, 3], [MASK, 4]]}),
        ({"inputs": [[S, 3]]}, {"inputs": [[MASK, 3]]}),
        ({"features": [S, 3]}, {"features": [MASK, 3]}),
        ([[S, 3]], [[MASK, 3]]),
        ([S, 3], [MASK, 3]),
        ({"instances": [{"x": [S, 3]}]}, {"instances": [{"x": [MASK, 3]}]}),
        ({"instances": [[[S], [3]]]}, {"instances": [[[MASK], [3]]]}),
        (
            {"inputs": [tensor("x", [2, 2], [S, 3, S, 4])]},
            {"inputs": [tensor("x", [2, 2], [MASK, 3, MASK, 4])]},
        ),
        (
            {"inputs": [tensor("x", [2, 2], [[S, 3], [S, 4]])]},
            {"inputs": [tensor("x", [2, 2], [[MASK, 3], [MASK, 4]])]},
        ),
        ({"inputs": [tensor("x", [2], [S, 3])]}, {"inputs": [tensor("x", [2], [MASK, 3])]}),
        (
            {"inputs": [tensor("x", [2, 1], [S, S]), tensor("y", [2, 1], [3, 4])]},
            {"inputs": [tensor("x", [2, 1], [MASK, MASK]), tensor("y", [2, 1], [3, 4])]},
        ),
    ],
)
def test_a_column_without_a_name_is_found_by_its_place(document, expected):
    assert redacted(document, "ssn", names=("ssn", "age")) == expected


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [[S, 3, 5]]},
        {"instances": [[3, S], [S]]},
        {"instances": [S]},
        {"inputs": [tensor("x", [1, 3], [S, 3, 5])]},
        {"inputs": {"x": [[S, 3, 5]]}},
        {"dataframe_split": {"columns": ["ssn", "age"], "data": [[S, 3, 4]]}},
        {"dataframe_split": {"columns": ["ssn", "age"], "data": [S]}},
        {"dataframe_split": {"data": [[S, 3, 4]]}},
        S,
        5,
    ],
)
def test_rows_of_another_width_are_not_trusted(document):
    assert redacted(document, "ssn", names=("ssn", "age")) is Withheld.UNNAMED


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [[S, 3]]},
        {"instances": [S]},
        {"features": [S, 3]},
        {"inputs": [tensor("x", [1, 2], [S, 3])]},
        {"inputs": {"x": [[S, 3]]}},
        {"data": {"tensor": {"shape": [1, 2], "values": [S, 3]}}},
        {"parameters": {"ssn": 1}, "instances": [[S, 3]]},
        [S],
    ],
)
def test_rows_whose_columns_nobody_can_name_are_not_trusted(document):
    assert redacted(document, "ssn") is Withheld.UNNAMED


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [{"age": 3, "tags": ["a", "b"]}]},
        {"inputs": {"age": [3, 4]}},
        {"inputs": [tensor("age", [2, 1], [3, 4])], "outputs": [{"name": "y"}]},
        {"dataframe_split": {"columns": ["age"], "data": [[3]]}},
        {"instances": []},
        {"instances": [None]},
        {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
        None,
    ],
)
def test_what_has_names_and_none_of_them_secret_is_kept(document):
    assert redacted(document, "ssn") == document


def test_rows_whose_columns_are_known_and_not_secret_are_kept():
    document = {"instances": [[1, 2, 3]]}

    assert redacted(document, "ssn", names=("age", "income", "tenure")) == document


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [[1, 2]]},
        {"instances": [1, 2]},
        {"inputs": [tensor("x", [1, 2], [1, 2])]},
        {"inputs": {"x": [[1, 2]], "y": [3]}},
    ],
)
def test_names_that_are_only_expected_prove_nothing_of_rows_of_another_width(document):
    names = ("age", "income", "tenure")

    assert redacted(document, "ssn", names=names, expected=True) is Withheld.UNNAMED
    assert redacted(document, "ssn", names=names) == document


@pytest.mark.parametrize("names", [(), ("ssn", "age"), ("image[0][0]", "image[0][1]")])
def test_values_of_rows_that_name_their_columns_have_names(names):
    document = {"instances": [{"image": [[1, 2, 3], [4, 5, 6]], "tags": ["a"]}]}

    assert redacted(document, "ssn", names=names) == document


def test_a_batch_as_long_as_it_is_wide_keeps_its_other_columns():
    document = {"inputs": {"age": [30, 40], "ssn": [S, S]}}

    assert redacted(document, "ssn", names=("age", "ssn")) == {
        "inputs": {"age": [30, 40], "ssn": [MASK, MASK]}
    }


def test_other_lists_beside_what_was_found_are_kept():
    names = ("model", "messages", "prompt_chars", "max_tokens")
    document = {"model": "m", "messages": [{"content": S}], "stop": ["a", "b"]}

    assert redacted(document, "messages", names=names) == document | {"messages": [MASK]}


@pytest.mark.parametrize(
    ("secret", "row", "expected"),
    [
        ("address.city", {"address": {"city": S}}, {"address": MASK}),
        ("emb[1]", {"emb": [0.1, S]}, {"emb": [MASK, MASK]}),
        ("petal.length", {"petal.length": S}, {"petal.length": MASK}),
        ("x[1]", tensor("x", [1, 2], [1, S]), tensor("x", [1, 2], [MASK, MASK])),
    ],
)
def test_a_rule_for_a_part_hides_the_whole_where_only_that_has_a_name(secret, row, expected):
    assert redacted({"inputs": [row]}, secret) == {"inputs": [expected]}


def test_a_rule_for_a_part_finds_it_by_its_place_where_that_is_known():
    document = {"inputs": [tensor("x", [1, 2], [1, S])]}

    assert redacted(document, "x[1]", names=("x[0]", "x[1]")) == {
        "inputs": [tensor("x", [1, 2], [1, MASK])]
    }


def test_a_rule_for_the_whole_hides_its_parts():
    document = {"inputs": [tensor("x", [1, 2], [1, 2])]}

    assert redacted(document, "emb", names=("emb[0]", "emb[1]")) == {
        "inputs": [tensor("x", [1, 2], [MASK, MASK])]
    }


def test_dropped_columns_leave_rows_as_wide_as_they_were():
    document = {"instances": [[S, 3], [S, 4]]}

    assert redacted(document, "ssn", names=("ssn", "age"), how=How.DROP) == {
        "instances": [[None, 3], [None, 4]]
    }
    assert redacted({"instances": [{"ssn": S, "age": 3}]}, "ssn", how=How.DROP) == {
        "instances": [{"age": 3}]
    }


def test_hashed_columns_can_be_joined_across_protocols():
    by_key = redacted({"instances": [{"ssn": S}, {"ssn": S}]}, "ssn", how=How.HASH)
    by_place = redacted({"instances": [[S, 1]]}, "ssn", names=("ssn", "a"), how=How.HASH)
    as_csv = redacted(f"ssn,a\n{S},1\n".encode(), "ssn", how=How.HASH, content_type=b"text/csv")

    hashes = {row["ssn"] for row in by_key["instances"]}
    hashes |= {by_place["instances"][0][0], as_csv.splitlines()[1].decode().split(",")[0]}
    assert len(hashes) == 1


class TestCsv:
    @pytest.mark.parametrize(
        ("text", "names", "expected"),
        [
            ("ssn,age\nS,3\nS,4\n", (), "ssn,age\n***,3\n***,4\n"),
            ("age, ssn \r\n3,S\r\n", (), "age, ssn \r\n3,***\r\n"),
            ('ssn,age\n"S\nS",3\n', (), "ssn,age\n***,3\n"),
            ("S,3\nS,4\n", ("ssn", "age"), "***,3\n***,4\n"),
            ("ssn,age\nS,3\n", ("ssn", "age"), "ssn,age\n***,3\n"),
            ("ssn,age,z\nS,3,1\n", ("age", "z"), "ssn,age,z\n***,3,1\n"),
            ("age,z\n3,1\n", ("age", "z"), "age,z\n3,1\n"),
            ("3,1\n", ("age", "z"), "3,1\n"),
        ],
    )
    def test_columns_are_found_by_header_or_place(self, text, names, expected):
        found = redacted(text.encode(), "ssn", names=names, content_type=b"text/csv; header=x")

        assert found.decode() == expected

    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("S,3\n", ()),
            ("S,3,4\n", ("ssn", "age")),
            ("ssn;age\nS;3\n", ()),
            ("ssn;age\nS;3\n", ("ssn;age",)),
            ("ssn,age\nS\n", ()),
            ("ssn,age\n3,4,S\n", ()),
            ("ssn,ssn no 2\nS,S\n", ()),
        ],
    )
    def test_lines_that_cannot_be_told_are_not_trusted(self, text, names):
        found = redacted(text.encode(), "ssn", names=names, content_type=b"text/csv")

        assert found is Withheld.UNNAMED

    @pytest.mark.parametrize("data", [b'ssn\n"S', b"\xff\xfe", b'ssn\n"a"b\n'])
    def test_what_is_no_csv_is_not_kept(self, data):
        assert redacted(data, "ssn", content_type=b"text/csv") is Withheld.NOT_PARSED

    def test_json_that_says_it_is_csv_is_read_as_json(self):
        found = redacted(b'{"ssn":"S"}', "ssn", content_type=b"text/csv")

        assert found == b'{"ssn":"***"}'

    def test_a_byte_order_mark_is_no_part_of_a_name(self):
        found = redacted(b"\xef\xbb\xbfssn,age\nS,3\n", "ssn", content_type=b"text/csv")

        assert found == b"ssn,age\n***,3\n"


@pytest.mark.parametrize(
    ("path", "document"),
    [
        (b"/v2/models/m/infer", {"inputs": [tensor("x", [1, 3], [1, S, 3])]}),
        (
            b"/v2/models/m/infer",
            {"inputs": [tensor("x", [1, 1], [1]), tensor("y", [1, 2], [S, 3])]},
        ),
        (b"/v1/models/m:predict", {"instances": [[1, S, 3]]}),
        (b"/v1/models/m:predict", {"inputs": {"x": [1], "y": [[S, 3]]}}),
        (b"/invocations", {"dataframe_split": {"columns": None, "data": [[1, S, 3]]}}),
        (b"/invocations", {"inputs": [[1, S, 3]]}),
    ],
)
def test_columns_that_the_settings_name_by_place_are_found_as_the_codec_does(path, document):
    """What a codec calls a column is what a rule may call it, so the two must agree."""
    body = Body(json.dumps(document).encode(), path)
    codec = codec_for(PayloadSettings(features=("a", "ssn", "c")), max_bytes=10_000)
    inputs: Inputs = codec.read_request(body)
    assert inputs.rows[0][inputs.names.index("ssn")] == S  # so it does have the secret

    found = Redactor(RedactionRules(columns=(ColumnRule(name="ssn"),))).request_body(
        body, 10_000, names=inputs.names
    )

    assert found.withheld is Withheld.UNNAMED or S.encode() not in found.data
    assert found.redacted
