"""Reads many exchanges of a watch at once, by the shapes of their bodies.

The usual exchange (a request of one row and its answer, both whole, JSON, of a shape seen before)
is read by compiled code straight into the numbers that are counted, without an object per value.
Whatever is not so is left to the codec, whose word is final: a shape is made of what the codec has
read, and a body that does not fit a known one to the byte is the codec's to read.

Left to it are also exchanges that failed, streams, batches, bodies in pieces or in the chunked
coding, texts with escapes or beyond ASCII, and paths other than the last one of which a shape was
made.

A shadow's request was read with the primary's; who asks is to see to that.

Must not know: queues, counters, blocks.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import compress
from typing import Final, TypeVar

import numpy as np
from msgspec import Struct

from sidecar.board import Kernels
from sidecar.config.observation import Watch
from sidecar.model import ColumnKind, ColumnPart
from sidecar.monitor.exchanges import FAILED_FROM, Ended
from sidecar.monitor.rows import Coding
from sidecar.monitor.shapes import AnswerShape, OutputCoder, Patience, RequestShape
from sidecar.payload import Inputs
from sidecar.payload.answers import Answers
from sidecar.payload.codec import Codec
from sidecar.payload.row_answers import BoolArray, RowAnswers
from sidecar.payload.scan import SEAL, ByteArray
from sidecar.payload.shapes import shape_of_answer, shape_of_request
from sidecar.sketch import NOT_COUNTED, FloatArray, IntArray

Form = TypeVar("Form", RequestShape, AnswerShape)

MOST_SHAPES: Final = 4  # of one side: the usual traffic of a model is not written in more ways


class Read(Struct, frozen=True):
    """Exchanges that were read, `cells: float64[exchange, column]`, and what the answers say."""

    exchanges: list[Ended]
    cells: FloatArray
    said: RowAnswers


class QuickReader:
    """See the module's text. `raw` reads as the watch's codec does, but leaves answers unread."""

    def __init__(
        self, watch: Watch, raw: Codec, kernels: Kernels, *, max_bytes: int, is_shadow: bool
    ) -> None:
        features = [one for one in watch.columns if one.part is ColumnPart.FEATURE]
        outputs = watch.columns[len(features) :]
        self._raw = raw
        self._kernels = kernels
        self._max_bytes = max_bytes
        self._is_shadow = is_shadow
        self._features = features
        self._codings = {
            at: Coding(column)
            for at, column in enumerate(features)
            if column.kind is ColumnKind.CATEGORICAL
        }
        self._prediction = next((one for one in outputs if one.part is ColumnPart.PREDICTION), None)
        self._answers = Answers(watch.payload)
        self._coder = OutputCoder(outputs)
        self._width = len(watch.columns)
        self._path = b""
        self._requests: list[RequestShape] = []  # the newest first, then the more useful
        self._replies: list[AnswerShape] = []
        self._patience = Patience()

    def read(self, exchanges: list[Ended]) -> tuple[list[Read], list[Ended]]:
        """What could be read here, and what could not."""
        if not self._replies or not (self._requests or self._is_shadow):
            return [], exchanges
        ours: list[Ended] = []
        left: list[Ended] = []
        path = self._path
        for one in exchanges:
            request = one.request
            if (
                200 <= one.status < FAILED_FROM
                and one.capture is None
                and request.path == path
                and request.complete
                and not request.chunked
            ):
                ours.append(one)
            else:
                left.append(one)
        if not ours:
            return [], left
        n = len(ours)
        cells = np.empty((n, self._width))
        wires = [] if self._is_shadow else [one.request.wire for one in ours]
        data, starts, ends = _joined([*wires, *[one.answer for one in ours]])
        if self._is_shadow:
            cells[:, : len(self._features)] = NOT_COUNTED
        else:
            bodies_at = array("q", [one.request.body_at for one in ours])
            starts[:n] += np.frombuffer(bodies_at, dtype=np.int64)
        ends = np.where(ends - starts > self._max_bytes, starts, ends)  # empty: fits no shape
        if not self._is_shadow:
            fits = self._read_requests(data, starts[:n], ends[:n], cells)
            starts, ends = starts[n:], ends[n:]
            if fits is not None:
                ours, cells = _parted(ours, fits, left), cells[fits]
                starts, ends = starts[fits], ends[fits]
        found: list[Read] = []
        for shape in list(self._replies):
            if not ours:
                break
            said, fits = shape.read(self._kernels, data, starts, ends)
            if fits is None:
                _move_up(self._replies, shape)
                found.append(self._coded(ours, cells, said))
                ours = []
            elif fits.any():
                _move_up(self._replies, shape)
                rest: list[Ended] = []
                read = _parted(ours, fits, rest)
                found.append(self._coded(read, cells[fits], said.of(fits)))
                ours, cells, starts, ends = rest, cells[~fits], starts[~fits], ends[~fits]
        left += ours
        return found, left

    def _read_requests(
        self, data: ByteArray, starts: IntArray, ends: IntArray, cells: FloatArray
    ) -> BoolArray | None:
        """Write the features of requests into `cells`; which could be read, None: all."""
        width = len(self._features)
        first, *others = self._requests
        fits = first.read(self._kernels, data, starts, ends, cells[:, :width])
        for shape in others:
            if fits is None:
                break
            rest = np.flatnonzero(~fits)
            if not len(rest):
                break
            theirs = np.empty((len(rest), width))
            fit = shape.read(self._kernels, data, starts[rest], ends[rest], theirs)
            if fit is None or fit.any():
                _move_up(self._requests, shape)
            cells[rest, :width] = theirs
            fits[rest] = True if fit is None else fit
        return fits

    def _coded(self, exchanges: list[Ended], cells: FloatArray, said: RowAnswers) -> Read:
        self._coder.fill(cells[:, len(self._features) :], said)
        return Read(exchanges, cells, said)

    # -- shapes ----------------------------------------------------------------------------------

    def learn(self, ended: Ended, inputs: Inputs) -> None:
        """The codec has read both bodies of an exchange that was left to it: what is their shape?

        Called with each of them; most are passed over.
        """
        request = ended.request
        whole = ended.capture is None and request.pieces is None and not request.chunked
        if not whole or len(inputs.rows) != 1 or not self._patience.ends():
            return
        path, answer = request.path, ended.answer
        if path != self._path:
            self._path = path
            self._requests, self._replies = [], []
        if not self._is_shadow:
            body = request.wire[request.body_at :]
            if not self._known(self._requests, body):
                shape = shape_of_request(self._raw, body, path)
                if shape is not None:
                    made = RequestShape.of(shape, self._features, self._codings)
                    self._requests = [*([made] if made else []), *self._requests][:MOST_SHAPES]
        if not self._known(self._replies, answer):
            shape = shape_of_answer(self._raw, answer, path, inputs)
            if shape is not None:
                reply = AnswerShape.of(shape, self._answers, self._prediction)
                self._replies = [*([reply] if reply else []), *self._replies][:MOST_SHAPES]

    def _known(self, shapes: Sequence[RequestShape | AnswerShape], body: bytes) -> bool:
        if not body:
            return False
        data, starts, ends = _joined([body])
        return any(shape.has(self._kernels, data, starts, ends) for shape in shapes)


def _joined(bodies: list[bytes]) -> tuple[ByteArray, IntArray, IntArray]:
    """Bodies one after the other, where each begins and where it ends."""
    lengths = np.frombuffer(array("q", map(len, bodies)), dtype=np.int64)
    ends = np.cumsum(lengths)
    return np.frombuffer(b"".join((*bodies, SEAL)), dtype=np.uint8), ends - lengths, ends


def _move_up(shapes: list[Form], used: Form) -> None:
    """One step ahead, as it was of use: what is of none ends up last and makes room."""
    at = shapes.index(used)
    if at:
        shapes[at - 1], shapes[at] = used, shapes[at - 1]


def _parted(ours: list[Ended], fits: BoolArray, others: list[Ended]) -> list[Ended]:
    """Those that fit; the others are added to `others`."""
    others += compress(ours, (~fits).tolist())
    return list(compress(ours, fits.tolist()))
