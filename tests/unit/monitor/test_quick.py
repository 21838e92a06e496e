"""What is read by shape is counted as if each exchange had been read alone."""

import json
import random
from types import SimpleNamespace

import numpy as np
import pytest
from harness.counting import categorical, numeric
from harness.observing import (
    EVEN,
    OUTPUTS,
    SHARES,
    Bench,
    counters,
    inference,
    layout_of,
    probabilities,
    shadow_watch,
    watch,
)

from sidecar.config.observation import SegmentPlan
from sidecar.model import ColumnPart
from sidecar.monitor import Ticket
from sidecar.monitor.quick import MOST_SHAPES, QuickReader
from sidecar.monitor.shapes import RAREST, Patience
from sidecar.payload import PayloadSettings, Source

PREDICT = b"/v1/models/m:predict"
SEGMENT = SegmentPlan(name="region", source=Source(header="x-region"), values=("eu", "us"))


class Pair:
    """Two monitors that are offered the same; one of them reads all exchanges one at a time.

    `quick` is how many were read by their shape.
    """

    def __init__(self, *watches, **more):
        self.quick = 0
        self._fast, self._slow = Bench(*watches, **more), Bench(*watches, **more)
        for one in self._slow.monitor.watchers[:-1]:
            one._quick = None
        for one in self._fast.monitor.watchers[:-1]:
            if one._quick is not None:
                one._quick.read = self._counted(one._quick.read)

    def _counted(self, read):
        def counted(exchanges):
            found, left = read(exchanges)
            self.quick += sum(len(one.exchanges) for one in found)
            return found, left

        return counted

    def offer(self, body, *answers, fields="", **more):
        """One exchange, with an answer of each watch."""
        for bench in (self._fast, self._slow):
            ticket = None
            if len(answers) > 1:
                ticket = Ticket(
                    bench.request(body, fields=fields, path=more.get("path", b"/v2/models/m/infer"))
                )
            for to, answer in enumerate(answers):
                bench.offer(body, answer, fields=fields, to=to, ticket=ticket, **more)

    def turn(self):
        self._fast.turn()
        self._slow.turn()

    def check(self):
        """Both have counted the same; floats are summed up in another order."""
        for at, one in enumerate(self._fast.watches):
            fast, slow = self._fast.area(at), self._slow.area(at)
            assert counters(fast) == counters(slow)
            layout = layout_of(one)
            words = np.ones(layout.words, dtype=bool)
            for block in range(layout.block_count):
                base = layout.block_at(block)
                words[base + layout.sums.start : base + layout.sums.stop] = False
            assert np.array_equal(fast.words[words], slow.words[words])
            np.testing.assert_allclose(
                fast.words[~words].view(np.float64), slow.words[~words].view(np.float64), rtol=1e-9
            )
        return SimpleNamespace(
            quick=self.quick, areas=[self._fast.area(at) for at in range(len(self._fast.watches))]
        )


def rows(count, width=3, seed=1):
    rng = random.Random(seed)
    return [[rng.choice([rng.gauss(0, 2), round(rng.gauss(0, 2), 2), 1, 0]) for _ in range(width)]
            for _ in range(count)]  # fmt: skip


def test_usual_exchanges_are_read_by_their_shape_and_counted_alike():
    pair = Pair(watch())
    for number, row in enumerate(rows(300)):
        pair.offer(inference([row]), probabilities(number / 300), latency_ns=1_000_000 + number)
        if number % 40 == 0:
            pair.turn()
    found = pair.check()
    assert found.quick >= 250
    assert counters(found.areas[0]) == {"OFFERED": 300, "READ": 300}


def test_values_of_every_kind_are_counted_alike():
    columns = (
        numeric("age", EVEN),
        categorical("color", ("red", "blue")),
        categorical("branch", ("1", "2.5", "true")),
        categorical("member", ("true", "x")),
        numeric("here", EVEN),
        *OUTPUTS,
    )
    pair = Pair(watch(columns))
    rng = random.Random(2)
    for number in range(400):
        record = {
            "age": rng.choice([1, 2.5, None, -1e-3, 1e17, 12345678901234567890]),
            "color": rng.choice(["red", "blue", "green", "ä", 'a"b', ""]),
            "branch": rng.choice([1, 1.0, 2.5, 3, None, 1e300]),
            "member": rng.choice([True, False]),
            "here": rng.choice([True, False]),
            "unknown": rng.choice([1, 2]),
        }
        said = [0.25, 0.75] if number % 2 else [rng.random(), rng.random()]
        body, answer = ({"instances": [record]}, {"predictions": [said]})
        pair.offer(json.dumps(body).encode(), json.dumps(answer).encode(), path=PREDICT)
        if number % 50 == 0:
            pair.turn()
    assert pair.check().quick > 60


