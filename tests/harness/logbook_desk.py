"""A logbook whose time and schedule are in the test's hands, over a real board."""

from dataclasses import dataclass, field

from sidecar.board import Board, BoardLayout, CellCounter
from sidecar.config.recording import CaptureSettings
from sidecar.config.settings import Limits, ModelSettings, RouteSettings
from sidecar.config.update import RoutingUpdate
from sidecar.logbook import Composer, Logbook, RecordIds, Subjects
from sidecar.model import CellKey, Role
from sidecar.monitor import Ended, Request
from sidecar.proxy.chunked import payload_of
from sidecar.records import RedactionRules, Redactor, decode
from sidecar.routing import Split

OK = int(CellCounter.STATUS_2XX)
ERROR = int(CellCounter.ERROR)
FULL_BODY = 1000
WALL_NS = 1_700_000_000_000_000_000

KEYS = (
    CellKey(route="r", model="stable", role=Role.PRIMARY),
    CellKey(route="r", model="next", role=Role.CANARY),
    CellKey(route="r", model="trial", role=Role.SHADOW),
)


@dataclass
class Head:
    """A request's head, as far as a logbook looks at it."""

    method: bytes = b"POST"
    path: bytes = b"/v2/models/iris/infer"
    kept: bytes = (
        b"POST /v2/models/iris/infer HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    )
    chunked: bool = False


class Shelf:
    """A journal in memory that can be told to refuse."""

    def __init__(self):
        self.taken = []
        self.tables = []
        self.failures = {}
        self.refuses = None

    def extend(self, items):
        if self.refuses is None:
            self.taken += items
            return
        for subject, _ in items:
            key = (self.refuses, subject)
            self.failures[key] = self.failures.get(key, 0) + 1

    def subjects(self, table):
        self.tables.append(table)

    @property
    def records(self):
        return [decode(payload) for _, payload in self.taken]


@dataclass
class Desk:
    """A logbook and all that it works with."""

    kernels: object
    capture: CaptureSettings = field(default_factory=CaptureSettings)
    rules: RedactionRules = field(default_factory=RedactionRules)

    def __post_init__(self):
        layout = BoardLayout(workers=1, cells=4, model_rows=4)
        self.board = Board.allocate(layout, self.kernels)
        self.recorder = self.board.recorder(0)
        self.shelf = Shelf()
        self.now_ns = 10_000_000_000
        self.wall_offset_ns = WALL_NS
        self.due = []
        self.logbook = Logbook(
            self.recorder,
            self.shelf,
            Composer(3, RecordIds(lambda bits: (1 << bits) - 1)),
            subjects=Subjects(
                lambda _route: Redactor(self.rules), full_body=FULL_BODY, dechunk=payload_of
            ),
            salt=7,
            clock_ns=lambda: self.now_ns,
            wall_ns=lambda: self.now_ns + self.wall_offset_ns,
            soon=lambda call: self.due.append((0.0, call)),
            later=lambda delay_s, call: self.due.append((delay_s, call)),
        )
        self.install()

    def install(self, keys=KEYS, capture=None):
        self.logbook.install(update(keys, capture or self.capture))

    def enter(self, *, counter=OK, count=True, **facts):
        ended = ended_exchange(counter=counter, started_ns=self.now_ns - 5000, **facts)
        if count:
            self.recorder.record(ended.cell, counter, ended.total_ns, -1, -1, -1)
        self.logbook.enter(ended)
        return ended

    def run_due(self):
        """Whatever is scheduled, once."""
        due, self.due = self.due, []
        for _, call in due:
            call()

    def counter(self, cell, counter):
        return self.board.snapshot().counter(cell, counter)


def update(keys, capture):
    models = {key.model: ModelSettings(url="http://127.0.0.1:9") for key in keys if key}
    return RoutingUpdate(
        version=4,
        routes=(RouteSettings(name="r", primary="stable", capture=capture),),
        models=models,
        splits={"r": Split.fresh("stable", {}, "salt")},
        limits=Limits(),
        cells=tuple(keys),
        model_rows=tuple(models),
    )


def ended_exchange(
    *,
    cell=0,
    counter=OK,
    status=200,
    head=None,
    request_id=b"req-1",
    started_ns=0,
    total_ns=5000,
    body=b'{"x": 1}',
    trace=b"0af7651916cd43dd8448eb211c80319c",
    answer=b'{"y": 2}',
    request_bytes=None,
    **facts,
):
    head = head or Head()
    sent = head.kept + b"traceparent: 00-"
    request = Request(
        sent + trace + b"-00f067aa0ba902b7-01\r\n\r\n" + body,
        len(sent) + len(trace) + 24,
        head.path,
        head.chunked,
        method=head.method,
        head=head.kept,
        id=request_id,
        version=4,
        size=len(body) if request_bytes is None else request_bytes,
        trace_at=len(sent),
    )
    facts.setdefault("answer_bytes", len(answer))
    return Ended(
        request=request,
        watcher=None,
        cell=cell,
        counter=counter,
        status=status,
        answer_head=b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",
        answer=answer,
        started_ns=started_ns,
        total_ns=total_ns,
        upstream_ns=4000,
        first_byte_ns=4500,
        **facts,
    )
