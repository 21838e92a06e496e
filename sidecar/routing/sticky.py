"""What keeps a client on the same model: a key in the request, hashed with a salt to a slot."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from hashlib import blake2b

from msgspec import Struct

from sidecar.routing.head import Head
from sidecar.routing.split import SLOTS

COOKIE_FIELD = b"cookie"


class StickyBy(StrEnum):
    """Where the key is found."""

    HEADER = "header"
    COOKIE = "cookie"
    CLIENT_ADDRESS = "client_address"


class Sticky(Struct, frozen=True):
    """`name` is the header field (lower case) or the cookie; empty for the client's address."""

    by: StickyBy
    name: bytes = b""

    @property
    def watched(self) -> frozenset[bytes]:
        """The request header fields the key is read from."""
        match self.by:
            case StickyBy.HEADER:
                return frozenset({self.name})
            case StickyBy.COOKIE:
                return frozenset({COOKIE_FIELD})
            case StickyBy.CLIENT_ADDRESS:
                return frozenset()


def sticky_key(sticky: Sticky, head: Head) -> bytes | None:
    """The request's key, None (or empty) when it brings none and goes by chance."""
    if sticky.by is StickyBy.CLIENT_ADDRESS:
        return head.client_address.encode()
    watched = head.watched
    if not watched:
        return None
    if sticky.by is StickyBy.HEADER:
        return watched.get(sticky.name)
    field = watched.get(COOKIE_FIELD)
    return cookie_value(field, sticky.name) if field else None


def cookie_value(field: bytes, name: bytes) -> bytes | None:
    """The value of the first cookie of that name in a Cookie field (RFC 6265 4.2.1)."""
    for pair in field.split(b";"):
        key, equals, value = pair.partition(b"=")
        if equals and key.strip() == name:
            return value.strip()
    return None


def slot_hash(salt: str) -> Callable[[bytes], int]:
    """The function from a sticky key to its slot, uniform over keys, unrelated between salts.

    Keyed BLAKE2b, so that a client who picks its own key cannot aim for a slot without the salt.
    64 bits over 10,000 slots: the bias of the remainder is below 1e-15.
    """
    keyed = blake2b(key=salt.encode(), digest_size=8)

    def slot_of(key: bytes) -> int:
        state = keyed.copy()
        state.update(key)
        return int.from_bytes(state.digest(), "big") % SLOTS

    return slot_of
