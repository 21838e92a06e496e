"""The books as metrics: every state has its series, and they add up to the exchanges."""

import asyncio
from types import SimpleNamespace

import pytest
from harness.documented import documented, shown

from sidecar.admin.delivery_metrics import DeliveryMetrics
from sidecar.admin.log_views import ledger_view
from sidecar.admin.records_metrics import RecordsMetrics
from sidecar.control.recording import Balance, Books
from sidecar.delivery.dead_letters import DeadLetterStore
from sidecar.delivery.dead_letters.bounds import Bounds
from sidecar.delivery.figures import DeliveryFigures
from sidecar.delivery.retries import CircuitState
from sidecar.journal import Standing
from sidecar.model import CellKey, DropReason, Role
from sidecar.sketch import Histogram, latency_edges

KEY = CellKey(route="r", model="stable", role=Role.PRIMARY)
BOOKS = Books(
    requests=20,
    logged=10,
    corrupt=1,
    sampled_out=2,
    dropped={DropReason.DISK_FULL: 3},
    lost_in_crash=1,
)


def collected(balance):
    recording = SimpleNamespace(
        balance=balance, retention=SimpleNamespace(held_bytes=5, segments=2, removed=1)
    )
    return list(RecordsMetrics(recording).collect())


def samples(balance):
    return [
        (sample.name, sample.labels, sample.value)
        for family in collected(balance)
        for sample in family.samples
    ]


def test_the_states_and_what_is_in_memory_add_up_to_the_exchanges():
    found = samples(Balance(books=[(KEY, BOOKS)]))
    states = sum(value for name, _, value in found if name == "sidecar_records_total")
    (waiting,) = [value for name, _, value in found if name == "sidecar_records_in_memory"]
    assert states + waiting == BOOKS.requests
    assert waiting == 3


def test_every_reason_to_drop_has_its_series_from_the_beginning():
    found = samples(Balance(books=[(KEY, Books())]))
    reasons = {labels["reason"] for name, labels, _ in found if name == "sidecar_records_total"}
    assert reasons == {"", *(reason.value for reason in DropReason)}


def test_what_a_sink_has_not_taken_is_pending():
    balance = Balance(books=[(KEY, BOOKS)], logged={"stable": 10})
    totals = [
        ("files", {"delivered": {"stable": 6}, "expired": {"stable": 1}, "corrupt": {"?": 4}})
    ]
    (sink,) = ledger_view(balance, totals).sinks
    assert (sink.logged, sink.delivered, sink.expired, sink.pending) == (10, 6, 1, 3)


@pytest.fixture
def delivery(tmp_path):
    """The families of one sink and of an empty store."""
    figures = DeliveryFigures(
        sink="files",
        state=CircuitState.OPEN,
        queued=1,
        delivered=10,
        retried=3,
        dead_lettered=2,
        dropped={"expired": 4},
        attempts=7,
        failures=5,
        lag_s=1.5,
        lag_bytes=100,
        batch_latency=Histogram.empty(latency_edges()),
        totals={},
        last_error="",
        last_delivered_ns=0,
    )
    store = DeadLetterStore(tmp_path / "letters", Bounds(), wall_ns=lambda: 0, ids=lambda: "")

    async def look() -> None:
        await store.open()
        await store.close()

    asyncio.run(look())
    recording = SimpleNamespace(
        deliveries=lambda: [figures],
        dead_letters=store,
        failed_predictions=SimpleNamespace(standing=Standing()),
    )
    return list(DeliveryMetrics(recording, lambda: 0).collect())


def test_the_documentation_names_every_metric_of_records_and_delivery(delivery):
    assert documented("Records") == shown(collected(Balance(books=[(KEY, BOOKS)])))
    assert documented("Delivery", "Dead letters") == shown(delivery)


def test_what_expired_is_an_outcome_beside_what_was_delivered(delivery):
    (family,) = [one for one in delivery if one.name == "sidecar_delivery"]
    outcomes = {sample.labels["outcome"]: sample.value for sample in family.samples}
    assert outcomes == {
        "delivered": 10,
        "retried": 3,
        "dead_lettered": 2,
        "expired": 4,
        "corrupt": 0,
    }
    (circuit,) = [one for one in delivery if one.name == "sidecar_delivery_circuit"]
    assert circuit.samples[0].value == 2
