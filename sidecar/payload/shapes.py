"""The shape of a body: where its values stand, and where a codec takes them to.

Nobody but the codec knows what a body means, so the codec is asked: the body is written again with
every value replaced by a mark that occurs nowhere else, and read. Where a mark comes out, there the
value of its place goes; a mark that does not come out stood for something nobody looks at. Where
marking changes what is read besides values (the names, the number of rows, or whether it can be
read at all), the values are part of the form, and the shape has them literally. Which those are is
found by marking the values under one key at a time.

This is true of every codec that takes values as they are: what a value *is* never decides where it
or another one goes, only its kind does (a number, a text, a list). Marks are tried as integers and
as fractions, so that a codec which tells these apart is not misunderstood. The tests compare both
ways of reading for every protocol.

Only bodies of one row, in ASCII and without escapes, have a shape; others are read by the codec.

Must not know: protocols, columns, who sends what.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, TypeVar

from msgspec import Struct

from sidecar.payload.codec import Codec
from sidecar.payload.extract import Body, Inputs, Undecodable, Value
from sidecar.payload.names import Reason
from sidecar.payload.raw_answers import Unread
from sidecar.payload.scan import Pattern, Slot, TextList

MOST_BYTES: Final = 64 * 1024  # of a body of which a shape is made
MOST_VALUES: Final = 4096
MOST_KEYS: Final = 64  # whose values are marked apart
_FIRST_MARK: Final = 7_340_619_000  # no measurement; as an integer and with a half after it

_TOKEN: Final = re.compile(
    rb'"(?P<text>[^"\\]*)"(?P<key>\s*:)?'
    rb"|(?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
    rb"|(?P<truth>true|false)|(?P<null>null)"
)


class Kind(Enum):
    """What a value is in the body from which the shape was made."""

    NUMBER = "number"
    NULL = "null"
    TRUTH = "truth"
    TEXT = "text"


class _Token(Struct, frozen=True):
    """A value in a body: where it stands, and the last key before it."""

    begin: int
    end: int
    kind: Kind
    key: bytes


Frame = TypeVar("Frame")
"""What marking must not change."""

_Read = Callable[[bytes], tuple[Frame, Sequence[Value]]]


@dataclass(frozen=True, slots=True)
class Shape:
    """`runs` are the literal bytes around slots of `kinds`; `ignored[i]` says nobody looks at it.

    `places[j]` is the slot in which the `j`-th value stands, None for one that is always missing.
    `names` are the features of a request; of an answer, `predictions` is how many values its
    prediction has (the score has the others), 0 for none.
    """

    runs: tuple[bytes, ...]
    kinds: tuple[Kind, ...]
    ignored: tuple[bool, ...]
    places: tuple[int | None, ...]
    names: tuple[str, ...] = ()
    predictions: int = 0

    def pattern(self, lists: Mapping[int, TextList | None]) -> Pattern | None:
        """What finds the values; None when a text is none that somebody counts.

        `lists` has, for every value that may be a text, those there are; None: it does not matter
        which. Numbers may be missing in a request only, as no answer is without what it says.
        """
        kinds: list[Slot] = []
        found: list[TextList | None] = []
        value_at = {slot: at for at, slot in enumerate(self.places) if slot is not None}
        for slot, (kind, ignored) in enumerate(zip(self.kinds, self.ignored, strict=True)):
            known = None
            if kind is Kind.TEXT:
                if not ignored:
                    if value_at[slot] not in lists:
                        return None
                    known = lists[value_at[slot]]
                kinds.append(Slot.ANYTHING if known is None else Slot.TEXT)
            elif kind is Kind.TRUTH:
                kinds.append(Slot.TRUTH)
            else:
                kinds.append(Slot.NULLABLE if self.names and not ignored else Slot.NUMBER)
            found.append(known)
        return Pattern.of(self.runs, kinds, found)


def shape_of_request(codec: Codec, data: bytes, path: bytes) -> Shape | None:
    """The shape of a request that the codec can read; None when it has none."""

    def read(
        body: bytes,
    ) -> tuple[tuple[tuple[str, ...], int, int, int], Sequence[Value]]:
        inputs = codec.read_request(Body(body, path))
        row = inputs.rows[0] if len(inputs.rows) == 1 else ()
        frame = (inputs.names, len(inputs.rows), len(row), len(inputs.sourced))
        return frame, [*row, *inputs.sourced]

    found = _found(data, read)
    if found is None:
        return None
    shape, (names, rows, width, _) = found
    if rows != 1 or width != len(names) or not names:
        return None
    return Shape(shape.runs, shape.kinds, shape.ignored, shape.places, names)


def shape_of_answer(codec: Codec, data: bytes, path: bytes, inputs: Inputs) -> Shape | None:
    """The shape of an answer to a request of one row; None when it has none.

    `codec` leaves outputs unread, see `raw_answers`.
    """

    def read(body: bytes) -> tuple[tuple[int, int], Sequence[Value]]:
        outputs = codec.read_response(Body(body, path), inputs)
        if not isinstance(outputs, Unread):
            raise Undecodable(Reason.SHAPE, "not an answer of outputs")
        frame = (len(outputs.predictions), len(outputs.scores))
        return frame, [*outputs.predictions, *outputs.scores]

    found = _found(data, read)
    if found is None:
        return None
    shape, (predictions, _) = found
    if None in shape.places or not shape.places or Kind.TRUTH in shape.kinds:
        return None
    return Shape(shape.runs, shape.kinds, shape.ignored, shape.places, (), predictions)


def _found(data: bytes, read: _Read[Frame]) -> tuple[Shape, Frame] | None:
    if len(data) > MOST_BYTES or not data.isascii() or b"\\" in data:
        return None
    tokens = _tokens(data)
    if len(tokens) > MOST_VALUES:
        return None
    try:
        marking = _Marking(data, tokens, read)
    except Undecodable:
        return None
    everything = range(len(tokens))
    places = marking.places(everything)
    chosen: list[int] = list(everything)
    if places is None:
        chosen = []
        by_key: dict[bytes, list[int]] = {}
        for at, token in enumerate(tokens):
            by_key.setdefault(token.key, []).append(at)
        if len(by_key) > MOST_KEYS:
            return None
        for ours in by_key.values():
            tried = sorted([*chosen, *ours])
            found = marking.places(tried)
            if found is not None:
                chosen, places = tried, found
    if places is None or not marking.explains(places):
        return None
    return _shape(data, tokens, chosen, places), marking.frame


def _tokens(data: bytes) -> list[_Token]:
    """The values of a body of JSON, without its keys."""
    tokens: list[_Token] = []
    key = b""
    for found in _TOKEN.finditer(data):
        begin, end = found.span()
        if found["key"] is not None:
            key = found["text"]
        elif found["text"] is not None:
            tokens.append(_Token(begin, end, Kind.TEXT, key))
        elif found["number"] is not None:
            tokens.append(_Token(begin, end, Kind.NUMBER, key))
        else:
            kind = Kind.NULL if found["null"] is not None else Kind.TRUTH
            tokens.append(_Token(begin, end, kind, key))
    return tokens


class _Marking(Generic[Frame]):
    """Reads a body again and again, with other values marked."""

    def __init__(self, data: bytes, tokens: list[_Token], read: _Read[Frame]) -> None:
        self._data = data
        self._tokens = tokens
        self._read = read
        self.frame, self._values = read(data)

    def places(self, marked: Iterable[int]) -> list[int | None] | None:
        """For each value the token that it comes from, None for a missing one.

        None when these tokens are part of the form, or a value comes from none of them.
        """
        marks = list(marked)
        whole = self._places(marks, b"")
        return whole if whole is not None and whole == self._places(marks, b".5") else None

    def explains(self, places: list[int | None]) -> bool:
        """Whether nothing but missing values comes from nowhere."""
        return all(
            place is not None or value is None
            for place, value in zip(places, self._values, strict=True)
        )

    def _places(self, marked: list[int], fraction: bytes) -> list[int | None] | None:
        parts: list[bytes] = []
        comes_from: dict[Value, int] = {}
        at = 0
        for number in marked:
            token = self._tokens[number]
            mark = b"%d%b" % (_FIRST_MARK + number, fraction)
            if token.kind is Kind.TEXT:
                mark = b"~%b~" % mark
                comes_from[mark.decode()] = number
                mark = b'"%b"' % mark
            else:
                comes_from[float(mark)] = number
            parts += (self._data[at : token.begin], mark)
            at = token.end
        parts.append(self._data[at:])
        try:
            frame, values = self._read(b"".join(parts))
        except Undecodable:
            return None
        if frame != self.frame or len(values) != len(self._values):
            return None
        places: list[int | None] = []
        for value, before in zip(values, self._values, strict=True):
            place = None if value is None else comes_from.get(value)
            if place is None and not (value is None and before is None):
                if value == before and type(value) is type(before):
                    place = None
                else:
                    return None
            places.append(place)
        return places


def _shape(data: bytes, tokens: list[_Token], chosen: list[int], places: list[int | None]) -> Shape:
    located = set(places)
    runs: list[bytes] = []
    slot_of: dict[int | None, int | None] = {None: None}
    kinds: list[Kind] = []
    ignored: list[bool] = []
    at = 0
    for number in chosen:
        token = tokens[number]
        said = number in located
        if not said and token.kind not in (Kind.TEXT, Kind.NUMBER):
            continue  # few enough to have shapes of their own
        runs.append(data[at : token.begin])
        at = token.end
        slot_of[number] = len(kinds)
        kinds.append(token.kind)
        ignored.append(not said)
    runs.append(data[at:])
    return Shape(
        tuple(runs), tuple(kinds), tuple(ignored), tuple(slot_of[place] for place in places)
    )
