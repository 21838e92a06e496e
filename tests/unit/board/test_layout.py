from dataclasses import fields, replace

import numpy as np
import pytest

from sidecar.board import LATENCY_COLUMNS, BoardLayout, CellCounter, ModelGauge, WorkerGauge
from sidecar.board.layout import PAGE_BYTES, SliceView, WatchField, fingerprint
from sidecar.model import DropReason, ShadowOutcome, StatusClass
from sidecar.sketch import Edges

LAYOUT = BoardLayout(workers=2, cells=4, model_rows=3, arena_words=1000)
PAGE_WORDS = PAGE_BYTES // 8


def test_every_status_class_has_a_counter_of_its_own():
    counters = [CellCounter.of_status(status) for status in StatusClass]
    assert len(set(counters)) == len(StatusClass)
    assert CellCounter.of_status(StatusClass.SUCCESS) is CellCounter.STATUS_2XX
    assert CellCounter.of_status(StatusClass.ABORTED) is CellCounter.ABORTED


def test_every_shadow_outcome_has_a_counter_of_its_own():
    counters = [CellCounter.of_shadow(outcome) for outcome in ShadowOutcome]
    assert len(set(counters)) == len(ShadowOutcome)
    assert CellCounter.of_shadow(ShadowOutcome.TIMEOUT) is CellCounter.SHADOW_TIMEOUT


def test_statuses_and_outcomes_and_retries_are_all_the_counters_there_are():
    known = {CellCounter.of_status(status) for status in StatusClass}
    known |= {CellCounter.of_shadow(outcome) for outcome in ShadowOutcome}
    known |= {CellCounter.of_drop(reason) for reason in DropReason}
    others = {CellCounter.RETRIES, CellCounter.RECORDS_SAMPLED_OUT, CellCounter.RECORDS_BEFORE}
    assert set(CellCounter) == known | others


@pytest.mark.parametrize("names", [CellCounter, WorkerGauge, ModelGauge])
def test_places_are_numbered_without_gaps_from_zero(names):
    assert sorted(names) == list(range(len(names)))


def test_answers_of_our_own_are_counted_by_status_and_the_rest_together():
    assert WorkerGauge.rejected(413) is WorkerGauge.REJECTED_413
    assert WorkerGauge.rejected(418) is WorkerGauge.REJECTED_OTHER


def test_slices_and_histograms_begin_on_pages():
    starts = [LAYOUT.slice_at(worker) for worker in range(LAYOUT.workers)]
    assert all(start % PAGE_WORDS == 0 for start in starts)
    assert LAYOUT.latency_at % PAGE_WORDS == 0
    assert LAYOUT.arena_at % PAGE_WORDS == 0
    assert starts[0] * 8 >= len(LAYOUT.header)


def test_slices_end_where_the_next_begins_and_the_last_where_the_board_does():
    assert LAYOUT.slice_at(0) + LAYOUT.slice_words == LAYOUT.slice_at(1)
    assert (LAYOUT.slice_at(1) + LAYOUT.slice_words) * 8 == LAYOUT.total_bytes


def test_the_tables_of_a_slice_have_their_shapes_and_never_overlap():
    words = np.zeros(LAYOUT.slice_words, np.int64)
    view = SliceView.of(LAYOUT, memoryview(words))
    assert view.cell_owners.shape == (4,)
    assert view.model_owners.shape == (3,)
    assert view.watches.shape == (64, len(WatchField))
    assert view.worker_gauges.shape == (len(WorkerGauge),)
    assert view.model_gauges.shape == (3, len(ModelGauge))
    assert view.counters.shape == (4, len(CellCounter))
    assert view.sums.shape == (4, len(LATENCY_COLUMNS))
    assert view.latency.shape == (4, len(LATENCY_COLUMNS), LAYOUT.edges.bucket_count)
    tables = [getattr(view, field.name) for field in fields(view)]
    for table in tables:
        np.add(table, 1, out=table)
    assert set(words.tolist()) == {0, 1}
    assert words.sum() == sum(table.size for table in tables)


def test_a_used_cell_costs_60_kb_of_histograms():
    per_cell = len(LATENCY_COLUMNS) * LAYOUT.edges.bucket_count * 8
    assert per_cell <= 61_000


@pytest.mark.parametrize("worker", [-1, 2])
def test_a_worker_the_board_was_not_made_for_has_no_slice(worker):
    with pytest.raises(IndexError, match="no worker"):
        LAYOUT.slice_at(worker)


@pytest.mark.parametrize("field", ["workers", "cells", "model_rows", "generation"])
def test_a_board_of_nothing_is_refused(field):
    with pytest.raises(ValueError, match=field):
        replace(LAYOUT, **{field: 0})


@pytest.mark.parametrize(
    "other",
    [
        replace(LAYOUT, workers=3),
        replace(LAYOUT, cells=5),
        replace(LAYOUT, model_rows=4),
        replace(LAYOUT, arena_words=1001),
        replace(LAYOUT, watch_slots=65),
        replace(LAYOUT, edges=Edges.of([1, 2])),
    ],
)
def test_layouts_that_differ_have_different_hashes(other):
    assert other.content_hash != LAYOUT.content_hash


def test_a_new_generation_of_a_layout_has_its_hash_and_another_header():
    again = replace(LAYOUT, generation=2)
    assert again.content_hash == LAYOUT.content_hash
    assert again.header != LAYOUT.header


def test_owners_are_told_apart_by_fingerprints_that_fit_a_word_and_are_never_nobody():
    found = {fingerprint(f"route{number} model primary") for number in range(1000)}
    assert len(found) == 1000
    assert 0 not in found
    assert all(-(2**63) <= number < 2**63 for number in found)
