"""Rules about `alerts`: each broken once, with the path and the sentence it gives."""

import pytest

from sidecar.config.alerting import RuleSettings, SeriesSelection, Signal, Tier
from sidecar.config.matchers import accepts, accepts_labels, objection
from sidecar.config.placeholders import fill, unknown_placeholders
from sidecar.config.signals import SIGNALS, Read, reading_of

BASE = """\
models:
  stable: {url: "http://127.0.0.1:9000"}
routes:
  - {name: iris, primary: stable}
"""
RECEIVER = "receivers: {ops: {type: webhook, url: 'http://127.0.0.1:1/hook'}}"
TIER = "{above: 0.05, severity: warning}"


def alerts(keys: str) -> str:
    return f"{BASE}alerts: {{{keys}}}\n"


def rule(keys: str) -> str:
    """One rule with these keys, and a receiver `ops`."""
    return alerts(f"{RECEIVER}, rules: [{{name: r, {keys}}}]")


def tiers(*tiers: str, more: str = "") -> str:
    """One rule over the error rate with these tiers."""
    return rule(f"signal: error_rate, tiers: [{', '.join(tiers)}]{more}")


def receiver(keys: str) -> str:
    return alerts(f"receivers: {{ops: {{{keys}}}}}")


@pytest.mark.parametrize(
    "text",
    [
        alerts(""),
        alerts("defaults: false, interval: 1s, group_wait: 0s"),
        tiers(TIER),
        tiers("{above: 0.2, severity: critical, receivers: [ops]}", TIER),
        tiers("{above: 0.2, until: 0.1, severity: critical, for: 1m, keep_firing_for: 5m}"),
        rule(f"series: sidecar_breaker_state, where: {{model: '!~st.*'}}, tiers: [{TIER}]"),
        rule(f"series: sidecar_retries_total, rate: 5m, tiers: [{TIER}]"),
        rule(
            "series: sidecar_overhead_seconds, quantile: {q: 0.9}, by: [route], "
            f"at_least: 500, tiers: [{TIER}]"
        ),
        rule(
            "ratio: {of: {series: sidecar_fallbacks_total}, to: {series: sidecar_requests_total}},"
            f" by: [route, model], tiers: [{TIER}]"
        ),
        rule(
            "series: sidecar_performance, relative_to: {value: 0.94}, tiers: "
            "[{change_percent: -5, severity: warning}, {change_percent: -15, severity: critical}]"
        ),
        receiver("type: webhook, url_env: HOOK, token_env: TOKEN, format: slack"),
        receiver("type: alertmanager, url: 'http://127.0.0.1:9093/am'"),
        receiver("type: log"),
    ],
)
def test_what_people_mean_is_valid_without_remarks(load_text, text):
    assert load_text(text).remarks == ()


def test_a_least_number_of_observations_that_nobody_counts_is_remarked_on(load_text):
    (remark,) = load_text(rule(f"signal: breaker, at_least: 9, tiers: [{TIER}]")).remarks
    assert remark.path == "$.alerts.rules[0].at_least"
    assert not load_text(rule(f"signal: drift_psi, at_least: 9, tiers: [{TIER}]")).remarks


