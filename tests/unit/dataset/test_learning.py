"""Baselines of files: the same as of rows in memory, whatever the format."""

import json

import pyarrow as pa
import pyarrow.parquet
import pytest

from sidecar.baseline import encode, learn
from sidecar.baseline.roles import Roles
from sidecar.dataset import open_dataset
from sidecar.dataset.learning import PASSES, learn_from
from sidecar.dataset.provenance import provenance
from sidecar.errors import ConfigError

ROLES = Roles(
    prediction="answer",
    score="chance",
    target="truth",
    time="when",
    segments=("city",),
    business=("revenue",),
)
N = 400
COLUMNS = {
    "when": [f"2024-01-{1 + row % 28:02}" for row in range(N)],
    "age": [float(20 + row % 60) + 0.25 for row in range(N)],
    "city": [("Bonn", "Köln", None)[row % 3] for row in range(N)],
    "answer": [row % 2 for row in range(N)],
    "chance": [(row % 100) / 100 for row in range(N)],
    "truth": [row % 2 if row % 5 else 0 for row in range(N)],
    "revenue": [row * 0.5 if row % 7 else None for row in range(N)],
}


def csv_of(columns):
    lines = [",".join(columns)]
    for row in zip(*columns.values(), strict=True):
        lines.append(",".join("" if value is None else str(value) for value in row))
    return "\n".join(lines) + "\n"


@pytest.fixture
def files(tmp_path):
    """The same rows in every format."""
    (tmp_path / "d.csv").write_text(csv_of(COLUMNS), encoding="utf-8")
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    pyarrow.parquet.write_table(pa.table(COLUMNS), tmp_path / "d.parquet")
    return tmp_path


@pytest.mark.parametrize("name", ["d.csv", "d.jsonl", "d.parquet"])
def test_a_file_of_any_format_makes_the_baseline_of_its_rows(files, name):
    learned = learn_from(open_dataset([files / name]), "stable", ROLES)
    found = learned.baseline

    in_memory = learn("stable", COLUMNS, ROLES)
    assert found.content_hash == in_memory.content_hash
    assert (found.span.start, found.span.end) == ("2024-01-01T00:00:00Z", "2024-01-28T00:00:00Z")
    assert found.performance.figures["accuracy"].value == pytest.approx(0.9)
    assert found.business["revenue"].total == sum(value or 0 for value in COLUMNS["revenue"])
    assert found.provenance.sources[0].name == name
    assert found.provenance.sampled_rows == N
    assert learned.remarks == ()


def test_the_same_files_make_the_same_text(files):
    texts = {
        encode(learn_from(open_dataset([files / "d.csv"]), "m", ROLES, provenance=made).baseline)
        for made in (provenance(), provenance())
    }
    assert len(texts) == 1


def test_every_byte_is_told_of_once_per_pass(files):
    dataset = open_dataset([files / "d.csv", files / "d.jsonl"])
    told = []
    learn_from(dataset, "m", ROLES, advance=told.append)
    assert sum(told) == PASSES * dataset.bytes


def test_a_baseline_like_another_has_its_columns(files):
    first = learn_from(open_dataset([files / "d.csv"]), "m", ROLES).baseline
    again = learn_from(open_dataset([files / "d.jsonl"]), "m", ROLES, like=first).baseline
    assert again.distributions == first.distributions


@pytest.mark.parametrize(
    ("roles", "path", "reason"),
    [
        (Roles(target="trut"), "trut", "did you mean `truth`"),
        (Roles(categorical=("towns",)), "towns", "no such column"),
        (Roles(time="city"), "city", "which is no time"),
    ],
)
@pytest.mark.parametrize("name", ["d.csv", "d.jsonl"])
def test_what_is_asked_must_be_there(files, name, roles, path, reason):
    with pytest.raises(ConfigError, match=reason) as refused:
        learn_from(open_dataset([files / name]), "m", roles)
    assert refused.value.path == path


def test_data_that_change_while_they_are_read_are_refused(files):
    dataset = open_dataset([files / "d.csv"])
    file = files / "d.csv"

    def shorten(_):
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        if len(lines) == N + 1:
            shorter = files / "shorter.csv"
            shorter.write_text("".join(lines[:100]), encoding="utf-8")
            shorter.replace(file)

    # The first pass goes on with the file that it opened; the second finds another.
    with pytest.raises(ConfigError, match="changed while they were read"):
        learn_from(dataset, "m", Roles(), advance=shorten)


def test_provenance_names_versions_and_the_machine_and_a_time_only_if_given():
    assert provenance().created is None
    made = provenance("2024-01-01")
    assert made.created == "2024-01-01"
    assert {"python", "numpy"} <= set(made.libraries)
    assert made.hardware["machine"]