@pytest.mark.parametrize(("settings", "answers"), [
    ({}, ['{"predictions": [[%r, 0.5]]}', '{"predictions": [%r]}']),
    ({"labels": ("no", "yes")}, ['{"predictions": [{"score": %r}]}']),
    ({"labels": ("0", "1")}, ['{"predictions": [{"probabilities": [%r, 0.2]}]}']),
    ({"positive": "0"}, ['{"predictions": [{"label": 1, "probabilities": [%r, 0.2, 0.1]}]}']),
    ({}, ['{"predictions": [{"label": "0", "score": %r}]}', '{"predictions": [{"label": "9"}]}']),
    ({"prediction": "x"}, ['{"predictions": [{"x": %r, "y": 1}]}']),
])  # fmt: skip
def test_answers_of_every_kind_are_counted_alike(settings, answers):
    payload = PayloadSettings(**settings)
    pair = Pair(watch(payload=payload), shadow_watch(payload=payload))
    rng = random.Random(3)
    body = b'{"instances": [[1.5, 2, 3]]}'
    for number in range(300):
        first, second = (
            (chosen % rng.choice([0.5, 0.25, 1, 1.5, 0.125]) if "%r" in chosen else chosen).encode()
            for chosen in (rng.choice(answers), rng.choice(answers))
        )
        pair.offer(body, first, first if number % 3 else second, path=PREDICT)
        if number % 40 == 0:
            pair.turn()
    assert pair.check().quick > 20


def test_answers_of_which_nothing_is_known_by_their_shape_are_counted_alike():
    pair = Pair(watch(), shadow_watch())
    said = [b'{"predictions": [1, null]}', b'{"predictions": [true]}', b"[1]", b"", b"{", b"NaN"]
    for number in range(120):
        pair.offer(
            b'{"instances": [[1.5, 2, 3]]}', said[number % 6], said[number % 5], path=PREDICT
        )
        if number % 20 == 0:
            pair.turn()
    pair.check()


def test_shadows_are_compared_alike_whoever_was_read_first():
    pair = Pair(watch(), shadow_watch())
    for number, row in enumerate(rows(400)):
        share = number / 400
        pair.offer(
            inference([row]),
            probabilities(share),
            probabilities(share + (1e-9 if number % 2 else 0.2)),
        )
        if number % 30 == 0:
            pair.turn()
    found = pair.check()
    said = counters(found.areas[1])
    assert found.quick > 700
    assert said["PAIRED"] == 400
    assert 0 < said["AGREED"] < 400


def test_a_request_of_a_known_shape_with_another_byte_is_counted_alike():
    body, answer = inference([[1.25, -2.5, 3e-1]]), probabilities(0.9)
    pair = Pair(watch())
    for _ in range(3):
        pair.offer(body, answer)
        pair.turn()
    for at in range(len(body)):
        for byte in b'\0 "019.,]e-tn\x7f\xff':
            pair.offer(body[:at] + bytes([byte]) + body[at + 1 :], answer)
        pair.turn()
    for at in range(len(answer)):
        for byte in b'\0 "019.,]e-tn\x7f\xff':
            pair.offer(body, answer[:at] + bytes([byte]) + answer[at + 1 :])
        pair.turn()
    assert pair.check().quick > 300


def test_rows_are_counted_in_the_block_of_the_segment_in_their_head():
    pair = Pair(watch(segments=(SEGMENT,)))
    for number, row in enumerate(rows(90)):
        region = ("eu", "us", "mars")[number % 3]
        pair.offer(inference([row]), probabilities(0.5), fields=f"X-Region: {region}\r\n")
        if number % 10 == 0:
            pair.turn()
    found = pair.check()
    assert found.quick > 80


