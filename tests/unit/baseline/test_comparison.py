"""What is said of the difference between two baselines."""

from dataclasses import replace

import numpy as np
import pytest

from sidecar.baseline import learn
from sidecar.baseline.blueprint import draw_like
from sidecar.baseline.comparison import compare, same_data, summarise
from sidecar.baseline.learning import Count
from sidecar.baseline.records import Estimate, Method, Performance, Provenance, Source, Task
from sidecar.baseline.roles import Chunk, Roles
from sidecar.baseline.survey import Survey
from sidecar.drift import evidence
from sidecar.model import ColumnKind

ROLES = Roles(prediction="answer", score="probability")


def counted_like(baseline, columns, rows):
    chunk = Chunk(1, rows, {name: values[:rows] for name, values in columns.items()})
    survey = Survey(ROLES)
    survey.add(chunk)
    made = Count(draw_like(baseline, survey))
    made.add(chunk)
    return made.baseline("like")


def with_files(baseline, **files):
    sources = tuple(Source(name=name, sha256=sha, bytes=1, rows=1) for name, sha in files.items())
    return replace(baseline, provenance=Provenance(sources=sources))


def test_columns_that_are_counted_alike_are_compared_by_the_statistics_of_drift(baseline, columns):
    other = counted_like(baseline, columns, 400)
    found = {one.column: one for one in compare(baseline, other).columns}

    assert set(found) == {column.name for column in baseline.columns}
    assert all(one.changed is None for one in found.values())
    assert found["income"].evidence == evidence(
        baseline.distribution("income"), other.distribution("income")
    )


def test_columns_that_are_counted_in_another_way_say_how(baseline, columns):
    rows = 1000
    other = learn(
        "m",
        {
            "income": columns["income"] * 2,
            "rooms": columns["rooms"] + 0.5,
            "city": ["Bonn", "Ulm"] * 500,
            "extra": np.arange(rows) * 1.5,
        },
    )
    difference = compare(baseline, other)
    changed = {one.column: one.changed for one in difference.columns}

    assert changed == {
        "income": "other edges",
        "rooms": "was categorical, is numeric",
        "city": "without Köln, Trier; new: Ulm",
    }
    assert all(one.evidence is None for one in difference.columns)
    assert difference.only_second == ("extra",)
    assert difference.only_first == ("owner", "prediction", "score", "confidence")


def test_one_file_in_both_is_remarked_on(baseline):
    ours, theirs = with_files(baseline, train="aa", more="bb"), with_files(baseline, test="bb")

    (remark,) = same_data(ours, theirs)
    assert remark.startswith("test has the same content as more")
    assert "baseline and as evaluation" in remark
    assert compare(ours, theirs).remarks == (remark,)
    assert not list(same_data(ours, with_files(baseline, other="cc")))


@pytest.mark.parametrize(
    ("low", "high", "apart"), [(0.90, 0.92, True), (0.85, 0.92, False), (None, None, False)]
)
def test_figures_are_apart_when_their_intervals_are(baseline, low, high, apart):
    def rated(value, low, high):
        accuracy = Estimate(value=value, low=low, high=high, n=9, method=Method.WILSON)
        performance = Performance(
            task=Task.CLASSIFICATION, rows=9, positive=None, figures={"accuracy": accuracy}
        )
        return replace(baseline, performance=performance)

    (found,) = compare(rated(0.8, 0.78, 0.86), rated(0.91, low, high)).performance
    assert (found.figure, found.apart) == ("accuracy", apart)


def test_a_column_in_a_few_words(baseline, columns):
    income, city = (summarise(baseline.distribution(name)) for name in ("income", "city"))
    given = columns["income"][np.isfinite(columns["income"])]

    assert income.kind is ColumnKind.NUMERIC
    assert income.quantiles == pytest.approx(
        np.quantile(given, [0.05, 0.5, 0.95], method="inverted_cdf"), rel=0.02
    )
    assert income.mean == pytest.approx(given.mean(), rel=0.001)
    assert (income.rows, income.values, income.bins) == (1000, given.size, 10)
    assert income.missing == np.isnan(columns["income"]).mean()
    assert city.quantiles is None
    assert city.most_frequent == max({"Bonn", "Köln", "Trier"}, key=columns["city"].count)
