"""The tiers of a rule: one comparison for all, worse ones further out, receivers that exist."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from sidecar.config.alerting import AlertSettings, Relation, RuleSettings, Tier
from sidecar.config.problems import Finding, Problem, did_you_mean
from sidecar.config.units import format_duration

COMPARISONS: Final = ("above", "below", "change_percent")
IMPLIED_RECEIVER: Final = "log"


def examine_tiers(rule: RuleSettings, alerts: AlertSettings, path: str) -> Iterator[Finding]:
    """Findings about a rule's tiers and what their changes are relative to."""
    usable = True
    for index, tier in enumerate(rule.tiers):
        place = f"{path}.tiers[{index}]"
        given = [key for key in COMPARISONS if getattr(tier, key) is not None]
        if len(given) != 1:
            usable = False
            yield Problem(
                path=place,
                expected="exactly one of " + ", ".join(f"`{key}`" for key in COMPARISONS),
                found=" and ".join(f"`{key}`" for key in given) or "none",
            )
        if tier.change_percent == 0:
            usable = False
            yield Problem(path=f"{place}.change_percent", expected="a fall or a rise", found="0")
        yield from _receivers(tier, alerts, place)
    if usable:
        yield from _ladder(rule.tiers, path)
        for index, tier in enumerate(rule.tiers):
            yield from _until(tier, f"{path}.tiers[{index}].until")
    relative = any(tier.change_percent is not None for tier in rule.tiers)
    yield from _relation(rule.relative_to, f"{path}.relative_to", alerts, wanted=relative)


def _receivers(tier: Tier, alerts: AlertSettings, path: str) -> Iterator[Finding]:
    known = alerts.receivers or (IMPLIED_RECEIVER,)
    for index, name in enumerate(tier.receivers):
        if name not in known:
            yield Problem(
                path=f"{path}.receivers[{index}]",
                expected="a receiver of `alerts.receivers`",
                found=f"`{name}`",
                fix=did_you_mean(name, known),
            )


def _ladder(tiers: tuple[Tier, ...], path: str) -> Iterator[Finding]:
    """One comparison, each severity once, and thresholds that lie further out the worse it is."""
    if len({_direction(tier) for tier in tiers}) > 1:
        yield Problem(
            path=f"{path}.tiers",
            expected="one comparison for all tiers of a rule, in one direction",
            found="several",
            fix="make a rule of each",
        )
        return
    ordered = sorted(tiers, key=lambda tier: tier.severity.rank)
    for lesser, worse in pairwise(ordered):
        index = tiers.index(worse)
        if lesser.severity is worse.severity:
            yield Problem(
                path=f"{path}.tiers[{index}].severity",
                expected="a severity of its own",
                found=f"`{worse.severity}` again",
            )
        elif not outwards(worse) * lesser.threshold < outwards(worse) * worse.threshold:
            yield Problem(
                path=f"{path}.tiers[{index}]",
                expected=f"a threshold beyond that of `{lesser.severity}` ({lesser.threshold:g})",
                found=f"{worse.threshold:g}",
            )


def outwards(tier: Tier) -> int:
    """1 when larger values are worse, -1 when smaller ones are."""
    if tier.below is not None:
        return -1
    return -1 if tier.change_percent is not None and tier.change_percent < 0 else 1


def _direction(tier: Tier) -> tuple[bool, int]:
    return tier.change_percent is not None, outwards(tier)


def _until(tier: Tier, path: str) -> Iterator[Finding]:
    sign = outwards(tier)
    if tier.until is not None and not sign * tier.until < sign * tier.threshold:
        yield Problem(
            path=path,
            expected=f"{'less' if sign > 0 else 'more'} than the threshold ({tier.threshold:g})",
            found=f"{tier.until:g}",
        )


def _relation(
    relation: Relation | None, path: str, alerts: AlertSettings, *, wanted: bool
) -> Iterator[Finding]:
    if relation is None:
        if wanted:
            yield Problem(
                path=path, expected="what `change_percent` is relative to", found="nothing"
            )
        return
    if not wanted:
        yield Problem(path=path, expected="a tier with `change_percent`", found="none")
    given = [key for key in ("value", "series", "ago") if getattr(relation, key) is not None]
    if len(given) != 1:
        yield Problem(
            path=path,
            expected="exactly one of `value`, `series` and `ago`",
            found=" and ".join(f"`{key}`" for key in given) or "none",
        )
    if relation.value == 0:
        yield Problem(
            path=f"{path}.value", expected="another figure", found="0, of which nothing is a share"
        )
    if relation.ago is not None and not alerts.interval < relation.ago <= 7 * 86_400:
        yield Problem(
            path=f"{path}.ago",
            expected=f"more than {format_duration(alerts.interval)}, and at most 7d",
            found=format_duration(relation.ago),
        )