@pytest.mark.parametrize("more", [
    {"status": 500}, {"status": 0}, {"complete": False}, {"chunked": True},
    {"latency_ns": -1, "status": 0}, {"status": 304}, {"path": b"/v2/models/other/infer"},
])  # fmt: skip
def test_exchanges_that_are_not_as_usual_are_counted_alike(more):
    pair = Pair(watch())
    for number, row in enumerate(rows(60)):
        pair.offer(inference([row]), probabilities(0.5), **(more if number % 2 else {}))
        if number % 10 == 0:
            pair.turn()
    assert pair.check().quick >= 25


def test_a_body_beyond_the_bound_is_refused_though_its_shape_is_known():
    pair = Pair(watch(), settings={"max_body": 400})
    small, large = ({"id": "x" * size, "instances": [[1, 2, 3]]} for size in (10, 500))
    for document in (small, small, large, small):
        pair.offer(json.dumps(document).encode(), b'{"predictions": [1]}', path=PREDICT)
        pair.turn()
    found = pair.check()
    assert counters(found.areas[0])["UNREAD_TOO_LARGE"] == 1
    assert found.quick == 2


def test_rows_are_learned_from_before_they_are_read_by_shape():
    pair = Pair(watch(learn=20))
    for row in rows(40):
        pair.offer(inference([row]), probabilities(0.5))
        pair.turn()
    assert pair.check().quick == 20


def test_a_watch_with_entities_or_segments_from_bodies_reads_one_at_a_time():
    source = Source(feature="f0")
    inside = SegmentPlan(name="k", source=source, values=("1",))
    bench = Bench(watch(segments=(inside,)))
    assert bench.monitor.watchers[0]._quick is None


def test_a_sink_is_told_the_same_of_what_is_read_by_shape():
    benches = [Bench(watch(segments=(SEGMENT,)), with_sink=True) for _ in range(2)]
    benches[1].monitor.watchers[0]._quick = None
    for bench in benches:
        for number, row in enumerate(rows(50)):
            body = inference([row]) if number % 7 else inference([row, row])
            bench.offer(body, probabilities(0.5), fields="X-Region: eu\r\n", latency_ns=number)
            if number % 5 == 0:
                bench.turn()
        bench.turn()
    said = [
        {
            one.ended.latency_ns: (one.unusual, one.outputs.scores, one.segments)
            for one in bench.told
        }
        for bench in benches
    ]
    assert len(said[0]) == 50
    assert said[0] == said[1]


def test_a_reader_keeps_few_shapes_and_looks_for_new_ones_less_and_less_often():
    patience = Patience()
    looks = [number for number in range(20_000) if patience.ends()]
    assert looks[:4] == [0, 1, 3, 7]
    assert len(looks) < 32
    assert max(np.diff(looks)) <= RAREST + 1


def test_clients_that_invent_shapes_do_not_make_memory_grow():
    bench = Bench(watch())
    for number in range(60):
        spaces = " " * number
        bench.offer(inference([[1, 2, 3]]) + spaces.encode() + b" ", probabilities(0.5))
        bench.offer(
            b'{"x%d": 1, "inputs"' % number + inference([[1, 2, 3]])[23:], probabilities(0.5)
        )
        bench.turn()
    quick = bench.monitor.watchers[0]._quick
    assert isinstance(quick, QuickReader)
    assert 0 < len(quick._requests) <= MOST_SHAPES


def test_a_fault_in_reading_many_leaves_them_to_the_codec(caplog):
    bench = Bench(watch())
    bench.offer(inference([[1, 2, 3]]), probabilities(0.5))
    bench.turn()

    def broken(_):
        raise ZeroDivisionError

    bench.monitor.watchers[0]._quick.read = broken
    bench.offer(inference([[1, 2, 3]]), probabilities(0.5))
    assert counters(bench.area()) == {"OFFERED": 2, "READ": 2}
    assert "by a fault of ours" in caplog.text


def test_a_model_whose_labels_are_texts_is_compared_with_one_that_gives_numbers():
    labels = PayloadSettings(labels=("0", "1"))
    columns = (numeric("f0", EVEN), numeric("score", SHARES, part=ColumnPart.SCORE))
    pair = Pair(watch(columns, payload=labels), shadow_watch(payload=PayloadSettings()))
    for number in range(60):
        pair.offer(b'{"instances": [[1]]}', b'{"predictions": [{"score": 0.7}]}',
                   b'{"predictions": [%d]}' % (number % 2), path=PREDICT)  # fmt: skip
        if number % 9 == 0:
            pair.turn()
    found = pair.check()
    assert counters(found.areas[1])["AGREED"] == 30
