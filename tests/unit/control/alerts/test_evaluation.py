"""Rules over time: which alerts there are after each moment."""

import msgspec
import pytest

from sidecar.config.alerting import AlertSeverity, Relation, Tier
from sidecar.config.units import Duration
from sidecar.control.alerts.evaluation import MOST_ALERTS, evaluate
from sidecar.control.alerts.lifecycle import State
from sidecar.control.alerts.samples import by_name
from sidecar.control.alerts.windows import Windows

WARNING, CRITICAL = AlertSeverity.WARNING, AlertSeverity.CRITICAL
S = 1_000_000_000


class Run:
    """Evaluations one after the other, 15 s apart."""

    def __init__(self, policy):
        self.policy = policy
        self.windows, self.alerts = Windows(), {}
        self.now_ns = 0
        self.ended = []

    def look(self, *samples, after_s: float = 15):
        self.now_ns += round(after_s * S)
        found = evaluate(
            self.policy,
            self.windows,
            self.alerts,
            by_name(samples, self.policy.series),
            self.now_ns,
        )
        self.windows, self.alerts, self.ended = found.windows, found.alerts, found.ended
        self.found = found
        return {(one.severity.value, dict(one.labels).get("a", "")): one.state.value for one in
                found.alerts.values()}  # fmt: skip


@pytest.fixture
def run(policy, rule):
    """Begin with a rule (see `rule`)."""
    return lambda *tiers, **keys: Run(policy(rule("r", *tiers, **keys)))


def test_every_group_has_an_alert_of_its_own(run, sample):
    found = run().look(sample("sidecar_x", 11, a="1"), sample("sidecar_x", 9, a="2"))

    assert found == {("warning", "1"): "firing"}


def test_every_tier_has_an_alert_of_its_own(run, sample):
    tiers = (Tier(severity=WARNING, above=10), Tier(severity=CRITICAL, above=20))
    watch = run(*tiers)

    assert watch.look(sample("sidecar_x", 15)) == {("warning", ""): "firing"}
    assert watch.look(sample("sidecar_x", 25)) == {
        ("warning", ""): "firing",
        ("critical", ""): "firing",
    }
    assert watch.look(sample("sidecar_x", 15)) == {("warning", ""): "firing"}
    assert [one.severity for one in watch.ended] == ["critical"]


def test_below_is_met_by_values_below(run, sample):
    watch = run(Tier(severity=WARNING, below=10))

    assert watch.look(sample("sidecar_x", 10)) == {}
    assert watch.look(sample("sidecar_x", 9.9)) == {("warning", ""): "firing"}


def test_for_wants_the_condition_all_the_time(run, sample):
    watch = run(Tier(severity=WARNING, above=10, for_=Duration(30)))

    states = [watch.look(sample("sidecar_x", v)) for v in (11, 11, 9, 11, 11, 11)]

    assert [found.get(("warning", "")) for found in states] == [
        "pending", "pending", None, "pending", "pending", "firing",
    ]  # fmt: skip


def test_until_holds_an_alert_that_fires_and_begins_none(run, sample):
    watch = run(Tier(severity=WARNING, above=10, until=5))

    assert watch.look(sample("sidecar_x", 7)) == {}
    assert watch.look(sample("sidecar_x", 11)) == {("warning", ""): "firing"}
    assert watch.look(sample("sidecar_x", 7)) == {("warning", ""): "firing"}
    assert watch.look(sample("sidecar_x", 5)) == {}


def test_an_alert_shows_the_value_of_now(run, sample):
    watch = run()
    watch.look(sample("sidecar_x", 11))
    watch.look(sample("sidecar_x", 42))

    (alert,) = watch.alerts.values()
    assert (alert.value, alert.threshold, alert.starts_at_ns) == (42.0, 10.0, 15 * S)


def test_a_missing_series_ends_an_alert_only_after_its_time(run, sample):
    watch = run(no_data_for=Duration(60))
    watch.look(sample("sidecar_x", 11))

    for _ in range(3):
        assert watch.look() == {("warning", ""): "firing"}
    assert watch.look() == {}
    assert [one.state for one in watch.ended] == [State.RESOLVED]


def test_a_pending_alert_that_ends_is_nobodys_business(run, sample):
    watch = run(Tier(severity=WARNING, above=10, for_=Duration(60)))
    watch.look(sample("sidecar_x", 11))
    watch.look(sample("sidecar_x", 1))

    assert (watch.alerts, watch.ended) == ({}, ())


# --- changes -------------------------------------------------------------------------------------


FALLS = (Tier(severity=WARNING, change_percent=-5), Tier(severity=CRITICAL, change_percent=-15))


def test_falls_relative_to_a_figure_come_in_tiers(run, sample):
    watch = run(*FALLS, relative_to=Relation(value=0.8))

    assert watch.look(sample("sidecar_x", 0.79)) == {}
    assert watch.look(sample("sidecar_x", 0.75)) == {("warning", ""): "firing"}
    assert len(watch.look(sample("sidecar_x", 0.6))) == 2
    (worst,) = [one for one in watch.alerts.values() if one.severity == "critical"]
    assert (worst.value, worst.compared) == (0.6, pytest.approx(-25))