@pytest.mark.parametrize(
    ("text", "path", "sentence"),
    [
        (alerts("interval: 10ms"), "$.alerts.interval", "expected at least 1s, found 10ms"),
        (alerts("group_interval: 0s"), "$.alerts.group_interval", "expected more than 0s"),
        (
            alerts("repeat: 1m"),
            "$.alerts.repeat",
            "expected at least `group_interval` (5m), found 1m",
        ),
        (
            alerts(
                f"rules: [{{name: a, signal: drift, tiers: [{TIER}]}}, "
                f"{{name: a, signal: drift, tiers: [{TIER}]}}]"
            ),
            "$.alerts.rules[1].name",
            "found `a`, the name of $.alerts.rules[0]",
        ),
        # what is read
        (
            rule(f"tiers: [{TIER}]"),
            "$.alerts.rules[0]",
            "exactly one of `signal`, `series` and `ratio`, found none",
        ),
        (
            rule(f"signal: drift, series: sidecar_connections, tiers: [{TIER}]"),
            "$.alerts.rules[0]",
            "found `signal` and `series`",
        ),
        (
            rule(f"series: sidecar_retries_total, rate: 5m, increase: 5m, tiers: [{TIER}]"),
            "$.alerts.rules[0]",
            "found `rate` and `increase`",
        ),
        (
            rule(f"signal: drift, rate: 5m, tiers: [{TIER}]"),
            "$.alerts.rules[0].rate",
            "expected `series` beside it, found `signal`",
        ),
        (
            rule(f"series: sidecar_retries_total, window: 5m, tiers: [{TIER}]"),
            "$.alerts.rules[0].window",
            "expected `signal` beside it",
        ),
        (
            rule(f"signal: drift, window: 5m, tiers: [{TIER}]"),
            "$.alerts.rules[0].window",
            "expected no window",
        ),
        (
            rule(f"signal: error_rate, window: 20s, tiers: [{TIER}]"),
            "$.alerts.rules[0].window",
            "expected 30s (twice `alerts.interval`) to 7d, found 20s",
        ),
        (
            rule(f"series: sidecar_retries_total, increase: 30d, tiers: [{TIER}]"),
            "$.alerts.rules[0].increase",
            "to 7d, found 30d",
        ),
        (
            rule(
                "ratio: {of: {series: sidecar_fallbacks_total}, "
                f"to: {{series: sidecar_requests_total}}}}, tiers: [{TIER}]"
            ),
            "$.alerts.rules[0].by",
            "expected labels that both sides of the ratio have, found nothing",
        ),
        (
            rule(f"signal: error_rate, where: {{rout: iris}}, tiers: [{TIER}]"),
            "$.alerts.rules[0].where.rout",
            "expected a label of `error_rate`, found `rout`; did you mean `route`?",
        ),
        (
            rule(f"signal: error_rate, by: [feature], tiers: [{TIER}]"),
            "$.alerts.rules[0].by[0]",
            "expected a label of `error_rate`, found `feature`",
        ),
        (
            rule(f"signal: error_rate, where: {{route: '~(a+)+'}}, tiers: [{TIER}]"),
            "$.alerts.rules[0].where.route",
            "found a group that is repeated",
        ),
        (
            rule(f"series: sidecar_connections, labels: {{severity: x}}, tiers: [{TIER}]"),
            "$.alerts.rules[0].labels.severity",
            "expected another label",
        ),
        # thresholds
        (
            tiers("{severity: warning}"),
            "$.alerts.rules[0].tiers[0]",
            "exactly one of `above`, `below`, `change_percent`, found none",
        ),
        (
            tiers("{above: 1, below: 2, severity: warning}"),
            "$.alerts.rules[0].tiers[0]",
            "found `above` and `below`",
        ),
        (
            tiers(TIER, "{above: 0.2, severity: warning}"),
            "$.alerts.rules[0].tiers[1].severity",
            "expected a severity of its own, found `warning` again",
        ),
        (
            tiers(TIER, "{above: 0.01, severity: critical}"),
            "$.alerts.rules[0].tiers[1]",
            "expected a threshold beyond that of `warning` (0.05), found 0.01",
        ),
        (
            tiers("{below: 0.1, severity: warning}", "{below: 0.2, severity: critical}"),
            "$.alerts.rules[0].tiers[1]",
            "beyond that of `warning` (0.1)",
        ),
        (
            tiers(TIER, "{below: 0.01, severity: critical}"),
            "$.alerts.rules[0].tiers",
            "expected one comparison for all tiers",
        ),
        (
            tiers("{above: 0.1, until: 0.2, severity: warning}"),
            "$.alerts.rules[0].tiers[0].until",
            "expected less than the threshold (0.1), found 0.2",
        ),
        (
            tiers("{above: 0.1, severity: warning, receivers: [op]}"),
            "$.alerts.rules[0].tiers[0].receivers[0]",
            "found `op`; did you mean `ops`?",
        ),
        (
            tiers("{change_percent: -5, severity: warning}"),
            "$.alerts.rules[0].relative_to",
            "expected what `change_percent` is relative to, found nothing",
        ),
        (
            tiers(
                "{change_percent: -5, severity: warning}", more=", relative_to: {value: 1, ago: 1d}"
            ),
            "$.alerts.rules[0].relative_to",
            "exactly one of `value`, `series` and `ago`, found `value` and `ago`",
        ),
        (
            tiers(TIER, more=", relative_to: {value: 1}"),
            "$.alerts.rules[0].relative_to",
            "expected a tier with `change_percent`",
        ),
        # texts
        (
            tiers(TIER, more=", summary: 'now {valu}'"),
            "$.alerts.rules[0].summary",
            "or `{labels.NAME}`, found `{valu}`",
        ),
        (
            tiers(TIER, more=", runbook_url: 'javascript:alert(1)'"),
            "$.alerts.rules[0].runbook_url",
            "expected a URL that begins with `http://` or `https://`",
        ),
        # receivers
        (
            receiver("type: webhook"),
            "$.alerts.receivers.ops",
            "exactly one of `url`, `url_file` and `url_env`, found none",
        ),
        (
            receiver("type: log, token_env: X"),
            "$.alerts.receivers.ops.token_env",
            "the log has none",
        ),
        (
            receiver("type: webhook, url: 'ftp://h'"),
            "$.alerts.receivers.ops.url",
            "found no such URL",
        ),
        (
            receiver("type: webhook, url: 'https://h/x', timeout: 0s"),
            "$.alerts.receivers.ops.timeout",
            "expected more than 0s",
        ),
        (
            receiver("type: alertmanager, url_env: AM, format: slack"),
            "$.alerts.receivers.ops.format",
            "expected `json`",
        ),
        (
            receiver("type: webhook, url_file: nowhere"),
            "$.alerts.receivers.ops.url_file",
            "No such file",
        ),
    ],
)
def test_a_broken_rule_names_its_key(problems_of, text, path, sentence):
    found = {problem.path: problem.text for problem in problems_of(text)}

    assert set(found) == {path}
    assert sentence in found[path]


