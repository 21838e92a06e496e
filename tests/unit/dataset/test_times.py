"""Times as data have them."""

import numpy as np
import pytest

from sidecar.dataset.times import SpanOfTime
from sidecar.errors import ConfigError


def span_of(values):
    span = SpanOfTime("when")
    span.add(values, 1)
    found = span.span()
    return found.start, found.end


@pytest.mark.parametrize(
    ("values", "start", "end"),
    [
        (["2024-03-01", "2024-01-01"], "2024-01-01T00:00:00Z", "2024-03-01T00:00:00Z"),
        (
            ["2024-01-01 06:00:00.500", "2024-01-01T06:00:00+02:00"],
            "2024-01-01T04:00:00Z",
            "2024-01-01T06:00:00.500000Z",
        ),
        (np.array([2015.0, 2018.0]), "2015-01-01T00:00:00Z", "2018-01-01T00:00:00Z"),
        ([1.7e9, None, 1.7e9 + 1], "2023-11-14T22:13:20Z", "2023-11-14T22:13:21Z"),
        ([1.7e12, 1.7e12 + 1000], "2023-11-14T22:13:20Z", "2023-11-14T22:13:21Z"),
        ([1.7e18, 1.7e18 + 1e9], "2023-11-14T22:13:20Z", "2023-11-14T22:13:21Z"),
    ],
)
def test_a_span_is_from_the_first_to_the_last_time_in_utc(values, start, end):
    assert span_of(values) == (start, end)


def test_a_span_that_is_one_instant_is_refused():
    with pytest.raises(ConfigError, match="all rows are of one instant, 2015-01-01") as refused:
        span_of(np.array([2015.0, 2015.0, np.nan]))
    assert refused.value.path == "when"


def test_no_time_at_all_is_refused():
    with pytest.raises(ConfigError, match="no row has a time"):
        span_of([None, None])


@pytest.mark.parametrize("value", ["yesterday", "12", "", 1e30, float("inf")])
def test_what_is_no_time_is_refused_with_its_row(value):
    with pytest.raises(ConfigError, match=r"row 2 has .* which is no time"):
        span_of(["2024-01-01", value])
