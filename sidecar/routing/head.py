"""What routing reads of a request; the proxy's head has these attributes, and so has any test's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Head(Protocol):
    """The part of a request head that decisions depend on."""

    @property
    def host(self) -> bytes | None:
        """The Host field's value as sent: any case, perhaps with a port."""

    @property
    def path(self) -> bytes:
        """The target's path; a query may follow."""

    @property
    def watched(self) -> Mapping[bytes, bytes] | None:
        """The fields `Router.watched` names, lower case, as far as present; None when none is."""

    @property
    def client_address(self) -> str:
        """The client's address without port; empty when it has none (a Unix socket)."""
