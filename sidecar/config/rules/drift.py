"""Drift: windows that can be cut from snapshots, references that exist, thresholds that rise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from sidecar.config.monitoring import DriftSettings, Entity, FeatureOverride
from sidecar.config.problems import Finding, Problem, Remark, Severity, child, did_you_mean, shown
from sidecar.config.rules.durations import must_last
from sidecar.config.settings import Settings
from sidecar.config.units import format_duration, format_size
from sidecar.drift import Thresholds

FEWEST_INTERVALS: Final = 2
"""A window spans this many snapshots at least: fewer do not tell how dependent its rows are."""

_DAY_S: Final = 86_400
_WORDS: Final = ("baseline", "previous", "day", "week")
_SNAPSHOT_NAME: Final = re.compile(r"(?!now\Z)[A-Za-z0-9][A-Za-z0-9._-]{0,62}")  # now: the newest


def examine_drift(settings: Settings) -> Iterator[Finding]:
    """Findings about `drift`."""
    drift = settings.drift
    yield from must_last(drift, "$.drift")
    yield from _windows(drift)
    yield from _references(drift)
    yield from _thresholds(drift.thresholds, "$.drift.thresholds")
    for feature, override in drift.features.items():
        yield from _override(override, drift.thresholds, child("$.drift.features", feature))
    if drift.entity is not None and drift.windows:
        yield from _entity(drift.entity, drift)
    if drift.history == 0:
        yield Problem(path="$.drift.history", expected="more than 0B", found=format_size(0))
    yield from _learning(settings)
    if not settings.monitor.enabled and drift != DriftSettings():
        yield Remark(path="$.drift", text="no effect: `monitor.enabled` is false")


def _windows(drift: DriftSettings) -> Iterator[Finding]:
    path = "$.drift.windows"
    if not drift.windows:
        yield Problem(path=path, expected="at least one length", found="an empty list")
    shortest = FEWEST_INTERVALS * drift.interval
    for index, window in enumerate(drift.windows):
        if window < shortest:
            yield Problem(
                path=f"{path}[{index}]",
                expected=f"at least {format_duration(shortest)}, "
                f"{FEWEST_INTERVALS} times `drift.interval`",
                found=format_duration(window),
            )
    for index, (shorter, longer) in enumerate(pairwise(drift.windows), start=1):
        if not shorter < longer:
            yield Problem(
                path=f"{path}[{index}]",
                expected=f"more than {format_duration(shorter)}: windows rise",
                found=format_duration(longer),
            )


def _references(drift: DriftSettings) -> Iterator[Finding]:
    path = "$.drift.references"
    seen: dict[str, str] = {}
    for index, reference in enumerate(drift.references):
        place = f"{path}[{index}]"
        if not _SNAPSHOT_NAME.fullmatch(reference):
            yield Problem(
                path=place,
                expected="`baseline`, `previous`, `day`, `week` or the name of a snapshot "
                "(letters, digits, `.`, `_`, `-`)",
                found=shown(reference),
            )
        elif reference not in _WORDS and did_you_mean(reference, _WORDS).startswith("did"):
            yield Remark(
                path=place,
                text=f"taken as the name of a snapshot; {did_you_mean(reference, _WORDS)}",
            )
        if reference in seen:
            yield Problem(
                path=place, expected="each reference once", found=f"that of {seen[reference]}"
            )
        seen.setdefault(reference, place)
    for word, back_s in (("day", _DAY_S), ("week", 7 * _DAY_S)):
        too_long = [format_duration(window) for window in drift.windows if window > back_s]
        if word in drift.references and too_long:
            yield Remark(
                path=path,
                text=f"a window of {', '.join(too_long)} overlaps the one a {word} before, and is "
                f"not compared with it",
            )


def _thresholds(thresholds: Thresholds, path: str) -> Iterator[Finding]:
    if thresholds.major <= thresholds.drift:
        yield Problem(
            path=f"{path}.major",
            expected=f"more than `drift` ({thresholds.drift:g})",
            found=f"{thresholds.major:g}",
        )


def _override(override: FeatureOverride, common: Thresholds, path: str) -> Iterator[Finding]:
    if override.ignore and (override.drift is not None or override.major is not None):
        yield Remark(path=path, text="thresholds without effect: the feature is not judged")
        return
    own = Thresholds(
        drift=common.drift if override.drift is None else override.drift,
        major=common.major if override.major is None else override.major,
    )
    if common.major > common.drift:  # else it has been said
        yield from _thresholds(own, path)


def _entity(entity: Entity, drift: DriftSettings) -> Iterator[Finding]:
    path = "$.drift.entity"
    yield from must_last(entity, path)
    shortest, longest = drift.windows[0], drift.windows[-1]
    per = shortest if entity.per is None else entity.per
    if 0 < longest < per:
        yield Problem(
            path=f"{path}.per",
            expected=f"at most {format_duration(longest)}, the longest window",
            found=format_duration(per),
        )
    elif shortest < per:
        yield Remark(
            path=f"{path}.per",
            text=f"windows shorter than {format_duration(per)} count an entity only when it comes "
            "for the first time in that span",
        )
    if 0 < per < longest:
        times = -(-longest // per)
        needed = round(times * drift.thresholds.minimum)
        yield Remark(
            path=path if entity.per is None else f"{path}.per",
            text=f"a window of {format_duration(longest)} counts an entity up to {times:g} times; "
            f"it is judged from {needed:,} rows on",
            severity=Severity.NOTE,
        )


def _learning(settings: Settings) -> Iterator[Finding]:
    """A provisional reference smaller than the minimum would never be compared with anything."""
    rows, minimum = settings.monitor.learn_rows, settings.drift.thresholds.minimum
    learning = [name for name, model in settings.models.items() if model.baseline is None]
    if rows < minimum and learning and settings.monitor.enabled:
        yield Problem(
            path="$.monitor.learn_rows",
            expected=f"at least `drift.thresholds.minimum` ({minimum}), while models without "
            f"a baseline ({', '.join(learning)}) learn one",
            found=str(rows),
        )
