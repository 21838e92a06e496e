"""CSV, JSON Lines and Parquet, read in chunks, refused with the line that is wrong."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from sidecar.dataset import open_dataset
from sidecar.dataset.csv_file import CsvFile
from sidecar.dataset.fields import value_of, values_of
from sidecar.dataset.jsonl_file import JsonlFile
from sidecar.dataset.parquet_file import ParquetFile
from sidecar.dataset.reader import CHUNK_ROWS, LONGEST_LINE_BYTES
from sidecar.errors import ConfigError


def read(reader, advance=lambda _: None):
    """All rows of a file as one list of values per column."""
    found = {}
    for rows, columns in reader.chunks(advance):
        for name, values in columns.items():
            assert len(values) == rows
            found.setdefault(name, []).extend(list(values))
    return found


def refusal(reader):
    with pytest.raises(ConfigError) as refused:
        read(reader)
    return refused.value


@pytest.fixture
def write(tmp_path):
    """Write a file and give its reader."""

    def write(name, text):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return {".csv": CsvFile, ".tsv": CsvFile, ".jsonl": JsonlFile}[file.suffix](file)

    return write


# CSV


def test_fields_are_numbers_texts_or_missing(write):
    found = read(write("a.csv", 'x,y,z\n1,a,007\n,"b, c",008\n-2.5e3,,009\n'))

    np.testing.assert_array_equal(found["x"], [1.0, np.nan, -2500.0])
    assert found["y"] == ["a", "b, c", None]
    assert found["z"] == ["007", "008", "009"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("1", 1.0),
        (" 2 ", 2.0),
        ("", None),
        ("  ", None),
        ("007", "007"),
        ("-01", "-01"),
        ("0", 0.0),
        ("0.5", 0.5),
        ("1_000", "1_000"),
        ("inf", np.inf),
        ("1e400", np.inf),
        ("abc", "abc"),
        (" abc ", "abc"),
        ("1,5", "1,5"),
        ("0x10", "0x10"),
    ],
)
def test_a_field_means_the_same_alone_and_in_a_column(field, value):
    assert value_of(field) == value
    (alone,) = values_of([field])
    assert alone == value or (value is None and np.isnan(alone))
    assert values_of([field, "text"])[0] == value


@pytest.mark.parametrize(
    "text", ["a;b\n1;2\n", "a\tb\n1\t2\n", "a,b\r\n1,2\r\n", "\ufeffa,b\n1,2\n"]
)
def test_delimiters_line_ends_and_a_byte_order_mark_are_told(write, text):
    assert read(write("a.csv", text)) == {"a": [1.0], "b": [2.0]}


def test_blank_lines_are_skipped_and_line_breaks_in_quotes_kept(write):
    found = read(write("a.csv", 'a,b\n\n1,"x\ny"\n\n2,z\n'))
    assert found == {"a": [1.0, 2.0], "b": ["x\ny", "z"]}


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("a,b\n1,2\n3\n", ":3", "1 field, where the header has 2"),
        ('a,b\n1,"x\ny"\n1,2,3\n', ":4", "3 fields, where the header has 2"),
        ("a,b,a\n1,2,3\n", ":1", "two columns have the same name: a"),
        ("a,,c\n1,2,3\n", ":1", "column 2 has no name"),
        ("", "", "no header line"),
        ('a,b\n1,"2\n', ":2", "not CSV"),
        (b"a,b\n1,\xff\n", ":2", "not UTF-8"),
    ],
)
def test_csv_that_is_wrong_is_refused_with_the_line(write, text, place, reason):
    error = refusal(write("a.csv", text))
    assert error.path.endswith(f"a.csv{place}")
    assert reason in error.reason


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path):
    file = tmp_path / "a.csv"
    with file.open("wb") as stream:
        stream.write(b"a,b\n")
        stream.truncate(LONGEST_LINE_BYTES + 100)
    assert "longer than 16 MiB" in refusal(CsvFile(file)).reason


def test_rows_come_in_chunks_and_every_byte_is_told_of(write):
    text = "a\n" + "".join(f"{row}\n" for row in range(2 * CHUNK_ROWS + 5))
    told = []
    sizes = [rows for rows, _ in write("a.csv", text).chunks(told.append)]

    assert sizes == [CHUNK_ROWS, CHUNK_ROWS, 5]
    assert sum(told) == len(text)


# JSON Lines


def test_rows_may_lack_keys_and_have_values_of_any_plain_type(write):
    text = '{"a": 1, "b": "x"}\n\n{"a": NaN, "c": true}\n{"a": null, "b": "3"}\n'
    found = read(write("a.jsonl", text))

    np.testing.assert_array_equal(found["a"], [1.0, np.nan, np.nan])
    assert found["b"] == ["x", None, "3"]
    assert found["c"] == [None, True, None]


def test_an_integer_of_hundreds_of_digits_is_no_failure(write):
    found = read(write("a.jsonl", f'{{"a": 1{"0" * 400}}}\n'))
    assert len(found["a"]) == 1


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('{"a": 1}\n{"a": \n', 2, "not JSON"),
        ("[1, 2]\n", 1, "one object a line"),
        ('{"a": 1}\n3\n', 2, "no JSON object"),
        ('{"a": 1}\n{"a": [1]}\n', 2, "a holds a list or an object"),
        ('{"a": 1, "b": 2, "a": 3}\n', 1, "two columns have the same name: a"),
    ],
)
def test_json_lines_that_are_wrong_are_refused_with_the_line(write, text, line, reason):
    error = refusal(write("a.jsonl", text))
    assert error.path.endswith(f"a.jsonl:{line}")
    assert reason in error.reason


# Parquet


def test_parquet_columns_become_numbers_texts_and_truths(tmp_path):
    file = tmp_path / "a.parquet"
    table = pa.table(
        {
            "i": pa.array([1, None, 3], pa.int32()),
            "f": pa.array([0.5, 1.5, None], pa.float32()),
            "s": pa.array(["a", None, "b"]),
            "d": pa.array(["x", "y", "x"]).dictionary_encode(),
            "b": pa.array([True, None, False]),
            "t": pa.array([0, 1, 2], pa.timestamp("s")),
            "m": pa.array([1, 2, None], pa.decimal128(5, 2)),
        }
    )
    pyarrow.parquet.write_table(table, file)
    told = []
    found = read(ParquetFile(file), told.append)

    np.testing.assert_array_equal(found["i"], [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(found["f"], [0.5, 1.5, np.nan])
    assert found["s"] == ["a", None, "b"]
    assert found["d"] == ["x", "y", "x"]
    assert found["b"] == [True, None, False]
    assert found["t"] == ["1970-01-01 00:00:00", "1970-01-01 00:00:01", "1970-01-01 00:00:02"]
    assert found["m"] == [1.0, 2.0, None]
    assert sum(told) == file.stat().st_size


def test_parquet_with_damaged_pages_is_refused_as_one_that_is_none(tmp_path):
    file = tmp_path / "a.parquet"
    table = pa.table({"a": [f"text {number % 100}" for number in range(50_000)]})
    pyarrow.parquet.write_table(table, file, compression="zstd")
    content = bytearray(file.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 200):
        content[place] ^= 0x5A
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="damaged") as refused:
        list(ParquetFile(file).chunks(lambda _: None))
    assert refused.value.path == str(file)


def test_parquet_that_is_wrong_is_refused(tmp_path):
    nested = tmp_path / "nested.parquet"
    pyarrow.parquet.write_table(pa.table({"a": [[1, 2]]}), nested)
    twice = tmp_path / "twice.parquet"
    pyarrow.parquet.write_table(
        pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), twice
    )
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 no, not really")

    assert "a holds list" in refusal(ParquetFile(nested)).reason
    assert "two columns have the same name: a" in refusal(ParquetFile(twice)).reason
    assert "not Parquet" in refusal(ParquetFile(broken)).reason


# Several files


def test_the_suffix_tells_the_format_and_rows_are_numbered_through(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,4\n")
    (tmp_path / "b.CSV").write_text("y,x\n6,5\n")
    (tmp_path / "c.ndjson").write_text(json.dumps({"x": 7, "y": 8}) + "\n")
    dataset = open_dataset([tmp_path / name for name in ("a.csv", "b.CSV", "c.ndjson")])

    chunks = list(dataset.chunks(lambda _: None))

    assert dataset.names == ("x", "y")
    assert [chunk.first_row for chunk in chunks] == [1, 3, 4]
    assert [list(chunk.columns["x"]) for chunk in chunks] == [[1.0, 3.0], [5.0], [7.0]]
    assert [source.rows for source in dataset.sources()] == [2, 1, 1]
    assert dataset.sources()[0].sha256 == (
        "2a2b86e74ffd5e6a9b75e52a105cf9d02920837179f8e8961aa15411d380f7a3"
    )


def test_files_with_other_columns_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("x,z\n1,2\n")
    with pytest.raises(ConfigError, match=r"lacks y and also has z, unlike a\.csv"):
        open_dataset([tmp_path / "a.csv", tmp_path / "b.csv"])


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.txt", "x\n1\n", "Known suffixes: .csv"),
        ("a.csv", None, "there is no such file"),
        ("a.csv", "x,y\n", "has no rows"),
        ("a.jsonl", "\n\n", "has no rows"),
    ],
)
def test_files_that_cannot_be_read_are_refused(tmp_path, name, text, reason):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=reason):
        list(open_dataset([tmp_path / name]).chunks(lambda _: None))
