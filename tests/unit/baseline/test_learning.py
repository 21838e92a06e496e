"""Baselines from rows: exact counts, in chunks of any size, in bounded memory."""

import numpy as np
import pytest

from sidecar.baseline import learn
from sidecar.baseline.blueprint import draw
from sidecar.baseline.learning import Count
from sidecar.baseline.roles import Chunk, Roles
from sidecar.baseline.sample import RowSample, SampledNumbers, SampledValues, capacity_for
from sidecar.baseline.survey import Survey
from sidecar.model import ColumnPart

ROLES = Roles(prediction="answer", score="probability", segments=("region",), ignore=("region",))


def in_chunks(columns, rows, step):
    for first in range(0, rows, step):
        part = {name: values[first : first + step] for name, values in columns.items()}
        yield Chunk(first + 1, min(step, rows - first), part)


@pytest.mark.parametrize("step", [1, 37, 1000])
def test_the_size_of_the_chunks_does_not_matter(columns, baseline, step):
    survey = Survey(ROLES)
    for chunk in in_chunks(columns, 1000, step):
        survey.add(chunk)
    counted = Count(draw(survey))
    for chunk in in_chunks(columns, 1000, step):
        counted.add(chunk)
    found = counted.baseline("stable")

    assert found.columns == baseline.columns
    for one, other in zip(found.distributions, baseline.distributions, strict=True):
        assert np.array_equal(one.counts, other.counts)
        np.testing.assert_allclose(one.sums, other.sums, rtol=1e-9)


def test_features_come_first_in_the_order_of_the_data_then_answers(baseline):
    assert [(column.name, column.part) for column in baseline.columns] == [
        ("income", ColumnPart.FEATURE),
        ("rooms", ColumnPart.FEATURE),
        ("city", ColumnPart.FEATURE),
        ("owner", ColumnPart.FEATURE),
        ("prediction", ColumnPart.PREDICTION),
        ("score", ColumnPart.SCORE),
        ("confidence", ColumnPart.SCORE),
    ]


def test_missing_and_infinite_values_are_counted_apart(baseline, columns):
    income = baseline.distribution("income")
    assert income.missing == np.isnan(columns["income"]).sum()
    assert income.nonfinite == 1
    assert baseline.distribution("city").missing == columns["city"].count(None)


def test_a_column_that_appears_late_was_missing_before():
    survey = Survey(Roles())
    chunks = [
        Chunk(1, 100, {"a": np.arange(100.0)}),
        Chunk(101, 100, {"a": np.arange(100.0), "b": np.arange(100) * 1.5}),
        Chunk(201, 50, {"b": np.arange(50) * 1.5}),
    ]
    for chunk in chunks:
        survey.add(chunk)
    counted = Count(draw(survey))
    for chunk in chunks:
        counted.add(chunk)
    found = counted.baseline("m")

    assert (found.distribution("a").missing, found.distribution("b").missing) == (50, 100)
    assert found.rows == 250


def test_the_same_rows_make_the_same_baseline(columns, baseline):
    assert learn("stable", columns, ROLES) == baseline


def test_a_sample_is_the_data_as_long_as_they_fit():
    sample = RowSample(100, np.random.default_rng(0))
    numbers, values = SampledNumbers(), SampledValues()
    for first in range(0, 80, 10):
        chunk = np.arange(first, first + 10, dtype=np.float64)
        chosen, places = sample.choose(10)
        numbers.put(chunk, chosen, places)
        values.put([str(value) for value in chunk], chosen, places)

    assert sample.size == 80
    assert numbers.values(80).tolist() == list(range(80))
    assert values.values(80)[:2] == ["0.0", "1.0"]


def test_every_row_is_as_likely_in_a_sample_of_more():
    times = np.zeros(1000)
    for seed in range(200):
        sample = RowSample(50, np.random.default_rng(seed))
        numbers = SampledNumbers()
        for first in range(0, 1000, 64):
            chunk = np.arange(first, min(first + 64, 1000), dtype=np.float64)
            numbers.put(chunk, *sample.choose(len(chunk)))
        found = numbers.values(sample.size)
        assert np.unique(found).size == 50
        times[found.astype(int)] += 1

    # 200 draws of 50 of 1000: each row 10 times on average, each tenth of the rows 1000 times.
    assert times.sum() == 10_000
    assert abs(times.reshape(10, 100).sum(axis=1) - 1000).max() < 5 * np.sqrt(1000)


def test_the_sample_of_many_columns_has_fewer_rows():
    assert capacity_for(10) == 200_000
    assert capacity_for(1000) == 16_000


def test_a_late_frequent_name_is_a_category_though_many_rare_ones_came_before():
    survey = Survey(Roles())
    rare = [f"rare {row}" for row in range(30_000)]
    survey.add(Chunk(1, 30_000, {"x": rare}))
    survey.add(Chunk(30_001, 5_000, {"x": ["late"] * 5_000}))

    (one,) = draw(survey).counted
    assert one.column.categories[0] == "late"
