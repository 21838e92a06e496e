"""What goes over the wire, to the letter."""

import re
from pathlib import Path

import msgspec
import pytest

from sidecar.config.alerting import AlertSeverity, Relation, Signal
from sidecar.control.alerts.bodies import (
    SLACK_ATTACHMENTS,
    alertmanager_body,
    slack_body,
    timestamp,
    webhook_body,
)
from sidecar.control.alerts.bulletins import Bulletin, Notification, Status, bulletin
from sidecar.control.alerts.defaults import default_rules
from sidecar.control.alerts.lifecycle import Condition, Timing, advanced, inactive

S = 1_000_000_000
START_NS = 1_700_000_000 * S
NOW_NS = START_NS + 90 * S

FIRES = Bulletin(
    episode="f1-1",
    fingerprint="f1",
    status=Status.FIRING,
    alertname="errors",
    severity=AlertSeverity.CRITICAL,
    labels={"model": "next", "route": "iris"},
    value=0.31,
    compared=0.31,
    threshold=0.25,
    n=1200,
    starts_at_ns=START_NS,
    ends_at_ns=0,
    summary="next fails 31 % of the requests of iris",
    description="",
    runbook_url="https://wiki.example/errors",
)
OVER = msgspec.structs.replace(
    FIRES,
    episode="f2-1",
    fingerprint="f2",
    status=Status.RESOLVED,
    severity=AlertSeverity.WARNING,
    labels={"model": "a<b", "route": ""},
    ends_at_ns=NOW_NS,
    summary="a<b & <!channel>",
    description="more",
    runbook_url="",
    n=None,
)


def message(*bulletins: Bulletin, repeated: bool = False) -> Notification:
    return Notification(
        id="0123",
        receiver="ops",
        group=(("route", "iris"), ("model", "")),
        bulletins=bulletins,
        repeated=repeated,
        created_ns=START_NS,
    )


def test_the_document_of_a_webhook():
    assert webhook_body(message(FIRES, OVER), NOW_NS) == {
        "version": "1",
        "id": "0123",
        "receiver": "ops",
        "status": "firing",
        "repeated": False,
        "group": {"route": "iris", "model": ""},
        "sent_at": "2023-11-14T22:14:50.000Z",
        "alerts": [
            {
                "fingerprint": "f1",
                "status": "firing",
                "alertname": "errors",
                "severity": "critical",
                "labels": {"model": "next", "route": "iris"},
                "value": 0.31,
                "compared": 0.31,
                "threshold": 0.25,
                "n": 1200,
                "starts_at": "2023-11-14T22:13:20.000Z",
                "ends_at": None,
                "summary": "next fails 31 % of the requests of iris",
                "description": "",
                "runbook_url": "https://wiki.example/errors",
            },
            {
                "fingerprint": "f2",
                "status": "resolved",
                "alertname": "errors",
                "severity": "warning",
                "labels": {"model": "a<b", "route": ""},
                "value": 0.31,
                "compared": 0.31,
                "threshold": 0.25,
                "n": None,
                "starts_at": "2023-11-14T22:13:20.000Z",
                "ends_at": "2023-11-14T22:14:50.000Z",
                "summary": "a<b & <!channel>",
                "description": "more",
                "runbook_url": "",
            },
        ],
    }


def test_a_message_in_which_nothing_fires_is_resolved():
    assert webhook_body(message(OVER), NOW_NS)["status"] == "resolved"


def test_the_message_for_slack():
    assert slack_body(message(FIRES, OVER)) == {
        "text": "1 firing and 1 resolved (route=iris)",
        "attachments": [
            {
                "fallback": "next fails 31 % of the requests of iris",
                "color": "#a30200",
                "title": "critical: errors",
                "text": "next fails 31 % of the requests of iris",
                "footer": "model=next, route=iris",
                "ts": 1_700_000_000,
                "title_link": "https://wiki.example/errors",
            },
            {
                "fallback": "a&lt;b &amp; &lt;!channel&gt;",
                "color": "#2eb886",
                "title": "resolved: errors",
                "text": "a&lt;b &amp; &lt;!channel&gt;\nmore",
                "footer": "model=a&lt;b, route=",
                "ts": 1_700_000_090,
            },
        ],
    }


