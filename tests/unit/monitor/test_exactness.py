"""Bodies in, numbers on the board out: every one as NumPy counts it from the raw values."""

import json
import math
import random

import numpy as np
import pytest
from harness.counting import categorical, count_in_numpy, numeric
from harness.observing import (
    EVEN,
    OUTPUTS,
    Bench,
    counters,
    inference,
    layout_of,
    probabilities,
    watch,
)

from sidecar.config.monitoring import Entity
from sidecar.config.observation import SegmentPlan
from sidecar.model import Role
from sidecar.payload import Source
from sidecar.sketch import NOT_COUNTED, Area, BlockCounter, WatchCounter

FEATURES = (
    numeric("age", EVEN, bins=(0, 20, 40), center=0.5, summed=(0, 3, 65)),
    numeric("income", EVEN, bins=(0, 10, 50)),
    categorical("branch", ("north", "3", "true"), bins=(0, 1, 2)),
)
REGION = SegmentPlan(name="region", source=Source(header="x-region"), values=("eu", "us"))
BRANCH = SegmentPlan(name="branch", source=Source(feature="branch"), values=("3",))
TIER = SegmentPlan(name="tier", source=Source(pointer="/parameters/tier"), values=("gold", "1"))
CODES = {"north": 0.0, "3": 1.0, 3: 1.0, "true": 2.0, None: math.nan}
MISSING = math.nan


def body_of(rows, tier):
    """KServe v1 by rows of named values, so that rows may lack some."""
    return json.dumps({"instances": rows, "parameters": {"tier": tier}}).encode()


def answer_of(predictions):
    return json.dumps({"predictions": predictions}).encode()


def made(rng):
    """A random exchange: its rows as sent, and as they are to be counted."""
    sent, expected = [], []
    for _ in range(rng.choice([1, 1, 1, 2, 7])):
        row, cells = {}, []
        for name in ("age", "income"):
            value = rng.choice([rng.gauss(0, 2), rng.gauss(0, 2), 10.0, None, "x", 3])
            if rng.random() < 0.9:
                row[name] = value
            number = row.get(name)
            cells.append(MISSING if number in (None, "x") else float(number))
        branch = rng.choice(["north", "3", 3, "true", "south", None])
        if rng.random() < 0.9:
            row["branch"] = branch
        cells.append(CODES.get(row.get("branch"), 3.0))
        row["more"] = 1  # a feature nobody asked for; and so no row is empty
        sent.append(row)
        expected.append(cells)
    return sent, expected


@pytest.mark.parametrize("seed", range(5))
def test_what_is_counted_is_what_was_sent(seed):
    rng = random.Random(seed)
    columns = (*FEATURES, OUTPUTS[0])
    one = watch(columns, segments=(REGION, BRANCH, TIER))
    layout = layout_of(one)
    starts = [layout.block_at(block) for block in range(layout.block_count)]
    region = {"eu": starts[0], "us": starts[1], None: starts[2], "jp": starts[2]}
    bench = Bench(one, seed=seed)
    words = np.zeros(layout.words, np.int64)
    values, measures = [], []
    for _ in range(400):
        sent, expected = made(rng)
        failed = rng.random() < 0.2
        latency_ns = rng.choice([-1, rng.randrange(10**5, 10**9)])
        where, tier = rng.choice(list(region)), rng.choice(["gold", 1, "silver", None])
        predictions = [rng.choice([0, 1, 2, None]) for _ in sent]
        bench.offer(
            body_of(sent, tier),
            b"no such thing" if failed else answer_of(predictions),
            path=b"/v1/models/m:predict",
            status=rng.choice([0, 422, 500]) if failed else 200,
            latency_ns=latency_ns,
            fields=f"X-Region: {where}\r\n" if where else "",
        )
        bench.turn()
        tiers = {"gold": starts[5], 1: starts[6]}.get(tier, starts[7])
        of_rows = [
            [region[where], starts[3] if row.get("branch") in ("3", 3) else starts[4], tiers]
            for row in sent
        ]
        for cells, prediction, bases in zip(expected, predictions, of_rows, strict=True):
            said = {0: 0.0, 1: 1.0, 2: 2.0, None: MISSING}[prediction]
            values.append(([*cells, NOT_COUNTED if failed else said], bases, failed, latency_ns))
        measures.append((len(values) - len(sent), len(values), of_rows[0], failed, latency_ns))

    cells, bases, failures, latencies = (np.array(one) for one in zip(*values, strict=True))
    _, outside = count_in_numpy(
        layout, layout.columns, cells, bases, failures.astype(np.int64), latencies, words
    )
    rows = [
        [
            NOT_COUNTED if latency_ns < 0 else latency_ns,
            1 - 0.5 ** float(max(outside[first:last])),
            last - first,
        ]
        for first, last, _, _, latency_ns in measures
    ]
    count_in_numpy(
        layout,
        layout.measures,
        np.array(rows),
        np.array([bases for _, _, bases, _, _ in measures]),
        np.array([int(failed) for *_, failed, _ in measures]),
        np.array([latency_ns for *_, latency_ns in measures]),
        words,
    )
    words[[WatchCounter.OFFERED, WatchCounter.READ]] = 400
    assert bench.area() == Area(layout, words)


