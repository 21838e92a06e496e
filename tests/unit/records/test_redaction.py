"""Fields, queries, findings and bodies: what is named is gone, and what is doubtful too."""

import gzip
import json

import pytest

from sidecar.payload import Body
from sidecar.records import (
    NOTHING_SECRET,
    ColumnRule,
    How,
    PointerRule,
    RedactionRules,
    Redactor,
    Withheld,
)
from sidecar.records.redaction import LONGEST_PARSED_BYTES

KEY = b"0123456789abcdef"
SECRET = "078-05-1120"


def columns(*names: str, how: How | None = None) -> RedactionRules:
    return RedactionRules(columns=tuple(ColumnRule(name=name, how=how) for name in names))


def body(value: object, **head: bytes) -> Body:
    return Body(value if isinstance(value, bytes) else json.dumps(value).encode(), **head)


def kept(value: object, rules=None, names=(), **head: bytes):
    """What is kept of a request, read again; or why it is not."""
    found = Redactor(rules or columns("ssn"), KEY).request_body(
        body(value, **head), 10_000, names=names
    )
    return found.withheld or json.loads(found.data)


class TestHeaders:
    @pytest.mark.parametrize(
        "name", ["Authorization", "COOKIE", "set-cookie", "X-Api-Key", "proxy-authorization"]
    )
    def test_credentials_are_secret_in_any_case(self, name):
        fields = Redactor(RedactionRules()).headers([(name, SECRET), ("accept", "*/*")])

        assert fields == ((name, "***"), ("accept", "*/*"))

    def test_what_is_dropped_is_not_there_at_all(self):
        redactor = Redactor(RedactionRules(headers=("X-User",), how=How.DROP))

        assert redactor.headers([("x-user", SECRET), ("x-user", "again"), ("a", "b")]) == (
            ("a", "b"),
        )

    def test_equal_credentials_have_equal_hashes(self):
        redactor = Redactor(RedactionRules(how=How.HASH), KEY)

        one, same, other = redactor.headers(
            [("cookie", "a"), ("Cookie", "a"), ("authorization", "b")]
        )

        assert one[1] == same[1] != other[1]

    def test_nothing_secret_keeps_all(self):
        assert Redactor(NOTHING_SECRET).headers([("cookie", "a")]) == (("cookie", "a"),)


class TestQuery:
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("", ""),
            ("a=1&token=S&b=2", "a=1&token=***&b=2"),
            ("Token=S", "Token=***"),
            ("to%6ben=S&a=1", "to%6ben=***&a=1"),
            ("token=S=S", "token=***"),
            ("token", "token=***"),
            ("a=1;token=S", "a=1;token=***"),
            ("token[]=S&token%5B0%5D=S", "token[]=***&token%5B0%5D=***"),
            ("token=S&token=S", "token=***&token=***"),
            ("+token+=S", "+token+=***"),
            ("tokens=1", "tokens=1"),
        ],
    )
    def test_a_secret_parameter_is_masked_however_it_is_spelt(self, query, expected):
        assert Redactor(RedactionRules(query=("token",))).query(query) == expected

    @pytest.mark.parametrize(
        ("query", "expected"), [("token=S&a=1", "a=1"), ("a=1&token=S", "a=1"), ("token=S", "")]
    )
    def test_a_dropped_one_leaves_no_separator(self, query, expected):
        redactor = Redactor(RedactionRules(query=("token",), how=How.DROP))

        assert redactor.query(query) == expected

    def test_hashes_do_not_depend_on_the_encoding(self):
        redactor = Redactor(RedactionRules(query=("t",), how=How.HASH), KEY)

        assert redactor.query("t=a%62c") == redactor.query("t=abc")


class TestFindings:
    def test_predictions_and_scores_are_columns_of_their_own(self):
        redactor = Redactor(columns("prediction", "score"))

        assert redactor.findings(("yes", 1), (0.9, 0.1), {"a": "b"}) == (
            ("***", "***"),
            (),
            {"a": "b"},
        )

    @pytest.mark.parametrize("output", ["diagnosis", "/result/diagnosis"])
    def test_an_output_that_is_read_as_the_prediction_is_one_too(self, output):
        redactor = Redactor(columns("diagnosis", how=How.DROP), prediction=output)

        assert redactor.findings(("flu",), (0.9,), {})[:2] == ((), (0.9,))

    def test_segments_are_secret_by_their_name(self):
        rules = RedactionRules(
            columns=(ColumnRule(name="region"), ColumnRule(name="tier", how=How.DROP))
        )

        found = Redactor(rules).findings((), (), {"region": "eu", "tier": "gold", "age": None})

        assert found[2] == {"region": "***", "age": None}

    def test_hashed_predictions_can_be_counted(self):
        redactor = Redactor(columns("prediction", how=How.HASH), KEY)

        predictions, _, _ = redactor.findings((1, 1.0, "no"), (), {})

        assert predictions[0] == predictions[1] != predictions[2]

    def test_without_rules_on_columns_nobody_needs_to_ask(self):
        assert not Redactor(RedactionRules()).names_columns


