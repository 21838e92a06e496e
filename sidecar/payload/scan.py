"""Reads the values of bodies of one pattern, many at once: literal bytes, and values between them.

Two bodies that a client sends to a model differ in their values and in nothing else. A `Pattern` is
what they have in common: runs of bytes, and after each run a slot for one value,

    NUMBER    a JSON number (RFC 8259 6) of at most 18 significant digits
    NULLABLE  the same, or `null`
    TRUTH     `true` or `false`
    TEXT      a string, one of a list; each has a code
    ANYTHING  a string that says nothing

`scan_bodies` is plain Python in the subset that Numba compiles, as the kernels of `sketch` are. It
takes nothing that is not exactly so: a body with other spaces, another order, a string with an
escape or beyond ASCII, a number that JSON forbids (`01`, `1.`, `.5`) or with more digits *does not
match*, and somebody else reads it. Values are left as `mantissa * 10 ** exponent`, for
`sidecar.payload.decimals`.

Must not know: protocols, names, what a value means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from sidecar.payload.decimals import MISSING, NearestDoubles, powers_of_five, powers_of_ten
from sidecar.sketch.distribution import FloatArray
from sidecar.sketch.kernels import IntArray

ByteArray = npt.NDArray[np.uint8]

MOST_EXPONENT: Final = 1000  # beyond it no digit is looked at
_FULL: Final = 10**17  # a mantissa of as many digits as are taken, 18: it fits into 64 bits

SEAL: Final = b"\0"
"""Ends the bytes that are scanned: no text and no number goes on behind it."""

REFUSED: Final = -1
"""In place of the code of a text that is none of the list: then the body does not match."""


class Slot(IntEnum):
    """What stands after a run of literal bytes."""

    END = 0
    NUMBER = 1
    NULLABLE = 2
    TRUTH = 3
    TEXT = 4
    ANYTHING = 5


ScanBodies = Callable[
    [
        ByteArray, IntArray, IntArray, ByteArray, IntArray, ByteArray, IntArray,
        IntArray, IntArray, IntArray,
    ],
    int,
]  # fmt: skip
"""The kernel, compiled or not; `Pattern.scan` calls it."""


def scan_bodies(
    data: ByteArray,
    starts: IntArray,
    ends: IntArray,
    literals: ByteArray,
    steps: IntArray,
    texts: ByteArray,
    spans: IntArray,
    mantissas: IntArray,
    exponents: IntArray,
    matched: IntArray,
) -> int:
    """Read the values of every body; the return value is how many match.

    data:      uint8[...]           where the bodies are, with the SEAL behind them
    starts:    int64[body]          where each begins in `data`
    ends:      int64[body]          where it ends
    literals:  uint8[...]           the literal runs, one after the other
    steps:     int64[slot + 1, 5]   end of the run before the slot; its kind; of a TEXT where its
                                    list begins and ends in `spans`, and the code of other texts
    texts:     uint8[...]           all texts of all lists
    spans:     int64[text, 3]       where a text begins and ends in `texts`, and its code
    mantissas: int64[body, slot]    written: the value of a number, 1 or 0, or a code
    exponents: int64[body, slot]    written: of ten, or MISSING
    matched:   int64[body]          written: 1, or 0; then its row of values says nothing

    Compiled code checks no bounds, so this does: a body that is not within `data` does not match,
    and the seal ends whatever runs beyond the end of its body, which then does not match either.
    (Positions are cast where a byte is read: unsigned ones need no look at negative ones.)
    """
    last = data.shape[0] - 1
    sealed = last >= 0 and data[last] == 0
    count = 0
    for body in range(starts.shape[0]):
        at, end = starts[body], ends[body]
        matched[body] = 0
        if at < 0 or end > last or at > end or not sealed:
            continue
        literal = 0
        fits = True
        for step in range(steps.shape[0]):
            literal_end, kind = steps[step, 0], steps[step, 1]
            if end - at < literal_end - literal:
                fits = False
                break
            while literal < literal_end and data[np.uintp(at)] == literals[np.uintp(literal)]:
                literal += 1
                at += 1
            if literal < literal_end:
                fits = False
                break
            if kind == 0:  # END
                fits = at == end
                break
            byte = np.int64(data[np.uintp(at)])

            if kind >= 4:  # TEXT, ANYTHING
                if byte != 34:  # "
                    fits = False
                    break
                at += 1
                begin = at
                byte = np.int64(data[np.uintp(at)])
                while 32 <= byte < 127 and byte != 34 and byte != 92:  # noqa: PLR1714 -- ", \
                    at += 1
                    byte = np.int64(data[np.uintp(at)])
                if byte != 34:
                    fits = False
                    break
                mantissas[body, step] = 0
                exponents[body, step] = 0
                if kind == 4:
                    code = steps[step, 4]
                    for span in range(steps[step, 2], steps[step, 3]):
                        first, length = spans[span, 0], spans[span, 1] - spans[span, 0]
                        offset = 0
                        if length == at - begin:
                            while offset < length and data[begin + offset] == texts[first + offset]:
                                offset += 1
                            if offset == length:
                                code = spans[span, 2]
                                break
                    if code < 0:  # REFUSED
                        fits = False
                        break
                    mantissas[body, step] = code
                at += 1
                continue

            if byte == 116 or byte == 102 or byte == 110:  # noqa: PLR1714 -- t, f, n
                # true, false and null
                exponents[body, step] = MISSING if byte == 110 else 0
                mantissas[body, step] = byte == 116
                if kind != (2 if byte == 110 else 3) or end - at < (5 if byte == 102 else 4):
                    fits = False
                    break
                if byte == 116:
                    fits = data[at + 1] == 114 and data[at + 2] == 117 and data[at + 3] == 101
                elif byte == 110:
                    fits = data[at + 1] == 117 and data[at + 2] == 108 and data[at + 3] == 108
                else:
                    fits = data[at + 1] == 97 and data[at + 2] == 108 and data[at + 3] == 115
                    fits = fits and data[at + 4] == 101
                    at += 1
                if not fits:
                    break
                at += 4
                continue
            if kind == 3:
                fits = False
                break

            # -? (0 | 1-9 0-9*) (. 0-9+)? ((e | E) (+ | -)? 0-9+)?
            negative = byte == 45
            if negative:
                at += 1
                byte = np.int64(data[np.uintp(at)])
            begin = at
            zero = byte == 48
            mantissa = exponent = np.int64(0)
            while 48 <= byte <= 57 and mantissa < _FULL:
                mantissa = mantissa * 10 + (byte - 48)
                at += 1
                byte = np.int64(data[np.uintp(at)])
            if at == begin or (zero and at > begin + 1):
                fits = False
                break
            if byte == 46:
                at += 1
                begin = at
                byte = np.int64(data[np.uintp(at)])
                while 48 <= byte <= 57 and mantissa < _FULL:
                    mantissa = mantissa * 10 + (byte - 48)
                    at += 1
                    byte = np.int64(data[np.uintp(at)])
                exponent = begin - at
                if exponent == 0:
                    fits = False
                    break
            if 48 <= byte <= 57:  # one too many
                fits = False
                break
            if byte == 101 or byte == 69:  # noqa: PLR1714 -- e, E
                at += 1
                byte = np.int64(data[np.uintp(at)])
                sign = np.int64(1)
                if byte == 43 or byte == 45:  # noqa: PLR1714 -- +, -
                    sign = 44 - byte
                    at += 1
                    byte = np.int64(data[np.uintp(at)])
                begin = at
                power = np.int64(0)
                while 48 <= byte <= 57:
                    if power < MOST_EXPONENT:
                        power = power * 10 + (byte - 48)
                    at += 1
                    byte = np.int64(data[np.uintp(at)])
                if at == begin:
                    fits = False
                    break
                exponent += sign * power
            mantissas[body, step] = -mantissa if negative else mantissa
            exponents[body, step] = exponent
        if fits:
            matched[body] = 1
            count += 1
    return count


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """A pattern as the kernel takes it; the arrays are read-only, see `scan_bodies`."""

    slots: int
    literals: ByteArray
    steps: IntArray
    texts: ByteArray
    spans: IntArray

    @classmethod
    def of(
        cls, runs: Sequence[bytes], kinds: Sequence[Slot], lists: Sequence[TextList | None]
    ) -> Self:
        """Slot `i` is of `kinds[i]` and stands between `runs[i]` and `runs[i + 1]`.

        A TEXT has its list in `lists[i]`.
        """
        steps: list[tuple[int, ...]] = []
        spans: list[tuple[int, int, int]] = []
        literals = texts = b""
        for run, kind, known in zip(runs, (*kinds, Slot.END), (*lists, None), strict=True):
            literals += run
            first = len(spans)
            for code, text in enumerate(() if known is None else known.texts):
                spelled = text.encode()
                spans.append((len(texts), len(texts) + len(spelled), code))
                texts += spelled
            other = REFUSED if known is None else known.other
            steps.append((len(literals), kind, first, len(spans), other))
        return cls(
            len(kinds),
            np.frombuffer(literals, dtype=np.uint8),
            _frozen(np.array(steps, dtype=np.int64).reshape(-1, 5)),
            np.frombuffer(texts, dtype=np.uint8),
            _frozen(np.array(spans, dtype=np.int64).reshape(-1, 3)),
        )

    def read(
        self,
        scan_bodies: ScanBodies,
        nearest_doubles: NearestDoubles,
        data: ByteArray,
        starts: IntArray,
        ends: IntArray,
    ) -> tuple[FloatArray, IntArray, int]:
        """Read the values of bodies; see the kernels.

        Returns `float64[body, slot]`, NaN where one is `null`; 1 for each body that was read, else
        0; and how many were. Raises ValueError when there are not as many ends as starts.
        """
        count = len(starts)
        if len(ends) != count:
            raise ValueError(f"{len(ends)} ends of {count} bodies")
        mantissas, exponents = np.empty((2, count, self.slots), dtype=np.int64)
        matched = np.empty(count, dtype=np.int64)
        numbers = np.empty((count, self.slots))
        read = scan_bodies(
            *(data, starts, ends, self.literals, self.steps, self.texts, self.spans),
            *(mantissas, exponents, matched),
        )
        if read:
            powers = powers_of_five(), powers_of_ten()
            read -= nearest_doubles(mantissas, exponents, *powers, numbers, matched)
        return numbers, matched, read


@dataclass(frozen=True, slots=True)
class TextList:
    """Texts whose codes are their places; `other` is the code of every other text, or REFUSED."""

    texts: tuple[str, ...]
    other: int = REFUSED


def _frozen(array: IntArray) -> IntArray:
    array.flags.writeable = False
    return array
