"""Whether the sidecar is on its way out, and how the controller asks for that.

The launcher owns the drain, because it holds the listening sockets that must close and the workers
that must not be restarted; the controller only asks, and shows.
"""

from __future__ import annotations

from collections.abc import Callable


class Drain:
    """`ask` makes the launcher begin; it is called at most once."""

    def __init__(self, ask: Callable[[], None], *, begun: bool = False) -> None:
        self._ask = ask
        self.begun = begun

    def begin(self) -> None:
        """Ask the launcher to drain; asking again changes nothing."""
        if not self.begun:
            self.begun = True
            self._ask()

    def noticed(self) -> None:
        """The launcher says that a drain has begun, whoever asked for it."""
        self.begun = True
