"""Where a letter is replayed to: a model or a sink, in the same words.

A target says three things: what became of a letter that it answered for; that it cannot be reached
now (`OutOfReach`: nobody's letter is to blame); and, by not being there, that a letter can go
nowhere (`NoTarget`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sidecar.delivery.dead_letters.jobs import Outcome
from sidecar.delivery.dead_letters.letters import Content


class OutOfReach(Exception):  # noqa: N818 - an outcome, told in words
    """The target cannot be reached now. `settled` are those letters that it did answer for."""

    def __init__(self, reason: str, *, settled: Sequence[Outcome] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.settled = tuple(settled)


class NoTarget(Exception):  # noqa: N818 - an outcome, told in words
    """There is nothing that this letter could be sent to; says why."""


class Target(Protocol):
    """Takes letters of one model or one sink."""

    @property
    def name(self) -> str:
        """What people call it: `model stable`, `sink kafka`."""

    async def send(self, letters: Sequence[Content]) -> list[Outcome]:
        """Send them once; an outcome for each. Raises OutOfReach."""

    async def close(self) -> None:
        """Let go of connections."""
