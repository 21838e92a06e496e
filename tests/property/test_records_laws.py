"""What must hold of any record: it survives its forms, and no secret survives redaction."""

import csv
import io
import json
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.model import Role, StatusClass
from sidecar.payload import Body, PayloadSettings, Undecodable, codec_for
from sidecar.records import (
    Captured,
    ColumnRule,
    How,
    PointerRule,
    Record,
    RecordError,
    RedactionRules,
    Redactor,
    Why,
    Withheld,
    decode,
    encode,
    from_json,
    to_json,
)

KEY = bytes(range(32))

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
counts = st.integers(0, 2**63 - 1)
maybe = st.none() | texts
finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | finite | texts
fields = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
bodies = st.none() | st.binary(max_size=50) | texts.map(str.encode)
captured = st.builds(
    Captured,
    why=st.sampled_from(Why),
    request_headers=fields,
    query=maybe,
    request_body=bodies,
    request_cut=st.just(-1) | counts,
    request_withheld=st.none() | st.sampled_from(Withheld),
    response_headers=fields,
    response_body=bodies,
    response_cut=st.just(-1) | counts,
    response_withheld=st.none() | st.sampled_from(Withheld),
    redacted=st.booleans(),
)
records = st.builds(
    Record,
    id=texts,
    request_id=texts,
    at_ns=counts,
    route=texts,
    model=texts,
    role=st.sampled_from(Role),
    status=st.integers(0, 999),
    outcome=st.sampled_from(StatusClass),
    failure=maybe,
    method=texts,
    path=texts,
    request_bytes=counts,
    duration_ns=st.just(-1) | counts,
    first_byte_ns=st.just(-1) | counts,
    rows=counts,
    predictions=st.lists(values, max_size=4).map(tuple),
    predictions_cut=st.booleans(),
    scores=st.lists(st.none() | finite, max_size=4).map(tuple),
    segments=st.dictionaries(texts, maybe, max_size=3),
    unusual=st.none() | st.floats(0, 1),
    unread=maybe,
    trace_id=texts,
    shadow_of=maybe,
    captured=st.none() | captured,
)


@given(records)
def test_a_record_survives_both_forms(record):
    assert decode(encode(record)) == record
    line = to_json(record)
    assert b"\n" not in line
    assert from_json(line) == record


@given(st.binary(max_size=200))
def test_bytes_are_a_record_or_refused(data):
    for read in (decode, from_json):
        try:
            record = read(data)
        except RecordError:
            continue
        assert isinstance(record, Record)


@given(records, st.data())
def test_what_an_older_version_wrote_is_read(record, data):
    row = msgspec.msgpack.decode(encode(record))
    optional = [field.name for field in msgspec.structs.fields(Record) if not field.required]
    first = Record.__struct_fields__.index("request_bytes")
    length = data.draw(st.integers(first, len(row)))

    read = decode(msgspec.msgpack.encode(row[:length]))

    for at, name in enumerate(Record.__struct_fields__):
        if at < length:
            assert getattr(read, name) == getattr(record, name)
        else:
            assert name in optional


# ------------------------------------------------------------------------------------- secrets

NAMES = ("age", "ssn", "income", "name of mother", "emb[0]", "x.y")
SECRET_NAMES = ("ssn", "name of mother")


def tensor(name: str, shape: list[int], data: list) -> dict:
    return {"name": name, "datatype": "BYTES", "shape": shape, "data": data}