def test_columns_in_any_order_and_on_any_path_count_alike():
    row = {"age": 1.0, "income": 2.0, "branch": "north"}
    one = watch((*FEATURES, OUTPUTS[0]))
    areas = []
    for names in (("age", "income", "branch"), ("branch", "age", "income")):
        bench = Bench(one)
        split = {"columns": names, "data": [[row[name] for name in names]]}
        bench.offer(
            json.dumps({"dataframe_split": split}).encode(), answer_of([1]), path=b"/invocations"
        )
        areas.append(bench.area())
    assert areas[0] == areas[1]
    assert areas[0].block(0).distribution("branch").counts.tolist() == [1, 0, 0, 0, 0, 0]


def test_an_answer_that_cannot_be_read_leaves_the_features_counted():
    bench = Bench(watch())
    bench.offer(inference([[0.1, 0.2, 0.3]]), b"not json")
    area = bench.area()
    assert counters(area) == {"OFFERED": 1, "UNREAD_NOT_JSON": 1}
    assert area.block(0).distribution("f0").count == 1
    assert area.block(0).distribution("prediction").rows == 0
    assert area.block(0).counter(BlockCounter.FAILED) == 0


def test_a_request_that_cannot_be_read_is_counted_by_reason_and_nowhere_else():
    bench = Bench(watch())
    bench.offer(b"not json", inference([[0.9]]))
    area = bench.area()
    assert counters(area) == {"OFFERED": 1, "UNREAD_NOT_JSON": 1}
    assert area.block(0).counter(BlockCounter.REQUESTS) == 0


@pytest.mark.parametrize("status", [0, 400, 404, 422, 500, 503])
def test_failed_exchanges_count_their_features_as_failed(status):
    bench = Bench(watch())
    bench.offer(inference([[0.1, 0.2, 0.3]] * 2), b"Internal Server Error", status=status)
    area = bench.area()
    block = area.block(0)
    assert counters(area) == {"OFFERED": 1, "READ": 1}
    assert block.counter(BlockCounter.FAILED) == 1
    assert block.counter(BlockCounter.FAILED_ROWS) == 2
    assert block.outcomes("f0").failed.sum() == 2
    assert block.distribution("prediction").rows == 0


@pytest.mark.parametrize("status", [200, 201, 302])
def test_other_answers_are_no_failures(status):
    bench = Bench(watch())
    bench.offer(inference([[0.1, 0.2, 0.3]]), probabilities(0.9), status=status)
    assert bench.area().block(0).counter(BlockCounter.FAILED) == 0


# -- entities --------------------------------------------------------------------------------------

