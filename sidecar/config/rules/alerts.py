"""Alerts: one reading a rule, thresholds that rise with severity, receivers that can be told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from sidecar.config.alerting import (
    AlertSettings,
    Matchers,
    ReceiverSettings,
    ReceiverType,
    RuleSettings,
    WebhookFormat,
)
from sidecar.config.matchers import objection
from sidecar.config.placeholders import PLACEHOLDERS, unknown_placeholders
from sidecar.config.problems import Finding, Problem, Remark, child, did_you_mean
from sidecar.config.rules.alert_tiers import examine_tiers
from sidecar.config.rules.durations import must_last
from sidecar.config.settings import Settings
from sidecar.config.signals import SIGNALS, Read, Reading, reading_of
from sidecar.config.units import format_duration

SHORTEST_INTERVAL_S: Final = 1.0
"""An evaluation takes milliseconds of the controller; more often than this nobody could react."""

LONGEST_WINDOW_S: Final = 7 * 86_400
FEWEST_INTERVALS: Final = 2

ADDED_LABELS: Final = frozenset({"alertname", "severity"})
"""Labels that every alert has, beside those of its series."""

_ENVIRONMENT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SINGLE_READING: Final = "exactly one of `rate`, `increase` and `quantile`, or none"


def examine_alerts(settings: Settings) -> Iterator[Finding]:
    """Findings about `alerts`."""
    alerts, path = settings.alerts, "$.alerts"
    if alerts.interval < SHORTEST_INTERVAL_S:
        yield Problem(
            path=f"{path}.interval", expected="at least 1s", found=format_duration(alerts.interval)
        )
    yield from must_last(alerts, path, except_for=frozenset({"interval", "group_wait"}))
    if alerts.repeat < alerts.group_interval:
        yield Problem(
            path=f"{path}.repeat",
            expected=f"at least `group_interval` ({format_duration(alerts.group_interval)})",
            found=format_duration(alerts.repeat),
        )
    for name, receiver in alerts.receivers.items():
        yield from _receiver(receiver, child(f"{path}.receivers", name))
    names: dict[str, str] = {}
    for index, rule in enumerate(alerts.rules):
        place = f"{path}.rules[{index}]"
        if rule.name in names:
            yield Problem(
                path=f"{place}.name",
                expected="a name of its own",
                found=f"`{rule.name}`, the name of {names[rule.name]}",
            )
        names.setdefault(rule.name, place)
        yield from _rule(rule, alerts, place)


def _rule(rule: RuleSettings, alerts: AlertSettings, path: str) -> Iterator[Finding]:
    yield from _matchers(rule.where, f"{path}.where")
    yield from _texts(rule, path)
    yield from examine_tiers(rule, alerts, path)
    for label in ADDED_LABELS & set(rule.labels):
        yield Problem(
            path=child(f"{path}.labels", label), expected="another label", found="one it has anyway"
        )
    problems = list(_reading_keys(rule, path))
    yield from problems
    if not problems:
        yield from _reading(rule, reading_of(rule), alerts, path)


def _reading_keys(rule: RuleSettings, path: str) -> Iterator[Finding]:
    """That exactly one reading is given, and nothing that belongs to another."""
    given = [key for key in ("signal", "series", "ratio") if getattr(rule, key) is not None]
    if len(given) != 1:
        yield Problem(
            path=path,
            expected="exactly one of `signal`, `series` and `ratio`",
            found=" and ".join(f"`{key}`" for key in given) or "none",
        )
        return
    done = [key for key in ("rate", "increase", "quantile") if getattr(rule, key) is not None]
    if len(done) > 1:
        yield Problem(
            path=path, expected=_SINGLE_READING, found=" and ".join(f"`{key}`" for key in done)
        )
    for key in done:
        if rule.series is None:
            yield Problem(
                path=f"{path}.{key}", expected="`series` beside it", found=f"`{given[0]}`"
            )
    if rule.window is not None and rule.signal is None:
        yield Problem(
            path=f"{path}.window",
            expected="`signal` beside it",
            found=f"`{given[0]}`, which has a window of its own",
        )
    if rule.ratio is not None and rule.by is None:
        yield Problem(
            path=f"{path}.by", expected="labels that both sides of the ratio have", found="nothing"
        )


def _reading(
    rule: RuleSettings, reading: Reading, alerts: AlertSettings, path: str
) -> Iterator[Finding]:
    if reading.read is Read.VALUE and rule.window is not None:
        yield Problem(
            path=f"{path}.window", expected="no window", found="one, and the signal is a value"
        )
    shortest_s = FEWEST_INTERVALS * alerts.interval
    if reading.read is not Read.VALUE and not shortest_s <= reading.window_s <= LONGEST_WINDOW_S:
        yield Problem(
            path=_window_path(rule, path),
            expected=f"{format_duration(shortest_s)} (twice `alerts.interval`) to 7d",
            found=format_duration(reading.window_s),
        )
    if rule.at_least is not None and not _is_counted(reading):
        yield Remark(
            path=f"{path}.at_least",
            text="no effect: how many observations this reading rests on is not known",
        )
    if rule.ratio is not None:
        yield from _matchers(rule.ratio.of.where, f"{path}.ratio.of.where")
        yield from _matchers(rule.ratio.to.where, f"{path}.ratio.to.where")
    if rule.signal is not None:
        labels = SIGNALS[rule.signal].labels
        named = [(child(f"{path}.where", label), label) for label in rule.where]
        named += [(f"{path}.by[{index}]", label) for index, label in enumerate(rule.by or ())]
        for place, label in named:
            if label not in labels:
                yield Problem(
                    path=place,
                    expected=f"a label of `{rule.signal}`",
                    found=f"`{label}`",
                    fix=did_you_mean(label, labels),
                )
    relation = rule.relative_to
    if relation is not None:
        yield from _matchers(relation.where, f"{path}.relative_to.where")


def _is_counted(reading: Reading) -> bool:
    return reading.read in {Read.RATIO, Read.QUANTILE} or reading.counted is not None


def _window_path(rule: RuleSettings, path: str) -> str:
    if rule.rate is not None:
        return f"{path}.rate"
    if rule.increase is not None:
        return f"{path}.increase"
    if rule.quantile is not None:
        return f"{path}.quantile.window"
    return f"{path}.ratio.window" if rule.ratio is not None else f"{path}.window"


def _matchers(where: Matchers, path: str) -> Iterator[Finding]:
    for label, matcher in where.items():
        wrong = objection(matcher)
        if wrong is not None:
            yield Problem(
                path=child(path, label),
                expected="a text, a list of texts, or `~` and a short regular expression",
                found=wrong,
            )


def _texts(rule: RuleSettings, path: str) -> Iterator[Finding]:
    for key in ("summary", "description"):
        for placeholder in unknown_placeholders(getattr(rule, key) or ""):
            yield Problem(
                path=f"{path}.{key}",
                expected=", ".join(f"`{{{name}}}`" for name in PLACEHOLDERS)
                + " or `{labels.NAME}`",
                found=f"`{placeholder}`",
            )
    if rule.runbook_url is not None and not rule.runbook_url.startswith(("http://", "https://")):
        yield Problem(
            path=f"{path}.runbook_url",
            expected="a URL that begins with `http://` or `https://`",
            found=f'"{rule.runbook_url}"',
        )


def _receiver(receiver: ReceiverSettings, path: str) -> Iterator[Finding]:
    yield from must_last(receiver, path)
    places = ("url", "url_file", "url_env")
    given = [key for key in places if getattr(receiver, key) is not None]
    if receiver.type is ReceiverType.LOG:
        tokens = [key for key in ("token_file", "token_env") if getattr(receiver, key) is not None]
        for key in (*given, *tokens):
            yield Problem(
                path=f"{path}.{key}", expected="nothing", found="it, and the log has none"
            )
        return
    if len(given) != 1:
        yield Problem(
            path=path,
            expected="exactly one of `url`, `url_file` and `url_env`",
            found=" and ".join(f"`{key}`" for key in given) or "none",
        )
    if receiver.token_file is not None and receiver.token_env is not None:
        yield Problem(
            path=path,
            expected="at most one of `token_file` and `token_env`",
            found="both",
        )
    if receiver.format is WebhookFormat.SLACK and receiver.type is not ReceiverType.WEBHOOK:
        yield Problem(
            path=f"{path}.format", expected="`json`", found=f"`slack`, of an {receiver.type}"
        )
    for key in ("url_env", "token_env"):
        name = getattr(receiver, key)
        if name is not None and not _ENVIRONMENT_NAME.fullmatch(name):
            # The value itself may have been put where its name belongs: it is not quoted.
            yield Problem(
                path=f"{path}.{key}", expected="the name of a variable", found="something else"
            )
    if receiver.url is not None:
        yield from _url(receiver.url, receiver.format, f"{path}.url")


def _url(url: str, form: WebhookFormat, path: str) -> Iterator[Finding]:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        usable = False
        parts = urlsplit("")
    fix = "put it into a file of its own, and name that in `url_file`"
    if not usable:
        yield Problem(path=path, expected="`http://...` or `https://...`", found="no such URL")
    elif parts.username is not None or parts.query or parts.fragment:
        yield Problem(
            path=path,
            expected="a URL without secrets",
            found="one with a user or a query, which may be one",
            fix=fix,
        )
    elif form is WebhookFormat.SLACK:
        yield Problem(
            path=path,
            expected="`url_file` or `url_env`",
            found="a Slack URL, whoever knows which may post there",
            fix=fix,
        )
