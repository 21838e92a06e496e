"""Who holds which row of the board: keys keep their places, and freed places rest before reuse.

A place that changed its key is cleared by every worker, and snapshots taken before that mean
somebody else. Therefore a key keeps its place for as long as it is wanted, and of the free places
the one that was freed longest ago is taken first. Pure: a new value per change, nothing is ever
edited.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, Self, TypeVar

from msgspec import Struct

K = TypeVar("K", bound=Hashable)


class PlacesFull(Exception):  # noqa: N818 - a statement about the places; its catcher makes the error
    """More keys are wanted than there are places."""

    def __init__(self, wanted: int, capacity: int) -> None:
        super().__init__(f"{wanted} wanted, {capacity} there")
        self.wanted = wanted
        self.capacity = capacity


class Places(Struct, Generic[K], frozen=True):
    """`keys[i]` holds place `i` (None: nobody); `free` lists the free ones, longest free first."""

    keys: tuple[K | None, ...]
    free: tuple[int, ...]

    @classmethod
    def empty(cls, capacity: int) -> Self:
        """All places free."""
        return cls(keys=(None,) * capacity, free=tuple(range(capacity)))

    @property
    def capacity(self) -> int:
        """How many places there are."""
        return len(self.keys)

    def seat(self, wanted: Sequence[K]) -> Self:
        """Seat exactly `wanted`: known keys stay where they are, new ones take free places.

        Raises PlacesFull when there are more keys than places.
        """
        keep = dict.fromkeys(wanted)
        if len(keep) > self.capacity:
            raise PlacesFull(len(keep), self.capacity)
        keys: list[K | None] = [key if key in keep else None for key in self.keys]
        seated = {key for key in keys if key is not None}
        left = [place for place, key in enumerate(self.keys) if key is not None and key not in keep]
        free = [*self.free, *left]
        for key in keep:
            if key not in seated:
                keys[free.pop(0)] = key
        return type(self)(keys=tuple(keys), free=tuple(free))

    def with_capacity(self, capacity: int) -> Self:
        """The same places if the capacity is the same, else empty ones: it is another board."""
        return self if capacity == self.capacity else type(self).empty(capacity)
