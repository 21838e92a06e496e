"""What wrk prints, and what is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.rig import load
from loadtests.rig.load import Round, median_of, median_ratio

REPORT = """Running 4s test @ http://127.0.0.1:9101/v2/models/m/infer
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.62ms    1.03ms  22.53ms   92.55%
    Req/Sec    20.65k     1.77k   23.21k    77.50%
  Latency Distribution
     50%    1.43ms
     75%    1.77ms
     90%  890.00us
     99%    1.05s
  82337 requests in 4.01s, 27.95MB read
{trouble}Requests/sec:  20544.25
Transfer/sec:      6.97MB
"""
TROUBLE = """  Socket errors: connect 1, read 20, write 0, timeout 300
  Non-2xx or 3xx responses: 4000
"""


def a_round(**given: Any) -> Round:
    usual: dict[str, Any] = {
        "requests": 10, "rate": 1.0, "p50_us": 1.0, "p99_us": 1.0, "user_us": 1.0,
        "system_us": 1.0, "errors": 0,
    }  # fmt: skip
    return Round(**{**usual, **given})


def test_quantiles_are_read_in_whatever_unit_they_are_printed() -> None:
    text = REPORT.format(trouble="")
    assert load.quantile_us(text, 50) == 1430.0
    assert load.quantile_us(text, 90) == 890.0
    assert load.quantile_us(text, 99) == 1_050_000.0


def test_a_report_without_trouble_has_no_errors() -> None:
    assert load.errors(REPORT.format(trouble="")) == 0


def test_refused_connections_timeouts_and_bad_statuses_are_all_errors() -> None:
    assert load.errors(REPORT.format(trouble=TROUBLE)) == 1 + 20 + 0 + 300 + 4000


def test_the_median_round_costs_what_the_middle_round_costs_and_keeps_every_error() -> None:
    rounds = [
        a_round(user_us=10, system_us=30, errors=1),
        a_round(user_us=20, system_us=10),
        a_round(user_us=90, system_us=90, errors=2),
    ]
    middle = median_of(rounds)
    assert middle.cpu_us == pytest.approx(40)
    assert middle.errors == 3
    assert middle.requests == 30


def test_a_ratio_is_taken_between_rounds_of_the_same_time() -> None:
    slow_then_fast = [a_round(user_us=50, system_us=50), a_round(user_us=5, system_us=5)] * 2
    peer = [a_round(user_us=100, system_us=100), a_round(user_us=10, system_us=10)] * 2
    assert median_ratio(slow_then_fast, peer) == pytest.approx(0.5)


def test_rounds_without_a_partner_are_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        median_ratio([a_round()], [a_round(), a_round()])