def test_slack_is_told_what_is_repeated_and_how_much_is_not_shown():
    body = slack_body(message(*[FIRES] * (SLACK_ATTACHMENTS + 3), repeated=True))

    assert body["text"] == "Still 23 firing (route=iris); 3 not shown"
    assert len(body["attachments"]) == SLACK_ATTACHMENTS


def test_alerts_for_an_alertmanager():
    assert alertmanager_body(message(FIRES, OVER), NOW_NS) == [
        {
            "labels": {
                "alertname": "errors",
                "severity": "critical",
                "model": "next",
                "route": "iris",
            },
            "annotations": {
                "summary": "next fails 31 % of the requests of iris",
                "runbook_url": "https://wiki.example/errors",
            },
            "startsAt": "2023-11-14T22:13:20.000Z",
            "endsAt": "2023-11-14T22:18:50.000Z",  # four minutes from now: four messages
        },
        {
            "labels": {"alertname": "errors", "severity": "warning", "model": "a<b"},
            "annotations": {"summary": "a<b & <!channel>", "description": "more"},
            "startsAt": "2023-11-14T22:13:20.000Z",
            "endsAt": "2023-11-14T22:14:50.000Z",
        },
    ]


@pytest.mark.parametrize(
    ("at_ns", "text"),
    [(0, "1970-01-01T00:00:00.000Z"), (1_999_999_999, "1970-01-01T00:00:01.999Z")],
)
def test_times_are_utc_and_cut_to_milliseconds(at_ns, text):
    assert timestamp(at_ns) == text


def test_the_document_has_the_keys_that_are_documented():
    page = (Path(__file__).parents[4] / "docs" / "alerts.md").read_text(encoding="utf-8")
    documented = msgspec.json.decode(re.search(r"```json\n(.*?)```", page, re.DOTALL)[1])
    body = webhook_body(message(FIRES), NOW_NS)

    assert list(documented) == list(body)
    assert list(documented["alerts"][0]) == list(body["alerts"][0])


def test_the_rules_of_the_house_that_are_documented_are_those_there_are():
    page = (Path(__file__).parents[4] / "docs" / "alerts.md").read_text(encoding="utf-8")
    section = page.partition("### Rules of the house")[2].partition("## Receivers")[0]

    assert re.findall(r"^\| `([\w-]+)`", section, re.MULTILINE) == [
        rule.name for rule in default_rules()
    ]


@pytest.mark.parametrize(
    ("keys", "alert", "summary"),
    [
        ({}, {"value": 12.3456}, "r: 12.35, threshold 10; a=1"),
        ({"signal": Signal.ERROR_RATE}, {"value": 0.314}, "r: 31.4 %, threshold 1e+03 %; a=1"),
        ({"signal": Signal.LATENCY_P99}, {"value": 0.25}, "r: 0.25 s, threshold 10 s; a=1"),
        (
            {"relative_to": Relation(value=1.0)},
            {"value": 0.9, "compared": -10.0, "threshold": -5.0},
            "r: 0.9 (-10.0 %), threshold -5 %; a=1",
        ),
        ({"summary": "{n} in {window}"}, {"n": 7}, "7 in now"),
        ({"signal": Signal.ERROR_RATE, "summary": "{n} in {window}"}, {}, "- in 5m"),
    ],
)
def test_figures_are_told_with_their_units(policy, rule, keys, alert, summary):
    (compiled,) = policy(rule("r", **keys)).rules
    fires = advanced(
        inactive("r", AlertSeverity.WARNING, (("a", "1"),), START_NS),
        Condition.MET,
        Timing(),
        START_NS,
    )
    shown = msgspec.structs.replace(fires, **{"threshold": 10.0, **alert})

    assert bulletin(shown, compiled).summary == summary
