"""Judges every model after each snapshot, and whatever is asked in between.

A round goes model by model, each in a thread, so that the controller answers meanwhile. One of them
computes at a time, rounds and questions taking turns, so that drift never takes more than one core;
what a round took is shown (`Round.duration_s`). A model that cannot be judged, since our own code
or a snapshot is at fault, is said and left out of the round: the others are not kept waiting by it.

Must not know: HTTP, metrics, alerts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from sidecar.baseline import Baseline
from sidecar.config.monitoring import DriftSettings, MonitorSettings
from sidecar.control.drift.detail import FeatureDetail, detail
from sidecar.control.drift.judgements import Round, WatchJudgements
from sidecar.control.drift.judging import Limits
from sidecar.control.drift.models import judge_model
from sidecar.control.drift.packing import Packing
from sidecar.control.drift.question import Question
from sidecar.control.drift.sampler import Sampler
from sidecar.control.drift.samples import BaselineSample
from sidecar.control.observation import History, Watched
from sidecar.errors import ClientError
from sidecar.model import CellKey

log: Final = logging.getLogger("sidecar.control")


class Observed(Protocol):
    """What is observed, and its past: the `Observer`."""

    @property
    def drift(self) -> DriftSettings:
        """The settings that hold now."""

    @property
    def monitor(self) -> MonitorSettings:
        """Those of the monitor."""

    @property
    def history(self) -> History:
        """Snapshots."""

    def watched(self) -> tuple[Watched, ...]:
        """Everything that is observed."""

    def rows_learned(self, primary: CellKey) -> int:
        """How many rows of a primary that is being learned have come."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What stays the same from round to round for a model and its baseline."""

    baseline: Baseline | None
    packing: Packing
    sample: BaselineSample | None


class DriftWatch:
    """Holds the newest round. `monotonic_s` is a clock that only ever rises."""

    def __init__(self, observed: Observed, *, monotonic_s: Callable[[], float]) -> None:
        self.round = Round()
        self._observed = observed
        self._monotonic_s = monotonic_s
        self._turn = asyncio.Lock()
        self._prepared: dict[str, _Prepared] = {}

    async def after_snapshot(self, stamp_ns: int) -> None:
        """Judge everything as of this snapshot."""
        everything, started_s = Question(), self._monotonic_s()
        async with self._turn:
            watched = self._observed.watched()
            found = []
            for one in watched:
                try:
                    found.append(await asyncio.to_thread(self._judge, one, stamp_ns, everything))
                except Exception:
                    log.exception(
                        "a model could not be judged",
                        extra={"route": one.key.route, "model": one.key.model},
                    )
            owners = {one.owner for one in watched}
            self._prepared = {
                owner: prepared for owner, prepared in self._prepared.items() if owner in owners
            }
        self.round = Round(
            taken_ns=stamp_ns,
            duration_s=self._monotonic_s() - started_s,
            watches=tuple(found),
        )

    async def answer(self, question: Question) -> Round:
        """Judge what is asked, as of the newest snapshot. Raises ClientError."""
        started_s, stamp_ns = self._monotonic_s(), self._observed.history.newest_ns
        async with self._turn:
            found = [
                await asyncio.to_thread(self._judge, one, stamp_ns, question)
                for one in self._meant(question)
            ]
        return Round(
            taken_ns=stamp_ns,
            duration_s=self._monotonic_s() - started_s,
            watches=tuple(found),
        )

    def known(self, question: Question) -> Round:
        """Of the newest round what is asked. Raises ClientError: there is no such thing."""
        settings, newest = self._observed.drift, self.round
        self._meant(question)
        windows, references = question.windows(settings), question.references(settings)
        return replace(
            newest,
            watches=tuple(
                watch.within(windows, references)
                for watch in newest.watches
                if question.means(watch.key)
            ),
        )

    async def detail(self, question: Question, feature: str) -> FeatureDetail:
        """One column of the first model that is meant. Raises ClientError."""
        stamp_ns = self._observed.history.newest_ns
        one = self._meant(question)[0]
        async with self._turn:
            return await asyncio.to_thread(self._detail, one, stamp_ns, question, feature)

    def _meant(self, question: Question) -> list[Watched]:
        watched = self._observed.watched()
        meant = [one for one in watched if question.means(one.key)]
        if watched and not meant:
            known = ", ".join(
                f"{one.key.route}/{one.key.model} ({one.key.role})" for one in watched
            )
            raise ClientError(
                f"Nothing like that is observed; observed are: {known}",
                status=404,
                code="not_observed",
            )
        return meant

    def _judge(self, watched: Watched, stamp_ns: int, question: Question) -> WatchJudgements:
        return judge_model(*self._sampler(watched, stamp_ns), question)

    def _detail(
        self, watched: Watched, stamp_ns: int, question: Question, feature: str
    ) -> FeatureDetail:
        return detail(*self._sampler(watched, stamp_ns), question, feature)

    def _sampler(self, watched: Watched, stamp_ns: int) -> tuple[Sampler, Limits]:
        settings = self._observed.drift
        prepared = self._prepare(watched)
        sampler = Sampler(
            watched,
            prepared.packing,
            self._observed.history,
            settings,
            end_ns=stamp_ns,
            baseline=prepared.sample,
            learned=self._learned(watched),
        )
        return sampler, Limits.of(settings, prepared.packing)

    def _prepare(self, watched: Watched) -> _Prepared:
        known = self._prepared.get(watched.owner)
        if known is not None and known.baseline is watched.baseline:
            return known
        packing = Packing(watched.layout)
        made = _Prepared(
            watched.baseline,
            packing,
            None
            if watched.baseline is None
            else BaselineSample(watched, packing, watched.baseline),
        )
        self._prepared[watched.owner] = made
        return made

    def _learned(self, watched: Watched) -> str:
        """Why there is nothing to compare with yet, or how far learning has come."""
        if watched.watch.learn:
            rows = self._observed.rows_learned(watched.key)
            return (
                f"no baseline; a provisional one is being learned: {rows:,} of "
                f"{self._observed.monitor.learn_rows:,} rows have come"
            )
        return "no baseline yet: that of the route's primary is being learned"
