"""The text of a baseline file: bit for bit what was put in, readable, and checked when read."""

import json
from dataclasses import replace

import numpy as np
import pytest

from sidecar.baseline import decode, encode, learn, measure_columns
from sidecar.baseline.counting import count
from sidecar.baseline.records import (
    BusinessFigure,
    Estimate,
    Method,
    Performance,
    Provenance,
    Source,
    Task,
    TimeSpan,
    Traffic,
)
from sidecar.errors import ConfigError

SHARE = Estimate(value=0.1 + 0.2, low=0.25, high=None, n=7, method=Method.WILSON)


@pytest.fixture
def full(baseline):
    """A baseline with everything that one may have."""
    latency = measure_columns(openai=False)[0]
    return replace(
        baseline,
        measured=(count(latency, np.array([2e6, 3e6])),),
        performance=Performance(
            task=Task.CLASSIFICATION, rows=7, positive="yes", figures={"accuracy": SHARE}
        ),
        business={"revenue": BusinessFigure(n=7, missing=0, total=1.1, mean=SHARE)},
        traffic=Traffic(route="iris", requests=9, failed=1, seconds=60.0, requests_per_second=0.15),
        span=TimeSpan(start="2024-01-01T00:00:00Z", end="2024-02-01T00:00:00Z"),
        provenance=Provenance(
            sources=(Source(name="a.csv", sha256="00", bytes=1, rows=2),),
            created="2024-02-02",
            hardware={"cores": "2"},
        ),
        provisional=True,
    )


def changed(baseline, change):
    """The text of the file after a change of its JSON."""
    document = json.loads(encode(baseline))
    change(document)
    return json.dumps(document)


def test_what_is_read_is_what_was_written_to_the_last_bit(full):
    again = decode(encode(full))

    assert again == full
    assert again.columns == full.columns
    assert [one.sums.tobytes() for one in again.distributions] == [
        one.sums.tobytes() for one in full.distributions
    ]
    assert again.content_hash == full.content_hash


def test_the_same_baseline_is_always_the_same_text(full):
    assert encode(decode(encode(full))) == encode(full)


def test_keys_are_sorted_and_a_vector_is_one_line(baseline):
    text = encode(baseline)
    lines = text.splitlines()

    assert json.dumps(json.loads(text), sort_keys=True) == json.dumps(json.loads(text))
    edges = [line for line in lines if '"edges"' in line]
    assert len(edges) == sum(bool(column.edges) for column in baseline.columns)
    assert all(line.endswith(("],", "]")) for line in edges)
    assert text.endswith("}\n")


def test_a_change_of_one_column_changes_the_lines_of_that_column_only(columns):
    before = learn("m", {"income": columns["income"], "city": columns["city"]})
    after = learn("m", {"income": columns["income"], "city": [*columns["city"][1:], "Bonn"]})
    lines = [encode(one).splitlines() for one in (before, after)]

    changed = [line for line, other in zip(*lines, strict=True) if line != other]
    assert 0 < len(changed) <= 2  # counts, and how many are missing


def test_names_and_categories_are_written_as_they_are_read(baseline):
    assert "Köln" in encode(baseline)


def test_the_order_of_the_features_is_that_of_the_data(baseline):
    assert decode(encode(baseline)).features == ("income", "rooms", "city", "owner")


@pytest.mark.parametrize(
    ("change", "path", "reason"),
    [
        (lambda d: d.pop("rows"), "$", "missing required field `rows`"),
        (lambda d: d.update(rows="many"), "$.rows", "Expected `int`"),
        (lambda d: d.update(surprise=1), "$", "unknown field `surprise`"),
        (lambda d: d.update(schema="sidecar.baseline/2"), "$.schema", "upgrade it"),
        (lambda d: d["order"].update(features=["income"]), "$.order.features", "other columns"),
        (lambda d: d["columns"].update(weird={}), "$.columns", "no such section: weird"),
        (lambda d: d.update(segment_order=[]), "$.segment_order", "other segments"),
        (
            lambda d: d["segments"]["region"]["counts"]["features"].pop("rooms"),
            "$.segments.region.counts",
            "no counts for some value",
        ),
        (
            lambda d: d["columns"]["features"]["income"]["counts"].pop(),
            "$",
            "contradicts itself: income",
        ),
        (
            lambda d: d["columns"]["features"]["income"]["edges"].reverse(),
            "$",
            "contradicts itself: income: edges are not strictly rising",
        ),
        (
            lambda d: d["columns"]["features"]["rooms"]["counts"].__setitem__(0, -1),
            "$",
            "a count is negative",
        ),
    ],
)
def test_a_file_that_does_not_hold_together_is_refused_with_the_place(
    baseline, change, path, reason
):
    with pytest.raises(ConfigError, match=reason) as refused:
        decode(changed(baseline, change))
    assert refused.value.path == path


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a": 1}', b"\xff\xfe", "NaN"])
def test_what_is_no_baseline_file_is_refused(text):
    with pytest.raises(ConfigError):
        decode(text)


def test_every_cut_of_a_file_is_refused(baseline):
    text = encode(baseline)
    for cut in range(0, len(text) - 2, len(text) // 40):
        with pytest.raises(ConfigError):
            decode(text[:cut])


def test_provenance_does_not_change_what_a_baseline_is(full, baseline):
    moved = replace(full, provenance=Provenance(created="later"))

    assert moved.content_hash == full.content_hash
    assert baseline.content_hash != full.content_hash  # that one has a measure
