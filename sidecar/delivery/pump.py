"""Brings one sink what the journal holds: in batches, again and again, and at least once.

    gather     read until a batch is full, or old enough
    attempt    give the sink what the consignment says; wait after a failure
    letters    hand over what it will never take; nothing else is done until they are kept
    move       when all of it is settled, and only then, the position moves past it
    save       now and then, position and totals together

One task per sink, with a cursor, a thread and a circuit of its own: a sink that hangs holds nobody
else. What is in memory is one batch. A crash at any moment brings the records again that came after
the position saved last, with the ids they had; at most `save_s` of them.

Everything that may block runs on the pump's thread, in portions of CHUNK records, so that neither
the loop nor the interpreter's lock is held for long.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

from sidecar.delivery.caller import Caller, CallOutcome
from sidecar.delivery.consignment import Settled
from sidecar.delivery.figures import DeliveryFigures, Meter
from sidecar.delivery.hand import NS_PER_S, Hand
from sidecar.delivery.ledger import Ledger, Outcome
from sidecar.delivery.policy import PumpPolicy
from sidecar.delivery.retries import Circuit, CircuitState
from sidecar.delivery.sink import DeadLetters, Delivered, Item, Refused, Sink, Unavailable
from sidecar.delivery.source import Source
from sidecar.errors import SidecarError
from sidecar.journal import START, Position, Standing
from sidecar.journal.retention import Segment, past
from sidecar.sketch import latency_edges

log: Final = logging.getLogger("sidecar.delivery")

CHUNK_RECORDS: Final = 1024
"""Records read and decoded in one go on the thread: 1 ms of Python."""
CHUNK_BYTES: Final = 1024 * 1024

TROUBLE_S: Final = 1.0
"""The pause after the journal, the cursor or the dead letters could not be read or written."""
_TELL_S: Final = 60.0
"""A sink that refuses much is said to do so once in this time; the figures tell how much."""
_MEASURE_S: Final = 1.0
"""Time between two looks at how many bytes are ahead."""

P = ParamSpec("P")
T = TypeVar("T")


class Pump:
    """Serves one sink. `chance` gives numbers in [0, 1); `wall_ns` is the wall clock."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        source: Source,
        dead_letters: DeadLetters,
        policy: PumpPolicy,
        *,
        wall_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
        chance: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self._caller = Caller(name, sink, timeout_s=policy.timeout_s, grace_s=policy.grace_s)
        self._source = source
        self._dead_letters = dead_letters
        self._policy = policy
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._chance = chance
        self._pause = pause

        self._turn = asyncio.Lock()
        self._loaded = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"pump-{name}")
        self._meter = Meter(latency_edges())
        self._circuit = Circuit()
        self._ledger = Ledger(Standing())
        self._ahead = START  # where to read on
        self._saved_at_ns = 0
        self._measured_at_ns = 0
        self._told_at_ns: int | None = None
        self._in_trouble = False
        self._ended = False
        self._hand = Hand(policy)

    @property
    def position(self) -> Position:
        """What lies before it is settled, and that is on the disk: it may be deleted."""
        return self._ledger.saved.position

    @property
    def figures(self) -> DeliveryFigures:
        """How it stands."""
        oldest = self._hand.consignment.first
        lag_ns = 0 if oldest is None else max(self._wall_ns() - oldest.record.at_ns, 0)
        return self._meter.figures(
            self.name,
            state=self._circuit.state,
            queued=len(self._hand),
            lag_s=lag_ns / NS_PER_S,
            totals=self._ledger.saved.totals,
        )

    async def run(self) -> None:
        """Deliver until cancelled; then the attempt under way may still end, and the place is kept.

        A pump runs once.
        """
        try:
            standing = await self._on_thread(self._source.load)
            self._ledger = Ledger(standing)
            self._ahead = standing.position
            self._loaded.set()
            async with asyncio.TaskGroup() as tasks:
                while True:
                    async with self._turn:
                        wait_s = await self._step(tasks)
                    if wait_s:
                        await self._pause(wait_s)
                        self._circuit.waited()
        finally:
            await self._end()

    async def let_go(self, segment: Segment) -> int:
        """Give up a segment that retention will delete; returns how many records expired by that.

        They are counted and the cursor is saved before this returns. An attempt under way ends
        first. Raises OSError, SidecarError; then the segment is still needed.
        """
        await self._loaded.wait()
        async with self._turn:
            position = self._ledger.position
            lost = await self._on_thread(self._source.count_after, segment, position)
            self._start_over()
            self._ledger.enter_counts(Outcome.EXPIRED, lost)
            self._ledger.move(past(segment, position))
            self._ahead = self._ledger.position
            expired = sum(lost.values())
            self._meter.drop(Outcome.EXPIRED, expired)
            await self._save(anyway=True)
        if expired:
            log.error(
                "records expired before their sink took them",
                extra={"sink": self.name, "records": expired, "reason": self._meter.last_error},
            )
        return expired

    async def redeliver(self, batch: Sequence[Item]) -> CallOutcome:
        """Bring dead letters to the sink again, between two batches of what the journal holds.

        What it took is durable when this returns. None of it counts here: in these books the
        records are dead letters. A sink that is down is not asked.
        """
        async with self._turn:
            if self._ended or self._circuit.state is CircuitState.OPEN:
                return Unavailable("it is not served any more" if self._ended else "it is down")
            outcomes: list[CallOutcome] = []
            async with asyncio.TaskGroup() as tasks:
                await self._caller.deliver(batch, tasks, outcomes.append)
            try:
                await self._caller.flush()
            except OSError as error:  # which may have taken records of the journal along
                self._ledger.rewind()
                self._start_over()
                return Unavailable(str(error))
        return outcomes[0]

    def _start_over(self) -> None:
        """Read again from where the position is, whatever is in hand."""
        self._hand = Hand(self._policy)
        self._ledger.forget()
        self._ahead = self._ledger.position

    async def _step(self, tasks: asyncio.TaskGroup) -> float:
        """Do the next thing; returns how long to wait before the one after it, in seconds."""
        try:
            if self._hand.letters:
                await self._hand_over_letters()
            wait_s = await self._bring_on(tasks)
            await self._settle()
        except (OSError, SidecarError) as error:
            if not self._in_trouble:
                self._in_trouble = True
                log.error(  # noqa: TRY400 - foreseen; the reason says it all
                    "delivery waits for the disk", extra={"sink": self.name, "reason": str(error)}
                )
            return TROUBLE_S
        except Exception:
            log.exception("a pump failed, and starts over", extra={"sink": self.name})
            self._start_over()
            return TROUBLE_S
        if self._in_trouble:
            self._in_trouble = False
            log.info("delivery goes on", extra={"sink": self.name})
        return wait_s

    async def _bring_on(self, tasks: asyncio.TaskGroup) -> float:
        hand = self._hand
        if not hand.decide(self._monotonic_ns()):
            return 0.0 if await self._read(hand.room) else self._policy.poll_s
        if hand.consignment.in_doubt(self._monotonic_ns()):
            await self._read(max(hand.room, 1))  # others, in whose company it can be told
        if not hand.consignment:
            return 0.0
        wait_s = await self._attempt(tasks)
        if hand.letters:
            await self._hand_over_letters()
        return wait_s

    async def _read(self, most: int) -> bool:
        """Read on; False: there was nothing."""
        reading = await self._on_thread(
            self._source.read,
            self._ahead,
            most=min(most, CHUNK_RECORDS),
            most_bytes=min(self._policy.batch_bytes, CHUNK_BYTES),
        )
        if reading.next == self._ahead:
            return False
        self._ahead = reading.next
        self._hand.take(reading, self._monotonic_ns())
        if reading.corrupt:
            self._ledger.enter_counts(Outcome.CORRUPT, reading.corrupt)
            self._meter.drop(Outcome.CORRUPT, sum(reading.corrupt.values()))
        return True

    # Attempts.

    async def _attempt(self, tasks: asyncio.TaskGroup) -> float:
        """Give the sink what is next; returns how long it is to be left alone."""
        batch = self._hand.consignment.next(probe=self._circuit.state is CircuitState.HALF_OPEN)
        began_ns = self._monotonic_ns()
        wait_s = 0.0

        def conclude(outcome: CallOutcome) -> None:
            nonlocal wait_s
            wait_s = self._conclude(len(batch), outcome, self._monotonic_ns() - began_ns)

        await self._caller.deliver(batch, tasks, conclude)
        return wait_s

    def _conclude(self, sent: int, outcome: CallOutcome, elapsed_ns: int) -> float:
        """Take in what an attempt came to. Not a coroutine: nothing can come in between."""
        self._meter.attempts += 1
        wait_s = 0.0
        match outcome:
            case Delivered(refused=refused):
                settled = self._hand.consignment.answered(refused)
                self._answered(elapsed_ns)
            case Refused(reason=reason):
                self._meter.last_error = reason
                settled = self._hand.consignment.refused(reason)
                self._answered(elapsed_ns)
            case _:
                settled = self._hand.consignment.unavailable(
                    outcome.reason,
                    self._monotonic_ns(),
                    taken=outcome.taken,
                    refused=outcome.refused,
                )
                wait_s = self._failed(outcome)
        self._enter(settled)
        self._meter.retried += sent - len(settled.taken) - len(settled.letters)
        return wait_s

    def _enter(self, settled: Settled[Item]) -> None:
        if settled.taken:
            self._ledger.enter(Outcome.DELIVERED, settled.taken)
            self._meter.delivered += len(settled.taken)
            self._meter.last_delivered_ns = self._wall_ns()
        self._hand.letters += settled.letters

    def _answered(self, elapsed_ns: int) -> None:
        self._meter.answered(elapsed_ns)
        if self._circuit.answered():
            log.info("a sink is there again", extra={"sink": self.name})

    def _failed(self, outcome: Unavailable) -> float:
        self._meter.failures += 1
        self._meter.last_error = outcome.reason
        if outcome.taken or outcome.refused:
            self._circuit.answered()  # slow is not down: the failures in a row begin anew
        if self._circuit.failed():
            log.warning(
                "a sink is down: records wait in the journal, one at a time is tried",
                extra={"sink": self.name, "reason": outcome.reason},
            )
        return self._policy.retry.wait_s(
            self._circuit.failures, self._chance(), asked_s=outcome.retry_after_s
        )

    # What is settled.

    async def _hand_over_letters(self) -> None:
        """Give dead letters to those who keep them. Raises OSError; then they are still here."""
        letters = self._hand.letters
        items = [item for item, _ in letters]
        await self._dead_letters.add_refused(self.name, items, [reason for _, reason in letters])
        self._hand.letters = []
        self._ledger.enter(Outcome.DEAD_LETTERED, items)
        self._meter.dead_lettered += len(items)
        if self._told_at_ns is None or self._is_due(self._told_at_ns, _TELL_S):
            self._told_at_ns = self._monotonic_ns()
            log.warning(
                "a sink refuses records; they are dead letters now",
                extra={"sink": self.name, "reason": letters[0][1]},
            )

    async def _settle(self, *, finally_: bool = False) -> None:
        """Move the position when nothing is in hand, and save it when that is due."""
        if not len(self._hand) and self._ahead != self._ledger.position:
            self._ledger.move(self._ahead)
            self._hand = Hand(self._policy)
        due = finally_ or self._is_due(self._saved_at_ns, self._policy.save_s)
        if due and self._ledger.unsaved:
            await self._save()
        if self._is_due(self._measured_at_ns, _MEASURE_S):
            self._measured_at_ns = self._monotonic_ns()
            position = self._ledger.position
            self._meter.lag_bytes = await self._on_thread(self._source.ahead_bytes, position)

    async def _save(self, *, anyway: bool = False) -> None:
        """Save the standing. Raises OSError.

        If the sink cannot make durable what it has confirmed, all of that is brought again, unless
        the standing has to be saved `anyway`.
        """
        try:
            await self._caller.flush()
        except OSError:
            if not anyway:
                self._ledger.rewind()
                self._start_over()
                raise
        standing = self._ledger.standing
        await self._on_thread(self._source.save, standing)
        self._ledger.saved = standing
        self._saved_at_ns = self._monotonic_ns()

    async def _end(self) -> None:
        """Keep what is known, and let go of everything; each within a while."""
        self._ended = True
        try:
            async with asyncio.timeout(self._policy.grace_s):
                if self._hand.letters:
                    await self._hand_over_letters()
                await self._settle(finally_=True)
        except (OSError, SidecarError) as error:  # TimeoutError is an OSError
            log.error(  # noqa: TRY400 - foreseen; the reason says it all
                "where a sink is could not be saved: its last records will come again",
                extra={"sink": self.name, "reason": str(error) or "it took too long"},
            )
        finally:
            await self._caller.close()
            self._thread.submit(self._source.close)
            self._thread.shutdown(wait=False)

    def _is_due(self, since_ns: int, every_s: float) -> bool:
        return self._monotonic_ns() - since_ns >= every_s * NS_PER_S

    async def _on_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(call, *args, **kwargs))
