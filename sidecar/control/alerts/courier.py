"""Brings one receiver its messages: in order, again and again, and without holding anybody else.

What waits is held by group, so a message that was made anew takes the place of the one before, and
there are never more than `grouping.MOST_OUTGOING`. After a failure the receiver is left alone for a
while, whatever else is there for it: 1 s, doubling up to a minute, spread by chance so that many
sidecars do not come back at once; or for as long as it asks (Retry-After).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

from msgspec import Struct

from sidecar.control.alerts.bulletins import Notification
from sidecar.control.alerts.policy import ReceiverPolicy
from sidecar.control.alerts.samples import Labels
from sidecar.control.alerts.senders import NotDelivered, Sender
from sidecar.control.alerts.windows import NS_PER_S

log: Final = logging.getLogger("sidecar.alerts")


class Outcome(StrEnum):
    """What became of an attempt, or of a message: `given_up` ones are made anew if still true."""

    DELIVERED = "delivered"
    FAILED = "failed"
    GIVEN_UP = "given_up"


class Backoff(Struct, frozen=True, kw_only=True):
    """How long a receiver that failed is left alone."""

    first_s: float = 1.0
    longest_s: float = 60.0

    def wait_s(self, failures: int, chance: float) -> float:
        """After so many failures in a row; `chance` in [0, 1) spreads it over half to all of it."""
        longest = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return longest * (0.5 + 0.5 * chance)


class Courier:
    """Delivers to one receiver; `confirm` is awaited once a message has arrived.

    `now_ns` is the wall clock, by which messages are given up; `chance` gives numbers in [0, 1).
    """

    def __init__(
        self,
        receiver: ReceiverPolicy,
        sender: Sender,
        *,
        confirm: Callable[[Notification], Awaitable[None]],
        now_ns: Callable[[], int],
        chance: Callable[[], float],
        backoff: Backoff,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.receiver = receiver
        self.sender = sender
        self.outcomes: Counter[Outcome] = Counter()
        self.failures = 0
        self.last_error = ""
        self.last_delivered_ns = 0
        self._confirm = confirm
        self._now_ns = now_ns
        self._chance = chance
        self._backoff = backoff
        self._pause = pause
        self._waiting: dict[Labels, Notification] = {}
        self._arrived = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Messages that are not confirmed yet."""
        return len(self._waiting)

    def take(self, message: Notification) -> None:
        """Have a message delivered, instead of an older one of its group."""
        self._waiting[message.group] = message
        self._arrived.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            await self._attempt(next(iter(self._waiting.values())))

    async def _attempt(self, message: Notification) -> None:
        if self._now_ns() >= message.created_ns + self.receiver.give_up_ns:
            self._done(message)
            self.outcomes[Outcome.GIVEN_UP] += 1
            log.error(
                "an alert message was given up; what still holds is told in another",
                extra={"receiver": self.receiver.name, "reason": self.last_error},
            )
            return
        try:
            await self.sender.send(message)
        except NotDelivered as failure:
            await self._failed(failure, message)
            return
        except Exception:
            log.exception("a sender failed", extra={"receiver": self.receiver.name})
            await self._failed(NotDelivered("internal error, see the log"), message)
            return
        if self.failures:
            log.info("a receiver can be told again", extra={"receiver": self.receiver.name})
        self.failures = 0
        self.last_delivered_ns = self._now_ns()
        self.outcomes[Outcome.DELIVERED] += 1
        await self._confirm(message)
        self._done(message)

    async def _failed(self, failure: NotDelivered, message: Notification) -> None:
        self.failures += 1
        self.last_error = failure.reason
        self.outcomes[Outcome.FAILED] += 1
        if self.failures == 1:
            log.warning(
                "a receiver cannot be told of an alert; trying again",
                extra={"receiver": self.receiver.name, "reason": failure.reason},
            )
        wait_s = self._backoff.wait_s(self.failures, self._chance())
        left_s = (message.created_ns + self.receiver.give_up_ns - self._now_ns()) / NS_PER_S
        await self._pause(max(0.0, min(max(wait_s, failure.retry_after_s), left_s)))

    def _done(self, message: Notification) -> None:
        if self._waiting.get(message.group) is message:
            del self._waiting[message.group]
