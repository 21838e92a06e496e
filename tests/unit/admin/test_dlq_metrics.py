"""What /metrics says of dead letters."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from harness.dead_letters import HOUR_NS, Clock, failed, item, new_store
from harness.documented import documented, shown

from sidecar.admin.delivery_metrics import DeliveryMetrics
from sidecar.delivery.dead_letters import Filter
from sidecar.journal import Standing


@pytest.fixture
async def collected(tmp_path):
    clock = Clock()
    store = new_store(tmp_path, clock=clock)
    await store.open()
    await store.add_failed_predictions([failed(1), failed(2), failed(1)])
    await store.add_refused("kafka", [item(failed(3))], ["no"])
    await store.purge(Filter(id=1))
    clock.now_ns += HOUR_NS
    recording = SimpleNamespace(
        dead_letters=store,
        failed_predictions=SimpleNamespace(standing=Standing(totals={"lost": {"a": 2, "b": 3}})),
        deliveries=list,
    )
    families = [
        one
        for one in DeliveryMetrics(recording, clock).collect()
        if one.name.startswith("sidecar_dead_letters")
    ]
    await store.close()
    return families


async def test_metrics_are_the_documented_ones(collected):
    assert documented("Dead letters") == shown(collected)


async def test_they_count_what_is_open_what_came_and_what_went(collected):
    values = {
        (sample.name.removeprefix("sidecar_dead_letters"), *sample.labels.values()): sample.value
        for family in collected
        for sample in family.samples
    }

    assert values["", "prediction_failed"] == values["", "delivery_failed"] == 1
    assert values["_age_seconds", "prediction_failed"] == 3600
    assert values["_arrived_total", "prediction_failed"] == 2
    assert values["_purged_total", "prediction_failed", "operator"] == 1
    assert values["_purged_total", "prediction_failed", "bytes"] == 0
    assert values["_missed_total", "lost"] == 5
    assert values["_store_failures_total",] == 0
