"""The schema: current, complete, and true of what is written."""

import json
from pathlib import Path

import jsonschema
import pyarrow as pa
import pytest

from sidecar.records import columns, to_json
from sidecar.records.codec import CAPTURED_NAMES, RECORD_NAMES
from sidecar.records.columns import AVRO, PARQUET
from sidecar.records.fields import CAPTURED_FIELDS, FIELDS, Kind
from sidecar.records.reference import reference_page
from sidecar.records.schema import json_schema

DOCS = Path(__file__).parents[3] / "docs"
ARROW = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.TRUTH: pa.bool_(),
    Kind.TIME: pa.timestamp("us", tz="UTC"),
    Kind.BYTES: pa.binary(),
    Kind.TEXTS: pa.list_(pa.string()),
    Kind.NUMBERS: pa.list_(pa.float64()),
    Kind.TEXT_BY_NAME: pa.map_(pa.string(), pa.string()),
    Kind.PAIRS: pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())])),
}


@pytest.mark.parametrize(
    ("file", "made"),
    [
        ("record.md", reference_page()),
        ("record.schema.json", json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"),
    ],
)
def test_the_files_in_docs_are_current(file, made):
    assert (DOCS / file).read_text(encoding="utf-8") == made, f"make {file} anew"


def test_every_field_is_in_the_schema_in_its_order():
    assert (*(field.name for field in FIELDS), "captured") == RECORD_NAMES
    assert tuple(field.name for field in CAPTURED_FIELDS) == CAPTURED_NAMES


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("kind", ["outcome", "captured"])
def test_what_is_written_is_what_the_schema_says(request, kind):
    record = request.getfixturevalue(kind)

    jsonschema.Draft202012Validator(json_schema()).validate(json.loads(to_json(record)))


@pytest.mark.parametrize(
    "change",
    [{"v": 2}, {"at": "2024-10-27T03:33:20Z"}, {"outcome": "7xx"}, {"rows": -1}, {"captured": {}}],
)
def test_what_is_not_written_is_not_what_it_says(outcome, change):
    document = json.loads(to_json(outcome)) | change

    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(document)


def test_unknown_durations_are_null(varied):
    document = json.loads(to_json(varied(duration_ns=-1, first_byte_ns=-1, status=0)))

    assert (document["duration_ns"], document["first_byte_ns"]) == (None, None)
    jsonschema.Draft202012Validator(json_schema()).validate(document)


def test_every_kind_has_a_type_everywhere():
    assert set(ARROW) == set(PARQUET) == set(AVRO) == set(Kind)
    for kind, arrow in ARROW.items():
        plain = str(arrow).replace("item: ", "").replace("timestamp[us, tz=UTC]", kind)
        assert plain.removesuffix(" ('segments')") == kind


def test_columns_are_fields_but_for_encodings():
    names = [column.name for column in columns()]

    assert len(set(names)) == len(names)
    assert set(names) == {
        *(field.name for field in FIELDS),
        *(field.name for field in CAPTURED_FIELDS if not field.name.endswith("_encoding")),
        "captured_why",
    } - {"why"}


def test_arrow_takes_the_columns_as_they_are_declared(outcome, captured):
    schema = pa.schema(
        [
            pa.field(column.name, ARROW[column.kind], nullable=column.optional)
            for column in columns()
        ]
    )
    arrays = [
        pa.array([column.of(outcome), column.of(captured)], ARROW[column.kind])
        for column in columns()
    ]

    table = pa.Table.from_arrays(arrays, schema=schema)
    table.validate(full=True)
    rows = table.to_pylist()

    assert rows[0]["id"] == outcome.id
    assert table["at"][0].value == outcome.at_ns // 1000
    assert rows[0]["predictions"] == ["setosa", "1", "2.5", "true", None]
    assert rows[0]["scores"] == [0.93, None]
    assert dict(rows[0]["segments"]) == {"region": "eu", "tier": None}
    assert (rows[0]["captured_why"], rows[0]["request_body"], rows[0]["redacted"]) == (None,) * 3
    assert rows[1]["response_body"] == captured.captured.response_body
    assert (rows[1]["request_cut"], rows[1]["response_cut"]) == (None, 100_000)
    assert rows[1]["request_headers"][1] == {"name": "x-team", "value": "caf\xe9"}
    for column in columns():
        if not column.optional:
            assert table[column.name].null_count == 0
