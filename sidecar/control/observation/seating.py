"""Where the numbers of each subject stand in the arena: who is seated stays, newcomers fit in.

A seat is a slot, where the board remembers whose numbers they are, and a stretch of words. Numbers
can be compared with those of before only as long as they stay where they are; so a subject keeps
its seat for as long as it counts alike (the same owner) and is wanted. A newcomer takes the first
gap that is long enough, and a new `tenant`: the board never takes its numbers for those of a tenant
before, also not for its own of an earlier stay.

When there is no room, who is there stays; newcomers go without, and it is said what would help.

Pure: a new value per change; tenants are made of salts that come in as an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Self

from msgspec import Struct

from sidecar.config.units import format_size
from sidecar.control.observation.subjects import Subject
from sidecar.model import CellKey

WORD_BYTES: Final = 8
LINE_WORDS: Final = 8
"""Areas begin on a cache line of their own."""


class Seat(Struct, frozen=True, kw_only=True):
    """A place in the arena, of the series `owner`; `tenant` is what the board remembers."""

    owner: str
    tenant: str
    slot: int
    at: int
    words: int


class Unwatched(Struct, frozen=True, kw_only=True):
    """Somebody who is not observed for want of room, or of a slot."""

    key: CellKey
    needed_bytes: int
    reason: str


class Seating(Struct, frozen=True, kw_only=True):
    """Who sits where in an arena of so many words and slots, by the order of places."""

    arena_words: int
    slots: int
    seats: tuple[Seat, ...] = ()

    def seat(self, of: str) -> Seat | None:
        """The seat of a series, by its owner."""
        return next((one for one in self.seats if one.owner == of), None)

    def seated(
        self, wanted: Sequence[Subject], salts: Callable[[], str]
    ) -> tuple[Self, list[Unwatched]]:
        """Seat `wanted`, the first ones first; and those for whom there is no room."""
        owners = {subject.owner for subject in wanted}
        seats = [seat for seat in self.seats if seat.owner in owners]
        there = {seat.owner for seat in seats}
        left_out: list[Unwatched] = []
        for subject in wanted:
            if subject.owner in there:
                continue
            slots = {seat.slot for seat in seats}
            slot = next((one for one in range(self.slots) if one not in slots), None)
            at = self._gap(seats, subject.layout.words)
            if slot is None or at is None:
                left_out.append(self._left_out(subject, wanted, no_slot=slot is None))
                continue
            seats.append(
                Seat(
                    owner=subject.owner,
                    tenant=f"{subject.owner}-{salts()}",
                    slot=slot,
                    at=at,
                    words=subject.layout.words,
                )
            )
            seats.sort(key=lambda seat: seat.at)
            there.add(subject.owner)
        return type(self)(
            arena_words=self.arena_words, slots=self.slots, seats=tuple(seats)
        ), left_out

    def _gap(self, seats: Sequence[Seat], words: int) -> int | None:
        """Where the first gap of so many words begins; `seats` by the order of places."""
        at = 0
        for seat in seats:
            if seat.at - at >= words:
                break
            at = -(-(seat.at + seat.words) // LINE_WORDS) * LINE_WORDS
        return at if at + words <= self.arena_words else None

    def _left_out(self, subject: Subject, wanted: Sequence[Subject], *, no_slot: bool) -> Unwatched:
        needed_bytes = subject.layout.words * WORD_BYTES
        if not self.arena_words:
            reason = "monitor.enabled was false when the sidecar started: restart it"
        elif no_slot:
            reason = f"{self.slots} models in their roles are observed already, which is the most"
        else:
            # Room for all of them side by side; what a restart would do without any gaps.
            all_bytes = sum(one.layout.words + LINE_WORDS for one in wanted) * WORD_BYTES
            enough = format_size(-(-all_bytes // 2**20) * 2**20)
            reason = (
                f"its histograms take {format_size(needed_bytes)} and there is no such room left: "
                f"raise monitor.memory ({format_size(self.arena_words * WORD_BYTES)} now) to "
                f"{enough} and restart, or observe fewer segments and features"
            )
        return Unwatched(key=subject.key, needed_bytes=needed_bytes, reason=reason)
