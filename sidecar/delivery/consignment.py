"""What is being brought to a sink, and whose fault it is when that fails: its own or a record's.

The rules, for which no sink has to do anything:

1. A sink that is *not available* (no connection, no answer in time, 429, 5xx) is waited for,
   however long: nothing is lost and nothing becomes a dead letter because a sink is down. The
   journal is the buffer, and its retention the bound.
2. A record that is *refused* becomes a dead letter at once, with the sink's reason. A batch that is
   refused as a whole is halved, and each half is sent whole, until the culprits are alone: of n
   records with one culprit, about 2 log2(n) further attempts.
3. A sink may call itself unavailable because of one record (a 500, or no answer, each time it is
   sent). So when a record has been tried for `deadline_s`, what is sent is made smaller until it is
   alone; a record that then fails DOUBTS times, *while the sink takes others in between*, becomes a
   dead letter too: retries exhausted. Without others nothing can be told, and rule 1 holds.

`window` is how many records are sent at once. It is halved as above, and doubles again as records
are taken. Records that have failed alone go to the end of the line: the others need not wait.

Pure: time comes in as an argument. Must not know: sinks, positions, the journal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Generic, TypeVar

DOUBTS: Final = 3
"""How often a record must fail alone although the sink takes others: once could be a coincidence of
a sink that goes down, twice that of one that flaps."""

T = TypeVar("T")


@dataclass(slots=True)
class _Waiting(Generic[T]):
    item: T
    failed_ns: int = -1  # when it was sent in vain for the first time
    doubts: int = 0
    answers: int = -1  # how many the sink had given when it last failed alone


@dataclass(frozen=True, slots=True)
class Settled(Generic[T]):
    """Records that need no further attempt: the sink took them, or it never will, and why."""

    taken: tuple[T, ...] = ()
    letters: tuple[tuple[T, str], ...] = ()


class Consignment(Generic[T]):
    """Records that are not settled yet, in the order in which they are sent.

    `next` says what to send, and one of `answered`, `refused` and `unavailable` must follow; each
    returns what became of the records that are settled now.
    """

    def __init__(self, *, deadline_ns: int) -> None:
        self._deadline_ns = deadline_ns
        # The line, and at its end those that were never sent: nearly all, and taken at once.
        self._line: deque[_Waiting[T]] = deque()
        self._fresh: list[T] = []
        self._window = 0
        self._halved = False
        self._sent = 0
        self._answers = 0
        self._doubtful = 0

    def __len__(self) -> int:
        return len(self._line) + len(self._fresh)

    @property
    def first(self) -> T | None:
        """What is next in line; None when all is done."""
        if self._line:
            return self._line[0].item
        return self._fresh[0] if self._fresh else None

    @property
    def window(self) -> int:
        """How many records are sent at once."""
        return self._window

    def add(self, items: Collection[T]) -> None:
        """More to bring; they may all be sent at once, unless records are in doubt."""
        at_once = self._window >= len(self)
        self._fresh.extend(items)
        if at_once:
            self._window = len(self)

    def in_doubt(self, now_ns: int) -> bool:
        """Whether all that is left has been tried too long: only other records could tell why."""
        if not self._line or self._fresh:
            return False
        return all(self._overdue(one, now_ns) for one in self._line)

    def next(self, *, probe: bool = False) -> list[T]:
        """What to send now: the window, or one record alone. Raises IndexError when all is done."""
        if not len(self):
            raise IndexError("everything is settled")
        if not (self._line or probe) and self._window >= len(self._fresh):
            self._sent = len(self._fresh)
            return self._fresh.copy()
        self._line_up()
        self._sent = 1 if probe else self._reach()
        return [one.item for one in islice(self._line, self._sent)]

    def answered(self, refused: Sequence[tuple[int, str]] = ()) -> Settled[T]:
        """The sink answered for all that was sent; `refused` are places in it, and why."""
        if refused or self._line or self._sent < len(self._fresh):
            settled = self._settle(range(self._sent), refused)
        else:  # nothing has ever failed
            self._answers += 1
            settled = Settled(tuple(self._fresh))
            self._fresh.clear()
        if self._halved:
            self._halved = False  # the other half is sent whole as well
        else:
            self._window = min(2 * max(self._window, 1), len(self))
        return settled

    def refused(self, reason: str) -> Settled[T]:
        """The sink refused all that was sent; alone, that is the record's fault."""
        if self._sent == 1:
            return self.answered([(0, reason)])
        self._answers += 1
        self._halve()
        return Settled()

    def unavailable(
        self,
        reason: str,
        now_ns: int,
        *,
        taken: Collection[int] = (),
        refused: Sequence[tuple[int, str]] = (),
    ) -> Settled[T]:
        """The sink was not available; it may have answered for some of what was sent."""
        self._line_up()
        left = self._sent - len(taken) - len(refused)
        settled = self._settle(taken, refused)
        for place in range(left):
            one = self._line[place]
            if one.failed_ns < 0:
                one.failed_ns = now_ns
        if not left or not self._overdue(self._line[0], now_ns):
            return settled
        if left > 1:
            self._halve()
            return settled
        return self._alone_in_vain(reason, settled)

    def _line_up(self) -> None:
        """Let all stand in line: from now on it matters what has happened to whom."""
        self._line.extend(map(_Waiting, self._fresh))
        self._fresh.clear()

    def _reach(self) -> int:
        """The window, but nobody together with a record that is in doubt."""
        reach = max(1, min(self._window, len(self._line)))
        if not self._doubtful:
            return reach
        if self._line[0].doubts:
            return 1
        return next(
            (place for place, one in enumerate(islice(self._line, reach)) if one.doubts), reach
        )

    def _alone_in_vain(self, reason: str, settled: Settled[T]) -> Settled[T]:
        one = self._line.popleft()
        if 0 <= one.answers < self._answers:
            one.doubts += 1
            self._doubtful += one.doubts == 1
        one.answers = self._answers
        if one.doubts < DOUBTS:
            self._line.append(one)
            return settled
        self._doubtful -= 1
        letter = (one.item, f"retries exhausted: {reason}")
        return Settled(settled.taken, (*settled.letters, letter))

    def _settle(self, taken: Collection[int], refused: Sequence[tuple[int, str]]) -> Settled[T]:
        """Take out of the line what the sink has answered for; the rest of it stays in front."""
        self._line_up()
        reasons = dict(refused)
        answered = reasons.keys() | taken
        if not answered:
            return Settled()
        self._answers += 1
        sent = [self._line.popleft() for _ in range(self._sent)]
        self._doubtful -= sum(sent[place].doubts > 0 for place in answered)
        self._line.extendleft(
            one for place, one in reversed(list(enumerate(sent))) if place not in answered
        )
        return Settled(
            tuple(sent[place].item for place in sorted(answered - reasons.keys())),
            tuple((sent[place].item, reason) for place, reason in sorted(reasons.items())),
        )

    def _halve(self) -> None:
        self._window = (self._sent + 1) // 2
        self._halved = True

    def _overdue(self, one: _Waiting[T], now_ns: int) -> bool:
        return one.failed_ns >= 0 and now_ns - one.failed_ns >= self._deadline_ns
