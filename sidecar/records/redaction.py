"""What of an exchange may be kept: everything that is written passes here first.

A redactor gets fields, queries and bodies as they were on the wire and gives back what is not
secret. Its rule is that a doubt is a secret: a body that rules apply to and that cannot be read
(compressed, incomplete, neither JSON nor CSV, too large to be parsed, rows whose columns nobody can
name) is not kept at all, and `Withheld` says why. A body that was read is written anew from what
was read, so nothing hides in what a parser skips.

What no rule can see: a secret in a path, in a text that is a document itself, in a prediction made
of it. docs/logging.md says so to users.

Must not know: why an exchange is recorded, how a record is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import unquote_plus

import orjson
from msgspec import Struct

from sidecar.payload import Body, Undecodable
from sidecar.payload.decode import document_of
from sidecar.payload.extract import Value
from sidecar.records.documents import Doubtful, Names, hide_columns, hide_places
from sidecar.records.hiding import MASK, Hider, How
from sidecar.records.naming import RedactionRules, SecretColumns, secret_places
from sidecar.records.record import Withheld
from sidecar.records.tables import hide_csv_columns

LONGEST_PARSED_BYTES: Final = 1024 * 1024
"""A longer body is not parsed to be redacted: 10 ms of a worker's time are enough."""

PREDICTION: Final = "prediction"
SCORE: Final = "score"

# Where answers have their predictions, in all protocols.
_OUTPUTS: Final = ("predictions", "outputs", "choices", PREDICTION, SCORE)
_IDENTITY: Final = frozenset({b"", b"identity"})
_CSV: Final = b"text/csv"
_EVENTS: Final = b"text/event-stream"
_DONE: Final = b"[DONE]"
_SEPARATORS: Final = re.compile(r"([&;])")  # some servers take `;` for `&`, as HTML 4 asked for

Field = tuple[str, str]


class Kept(Struct, frozen=True):
    """What may be kept of a body; see `Captured` for `cut` and `withheld`."""

    data: bytes | None = None
    cut: int = -1
    withheld: Withheld | None = None
    redacted: bool = False


