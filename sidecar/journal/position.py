"""How far a consumer has read: a place in every slot."""

from __future__ import annotations

from msgspec import Struct


class SlotPosition(Struct, frozen=True, array_like=True):
    """The next byte to read in a slot, and what is to be expected there.

    `number` is that of the next record, 0 when not known: gaps are counted against it. `mark` is
    the segment's own, 0 when it was not opened yet: another one means another file of that name.
    """

    sequence: int = 0
    offset: int = 0
    number: int = 0
    mark: int = 0


class Position(Struct, frozen=True):
    """The next byte to read, in every slot that was ever read from."""

    slots: dict[int, SlotPosition] = {}

    def of(self, slot: int) -> SlotPosition:
        """Where to go on in a slot; its beginning when it was never read from."""
        return self.slots.get(slot, BEGINNING)

    def moved(self, slot: int, there: SlotPosition) -> Position:
        """This position, with another place in one slot."""
        return Position({**self.slots, slot: there})


BEGINNING = SlotPosition()
START = Position()
