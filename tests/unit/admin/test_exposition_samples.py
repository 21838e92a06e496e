"""Samples of some series: the same as those of all, without making the others."""

import pytest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from sidecar.admin.exposition import Exposition
from sidecar.board import CellCounter


class Costly(Collector):
    """Knows which of its families were made."""

    def __init__(self):
        self.made = []

    def collect(self):
        return self.families({"sidecar_dear", "sidecar_cheap"})

    def families(self, wanted):
        for name in ("sidecar_dear", "sidecar_cheap"):
            if name in wanted:
                self.made.append(name)
                yield GaugeMetricFamily(name, "A value.", value=1)


@pytest.fixture
def costly():
    return Costly()


@pytest.fixture
def exposition(board, routing, costly):
    recorder = board.recorder(0)
    recorder.record(0, CellCounter.STATUS_2XX, 4_000_000, 3_000_000, 3_000_000, 1_000_000)
    recorder.flush()
    return Exposition(
        snapshot=board.snapshot,
        routing=lambda: routing,
        processes=dict,
        buckets_s=(0.001, 0.01, 0.1),
        version="1.2.3",
        further=[costly],
    )


def as_set(samples):
    return {(one.name, tuple(sorted(one.labels.items())), one.value) for one in samples}


def test_samples_of_a_series_are_those_that_a_scraper_sees(exposition):
    body, _ = exposition.render()
    families = list(parse_text(body.decode()))
    everything = [sample for family in families for sample in family.samples]
    names = {sample.name for sample in everything if not sample.name.startswith("process_")}

    assert len(names) > 20
    for name in names:
        expected = as_set(sample for sample in everything if sample.name == name)
        assert as_set(exposition.samples(frozenset({name}))) == expected, name


def test_families_that_nobody_asks_for_are_not_made(exposition, costly):
    list(exposition.samples(frozenset({"sidecar_cheap", "sidecar_requests_total"})))

    assert costly.made == ["sidecar_cheap"]
