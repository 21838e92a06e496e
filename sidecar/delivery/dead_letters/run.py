"""One replay under way: workers take portions, send them, and write what became of them.

A letter is dealt with when what became of it is written, and only then does its worker take the
next portion. So a process that is killed leaves at most one portion a worker of which nobody knows.

A target that cannot be reached is waited for with growing pauses, and given up after GIVE_UP_AFTER
attempts in a row: its letters stay as they are, those of other targets go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sidecar.delivery.dead_letters.addressees import Addressees
from sidecar.delivery.dead_letters.feed import Feed
from sidecar.delivery.dead_letters.jobs import Due, Fate, Job, Outcome
from sidecar.delivery.dead_letters.letters import Content
from sidecar.delivery.dead_letters.store import DeadLetterStore
from sidecar.delivery.dead_letters.targets import NoTarget, OutOfReach, Target
from sidecar.delivery.retries import RetryPolicy

GIVE_UP_AFTER: Final = 8
"""Attempts in a row, about ten seconds of pauses: a restart of a model is waited for, no more."""

PATIENCE: Final = RetryPolicy(first_s=0.2, longest_s=5.0)

log: Final = logging.getLogger("sidecar.delivery")


class Run:
    """One job, by one process; `unreached` are targets that were given up, and why.

    `monotonic_s` paces, `chance` in [0, 1) spreads pauses, `pause` is waited for.
    """

    def __init__(
        self,
        job: Job,
        store: DeadLetterStore,
        addressees: Addressees,
        *,
        monotonic_s: Callable[[], float],
        chance: Callable[[], float],
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self.job = job
        self.addressees = addressees
        self.feed = Feed(store.jobs, job)
        self.unreached: dict[str, str] = {}
        self._store = store
        self._pace = Pace(job.replay.rate_per_s, monotonic_s)
        self._chance = chance
        self._pause = pause
        self._failures: Counter[str] = Counter()  # attempts in vain in a row, by target
        self._unwritten: list[Outcome] = []
        self._writing = asyncio.Lock()

    async def work(self) -> None:
        """Deal with one portion after the other until there are no more."""
        while portion := await self.feed.next():
            await self._pause(self._pace.wait_s(len(portion)))
            if self.feed.stopped:
                return
            await self._settle(await self._deal_with(portion))

    async def _deal_with(self, portion: Sequence[Due]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        letters: list[Content] = []
        for due in portion:
            found = await self._store.find(due.letter)
            if found is None or found.encoded is None:
                note = "it was purged meanwhile"
                outcomes.append(Outcome(letter=due.letter, fate=Fate.SKIPPED, note=note))
            elif found.record is None:
                outcomes.append(_left(found, Fate.REFUSED, "its record cannot be read"))
            else:
                letters.append(found)
        if not letters:
            return outcomes
        try:
            target = self.addressees.of(letters[0].letter)
        except NoTarget as error:
            return outcomes + [_left(one, Fate.REFUSED, str(error)) for one in letters]
        return outcomes + await self._send(target, letters)

    async def _send(self, target: Target, letters: Sequence[Content]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        left = list(letters)
        while left and self._failures[target.name] < GIVE_UP_AFTER:
            try:
                outcomes += await target.send(left)
            except OutOfReach as error:
                outcomes += error.settled
                await self._rest(target, error.reason)
            else:
                self._failures[target.name] = 0
            settled = {one.letter for one in outcomes}
            left = [one for one in left if one.letter.id not in settled]
        if left:
            why = self.unreached[target.name]
            outcomes += [_left(one, Fate.UNREACHED, f"{target.name}: {why}") for one in left]
        return outcomes

    async def _rest(self, target: Target, reason: str) -> None:
        self._failures[target.name] += 1
        failures = self._failures[target.name]
        if failures >= GIVE_UP_AFTER:
            self.unreached[target.name] = reason
        if failures == GIVE_UP_AFTER:
            log.warning(
                "a replay gives up what it cannot reach",
                extra={"job": self.job.id, "target": target.name, "reason": reason},
            )
        if failures < GIVE_UP_AFTER:
            await self._pause(PATIENCE.wait_s(failures, self._chance()))

    async def _settle(self, outcomes: Sequence[Outcome]) -> None:
        """Write what became of letters; those who come while another one writes go together."""
        self._unwritten += outcomes
        async with self._writing:
            batch = self._unwritten[:]
            if not batch:
                return  # whoever wrote before has taken ours along
            self.feed.done(one.letter for one in batch)
            job = await self._store.jobs.settle(self.job.id, batch, done_to=self.feed.done_to)
            del self._unwritten[: len(batch)]
        if job is None or job.state.over:
            self.feed.stop()


class Pace:
    """No more than so many letters a second, evenly; 0 is no bound."""

    def __init__(self, per_s: float, monotonic_s: Callable[[], float]) -> None:
        self._gap_s = 1 / per_s if per_s else 0.0
        self._monotonic_s = monotonic_s
        self._next_s = monotonic_s()

    def wait_s(self, letters: int) -> float:
        """Take a turn for so many letters, and say how long it is until then."""
        now_s = self._monotonic_s()
        turn_s = max(now_s, self._next_s)
        self._next_s = turn_s + letters * self._gap_s
        return turn_s - now_s


def _left(content: Content, fate: Fate, note: str) -> Outcome:
    return Outcome(letter=content.letter.id, fate=fate, note=note)
