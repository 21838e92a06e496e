"""Reads the exchanges of one watch: a model in its role on a route.

What becomes of an exchange is counted by exactly one of these, for each that was OFFERED:

    READ            both bodies were read, or the request was and the exchange failed
    SHED            the budget did not allow for it
    QUEUE_FULL      too much was waiting, in number or in bytes
    UNREAD_reason   a body could not be read; the first of the two says why

Rows are counted as soon as the request could be read, with what is known of the answer: what could
not be read is not counted as missing. A failed exchange (no whole answer, or a status from 400 on)
counts its rows as failed, so that one can ask which values go with failures. A request that could
not be read has no rows, and counts in no block.

A shadow's watch counts what the shadow said; the features were counted by the primary's. Every
exchange of it that is READ or UNREAD is either PAIRED or UNPAIRED.

Must not know: queues, budgets, clocks.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from struct import error as PackError  # noqa: N812 -- an exception, spelled as one
from typing import Final

import numpy as np
from msgspec import Struct

from sidecar.baseline.measures import LATENCY, REQUEST_ROWS, UNUSUAL
from sidecar.config.observation import Watch
from sidecar.model import Role
from sidecar.monitor.batch import REQUEST, ROW, Batch
from sidecar.monitor.bodies import BodyReader
from sidecar.monitor.comparing import Comparer
from sidecar.monitor.entities import EntityTable, Sight
from sidecar.monitor.exchanges import FAILED_FROM, Ended, Findings, Group, Request, Sink, Texts
from sidecar.monitor.learning import Learner
from sidecar.monitor.quick import QuickReader, Read
from sidecar.monitor.rows import RowCoder
from sidecar.monitor.segments import SegmentKey, SourcedValue, text_of
from sidecar.payload import Inputs, Outputs, Reason, Undecodable, Value
from sidecar.sketch import NOT_COUNTED, AreaLayout, FloatArray, WatchCounter

_OFFERED: Final = int(WatchCounter.OFFERED)
_READ: Final = int(WatchCounter.READ)
_REPEATED: Final = int(WatchCounter.REPEATED)
_UNTRACKED: Final = int(WatchCounter.UNTRACKED)
_UNREAD: Final = {reason: int(WatchCounter.of_unread(reason)) for reason in Reason}
_UNREAD_PREFIX: Final = "unread_"


class Setup(Struct, frozen=True, kw_only=True):
    """What a watcher works with; see `installation`. `sink` is told what was found."""

    watch: Watch
    layout: AreaLayout
    bodies: BodyReader
    coder: RowCoder
    keys: tuple[SegmentKey, ...]
    entity: SourcedValue | None
    quick: QuickReader | None = None
    sink: Sink | None = None


class Watcher:
    """See the module's text. `counters` are the watch's own, in its area of the board."""

    def __init__(
        self,
        setup: Setup,
        counters: memoryview,
        batch: Batch,
        *,
        entities: EntityTable,
        learner: Learner | None,
    ) -> None:
        self.watch = setup.watch
        self.counters = counters
        self.batch = batch
        self.learner = learner
        self.bodies = setup.bodies
        self.is_shadow = setup.watch.key.role is Role.SHADOW
        self._coder = setup.coder
        self._keys = setup.keys
        self._whole: Sequence[int] = (setup.layout.blocks_at,)
        self._keys_by_row = any(key.source.feature is not None for key in setup.keys)
        self._entity = setup.entity
        self._entities = entities
        names = [column.name for column in setup.layout.measures]
        self._latency_at = names.index(LATENCY) if LATENCY in names else -1
        self._rows_at = names.index(REQUEST_ROWS) if REQUEST_ROWS in names else -1
        ours = (LATENCY, UNUSUAL, REQUEST_ROWS)
        self._said = [(at, name) for at, name in enumerate(names) if name not in ours]
        self._comparer = Comparer(counters)
        self._sink = setup.sink
        self._quick = setup.quick

    # -- many at once ----------------------------------------------------------------------------

    def look(self, exchanges: list[Ended]) -> tuple[list[Read], list[Ended]]:
        """Read what can be read at once, and return it, to be counted, beside the others."""
        quick, learner = self._quick, self.learner
        if quick is None or (learner is not None and learner.left > 0):
            return [], exchanges
        if not self.is_shadow:
            return quick.read(exchanges)
        ours: list[Ended] = []
        others: list[Ended] = []
        for one in exchanges:
            # Its request was read with the primary's; else nobody knows yet what that says.
            known = one.ticket is not None and one.ticket.said is not None
            (ours if known else others).append(one)
        found, left = quick.read(ours)
        return found, [*others, *left]

    def count(self, read: Read) -> None:
        """Count exchanges that were read at once."""
        exchanges, said = read.exchanges, read.said
        n = len(exchanges)
        self._leave(_READ, n)
        if self.is_shadow:
            self._comparer.compare_many(exchanges, said)
        else:
            for at, one in enumerate(exchanges):
                if one.ticket is not None:
                    one.ticket.settle_as(said, at)
        latency_ns = np.array(array("q", [one.total_ns for one in exchanges]))
        texts: Texts = ()
        bases = None
        if self._keys:
            texts = [[key.source.header(one.request) for key in self._keys] for one in exchanges]
            bases = np.array([self._bases(of_one) for of_one in texts])
        of = None if self._sink is None else (exchanges, said, texts)
        self.batch.add_single(read.cells, latency_ns, bases, of)

    # -- one at a time ---------------------------------------------------------------------------

    def read(self, ended: Ended) -> None:
        """Read an exchange and count it. Raises nothing that a body could cause."""
        inputs, outputs, outcome = self._look(ended)
        if inputs is not None:
            self._count(ended, inputs, outputs)
            if self._sink is None:  # else whoever writes it down still needs the body
                ended.request.shorten()
        elif self._sink is not None:
            self._sink.left(ended)
        ticket = ended.ticket
        if ticket is not None:
            if not self.is_shadow:
                ticket.settle(outputs)
            else:
                self._comparer.compare(ticket, outputs)
        self._leave(outcome)
        if self._quick is not None and inputs is not None and outputs is not None:
            self._quick.learn(ended, inputs)

    def _leave(self, outcome: int, n: int = 1) -> None:
        """So many exchanges have ended, and this became of them."""
        self.counters[_OFFERED] += n
        self.counters[outcome] += n

    def leave(self, ended: Ended, counter: int) -> None:
        """Count an exchange that is not read, whoever asks for it."""
        self._leave(counter)
        if ended.ticket is not None and not self.is_shadow:
            ended.ticket.settle(None)
        ended.unread = WatchCounter(counter).name.lower().removeprefix(_UNREAD_PREFIX)
        if self._sink is not None:
            self._sink.left(ended)

    def flush(self) -> None:
        """Count on the board what was read."""
        self.batch.flush()

    def look_back(self) -> None:
        """What is to be done every few seconds: learn which answers are slow, send learned rows."""
        self.batch.learn_what_is_slow()
        if self.learner is not None:
            self.learner.flush()

    def retire(self) -> None:
        """Write to the area no more: it may be somebody else's now."""
        self._comparer.retire()

    # -- what the bodies say ---------------------------------------------------------------------

    def _look(self, ended: Ended) -> tuple[Inputs | None, Outputs | None, int]:
        """What request and answer say, as far as they can be read, and the counter of that."""
        request, ticket = ended.request, ended.ticket
        inputs, bodies = request.inputs, self.bodies
        try:
            if inputs is None:
                # Segments and entities are the route's: what the primary's codec finds is enough.
                reader = bodies if ticket is None else ticket.bodies or bodies
                inputs = request.inputs = reader.inputs(request)
            if ended.status == 0 or ended.status >= FAILED_FROM:
                return inputs, None, _READ
            if ticket is None:
                return inputs, bodies.outputs(ended, inputs), _READ
            outputs = ticket.known(ended.answer, bodies.codec)
            if outputs is None:
                outputs = bodies.outputs(ended, inputs)
                ticket.know(ended.answer, bodies.codec, outputs)
        except Undecodable as unread:
            if inputs is None:
                request.unread = unread.reason
            ended.unread = unread.reason.value
            return inputs, None, _UNREAD[unread.reason]
        return inputs, outputs, _READ

    # -- counting --------------------------------------------------------------------------------

    def _count(self, ended: Ended, inputs: Inputs, outputs: Outputs | None) -> None:
        """Add the rows of an exchange to what is counted next, and the request they came in."""
        rows = inputs.rows
        count = len(rows)
        if not count and outputs is not None:
            count = len(outputs.predictions)
        failed = ended.status == 0 or ended.status >= FAILED_FROM
        latency_ns = ended.latency_ns
        texts: Sequence[str | None] = ()
        bases = of_request = self._whole
        if self._keys:
            texts = [key.source.text(ended.request, inputs) for key in self._keys]
            bases = of_request = self._bases(texts)
        measures = self._measured(latency_ns, count, outputs)
        batch, coder, learner = self.batch, self._coder, self.learner
        of: Group | None = None
        if self._sink is not None:
            of = ([ended], outputs, [texts] if texts else ())
        form = coder.form(inputs.names)
        what, of_row, whose = (ROW, batch.no_measures, None)
        if count == 1:
            what, of_row, whose = (ROW | REQUEST, measures, of)
        counted = False
        for at in range(count):
            row: Sequence[Value] = rows[at] if rows else ()
            if self._keys_by_row and count > 1 and rows:
                texts = self._texts_of_row(texts, inputs.names, row)
                bases = self._bases(texts)
            if self._entity is not None and self._seen(ended.request, inputs, row):
                continue
            cells = coder.features(form, row)
            said = coder.outputs(outputs, at)
            try:
                batch.add(what, cells, said, of_row, failed, latency_ns, bases, whose)
            except (PackError, TypeError, OverflowError):
                cells = coder.numbers(cells)
                batch.add(what, cells, said, of_row, failed, latency_ns, bases, whose)
            counted = True
            if learner is not None and learner.left > 0:
                named = {key.name: text for key, text in zip(self._keys, texts, strict=True)}
                learner.take(inputs.names, row, outputs, at, named)
        if what == ROW or not counted:
            batch.add(REQUEST, batch.no_cells, (), measures, failed, latency_ns, of_request, of)

    def _bases(self, texts: Sequence[str | None]) -> Sequence[int]:
        """Where the blocks of these segment values begin."""
        return [key.base(text) for key, text in zip(self._keys, texts, strict=True)]

    def _measured(self, latency_ns: int, rows: int, outputs: Outputs | None) -> list[float]:
        """The cells of the request's measures; `unusual` is found when it is counted."""
        measures = self.batch.no_measures.copy()
        if self._latency_at >= 0 and latency_ns >= 0:
            measures[self._latency_at] = latency_ns
        if self._rows_at >= 0:
            measures[self._rows_at] = rows
        if outputs is not None:
            for at, name in self._said:
                measures[at] = outputs.measures.get(name, NOT_COUNTED)
        return measures

    def _texts_of_row(
        self, texts: Sequence[str | None], names: tuple[str, ...], row: Sequence[Value]
    ) -> list[str | None]:
        """The segment values of one row of several: features differ from row to row."""
        return [
            text if key.source.feature is None else _feature(key.source.feature, names, row, text)
            for key, text in zip(self._keys, texts, strict=True)
        ]

    def _seen(self, request: Request, inputs: Inputs, row: Sequence[Value]) -> bool:
        """Whether the row's entity was counted in this period already."""
        source = self._entity
        if source is None:
            return False
        entity = source.text(request, inputs)
        if source.feature is not None and len(inputs.rows) > 1:
            entity = _feature(source.feature, inputs.names, row, entity)
        if entity is None:
            return False
        sight = self._entities.see(self.watch.slot, entity)
        if sight is Sight.UNTRACKED:
            self.counters[_UNTRACKED] += 1
        elif sight is Sight.REPEATED:
            self.counters[_REPEATED] += 1
            return True
        return False

    # -- who wants to know -----------------------------------------------------------------------

    def judged(self, unusual: FloatArray, groups: list[Group]) -> None:
        """The scores of the requests that were just counted, and whose they are."""
        if self._sink is None:
            return
        scores = unusual.tolist()
        names = [key.name for key in self._keys]
        begin = 0
        for exchanges, said, texts in groups:
            end = begin + len(exchanges)
            self._sink.found(Findings(exchanges, said, names, texts, scores[begin:end]))
            begin = end


def _feature(
    name: str, names: tuple[str, ...], row: Sequence[Value], otherwise: str | None
) -> str | None:
    """The text of a feature of a row; `otherwise` when the row does not have it."""
    if name not in names:
        return otherwise
    at = names.index(name)
    return text_of(row[at]) if at < len(row) else None
