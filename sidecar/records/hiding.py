"""What becomes of a secret value: nothing, a mask, or a keyed hash.

A hash is BLAKE2b with a key (RFC 7693, 2.9), 128 bits in hex: equal for equal values, so that rows
can still be counted and joined by it, and of no use to guess from without the key. Without one a
short number would be found by hashing all there are, which is why there is no hash without a key.

Must not know: where a value stood, why it is secret.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import blake2b
from typing import Final

import orjson

from sidecar.errors import ConfigError
from sidecar.model.categories import category_of

MASK: Final = "***"
"""What stands in the place of a masked value."""

SHORTEST_KEY_BYTES: Final = 16

_HASH_BYTES: Final = 16


class How(StrEnum):
    """What is done with a secret: left out, masked, or hashed under a key."""

    DROP = "drop"
    MASK = "mask"
    HASH = "hash"


class Hider:
    """Hides values. `key` is what hashes are made with; it is in no `repr`."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes | None) -> None:
        """Raises ConfigError when the key is too short to keep a secret."""
        if key is not None and len(key) < SHORTEST_KEY_BYTES:
            raise ConfigError(
                f"expected a key of at least {SHORTEST_KEY_BYTES} bytes, got {len(key)}; make one "
                "with `openssl rand -hex 32`",
                path="$.redact",
            )
        # A longer key than BLAKE2b takes (64 bytes) is hashed down to one, as HMAC does.
        self._keyed = (
            None
            if key is None
            else blake2b(
                key=key if len(key) <= blake2b.MAX_KEY_SIZE else blake2b(key).digest(),
                digest_size=_HASH_BYTES,
            )
        )

    @property
    def can_hash(self) -> bool:
        """Whether there is a key."""
        return self._keyed is not None

    def text(self, text: str, how: How) -> str | None:
        """What stands in the place of a text; None: it is left out."""
        if how is How.MASK:
            return MASK
        return None if how is How.DROP else self._hash(text)

    def value(self, value: object, how: How) -> object:
        """What stands in the place of a value of a JSON document; a list keeps its length.

        What is left out, and a null that is hashed, is None. Raises RecursionError for lists
        nested deeper than the interpreter goes.
        """
        if type(value) is list:
            return [self.value(entry, how) for entry in value]
        if how is How.MASK:
            return MASK
        if how is How.DROP or value is None:
            return None
        if isinstance(value, float | int | str):
            return self._hash(category_of(value))
        return self._hash(orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode())

    def _hash(self, text: str) -> str:
        if self._keyed is None:  # refused with the configuration; a secret is not kept by mistake
            return MASK
        hashed = self._keyed.copy()
        hashed.update(text.encode("utf-8", "surrogatepass"))
        return hashed.hexdigest()
