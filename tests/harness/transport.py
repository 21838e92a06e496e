"""A transport without a network, for driving a protocol by hand from inside the loop."""

from __future__ import annotations

import asyncio


class Sink(asyncio.Transport):
    """Keeps what is written, and never pauses or ends."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is buffered."""

    def get_write_buffer_size(self) -> int:
        """Nothing is buffered."""
        return 0

    def is_closing(self) -> bool:
        """Never."""
        return False

    def can_write_eof(self) -> bool:
        """No half-close."""
        return False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        """Keep it."""
        self.written += data

    def close(self) -> None:
        """Nothing to close."""
