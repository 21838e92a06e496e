"""What `sidecar weights` understands."""

from __future__ import annotations

import pytest

from sidecar.cli.weights import parse
from sidecar.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "route", "weights"),
    [
        ([], None, {}),
        (["iris"], "iris", {}),
        (["next=10"], None, {"next": 10.0}),
        (["iris", "next=10", "other=2.5"], "iris", {"next": 10.0, "other": 2.5}),
        (["iris", "next=10%"], "iris", {"next": 10.0}),
    ],
)
def test_a_route_comes_first_and_percentages_follow(words, route, weights):
    assert parse(words) == (route, weights)


@pytest.mark.parametrize("words", [["next=10", "iris"], ["iris", "next"], ["iris", "next=much"]])
def test_anything_else_is_a_usage_error(words):
    with pytest.raises(ConfigError, match="expected"):
        parse(words)
