"""Replays dead letters: one job after the other, each with several letters under way.

A job that a killed process left behind goes on in the next one, with exact counts; what was under
way then is sent once more. Nothing here touches live traffic.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct

from sidecar.delivery.dead_letters.addressees import Addressees, World
from sidecar.delivery.dead_letters.database import StoreUnavailable
from sidecar.delivery.dead_letters.jobs import Job, JobState, Replay, understood
from sidecar.delivery.dead_letters.letters import DeadLetterClass
from sidecar.delivery.dead_letters.run import Run
from sidecar.delivery.dead_letters.store import DeadLetterStore
from sidecar.errors import ClientError

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
        self._run: Run | None = None
        self._ordered = asyncio.Event()
        self._ordered.set()  # perhaps an earlier process left something

    async def preview(self, replay: Replay) -> Preview:
        """What a replay would do, without doing it. Raises ClientError."""
        replay = self._checked(replay)
        addressees = Addressees(self._world, replay)
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
        self._run = run = Run(
            job,
            self._store,
            Addressees(self._world, job.replay, job.id),
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
            given_up = [f"{name}: {why}" for name, why in run.unreached.items()]
            reason = "; ".join(given_up) or "some could not be reached, before a restart"
        try:
            job = await self._store.jobs.end(job.id, state, reason)
        except ClientError as gone:  # with its file, which was damaged
            log.warning("a replay was lost", extra={"job": job.id, "reason": str(gone)})
            return
        log.info("a replay has ended", extra={"job": job.id, "state": job.state.value})