class Redactor:
    """Applies rules. `key` is what hashes are made with.

    `prediction` and `score` are the outputs of the route that are read as such, where the
    configuration names them.
    """

    def __init__(
        self,
        rules: RedactionRules,
        key: bytes | None = None,
        *,
        prediction: str | None = None,
        score: str | None = None,
    ) -> None:
        """Raises ValueError when a pointer is none, ConfigError for a key that is too short."""
        self._hider = Hider(key)
        self._how = rules.how
        self._headers = frozenset(name.lower() for name in rules.headers)
        self._parameters = frozenset(name.casefold() for name in rules.query)
        self._places = secret_places(rules)
        self._columns = SecretColumns.of(rules)
        self._prediction = self._of_output(PREDICTION, prediction)
        self._score = self._of_output(SCORE, score)
        self._hides_outputs = self._prediction or self._score
        self._answer_columns = self._columns
        if self._hides_outputs is not None:
            self._answer_columns = self._columns.joined_by(_OUTPUTS, self._hides_outputs)

    def _of_output(self, *names: str | None) -> How | None:
        """What is done with an output that has these names; a pointer ends in one."""
        called = [name.rpartition("/")[2] for name in names if name is not None]
        found = [self._columns.at(name) for name in called]
        return next((how for how in found if how is not None), None)

    @property
    def reads_bodies(self) -> bool:
        """Whether bodies have to be parsed at all."""
        return bool(self._places or self._columns)

    @property
    def names_columns(self) -> bool:
        """Whether `findings` has something to do."""
        return bool(self._columns)

    def is_secret_field(self, name: str) -> bool:
        """Whether a header field of this name is secret, in whatever case it is written."""
        return name.lower() in self._headers

    def headers(self, fields: Iterable[Field]) -> tuple[Field, ...]:
        """Header fields as they may be kept."""
        kept = []
        for name, value in fields:
            if name.lower() in self._headers:
                hidden = self._hider.text(value, self._how)
                if hidden is not None:
                    kept.append((name, hidden))
            else:
                kept.append((name, value))
        return tuple(kept)

    def query(self, query: str) -> str:
        """The query of a URL, without `?`, as it may be kept; what is secret is so in any case."""
        if not self._parameters:
            return query
        parts = _SEPARATORS.split(query)
        kept = ""
        for separator, part in zip(["", *parts[1::2]], parts[::2], strict=True):
            name, _, value = part.partition("=")
            if self._is_parameter(name):
                hidden = self._hider.text(unquote_plus(value), self._how)
                if hidden is None:
                    continue
                part = f"{name}={hidden}"  # noqa: PLW2901 - the part, as it is kept
            kept += (separator if kept else "") + part
        return kept

    def _is_parameter(self, name: str) -> bool:
        """Also `token[]` and `token[0]`, with which some frameworks write lists."""
        plain = unquote_plus(name).strip().casefold()
        return plain in self._parameters or plain.partition("[")[0] in self._parameters

    def findings(
        self,
        predictions: Sequence[Value],
        scores: Sequence[float | None],
        segments: Mapping[str, str | None],
    ) -> tuple[tuple[Value, ...], tuple[float | None, ...], dict[str, str | None]]:
        """What a record says of an exchange, as it may be kept. A secret score is left out."""
        kept: dict[str, str | None] = {}
        for name, value in segments.items():
            how = self._columns.at(name)
            if how is None or value is None:
                kept[name] = value
            elif how is not How.DROP:
                kept[name] = self._hider.text(value, how)
        return (
            self._predictions(predictions),
            () if self._score is not None else tuple(scores),
            kept,
        )

    def _predictions(self, values: Sequence[Value]) -> tuple[Value, ...]:
        how = self._prediction
        if how is None:
            return tuple(values)
        if how is How.DROP:
            return ()
        if how is How.MASK:
            return (MASK,) * len(values)
        return tuple(self._hider.value(list(values), how))  # type: ignore[arg-type]

    def request_body(
        self,
        body: Body,
        most: int,
        *,
        length: int | None = None,
        names: Sequence[str] = (),
        expected: bool = False,
    ) -> Kept:
        """What may be kept of a request's body, at most `most` bytes of it.

        `length` is that of the whole body if `body` is only its beginning. `names` are those of
        the columns in a row, in their order, as a codec read them in this body; with `expected`,
        as the configuration or a baseline has them, of which the body may differ.
        """
        return self._body(body, most, length, self._columns, Names(names, expected))

    def response_body(self, body: Body, most: int, *, length: int | None = None) -> Kept:
        """What may be kept of an answer's body; see `request_body`."""
        return self._body(body, most, length, self._answer_columns, None)

    def _body(
        self,
        body: Body,
        most: int,
        length: int | None,
        columns: SecretColumns,
        names: Names | None,
    ) -> Kept:
        size = len(body.data)
        if length is None:
            length = size
        hidden = 0
        data: bytes | memoryview = body.data
        if self.reads_bodies and length:
            try:
                data, hidden = self._read(body, length, columns, names)
            except Doubtful as doubt:
                return Kept(withheld=doubt.reason, redacted=True)
        cut = length if length > size or len(data) > most else -1
        return Kept(_beginning(data, most), cut, None, hidden > 0)

    def _read(
        self, body: Body, length: int, columns: SecretColumns, names: Names | None
    ) -> tuple[bytes, int]:
        """A body without its secrets, and how many it had. Raises Doubtful."""
        if length > len(body.data):
            raise Doubtful(Withheld.INCOMPLETE)
        if body.content_encoding.strip().lower() not in _IDENTITY:
            raise Doubtful(Withheld.ENCODED)
        if length > LONGEST_PARSED_BYTES:
            raise Doubtful(Withheld.TOO_LARGE)
        if body.json_bytes is not None:
            raise Doubtful(Withheld.NOT_PARSED)  # tensors follow in binary
        data = bytes(body.data)
        media_type = body.content_type.partition(b";")[0].strip().lower()
        if not data.lstrip().startswith((b"{", b"[")):  # which is JSON, whatever its head says
            if media_type == _CSV:
                return self._csv(data, columns, names)
            if media_type == _EVENTS and names is None:
                return self._events(data, columns)
        return self._json(data, columns, names)

    def _json(self, data: bytes, columns: SecretColumns, names: Names | None) -> tuple[bytes, int]:
        try:
            document, by_place = hide_places(document_of(data), self._places, self._hider)
            by_name = 0
            if columns:
                document, by_name = hide_columns(document, columns, self._hider, names=names)
            if self._hides_outputs and names is None and not by_name:
                raise Doubtful(Withheld.UNNAMED)  # wherever this answer has its predictions
            return orjson.dumps(document), by_place + by_name
        except (Undecodable, RecursionError, orjson.JSONEncodeError):
            raise Doubtful(Withheld.NOT_PARSED) from None

    def _csv(self, data: bytes, columns: SecretColumns, names: Names | None) -> tuple[bytes, int]:
        if self._hides_outputs and names is None:
            raise Doubtful(Withheld.UNNAMED)
        if not columns:
            return data, 0
        return hide_csv_columns(
            data, columns, self._hider, names=None if names is None else names.columns
        )

    def _events(self, data: bytes, columns: SecretColumns) -> tuple[bytes, int]:
        """Events whose data are a document each; other lines than `data:` are left out."""
        kept = []
        hidden = 0
        for line in data.splitlines():
            field, _, value = line.partition(b":")
            value = value.strip()
            if not line:
                kept.append(b"")
            elif field == b"data" and value == _DONE:
                kept.append(line)
            elif field == b"data":
                value, found = self._json(value, columns, None)
                kept.append(b"data: " + value)
                hidden += found
        return b"\n".join(kept) + b"\n", hidden


def _beginning(data: bytes | memoryview, most: int) -> bytes:
    """At most so many bytes, and no torn character where they are UTF-8 (RFC 3629 3)."""
    if len(data) > most:
        at = most
        while at > max(most - 3, 0) and data[at] & 0xC0 == 0x80:
            at -= 1
        data = data[:at]
    return bytes(data)


NOTHING_SECRET: Final = RedactionRules(headers=(), query=())
"""Rules by which everything may be kept."""
