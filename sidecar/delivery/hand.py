"""What a pump has read and not settled yet: one batch, and the letters that came of it."""

from __future__ import annotations

from sidecar.delivery.consignment import Consignment
from sidecar.delivery.policy import PumpPolicy
from sidecar.delivery.sink import Item
from sidecar.delivery.source import Reading

NS_PER_S = 1_000_000_000


class Hand:
    """Times are of a monotonic clock, in nanoseconds.

    `consignment` is what the sink has not answered for. `letters` are records, with the reason,
    that it will never take and that nobody keeps yet. `sending`: the batch is complete, and on its
    way until all of it is settled.
    """

    def __init__(self, policy: PumpPolicy) -> None:
        self.consignment: Consignment[Item] = Consignment(
            deadline_ns=int(policy.retry.deadline_s * NS_PER_S)
        )
        self.letters: list[tuple[Item, str]] = []
        self.sending = False
        self._policy = policy
        self._size_bytes = 0
        self._begun_ns = 0

    def __len__(self) -> int:
        return len(self.consignment) + len(self.letters)

    @property
    def room(self) -> int:
        """How many records a batch could still take."""
        return self._policy.batch_records - len(self.consignment)

    def take(self, reading: Reading, now_ns: int) -> None:
        """What was read now."""
        if reading.items and not self.consignment:
            self._begun_ns = now_ns
        self.consignment.add(reading.items)
        self._size_bytes += reading.size_bytes
        self.letters += reading.unreadable

    def decide(self, now_ns: int) -> bool:
        """Whether to send: there is a batch, by count, by bytes or by age."""
        self.sending = self.sending or (
            len(self.consignment) > 0
            and (
                self.room <= 0
                or self._size_bytes >= self._policy.batch_bytes
                or now_ns - self._begun_ns >= self._policy.batch_age_s * NS_PER_S
            )
        )
        return self.sending