class TestDoubt:
    """A body that rules apply to and that cannot be read is not kept."""

    @pytest.mark.parametrize(
        ("value", "head", "reason"),
        [
            (b'{"ssn": "078"', {}, Withheld.NOT_PARSED),
            (b"ssn=078-05-1120", {}, Withheld.NOT_PARSED),
            (b"\x00\x01", {"content_type": b"image/png"}, Withheld.NOT_PARSED),
            (gzip.compress(b"{}", mtime=0), {"content_encoding": b"gzip"}, Withheld.ENCODED),
            (b'{"ssn":1}', {"content_encoding": b"br"}, Withheld.ENCODED),
            (b'{"inputs":[]}\x01\x02', {"json_bytes": 13}, Withheld.NOT_PARSED),
            (b'{"a":"' + b"x" * LONGEST_PARSED_BYTES + b'"}', {}, Withheld.TOO_LARGE),
            (b"[" * 100_000, {}, Withheld.NOT_PARSED),
            (b'"078-05-1120"', {}, Withheld.UNNAMED),
            ({"instances": [["078-05-1120", 3]]}, {}, Withheld.UNNAMED),
            ({"features": ["078-05-1120", 3]}, {}, Withheld.UNNAMED),
        ],
    )
    def test_what_cannot_be_read_is_withheld_with_its_reason(self, value, head, reason):
        found = Redactor(columns("ssn")).request_body(body(value, **head), 10_000)

        assert (found.data, found.withheld, found.redacted) == (None, reason, True)

    def test_a_beginning_is_withheld(self):
        found = Redactor(columns("ssn")).request_body(body({"a": 1}), 10_000, length=20_000)

        assert found.withheld is Withheld.INCOMPLETE

    @pytest.mark.parametrize(
        "value", [b"\xff\xfe", b'{"ssn": "078"', gzip.compress(b"{}", mtime=0)]
    )
    def test_without_rules_on_bodies_it_is_kept_as_it_is(self, value):
        found = Redactor(RedactionRules()).request_body(body(value), 10_000)

        assert (found.data, found.withheld, found.redacted) == (value, None, False)

    def test_an_empty_body_has_no_secret(self):
        assert Redactor(columns("ssn")).request_body(Body(b""), 10).data == b""

    def test_deep_nesting_is_a_reason_and_no_error(self):
        value: object = SECRET
        for _ in range(900):
            value = {"a": value}
        deep = json.dumps(value).replace('"078-05-1120"', '{"ssn": "078-05-1120"}').encode()

        found = Redactor(columns("ssn")).request_body(Body(deep), 10_000_000)

        assert found.withheld is Withheld.NOT_PARSED

    def test_what_a_parser_skips_is_not_kept(self):
        twice = b'{"a": {"ssn": "078-05-1120"}, "a": 1}'

        found = Redactor(columns("ssn")).request_body(Body(twice), 10_000)

        assert json.loads(found.data) == {"a": 1}
        assert SECRET.encode() not in found.data


class TestCut:
    def test_a_long_body_is_cut_and_its_length_is_told(self):
        found = Redactor(RedactionRules()).request_body(Body(b"x" * 100), 10)

        assert (found.data, found.cut) == (b"x" * 10, 100)

    def test_it_is_cut_after_redaction(self):
        found = Redactor(columns("ssn")).request_body(body({"ssn": SECRET * 50, "b": 1}), 20)

        assert found.data == b'{"ssn":"***","b":1}'
        assert found.cut == -1

    def test_what_is_only_a_beginning_has_the_length_of_the_whole(self):
        found = Redactor(RedactionRules()).request_body(Body(b"x" * 5), 10, length=99)

        assert (found.data, found.cut) == (b"x" * 5, 99)

    @pytest.mark.parametrize("most", range(1, 13))
    def test_no_character_is_torn(self, most):
        text = "aé€😀b".encode()

        found = Redactor(NOTHING_SECRET).request_body(Body(text), most)

        assert len(found.data) <= most
        assert text.startswith(found.data)
        assert found.data.decode()

    def test_nothing_of_it_may_be_kept(self):
        assert Redactor(NOTHING_SECRET).request_body(Body(b"\xbf" * 9), 0).data == b""

    def test_bytes_that_are_no_text_are_cut_at_most_three_short(self):
        found = Redactor(NOTHING_SECRET).request_body(Body(b"\x80" * 100), 10)

        assert 7 <= len(found.data) <= 10