BY_HEADER = {"entity": Entity(source=Source(header="x-user")), "entity_period_s": 3600.0}


def test_an_entity_has_one_row_per_period_and_all_its_requests():
    bench = Bench(watch(), **BY_HEADER)
    for user in ("anna", "anna", "bert", "anna"):
        bench.offer(inference([[0.1, 0.2, 0.3]]), probabilities(0.9), fields=f"X-User: {user}\r\n")
    bench.turn()
    bench.wall_ns += 3600 * 10**9
    bench.offer(inference([[0.1, 0.2, 0.3]]), probabilities(0.9), fields="X-User: anna\r\n")
    area = bench.area()
    assert counters(area) == {"OFFERED": 5, "READ": 5, "REPEATED": 2}
    assert area.block(0).counter(BlockCounter.ROWS) == 3
    assert area.block(0).distribution("f0").rows == 3
    assert area.block(0).counter(BlockCounter.REQUESTS) == 5
    assert area.block(0).distribution("latency_ns").rows == 5


def test_requests_that_do_not_say_who_sent_them_all_count():
    bench = Bench(watch(), **BY_HEADER)
    for _ in range(3):
        bench.offer(inference([[0.1, 0.2, 0.3]]), probabilities(0.9))
    assert bench.area().block(0).counter(BlockCounter.ROWS) == 3


def test_rows_of_a_batch_have_entities_of_their_own_when_a_feature_says_so():
    by_feature = {"entity": Entity(source=Source(feature="f0")), "entity_period_s": 3600.0}
    bench = Bench(watch(), **by_feature)
    rows = [[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [1.0, 0.5, 0.0]]
    bench.offer(inference(rows), probabilities(0.9, 0.9, 0.9))
    area = bench.area()
    assert counters(area)["REPEATED"] == 1
    assert area.block(0).counter(BlockCounter.ROWS) == 2


def test_a_batch_of_one_entity_counts_one_row():
    bench = Bench(watch(), **BY_HEADER)
    bench.offer(
        inference([[0.1, 0.2, 0.3]] * 5), probabilities(*[0.9] * 5), fields="X-User: anna\r\n"
    )
    area = bench.area()
    assert counters(area)["REPEATED"] == 4
    assert area.block(0).counter(BlockCounter.ROWS) == 1
    assert area.block(0).distribution("request_rows").quantile(0.5).lower == 5


# -- learning --------------------------------------------------------------------------------------


def test_before_columns_are_known_rows_are_sent_and_only_requests_are_measured():
    bench = Bench(watch((), learn=3, segments=(REGION,), features=("a", "b", "c")))
    for number in range(5):
        fields = "X-Region: jp\r\n" if number else ""
        rows = [[float(number), 0.5, 1.5]]
        bench.offer(inference(rows), probabilities(0.9), fields=fields)
    area = bench.area()
    (chunk,) = bench.learned
    assert chunk["names"] == ("a", "b", "c")
    assert chunk["rows"] == [[float(number), 0.5, 1.5] for number in range(3)]
    assert chunk["segments"] == {"region": [None, "jp", "jp"]}
    assert chunk["owner"] == "stable primary"
    assert area.total([0, 1, 2]).distribution("latency_ns").rows == 5


def test_a_chunk_that_does_not_fill_up_is_sent_after_some_seconds():
    bench = Bench(watch((), learn=100, features=("a", "b", "c")))
    bench.offer(inference([[1.0, 0.5, 1.5]]), probabilities(0.9))
    bench.turn()
    bench.monitor.flush()
    assert bench.learned == []
    bench.elapsed_ns += 5_000_000_000
    bench.monitor.flush()
    assert len(bench.learned) == 1


def test_a_watch_that_was_not_asked_to_learn_sends_nothing():
    bench = Bench(watch(role=Role.CANARY))
    bench.offer(inference([[1.0, 0.5, 1.5]]), probabilities(0.9))
    bench.monitor.drain()
    assert bench.learned == []
