"""Verdicts and alerts as they are read and remembered."""

import json

import pytest

from sidecar.demo.verdicts import Alert, Memory, read_alerts, read_drift


def alert(fingerprint, state="firing"):
    return Alert(
        fingerprint=fingerprint, severity="warning", state=state, summary=f"{fingerprint} drifts"
    )


def test_an_answer_about_drift_is_read_and_what_is_not_shown_is_passed_over():
    verdict = {
        "feature": "car_value", "status": "major", "psi": 1.4, "judged_psi": 1.3,
        "p": 0.001, "p_adjusted": 0.004, "n": 1800, "why": "so",
    }  # fmt: skip
    comparison = {"window": "10s", "verdicts": [verdict], "why": ""}
    watch = {"route": "r", "model": "stable", "role": "primary", "comparisons": [comparison]}
    (watched,) = read_drift(json.dumps({"as_of": "now", "watches": [watch]}).encode())
    assert (watched.model, watched.role, watched.why_none) == ("stable", "primary", "")
    (read,) = watched.verdicts
    assert (read.feature, read.status, read.psi, read.p, read.n) == (
        "car_value", "major", 1.4, 0.004, 1800,
    )  # fmt: skip


def test_verdicts_come_worst_first_and_what_is_not_judged_before_what_is_in_order(watched, verdict):
    shown = watched(
        "stable",
        "primary",
        verdict("quiet", "ok", 0.01),
        verdict("unknown", "insufficient_data", None),
        verdict("less", "major", 0.3),
        verdict("some", "drift", 5.0),
        verdict("noisy", "ok", 0.04),
        verdict("restless", "ok", 0.17),
        verdict("most", "major", 1.4),
    )
    assert [one.feature for one in shown.verdicts] == [
        "most", "less", "some", "unknown", "restless", "quiet", "noisy",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "n", "alarms", "collects", "unsettled"),
    [
        ("major", 1800, True, False, False),
        ("drift", 1800, True, False, False),
        ("ok", 1800, False, False, False),
        ("insufficient_data", 499, False, True, False),
        ("insufficient_data", 1800, False, False, True),
    ],
)
def test_a_verdict_is_an_alarm_or_collects_or_is_unsettled_or_fine(
    verdict, status, n, alarms, collects, unsettled
):
    one = verdict("a", status, n=n)
    assert (one.alarms, one.collects, one.unsettled) == (alarms, collects, unsettled)


def test_alerts_that_last_come_before_those_that_clear_and_pending_ones_not_at_all():
    states = ("clearing", "firing", "pending")
    alerts = [
        {"fingerprint": state, "severity": "warning", "state": state, "summary": "s", "labels": {}}
        for state in states
    ]
    read = read_alerts(json.dumps({"alerts": alerts, "rules": []}).encode())
    assert [one.state for one in read] == ["firing", "clearing"]


def test_the_worst_verdict_is_remembered_with_when_it_first_came(watched, verdict):
    memory = Memory()
    seen = [("insufficient_data", 0.0), ("ok", 0.02), ("major", 0.8), ("major", 1.4), ("ok", 0.01)]
    for second, (status, psi) in enumerate(seen):
        memory.verdicts([watched("stable", "primary", verdict("a", status, psi))], float(second))
    worst = memory.worst("stable")["a"]
    assert (worst.verdict.status, worst.verdict.psi, worst.after_s) == ("major", 0.8, 2.0)


def test_each_column_of_each_model_is_remembered_on_its_own(watched, verdict):
    memory = Memory()
    memory.verdicts(
        [
            watched("stable", "primary", verdict("a", "ok"), verdict("b", "drift", 0.2)),
            watched("trial", "shadow", verdict("a", "major", 0.5)),
        ],
        1.0,
    )
    statuses = {feature: one.verdict.status for feature, one in memory.worst("stable").items()}
    assert statuses == {"a": "ok", "b": "drift"}
    assert memory.worst("trial")["a"].verdict.status == "major"
    assert memory.worst("next") == {}


def test_an_alert_is_new_whenever_it_did_not_fire_before_and_remembered_once():
    memory = Memory()
    a, b = alert("a"), alert("b")
    assert memory.alerts([a], 1.0) == [a]
    assert memory.alerts([a, b], 2.0) == [b]
    assert memory.alerts([b], 3.0) == []
    assert memory.alerts([a], 4.0) == [a]
    assert [(one.alert, one.after_s) for one in memory.raised] == [(a, 1.0), (b, 2.0)]
