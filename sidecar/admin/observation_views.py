"""What the API shows of observing: who is observed, against what, and what is kept of it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from sidecar.control.observation import Observer, Pin, Watched
from sidecar.model import ColumnPart, Role
from sidecar.sketch import Area, Block, BlockCounter, WatchCounter

_NS = 1_000_000_000

OUTCOMES = {
    counter: counter.name.lower()
    for counter in WatchCounter
    if counter in {WatchCounter.READ, WatchCounter.SHED, WatchCounter.QUEUE_FULL}
    or counter.name.startswith("UNREAD_")
}
"""What becomes of an exchange that a watch is offered: it is read, or why not."""


class ReferenceView(Struct, frozen=True, kw_only=True):
    """What a model is compared with.

    `kind` is `baseline` (a file), `provisional` (learned), `learning`, or `none` (a canary or
    shadow waits for the primary's). `rows_learned` of `rows_wanted` have come while rows are asked
    for; with a baseline, that is to find the values of segments.
    """

    kind: str
    rows: int | None = None
    content_hash: str | None = None
    rows_learned: int | None = None
    rows_wanted: int | None = None


class WatchView(Struct, frozen=True, kw_only=True):
    """A model in its role on a route; counts are of all the time since it counts so."""

    route: str
    model: str
    role: Role
    reference: ReferenceView
    features: int
    segments: dict[str, int]
    exchanges: dict[str, int]
    rows: int


class UnwatchedView(Struct, frozen=True, kw_only=True):
    """A model that is not observed, and what would help."""

    route: str
    model: str
    role: Role
    needed_bytes: int
    reason: str


class SnapshotsView(Struct, frozen=True, kw_only=True):
    """The snapshots as a whole; failures are since the controller started."""

    count: int
    oldest: str | None
    newest: str | None
    size_bytes: int
    in_memory: int
    write_failures: int
    damaged: int
    forgotten: int


class ObservationView(Struct, frozen=True, kw_only=True):
    """Observing at a glance: part of `/api/v1/status`."""

    version: int
    watches: list[WatchView]
    unwatched: list[UnwatchedView]
    snapshots: SnapshotsView


class PinView(Struct, frozen=True, kw_only=True):
    """A snapshot with a name. `keeps` are other snapshots that it keeps from thinning out."""

    name: str
    taken: str
    keeps: int
    size_bytes: int


def observation_view(observer: Observer) -> ObservationView:
    """Everything that is observed, as it stands now."""
    return ObservationView(
        version=observer.version,
        watches=[_watch(one, observer) for one in observer.watched()],
        unwatched=[
            UnwatchedView(
                route=one.key.route,
                model=one.key.model,
                role=one.key.role,
                needed_bytes=one.needed_bytes,
                reason=one.reason,
            )
            for one in observer.unwatched()
        ],
        snapshots=snapshots_view(observer),
    )


def snapshots_view(observer: Observer) -> SnapshotsView:
    """The snapshots as a whole."""
    history = observer.history
    shelf, losses = history.shelf, history.losses
    return SnapshotsView(
        count=len(shelf),
        oldest=moment(shelf[0].taken_ns) if shelf else None,
        newest=moment(shelf[-1].taken_ns) if shelf else None,
        size_bytes=history.size_bytes,
        in_memory=sum(one.content is not None for one in shelf),
        write_failures=losses.write_failures,
        damaged=losses.damaged,
        forgotten=losses.forgotten,
    )


def pins_view(observer: Observer) -> list[PinView]:
    """Snapshots with names, oldest first."""
    sizes = {one.taken_ns: one.size_bytes for one in observer.history.shelf}
    pins = sorted(observer.history.pins.items(), key=lambda entry: entry[1].taken_ns)
    return [_pin(name, pin, sizes) for name, pin in pins]


def reference_view(one: Watched, observer: Observer) -> ReferenceView:
    """What a model is compared with, and how far that is learned."""
    baseline = one.baseline
    learning = bool(one.watch.learn)
    kind = "none"
    if baseline is not None:
        kind = "provisional" if baseline.provisional else "baseline"
    elif learning:
        kind = "learning"
    return ReferenceView(
        kind=kind,
        rows=None if baseline is None else baseline.rows,
        content_hash=None if baseline is None else baseline.content_hash,
        rows_learned=observer.rows_learned(one.key) if learning else None,
        rows_wanted=observer.monitor.learn_rows if learning else None,
    )


def whole(one: Watched, area: Area) -> Block:
    """The blocks of a watch that sum to everything."""
    return area.total(one.whole)


def moment(stamp_ns: int) -> str:
    """A stamp as ISO 8601 in UTC, to the millisecond."""
    at = datetime.fromtimestamp(stamp_ns / _NS, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _watch(one: Watched, observer: Observer) -> WatchView:
    area = observer.live(one.owner)
    exchanges = {name: area.counter(counter) for counter, name in OUTCOMES.items()}
    return WatchView(
        route=one.key.route,
        model=one.key.model,
        role=one.key.role,
        reference=reference_view(one, observer),
        features=sum(column.part is ColumnPart.FEATURE for column in one.columns),
        segments={segment.name: len(segment.values) + 1 for segment in one.segments},
        exchanges={
            "offered": area.counter(WatchCounter.OFFERED),
            **{name: count for name, count in exchanges.items() if count},
        },
        rows=whole(one, area).counter(BlockCounter.ROWS),
    )


def _pin(name: str, pin: Pin, sizes: dict[int, int]) -> PinView:
    return PinView(
        name=name,
        taken=moment(pin.taken_ns),
        keeps=len(pin.keeps),
        size_bytes=sum(sizes.get(stamp, 0) for stamp in (pin.taken_ns, *pin.keeps)),
    )