@pytest.mark.parametrize(
    "keys",
    [
        "type: webhook, url: 'https://u:hunter2@h/x'",
        "type: webhook, url: 'https://h/x?token=hunter2'",
        "type: webhook, format: slack, url: 'https://hooks.example/hunter2'",
        "type: webhook, url: 'https://h/x', token_env: 'hunter2 itself'",
    ],
)
def test_what_may_be_a_secret_is_refused_and_not_quoted(problems_of, keys):
    (problem,) = problems_of(receiver(keys))

    assert "hunter2" not in str(problem)


def test_files_of_secrets_are_found_beside_the_configuration(load_text, directory):
    (directory / "hook").write_text("https://hooks.example/secret\n")

    found = load_text(receiver("type: webhook, url_file: hook")).settings.alerts.receivers["ops"]

    assert found.url_file == str(directory / "hook")


# --- matchers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matcher", "taken", "refused"),
    [
        ("iris", "iris", "iris2"),
        (("a", "b"), "b", "ab"),
        ("~a|b.*", "bcd", "ab"),
        ("!next", "stable", "next"),
        ("!~n.*", "stable", "next"),
        ("", "", "x"),
        (r"~a\+b[*+?]{2}", "a+b*?", "aab"),
    ],
)
def test_a_matcher_takes_what_it_says(matcher, taken, refused):
    assert objection(matcher) is None
    assert accepts(matcher, taken)
    assert not accepts(matcher, refused)


@pytest.mark.parametrize(
    ("matcher", "sentence"),
    [
        ((), "an empty list"),
        ("~" + "a" * 200, "an expression of 200 characters"),
        ("~(a|b)*", "a group that is repeated"),
        ("~(a){9}", "a group that is repeated"),
        ("~a*b*c*d*", "more than 3 of"),
        (r"~(a)\1", "a back-reference"),
        ("~(?i:a)", "an extension"),
        ("!~[", "no regular expression"),
    ],
)
def test_an_expression_that_could_cost_much_is_refused(matcher, sentence):
    assert sentence in (objection(matcher) or "")


def test_labels_that_are_absent_are_matched_as_empty():
    assert accepts_labels({"route": "iris", "team": ""}, {"route": "iris"})
    assert not accepts_labels({"team": "!"}, {"route": "iris"})


# --- placeholders and signals --------------------------------------------------------------------


def test_placeholders_are_filled_and_other_braces_stay():
    text = "{alertname} of {labels.model}: {value} > {threshold} ({labels}) {labels.x} {} {JSON}"

    assert unknown_placeholders(text) == []
    assert (
        fill(
            text,
            {"alertname": "errors", "value": "0.2", "threshold": "0.1"},
            {"route": "iris", "model": "next"},
        )
        == "errors of next: 0.2 > 0.1 (route=iris, model=next) - {} {JSON}"
    )


def test_values_with_braces_are_not_filled_again():
    assert fill("{labels.a}", {"value": "1"}, {"a": "{value}"}) == "{value}"


def test_every_signal_is_defined_by_labels_that_it_groups_by():
    assert set(SIGNALS) == set(Signal)
    for definition in SIGNALS.values():
        assert set(definition.reading.by or ()) <= set(definition.labels)
        # Narrowing a ratio by what tells its two sides apart would make it 0 or 1.
        to = definition.reading.to
        if to is not None and to.series == definition.reading.of.series:
            differing = set(definition.reading.of.where.items()) ^ set(to.where.items())
            assert not {label for label, _ in differing} & set(definition.labels)


def test_a_signal_and_its_reading_written_out_are_the_same():
    tier = (Tier(severity="warning", above=1),)
    short = reading_of(
        RuleSettings(name="a", signal=Signal.ERROR_RATE, where={"role": "canary"}, tiers=tier)
    )

    assert short.read is Read.RATIO
    assert short.of == SeriesSelection(
        series="sidecar_requests_total",
        where={"role": "canary", "status": ("5xx", "error", "fallback")},
    )
    assert short.to.where == {"role": "canary", "status": "!aborted"}
    assert (short.window_s, short.by, short.at_least) == (300, ("route", "model"), 20)