def test_a_rise_is_no_fall(run, sample):
    assert run(*FALLS, relative_to=Relation(value=0.8)).look(sample("sidecar_x", 2.0)) == {}


def test_changes_relative_to_another_series(run, sample):
    watch = run(*FALLS, relative_to=Relation(series="sidecar_y"))

    assert watch.look(sample("sidecar_x", 90, a="1"), sample("sidecar_y", 100, a="1")) == {
        ("warning", "1"): "firing"
    }
    assert "sidecar_y" in watch.policy.series


def test_changes_relative_to_an_hour_ago_begin_after_an_hour(run, sample):
    watch = run(*FALLS, relative_to=Relation(ago=Duration(3600)))

    for _ in range(3600 // 60):
        assert watch.look(sample("sidecar_x", 100), after_s=60) == {}
    assert watch.look(sample("sidecar_x", 94), after_s=60) == {("warning", ""): "firing"}


def test_a_value_that_is_missing_once_does_not_forget_what_it_was_an_hour_ago(run, sample):
    watch = run(*FALLS, relative_to=Relation(ago=Duration(3600)))
    for _ in range(3600 // 60):
        watch.look(sample("sidecar_x", 100), after_s=60)

    watch.look(after_s=60)

    assert watch.look(sample("sidecar_x", 94), after_s=60) == {("warning", ""): "firing"}


def test_a_value_that_is_gone_for_as_long_is_forgotten(run, sample):
    watch = run(*FALLS, relative_to=Relation(ago=Duration(3600)))
    watch.look(sample("sidecar_x", 100))

    watch.look(after_s=3600)

    assert watch.windows.trails == {"r": {}}


def test_without_a_reference_there_is_no_data(run, sample):
    watch = run(*FALLS, relative_to=Relation(series="sidecar_y"))

    assert watch.look(sample("sidecar_x", 1)) == {}
    assert watch.found.seen == {"r": 0}


# --- rules that change ---------------------------------------------------------------------------


def test_a_rule_that_did_not_change_goes_on_when_others_do(policy, rule, sample):
    slow = rule("slow", Tier(severity=WARNING, above=10, for_=Duration(30)))
    watch = Run(policy(slow, rule("other")))
    watch.look(sample("sidecar_x", 11))
    watch.policy = policy(slow)
    watch.look(sample("sidecar_x", 11))
    watch.look(sample("sidecar_x", 11))

    assert [(one.alertname, one.state) for one in watch.alerts.values()] == [("slow", "firing")]


def test_alerts_of_a_rule_that_is_gone_end_at_once(policy, rule, sample):
    watch = Run(policy(rule("gone")))
    watch.look(sample("sidecar_x", 11))
    watch.policy = policy()
    watch.look(sample("sidecar_x", 11))

    assert [(one.alertname, one.state) for one in watch.ended] == [("gone", "resolved")]


def test_a_rule_with_another_threshold_is_the_same_rule(policy, rule, sample):
    watch = Run(policy(rule("r")))
    watch.look(sample("sidecar_x", 50))
    (before,) = watch.alerts.values()
    watch.policy = policy(rule("r", Tier(severity=WARNING, above=40)))
    watch.look(sample("sidecar_x", 50))
    (after,) = watch.alerts.values()

    assert (after.episode, after.threshold) == (before.episode, 40.0)


def test_labels_of_a_rule_are_labels_of_its_alerts(run, sample):
    watch = run(labels={"team": "fraud"})
    watch.look(sample("sidecar_x", 11, a="1"))

    (alert,) = watch.alerts.values()
    assert alert.all_labels == {
        "alertname": "r",
        "severity": "warning",
        "a": "1",
        "team": "fraud",
    }


def test_alerts_beyond_the_most_wait_and_are_counted(run, sample):
    watch = run(Tier(severity=WARNING, above=10, for_=Duration(15)))
    many = [sample("sidecar_x", 11, a=str(n)) for n in range(MOST_ALERTS + 7)]
    watch.look(*many[:5])
    watch.look(*many)

    assert len(watch.alerts) == MOST_ALERTS
    assert watch.found.crowded_out == 7
    firing = [dict(one.labels)["a"] for one in watch.alerts.values() if one.state.fires]
    assert firing == ["0", "1", "2", "3", "4"]


def test_an_evaluation_changes_nothing_it_was_given(run, sample):
    watch = run()
    watch.look(sample("sidecar_x", 11))
    before = msgspec.json.encode([watch.windows.tracks, watch.alerts])
    alerts, windows = watch.alerts, watch.windows
    watch.look(sample("sidecar_x", 1))

    assert msgspec.json.encode([windows.tracks, alerts]) == before
