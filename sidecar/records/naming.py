"""Which names are secret: of header fields, of parameters, of columns however a body spells them.

A column may be named in a body as a key, as a tensor, over a table, or not at all: then its place
in the row tells. Columns inside of others are called `address.city` and `pixels[3]`, as everywhere
in this program; a rule for a part hides the whole where only the whole can be found, and a rule for
the whole hides its parts.

Must not know: bodies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct

from sidecar.payload.pointer import Pointer
from sidecar.records.hiding import How

_PART: Final = re.compile(r"[.\[]")

SECRET_HEADERS: Final = (
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
    "x-auth-token",
    "x-access-token",
    "x-goog-api-key",
    "x-amz-security-token",
)
"""Fields that carry credentials: RFC 9110 11, RFC 6265, and what large providers of APIs use."""


SECRET_PARAMETERS: Final = (
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "client_secret",
    "id_token",
    "key",
    "password",
    "refresh_token",
    "secret",
    "sig",
    "signature",
    "token",
    "x-amz-security-token",
    "x-amz-signature",
    "x-goog-signature",
)
"""Parameters that carry credentials: RFC 6750 2.3, and what signed URLs and APIs use."""


class PointerRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place in JSON bodies that is secret."""

    pointer: Annotated[
        str, Meta(description="A JSON Pointer (RFC 6901); `*` as a step stands for every entry.")
    ]
    how: Annotated[How | None, Meta(description="If other than `redact.how`.")] = None


class ColumnRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A column whose values are secret."""

    name: Annotated[
        str, Meta(description="A feature, output or segment; `prediction` and `score` too.")
    ]
    how: Annotated[How | None, Meta(description="If other than `redact.how`.")] = None


class RedactionRules(Struct, frozen=True, kw_only=True):
    """All that is secret. `how` is done where a rule says nothing else."""

    headers: tuple[str, ...] = SECRET_HEADERS
    pointers: tuple[PointerRule, ...] = ()
    columns: tuple[ColumnRule, ...] = ()
    query: tuple[str, ...] = SECRET_PARAMETERS
    how: How = How.MASK

    @property
    def needs_key(self) -> bool:
        """Whether anything is hashed."""
        return How.HASH in {
            self.how,
            *(rule.how for rule in self.pointers),
            *(rule.how for rule in self.columns),
        }


class SecretPlace(Struct, frozen=True):
    """A pointer taken apart, and what is done with what it points to."""

    steps: tuple[tuple[str, int | None], ...]
    how: How


def secret_places(rules: RedactionRules) -> tuple[SecretPlace, ...]:
    """The pointers of the rules. Raises ValueError when one is no pointer."""
    return tuple(
        SecretPlace(Pointer.parse(rule.pointer).steps, rule.how or rules.how)
        for rule in rules.pointers
    )


class SecretColumns:
    """The columns of the rules, by name."""

    __slots__ = ("_exactly", "_wholes", "names")

    def __init__(self, exactly: dict[str, How]) -> None:
        self._exactly = exactly
        self.names = frozenset(exactly)
        # `address.city` may stand under the key `address`, as may `pixels[3]` under `pixels`.
        self._wholes = {whole_of(name): how for name, how in exactly.items()} | exactly

    @classmethod
    def of(cls, rules: RedactionRules) -> SecretColumns:
        """Those of some rules."""
        return cls({rule.name: rule.how or rules.how for rule in rules.columns})

    def joined_by(self, names: Iterable[str], how: How) -> SecretColumns:
        """These, and others."""
        return SecretColumns(dict.fromkeys(names, how) | self._exactly)

    def __bool__(self) -> bool:
        return bool(self._exactly)

    def exactly(self, name: str) -> How | None:
        """What is done with the column of this very name; None: it is no secret."""
        return self._exactly.get(name)

    def under(self, key: str) -> How | None:
        """What is done with all that a body has under this key."""
        return self._wholes.get(key)

    def at(self, name: str) -> How | None:
        """What is done with a column of this name, which may be part of a secret one."""
        how = self._exactly.get(name)
        return self._exactly.get(whole_of(name)) if how is None else how

    def by_position(self, names: Sequence[str]) -> dict[int, How]:
        """The places of secret columns in a row whose columns are called so."""
        return {i: how for i, name in enumerate(names) if (how := self.at(name)) is not None}

    def inside_of(self, text: str) -> bool:
        """Whether a text has a secret name somewhere in it."""
        return any(name in text for name in self._wholes)


def whole_of(name: str) -> str:
    """What a column is part of: `address` of `address.city`; a name that begins so is itself."""
    return _PART.split(name, maxsplit=1)[0] or name