def as_csv(lines: list[list]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()


# Every way in which a table of named columns is sent: a body for its names and rows, whether
# the names are in it, and what its head says.
WAYS = {
    "OIP, tensor per column": lambda names, rows: {
        "inputs": [
            tensor(name, [len(rows), 1], [row[i] for row in rows]) for i, name in enumerate(names)
        ]
    },
    "OIP, flat matrix": lambda names, rows: {
        "inputs": [tensor("x", [len(rows), len(names)], [cell for row in rows for cell in row])]
    },
    "OIP, nested matrix": lambda names, rows: {
        "inputs": [tensor("x", [len(rows), len(names)], rows)]
    },
    "KServe v1, rows": lambda names, rows: {"instances": rows},
    "KServe v1, objects": lambda names, rows: {
        "instances": [dict(zip(names, row, strict=True)) for row in rows]
    },
    "KServe v1, columns": lambda names, rows: {
        "inputs": {name: [row[i] for row in rows] for i, name in enumerate(names)}
    },
    "MLflow, split": lambda names, rows: {
        "dataframe_split": {"columns": list(names), "data": rows, "index": list(range(len(rows)))}
    },
    "MLflow, records": lambda names, rows: {
        "dataframe_records": [dict(zip(names, row, strict=True)) for row in rows]
    },
    "MLflow, inputs": lambda names, rows: {"inputs": rows},
    "Seldon": lambda names, rows: {"data": {"names": list(names), "ndarray": rows}},
    "JSON, objects": lambda names, rows: [dict(zip(names, row, strict=True)) for row in rows],
    "JSON, deep": lambda names, rows: {
        "a": {"b": [{"c": dict(zip(names, row, strict=True))} for row in rows]}
    },
    "JSON, one row": lambda names, rows: {"features": rows[0]},
    "chat": lambda names, rows: {
        "model": "m",
        "stop": ["a", "b"],
        "messages": [
            {"role": "user", "content": "hello"} | dict(zip(names, row, strict=True))
            for row in rows
        ],
    },
    "CSV": lambda names, rows: as_csv(rows),
    "CSV with a header": lambda names, rows: as_csv([list(names), *rows]),
}
NAMED_IN_THE_BODY = {
    "OIP, tensor per column", "KServe v1, objects", "KServe v1, columns", "MLflow, split",
    "MLflow, records", "Seldon", "JSON, objects", "JSON, deep", "chat", "CSV with a header",
}  # fmt: skip

rules = st.builds(
    lambda hows: RedactionRules(
        columns=tuple(
            ColumnRule(name=name, how=how) for name, how in zip(SECRET_NAMES, hows, strict=True)
        )
    ),
    st.tuples(*[st.sampled_from(How)] * len(SECRET_NAMES)),
)
tables = st.tuples(st.permutations(NAMES), st.integers(1, 5), st.integers(0, 2**32))


def filled(names, count: int, seed: int) -> tuple[list[list], list[str]]:
    """Rows whose secret columns hold texts that occur nowhere else; and those texts."""
    chance = random.Random(seed)
    secrets: list[str] = []

    def cell(name: str):
        if name in SECRET_NAMES:
            secrets.append(f"{chance.getrandbits(64):016x}-é\"\\,\n'")
            return secrets[-1]
        return chance.choice([1, 2.5, True, None, "open"])

    return [[cell(name) for name in names] for _ in range(count)], secrets


def traces(secret: str) -> bytes:
    """What any spelling of a secret must contain."""
    return secret[:16].encode()


@pytest.mark.parametrize("way", WAYS)
@given(table=tables, rules=rules, told=st.sampled_from(["read", "expected", "nothing"]))
def test_no_secret_survives_whatever_the_protocol(way, table, rules, told):
    names, count, seed = table
    rows, secrets = filled(names, count, seed)
    document = WAYS[way](names, rows)
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    head = {"content_type": b"text/csv"} if isinstance(document, bytes) else {}

    kept = Redactor(rules, KEY).request_body(
        Body(data, **head),
        1 << 20,
        names=() if told == "nothing" else names,
        expected=told == "expected",
    )

    assert kept.redacted
    if kept.data is not None:
        assert not any(traces(secret) in kept.data for secret in secrets)
        assert kept.data.count(b"open") == data.count(b"open")
    else:
        assert kept.withheld is Withheld.UNNAMED
    if way in NAMED_IN_THE_BODY:
        assert kept.data is not None or (told == "nothing" and way == "chat")


# What an awkward client may do to a body without changing what it says.
AWKWARD = {
    "escaped keys": lambda text: text.replace('"ssn"', '"\\u0073sn"'),
    "spaces": lambda text: text.replace(":", " : ").replace(",", " ,\n"),
    "a key twice": lambda text: text.replace('{"ssn"', '{"ssn": "first", "ssn"', 1),
    "a byte order mark": lambda text: "\ufeff" + text,
    "NaN": lambda text: text.replace("[", "[NaN, ", 1) if text.startswith("[") else text,
}


@pytest.mark.parametrize("awkward", AWKWARD)
@given(table=tables)
def test_no_spelling_of_a_document_saves_a_secret(awkward, table):
    names, count, seed = table
    rows, secrets = filled(names, count, seed)
    document = [dict(zip(names, row, strict=True)) for row in rows]
    data = AWKWARD[awkward](json.dumps(document)).encode()

    kept = Redactor(
        RedactionRules(columns=tuple(ColumnRule(name=name) for name in SECRET_NAMES))
    ).request_body(Body(data), 1 << 20, names=names)

    assert kept.data is None or not any(traces(secret) in kept.data for secret in secrets)


json_values = st.recursive(
    values, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)


@given(
    json_values,
    st.sampled_from(["/a", "/*", "/*/*", "/0", "/*/0", "", "/*/*/*"]),
    st.sampled_from(How),
)
def test_redaction_of_any_document_gives_json_or_a_reason(document, pointer, how):
    rules = RedactionRules(
        pointers=(PointerRule(pointer=pointer),), columns=(ColumnRule(name="ssn"),), how=how
    )

    kept = Redactor(rules, KEY).request_body(Body(json.dumps(document).encode()), 1 << 20)

    assert (kept.data is None) == (kept.withheld is not None)
    if kept.data is not None:
        json.loads(kept.data)


@given(st.binary(max_size=60), st.sampled_from([b"", b"text/csv", b"text/event-stream"]))
def test_redaction_of_any_bytes_gives_bytes_or_a_reason(data, content_type):
    redactor = Redactor(RedactionRules(columns=(ColumnRule(name="ssn"),)))

    for kept in (
        redactor.request_body(Body(data, content_type=content_type), 100, names=("ssn", "a")),
        redactor.response_body(Body(data, content_type=content_type), 100),
    ):
        assert (kept.data is None) == (kept.withheld is not None)


@given(json_values)
def test_what_the_codecs_find_under_a_name_redaction_finds_too(document):
    """Wherever `auto` reads a column called `ssn`, nothing of that column is kept."""
    data = json.dumps({"instances": document}).encode()
    codec = codec_for(PayloadSettings(features=("a", "ssn")), max_bytes=1 << 20)
    try:
        inputs = codec.read_request(Body(data, b"/v1/models/m:predict"))
        secret = [row[inputs.names.index("ssn")] for row in inputs.rows]
    except (Undecodable, ValueError, IndexError):
        return

    kept = Redactor(RedactionRules(columns=(ColumnRule(name="ssn"),))).request_body(
        Body(data), 1 << 20, names=inputs.names
    )

    if kept.data is not None:
        try:
            again = codec.read_request(Body(kept.data, b"/v1/models/m:predict"))
        except Undecodable:
            return
        assert {row[again.names.index("ssn")] for row in again.rows} <= {"***", None}
        assert len(again.rows) == len(secret)