class TestPointers:
    @pytest.mark.parametrize(
        ("pointer", "document", "expected"),
        [
            ("/user/name", {"user": {"name": "S", "id": 1}}, {"user": {"name": "***", "id": 1}}),
            ("/rows/1", {"rows": ["a", "S"]}, {"rows": ["a", "***"]}),
            ("/rows/*/k", {"rows": [{"k": "S"}, {"k": "S"}]}, {"rows": [{"k": "***"}] * 2}),
            ("/*/k", {"a": {"k": "S"}, "b": {"k": "S"}}, {"a": {"k": "***"}, "b": {"k": "***"}}),
            ("/a~1b/m~0n", {"a/b": {"m~n": "S"}}, {"a/b": {"m~n": "***"}}),
            ("/user", {"user": {"name": "S"}}, {"user": "***"}),
            ("", {"user": "S"}, "***"),
            ("/rows/01", {"rows": ["a", "b"]}, {"rows": ["a", "b"]}),
            ("/rows/9", {"rows": ["a"]}, {"rows": ["a"]}),
            ("/absent/x", {"a": 1}, {"a": 1}),
        ],
    )
    def test_what_it_points_to_is_masked(self, pointer, document, expected):
        assert kept(document, RedactionRules(pointers=(PointerRule(pointer=pointer),))) == expected

    def test_dropping_removes_keys_and_leaves_entries_null(self):
        rules = RedactionRules(
            pointers=(PointerRule(pointer="/a"), PointerRule(pointer="/b/0")), how=How.DROP
        )

        assert kept({"a": 1, "b": [1, 2]}, rules) == {"b": [None, 2]}

    def test_they_hold_for_answers(self):
        redactor = Redactor(RedactionRules(pointers=(PointerRule(pointer="/choices/*/text"),)))

        found = redactor.response_body(body({"choices": [{"text": SECRET}]}), 1000)

        assert json.loads(found.data) == {"choices": [{"text": "***"}]}
        assert found.redacted

    def test_events_are_redacted_one_by_one(self):
        redactor = Redactor(RedactionRules(pointers=(PointerRule(pointer="/delta"),)))
        stream = b': 078-05-1120\ndata: {"delta":"078-05-1120"}\n\ndata: [DONE]\n\n'

        found = redactor.response_body(Body(stream, content_type=b"text/event-stream"), 1000)

        assert found.data == b'data: {"delta":"***"}\n\ndata: [DONE]\n\n'

    def test_events_that_are_no_documents_are_withheld(self):
        redactor = Redactor(RedactionRules(pointers=(PointerRule(pointer="/delta"),)))

        found = redactor.response_body(
            Body(b"data: 078-05-11\n", content_type=b"text/event-stream"), 1000
        )

        assert found.withheld is Withheld.NOT_PARSED

    def test_a_pointer_that_is_none_is_refused(self):
        with pytest.raises(ValueError, match="begins with"):
            Redactor(RedactionRules(pointers=(PointerRule(pointer="a"),)))


class TestOutputs:
    """An answer is its prediction: where that is secret, all that may hold it is."""

    @pytest.mark.parametrize(
        "answer",
        [
            {"predictions": ["flu"]},
            {"model_name": "m", "outputs": [{"name": "o", "shape": [1], "data": ["flu"]}]},
            {"choices": [{"message": {"content": "flu"}}]},
            {"prediction": "flu"},
        ],
    )
    @pytest.mark.parametrize("rule", ["prediction", "score"])
    def test_outputs_are_hidden_in_every_protocol(self, answer, rule):
        found = Redactor(columns(rule)).response_body(body(answer), 1000)

        assert b"flu" not in found.data
        assert b"***" in found.data

    @pytest.mark.parametrize(
        ("answer", "head"),
        [(["flu"], {}), ({"diagnosis": "flu"}, {}), (b"flu,1\n", {"content_type": b"text/csv"})],
    )
    def test_an_answer_of_another_form_is_withheld(self, answer, head):
        found = Redactor(columns("prediction")).response_body(body(answer, **head), 1000)

        assert found.withheld is Withheld.UNNAMED

    def test_the_output_that_is_read_is_known_by_its_own_name(self):
        redactor = Redactor(columns("diagnosis"), prediction="diagnosis")

        assert b"flu" not in redactor.response_body(body({"diagnosis": "flu"}), 1000).data

    def test_rows_of_an_answer_are_no_columns_of_the_request(self):
        found = Redactor(columns("ssn")).response_body(body({"predictions": [[0.1, 0.9]]}), 1000)

        assert json.loads(found.data) == {"predictions": [[0.1, 0.9]]}
