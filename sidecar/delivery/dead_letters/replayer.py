"""Replays dead letters: one job after the other, each with several letters under way.

A letter is dealt with when what became of it is on disk, and only then is the next one taken by
whoever replayed it. So a process that is killed leaves at most `concurrency` portions of which
nobody knows; `run` of the next process sends them again, and goes on.

A model or sink that cannot be reached is waited for with growing pauses, and given up after
GIVE_UP_AFTER attempts in a row: its letters stay as they were. Nothing here touches live traffic.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec import Struct

from sidecar.delivery.dead_letters.addressees import Addressees, World
from sidecar.delivery.dead_letters.database import StoreUnavailable
from sidecar.delivery.dead_letters.feed import Feed
from sidecar.delivery.dead_letters.jobs import (
    Due,
    Fate,
    Job,
    JobState,
    Outcome,
    Replay,
    understood,
)
from sidecar.delivery.dead_letters.letters import Content, DeadLetterClass
from sidecar.delivery.dead_letters.store import DeadLetterStore
from sidecar.delivery.dead_letters.targets import NoTarget, OutOfReach, Target
from sidecar.delivery.retries import RetryPolicy
from sidecar.errors import ClientError

GIVE_UP_AFTER: Final = 8
"""Attempts in a row, about ten seconds of pauses: a restart of a model is waited for, no more."""

PATIENCE: Final = RetryPolicy(first_s=0.2, longest_s=5.0)

STORE_AGAIN_S: Final = 5.0
"""How long a replay rests when what became of letters cannot be written."""

log: Final = logging.getLogger("sidecar.delivery")


class Preview(Struct, frozen=True, kw_only=True):
    """What a replay would do: letters by where they would go, and by why they cannot."""

    total: int
    sent: dict[str, int]
    refused: dict[str, int]


class Replayer:
    """Does what is ordered while `run()` runs.

    `monotonic_s` paces, `chance` in [0, 1) spreads pauses, `pause` is waited for.
    """

    def __init__(
        self,
        store: DeadLetterStore,
        world: World,
        *,
        monotonic_s: Callable[[], float],
        chance: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._world = world
        self._monotonic_s = monotonic_s
        self._chance = chance
        self._pause = pause
        self._run: _Run | None = None
        self._ordered = asyncio.Event()
        self._ordered.set()  # perhaps an earlier process left something

    async def preview(self, replay: Replay) -> Preview:
        """What a replay would do, without doing it. Raises ClientError."""
        replay = self._checked(replay)
        addressees = Addressees(self._world, replay.to)
        sent: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        for tally in await self._store.count(replay.filter):
            prediction = tally.class_ is DeadLetterClass.PREDICTION_FAILED
            name = (replay.to or tally.model) if prediction else tally.sink
            why = tally.obstacle.sentence if tally.obstacle is not None else None
            why = why or addressees.missing(tally.class_, name)
            if why:
                refused[why] += tally.letters
            else:
                sent[f"{'model' if prediction else 'sink'} {name}"] += tally.letters
        return Preview(total=sent.total() + refused.total(), sent=dict(sent), refused=dict(refused))

    async def order(self, replay: Replay) -> Job:
        """Have letters replayed; it begins when the jobs before it have ended.

        Raises ClientError, and StoreUnavailable.
        """
        job = await self._store.jobs.order(self._checked(replay))
        self._ordered.set()
        log.info("a replay was ordered", extra={"job": job.id, "letters": job.total})
        return job

    async def cancel(self, job_id: str) -> Job:
        """End a job after the letters that are under way. Raises ClientError (404)."""
        job = await self._store.jobs.end(job_id, JobState.CANCELLED, "cancelled by an operator")
        if self._run is not None and self._run.job.id == job_id:
            self._run.feed.stop()
        return job

    async def run(self) -> None:
        """Go on with what was left, and do what is ordered, until cancelled."""
        while True:
            await self._ordered.wait()
            self._ordered.clear()
            try:
                while (job := await self._store.jobs.next_unfinished()) is not None:
                    await self._replay(job)
            except StoreUnavailable:  # said, and counted, by the store
                await asyncio.sleep(STORE_AGAIN_S)
                self._ordered.set()

    def _checked(self, replay: Replay) -> Replay:
        models = self._world.models()
        if replay.to is not None and replay.to not in models:
            raise ClientError(
                f"There is no model {replay.to!r}; there are {', '.join(models)}",
                status=422,
                code="no_model",
            )
        return understood(replay)

    async def _replay(self, job: Job) -> None:
        """Replay a job to its end. Raises StoreUnavailable; then it goes on later."""
        log.info(
            "a replay goes on" if job.counts.total else "a replay begins",
            extra={"job": job.id, "letters": job.total, "done": job.counts.total},
        )
        self._run = run = _Run(
            job,
            self._store,
            Addressees(self._world, job.replay.to),
            monotonic_s=self._monotonic_s,
            chance=self._chance,
            pause=self._pause,
        )
        state, reason = JobState.DONE, ""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(job.replay.concurrency):
                    group.create_task(run.work(), name=f"replay-{number}")
        except ExceptionGroup as failures:
            unwritten = failures.subgroup(StoreUnavailable)
            if unwritten is not None:
                raise StoreUnavailable(str(unwritten.exceptions[0])) from failures
            log.exception("a replay failed", extra={"job": job.id})
            state, reason = JobState.GAVE_UP, "an internal error; see the sidecar's log"
        finally:
            self._run = None
            await run.addressees.close()
        if state is JobState.DONE and (run.unreached or job.counts.unreached):
            state = JobState.GAVE_UP
            reason = f"cannot be reached: {', '.join(sorted(run.unreached)) or 'see the letters'}"
        try:
            job = await self._store.jobs.end(job.id, state, reason)
        except ClientError as gone:  # with its file, which was damaged
            log.warning("a replay was lost", extra={"job": job.id, "reason": str(gone)})
            return
        log.info("a replay has ended", extra={"job": job.id, "state": job.state.value})


class _Run:
    """One job while it is replayed."""

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
        self.unreached: set[str] = set()
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
        reason = "it was given up"
        while self._failures[target.name] < GIVE_UP_AFTER:
            try:
                outcomes += await target.send(
                    left, job_id=self.job.id, timeout_s=self.job.replay.timeout_s
                )
            except OutOfReach as error:
                outcomes += error.settled
                settled = {one.letter for one in outcomes}
                left = [one for one in left if one.letter.id not in settled]
                reason = error.reason
                await self._rest(target, reason)
                continue
            self._failures[target.name] = 0
            return outcomes
        self.unreached.add(f"{target.name} ({reason})")
        return outcomes + [_left(one, Fate.UNREACHED, f"{target.name}: {reason}") for one in left]

    async def _rest(self, target: Target, reason: str) -> None:
        self._failures[target.name] += 1
        failures = self._failures[target.name]
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
