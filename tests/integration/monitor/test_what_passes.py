"""A worker that looks into bodies: what passes is unchanged, and every exchange has one outcome.

Whatever bodies are made of and however they come, in pieces, in chunks, compressed, as a stream, or
not to their end.
"""

from __future__ import annotations

import gzip
import json
import random
import socket
from collections.abc import Iterator
from time import sleep
from typing import Any

import pytest
from harness.corpus import Case, cases
from harness.messages import get, ok, ok_chunked, post
from harness.observing import (
    OUTPUTS,
    balanced,
    counters,
    features,
    inference,
    plan,
    probabilities,
    shadow_watch,
    watch,
)
from harness.stream import Message, Stream
from harness.upstream import Connection, Upstream, answering
from harness.worker import RunningWorker

from sidecar.config.observation import SegmentPlan
from sidecar.config.settings import Canary, Limits, ModelSettings, Retry, RouteSettings, Shadow
from sidecar.config.units import Duration, Size
from sidecar.model import Role
from sidecar.payload import Source
from sidecar.sketch import BlockCounter

PATH = "/v2/models/m/infer"
PATHS = (PATH, "/v1/models/m:predict", "/v1/chat/completions", "/invocations", "/unknown")
BODY = inference([[0.1, 0.2, 0.3]])
ANSWER = probabilities(0.9)
WATCH = watch()
ALL_READ = {"OFFERED": 1, "READ": 1}


def echoes(model: Connection) -> None:
    """Answers every request with its own body."""
    while True:
        body = model.read_request().body
        model.send(ok(body))


class Observed:
    """A worker that watches the only model it has."""

    def __init__(self, worker: RunningWorker, model: Upstream) -> None:
        self.worker = worker
        self.model = model
        self.client = worker.connect()

    def ask(self, body: bytes = BODY, **more: Any) -> Message:
        self.client.send(post(body, PATH, **more))
        return self.client.read_response()

    def counters(self) -> dict[str, int]:
        """What became of the exchanges, of which none may be lost."""
        area = self.worker.area(WATCH)
        assert balanced(area)
        assert self.worker.call(lambda: self.monitor._room.left) == 16 * 1024 * 1024
        return counters(area)

    @property
    def monitor(self) -> Any:
        assert self.worker.worker is not None
        return self.worker.worker._plane.monitor

    def rows(self, column: str = "f0") -> int:
        return self.worker.area(WATCH).block(0).distribution(column).rows


@pytest.fixture
def observed(request: pytest.FixtureRequest) -> Iterator[Observed]:
    scripts = getattr(request, "param", None) or (answering(ok(ANSWER)),)
    with Upstream(*scripts) as model, RunningWorker(models={"stable": model.url}) as worker:
        worker.observe(plan(WATCH))
        yield Observed(worker, model)


behind = pytest.mark.parametrize


# -- nothing is changed ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def echo() -> Iterator[Observed]:
    with Upstream(echoes) as model, RunningWorker(models={"stable": model.url}) as worker:
        worker.observe(plan(WATCH))
        yield Observed(worker, model)


@pytest.mark.parametrize("case", cases("json_bodies.jsonl"))
def test_whatever_json_there_is_passes_unchanged_and_is_counted_once(echo, case: Case):
    before = echo.counters().get("OFFERED", 0)
    for path in PATHS:
        echo.client.send(post(case.data, path, fields="Content-Type: application/json\r\n"))
        assert echo.client.read_response().body == case.data
        assert echo.model.requests[-1].body == case.data
    assert echo.counters().get("OFFERED", 0) == before + (len(PATHS) if case.data else 0)


def test_random_bytes_pass_unchanged_too(echo):
    rng = random.Random(11)
    for _ in range(200):
        body = rng.randbytes(rng.choice([1, 2, 17, 300, 5000]))
        if rng.random() < 0.5:
            body = rng.choice([b"{", b"["]) + body + rng.choice([b"}", b"]"])
        fields = rng.choice(["", "Content-Encoding: gzip\r\n", "Content-Type: text/csv\r\n"])
        echo.client.send(post(body, PATH, fields=fields))
        assert echo.client.read_response().body == body
    echo.counters()


# -- bodies that come whole ------------------------------------------------------------------------


def test_a_prediction_is_counted_with_features_score_and_latency(observed):
    assert observed.ask().body == ANSWER
    assert observed.counters() == ALL_READ
    block = observed.worker.area(WATCH).block(0)
    assert [block.distribution(one.name).count for one in WATCH.columns] == [1] * 6
    assert block.distribution("latency_ns").count == 1


def test_requests_without_a_body_are_nobodys_prediction(observed):
    observed.client.send(get("/v2/health/ready"))
    observed.client.read_response()
    assert observed.counters() == {}


def test_a_batch_counts_every_row(observed):
    observed.ask(inference([[0.1, 0.2, 0.3]] * 500))
    assert observed.rows() == 500


@behind("observed", [(answering(ok(gzip.compress(ANSWER), fields="Content-Encoding: gzip\r\n")),)],
        indirect=True)  # fmt: skip
def test_compressed_bodies_are_read(observed):
    observed.ask(gzip.compress(BODY), fields="Content-Encoding: gzip\r\n")
    assert observed.counters() == ALL_READ
    assert observed.rows("score") == 1


def test_a_compressed_bomb_is_refused_by_the_reader_and_passed_on(observed):
    bomb = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    assert observed.ask(bomb, fields="Content-Encoding: gzip\r\n").body == ANSWER
    assert observed.counters() == {"OFFERED": 1, "UNREAD_TOO_LARGE": 1}


# -- bodies that come in pieces --------------------------------------------------------------------


def chunked(*chunks: bytes) -> list[bytes]:
    """A request in chunks: its head, each chunk, its end."""
    head = f"POST {PATH} HTTP/1.1\r\nHost: model\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return [head, *(b"%x\r\n%b\r\n" % (len(one), one) for one in chunks), b"0\r\n\r\n"]


def send_slowly(client: Stream, parts: list[bytes]) -> None:
    for part in parts:
        client.send(part)
        sleep(0.005)


def test_a_chunked_request_is_read_whether_it_comes_at_once_or_not(observed):
    observed.client.send(b"".join(chunked(BODY[:20], BODY[20:])))
    assert observed.client.read_response().body == ANSWER
    send_slowly(observed.client, chunked(BODY[:20], BODY[20:21], BODY[21:]))
    assert observed.client.read_response().body == ANSWER
    first, *rest = chunked(BODY)
    send_slowly(observed.client, [first + rest[0][:9], rest[0][9:] + rest[1]])
    assert observed.client.read_response().body == ANSWER
    assert observed.counters() == {"OFFERED": 3, "READ": 3}
    assert observed.rows() == 3


def test_a_counted_request_is_read_however_it_is_cut(observed):
    message = post(BODY, PATH)
    head = message.index(b"\r\n\r\n") + 4
    for cut in (head, head + 1, len(message) - 1):
        send_slowly(observed.client, [message[:cut], message[cut:]])
        assert observed.client.read_response().body == ANSWER
    assert observed.counters() == {"OFFERED": 3, "READ": 3}


@behind("observed", [(answering(ok_chunked(ANSWER[:10], ANSWER[10:])),)], indirect=True)
def test_an_answer_in_chunks_is_read(observed):
    assert observed.ask().body == ANSWER
    assert observed.counters() == ALL_READ
    assert observed.rows("score") == 1


def drips(model: Connection) -> None:
    model.read_request()
    for byte in ok(ANSWER):
        model.send(bytes([byte]))
    model.read_to_end()


@behind("observed", [(drips,)], indirect=True)
def test_an_answer_byte_by_byte_is_read(observed):
    assert observed.ask().body == ANSWER
    assert observed.counters() == ALL_READ
    assert observed.rows("score") == 1


def test_a_body_beyond_the_bound_passes_and_is_counted_as_too_large(observed):
    huge = inference([[0.123456789] * 3] * 40_000)
    assert len(huge) > 1024 * 1024
    assert observed.ask(huge).body == ANSWER
    assert observed.model.requests[-1].body == huge
    assert observed.counters() == {"OFFERED": 1, "UNREAD_TOO_LARGE": 1}


@behind("observed", [(answering(ok(b"[" + b" " * 2_000_000 + b"]")),)], indirect=True)
def test_an_answer_beyond_the_bound_leaves_the_features_counted(observed):
    assert len(observed.ask().body) == 2_000_002
    assert observed.counters() == {"OFFERED": 1, "UNREAD_TOO_LARGE": 1}
    assert observed.rows() == 1


def test_uploads_share_a_bounded_memory_and_none_of_it_is_lost():
    settings = {"pending_bytes": Size(64 * 1024)}
    with Upstream(answering(ok(ANSWER))) as model:
        limits = Limits(body_timeout=Duration(60))
        with RunningWorker(models={"stable": model.url}, limits=limits) as worker:
            worker.observe(plan(WATCH, settings=settings))
            body = inference([[0.5, 0.5, 0.5]] * 2_000)  # 30 KB
            message = post(body, PATH)
            clients = [worker.connect() for _ in range(8)]
            for client in clients:
                client.send(message[:-1])
            worker.wait_for(lambda one: one.in_flight == 8)
            sleep(0.1)
            for client in clients:
                client.send(message[-1:])
                assert client.read_response().body == ANSWER
            area = worker.area(WATCH)
            assert balanced(area)
            found = counters(area)
            assert found["QUEUE_FULL"] >= 5
            assert found["READ"] >= 1
            assert worker.worker is not None
            assert worker.worker._plane.monitor._room.left == 64 * 1024


# -- streams ---------------------------------------------------------------------------------------

CHAT = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "?"}]})


def event(**more: Any) -> bytes:
    return b"data: " + json.dumps({"id": "1", "choices": [], **more}).encode() + b"\n\n"


def token(text: str) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": text}}])


TOKENS = [token(f"t{number}") for number in range(5)]
USAGE = event(usage={"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12})


def streams(model: Connection) -> None:
    model.read_request()
    model.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for part in (*TOKENS, USAGE, b"data: [DONE]\n\n"):
        model.send(b"%x\r\n%b\r\n" % (len(part), part))
        sleep(0.005)
    model.send(b"0\r\n\r\n")
    model.read_to_end()


CHAT_WATCH = watch((), openai=True)


def test_a_stream_of_tokens_passes_as_it_comes_and_its_tokens_are_counted():
    with Upstream(streams) as model, RunningWorker(models={"stable": model.url}) as worker:
        worker.observe(plan(CHAT_WATCH))
        client = worker.connect()
        client.send(post(CHAT.encode(), "/v1/chat/completions"))
        assert client.read_response().body == b"".join((*TOKENS, USAGE, b"data: [DONE]\n\n"))
        area = worker.area(CHAT_WATCH)
        assert counters(area) == ALL_READ
        block = area.block(0)
        completion = block.distribution("completion_tokens").quantile(0.5)
        assert completion is not None
        assert completion.lower == 5
        for name in ("time_to_first_token_ns", "inter_token_ns", "prompt_tokens"):
            assert block.distribution(name).count == 1


def endless(model: Connection) -> None:
    model.read_request()
    model.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    try:
        while True:  # until the client has gone
            model.send(token("x" * 1000))
    except OSError:
        return


def test_of_a_long_stream_nothing_is_held():
    with Upstream(endless) as model, RunningWorker(models={"stable": model.url}) as worker:
        worker.observe(plan(CHAT_WATCH))
        client = worker.connect()
        client.send(post(CHAT.encode(), "/v1/chat/completions"))
        for _ in range(200):
            client.read_some()
            client.forget()
        assert worker.worker is not None
        room = worker.call(lambda: worker.worker._plane.monitor._room.left)
        assert room == 16 * 1024 * 1024
        client.reset()
        worker.wait_for(lambda one: one.in_flight == 0)
        assert balanced(worker.area(CHAT_WATCH))
        assert counters(worker.area(CHAT_WATCH)) == ALL_READ  # what the request said


# -- exchanges that do not end well ----------------------------------------------------------------


def hangs(model: Connection) -> None:
    model.read_request()
    model.read_to_end()


def breaks_off(model: Connection) -> None:
    model.read_request()
    model.send(ok(ANSWER[:10], announced=len(ANSWER)))
    sleep(0.02)
    model.reset()


@behind("observed", [(answering(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nOops"),)],
        indirect=True)  # fmt: skip
def test_features_of_a_failed_request_count_as_failed(observed):
    assert observed.ask().status == 500
    assert observed.counters() == ALL_READ
    block = observed.worker.area(WATCH).block(0)
    assert block.counter(BlockCounter.FAILED_ROWS) == 1
    assert block.outcomes("f0").failed.sum() == 1


@behind("observed", [(breaks_off,)], indirect=True)
def test_an_answer_that_breaks_off_is_a_failure(observed):
    observed.client.send(post(BODY, PATH))
    observed.client.read_to_end()
    observed.worker.wait_for(lambda one: one.in_flight == 0)
    assert observed.counters() == ALL_READ
    assert observed.worker.area(WATCH).block(0).counter(BlockCounter.FAILED) == 1


@behind("observed", [(hangs,)], indirect=True)
def test_a_client_that_leaves_has_its_features_counted_and_no_latency(observed):
    observed.client.send(post(BODY, PATH))
    observed.worker.wait_for(lambda one: one.in_flight == 1)
    observed.client.reset()
    observed.worker.wait_for(lambda one: one.in_flight == 0)
    assert observed.counters() == ALL_READ
    block = observed.worker.area(WATCH).block(0)
    assert block.counter(BlockCounter.FAILED) == 1
    assert block.distribution("latency_ns").rows == 0


def test_a_client_that_leaves_inside_its_request_is_counted_as_incomplete(observed):
    observed.client.send(post(BODY, PATH)[:-1])
    observed.worker.wait_for(lambda one: one.in_flight == 1)
    observed.client.reset()
    observed.worker.wait_for(lambda one: one.in_flight == 0)
    assert observed.counters() == {"OFFERED": 1, "UNREAD_INCOMPLETE": 1}


def test_a_model_that_cannot_be_reached_is_a_failure():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        retry = Retry(attempts=1)
        with RunningWorker(models={"stable": ModelSettings(url=url, retry=retry)}) as worker:
            worker.observe(plan(WATCH))
            client = worker.connect()
            client.send(post(BODY, PATH))
            assert client.read_response().status == 502
            area = worker.area(WATCH)
            assert counters(area) == ALL_READ
            assert area.block(0).counter(BlockCounter.FAILED_ROWS) == 1


def test_what_a_canarys_fallback_said_counts_as_the_primarys():
    canary = watch(model="next", role=Role.CANARY, slot=1)
    with socket.socket() as taken, Upstream(answering(ok(ANSWER))) as model:
        taken.bind(("127.0.0.1", 0))
        routes = (
            RouteSettings(
                name="all",
                primary="stable",
                canaries=(Canary(model="next", percent=100),),
                fallback=True,
            ),
        )
        nowhere = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with RunningWorker(models={"stable": model.url, "next": nowhere}, routes=routes) as worker:
            worker.observe(plan(WATCH, canary))
            client = worker.connect()
            client.send(post(BODY, PATH))
            assert client.read_response().body == ANSWER
            send_slowly(client, chunked(BODY[:20], BODY[20:]))
            assert client.read_response().body == ANSWER
            assert counters(worker.area(WATCH)) == {"OFFERED": 2, "READ": 2}
            assert counters(worker.area(canary)) == {}


# -- faults of our own -----------------------------------------------------------------------------


def test_a_monitor_full_of_bugs_changes_no_answer(observed, caplog):
    def broken(*_: object, **__: object) -> Any:
        raise RuntimeError("a bug")

    watcher = observed.monitor.watchers[0]
    watcher.bodies.codec.read_request = broken
    assert observed.ask().body == ANSWER
    assert observed.counters() == {"OFFERED": 1, "UNREAD_SHAPE": 1}
    watcher.bodies.codec.read_request = lambda _: 7
    watcher.batch.flush = broken
    assert observed.ask().body == ANSWER
    assert observed.ask().body == ANSWER
    observed.worker.call(observed.monitor.flush)
    assert observed.counters()["OFFERED"] == 3
    assert {record.kind for record in caplog.records} == {"RuntimeError", "AttributeError"}


def test_plans_come_and_go_while_requests_are_under_way(observed):
    body = post(BODY, PATH)
    for number in range(20):
        observed.client.send(body[:-1])
        observed.worker.wait_for(lambda one: one.in_flight == 1)
        observed.worker.observe(plan(*([] if number % 2 else [WATCH]), version=number + 2))
        observed.client.send(body[-1:])
        assert observed.client.read_response().body == ANSWER
    observed.worker.observe(plan(WATCH, version=99))
    assert observed.ask().body == ANSWER
    assert balanced(observed.worker.area(WATCH))


# -- shadows ---------------------------------------------------------------------------------------

SHADOW = shadow_watch()
AGE = SegmentPlan(name="age", source=Source(feature="f0"), values=("0.1",))
SEGMENTED_PRIMARY, SEGMENTED = watch(segments=(AGE,)), shadow_watch(segments=(AGE,))


class Shadowed:
    """A worker whose shadow gets everything, both watched."""

    def __init__(self, worker: RunningWorker) -> None:
        self.worker = worker
        self.client = worker.connect()

    def ask(self, count: int, body: bytes = BODY) -> None:
        for _ in range(count):
            self.client.send(post(body, PATH))
            self.client.read_response()

    def counters(self, one: Any = SHADOW) -> dict[str, int]:
        """Of the shadow, once all copies are answered."""
        self.worker.wait_for(lambda worker: not worker.call(self._copies))
        area = self.worker.area(one)
        assert balanced(area)
        return counters(area)

    def _copies(self) -> int:
        assert self.worker.worker is not None
        return self.worker.worker._plane.current.copies_in_flight


def shadowed(primary: Upstream, trial: Upstream, **more: Any) -> RunningWorker:
    shadow = Shadow(model="trial", **more)
    return RunningWorker(
        models={"stable": primary.url, "trial": trial.url},
        routes=(RouteSettings(name="all", primary="stable", shadows=(shadow,)),),
    )


def slowly(answer: bytes) -> Any:
    def script(model: Connection) -> None:
        while True:
            model.read_request()
            sleep(0.03)
            model.send(answer)

    return script


AGREES = {"PAIRED": 1, "AGREED": 1}


@pytest.mark.parametrize(("ours", "theirs", "verdict"), [
    (answering(ok(ANSWER)), answering(ok(ANSWER)), AGREES),
    (answering(ok(ANSWER)), answering(ok(ANSWER + b" ")), AGREES),
    (answering(ok(ANSWER)), answering(ok_chunked(ANSWER[:9], ANSWER[9:])), AGREES),
    (answering(ok(ANSWER)), answering(ok(probabilities(0.8))), AGREES),
    (answering(ok(ANSWER)), answering(ok(probabilities(0.2))), {"PAIRED": 1}),
    (slowly(ok(ANSWER)), answering(ok(ANSWER)), AGREES),
    (answering(ok(ANSWER)), slowly(ok(ANSWER)), AGREES),
    (answering(ok(ANSWER)), answering(ok(b"?")), {"UNPAIRED": 1, "UNREAD_UNKNOWN": 1}),
    (answering(ok(b"?")), answering(ok(ANSWER)), {"UNPAIRED": 1}),
    (answering(ok(ANSWER)), breaks_off, {"UNPAIRED": 1}),
])  # fmt: skip
def test_a_shadow_is_compared_with_the_primary_whoever_answers_first(ours, theirs, verdict):
    with Upstream(ours) as model, Upstream(theirs) as trial, shadowed(model, trial) as worker:
        worker.observe(plan(WATCH, SHADOW))
        stage = Shadowed(worker)
        stage.ask(1)
        found = stage.counters()
        assert found.pop("OFFERED") == 1
        found.pop("READ", None)
        if "UNREAD_UNKNOWN" in verdict:  # its reason is the codec's own affair
            unread = [name for name in found if name.startswith("UNREAD")]
            assert len(unread) == 1
            verdict = {"UNPAIRED": 1, unread[0]: 1}
        assert found == verdict


def test_a_shadow_counts_what_it_says_in_the_segment_of_the_request():
    with (
        Upstream(answering(ok(ANSWER))) as model,
        Upstream(slowly(ok(ANSWER))) as trial,
        shadowed(model, trial) as worker,
    ):
        worker.observe(plan(SEGMENTED_PRIMARY, SEGMENTED))
        stage = Shadowed(worker)
        stage.ask(3)
        stage.ask(2, inference([[0.5, 0.2, 0.3]]))
        assert stage.counters(SEGMENTED)["AGREED"] == 5
        area = worker.area(SEGMENTED)
        rows = [area.block(block).distribution("score").rows for block in range(2)]
        assert rows == [3, 2]


def test_large_requests_are_not_held_until_a_slow_shadow_answers():
    body = inference([[0.1, 0.2, 0.3]] * 3_000)
    answer = probabilities(*[0.9] * 3_000)
    with (
        Upstream(answering(ok(answer))) as model,
        Upstream(slowly(ok(answer))) as trial,
        shadowed(model, trial) as worker,
    ):
        worker.observe(plan(SEGMENTED_PRIMARY, SEGMENTED))
        stage = Shadowed(worker)
        stage.ask(3, body)
        found = stage.counters(SEGMENTED)
        assert found["AGREED"] == 3
        area = worker.area(SEGMENTED)
        assert area.block(0).distribution("score").rows == 9_000


def test_a_shadow_of_a_primary_that_nobody_watches_is_unpaired():
    with (
        Upstream() as model,
        Upstream(answering(ok(ANSWER))) as trial,
        shadowed(model, trial) as worker,
    ):
        worker.observe(plan(SHADOW))
        stage = Shadowed(worker)
        stage.ask(2)
        assert stage.counters() == {"OFFERED": 2, "READ": 2, "UNPAIRED": 2}


def test_features_of_a_shadow_with_columns_for_them_are_not_counted_twice():
    both = shadow_watch(columns=(*features(3), *OUTPUTS))
    with (
        Upstream(answering(ok(ANSWER))) as model,
        Upstream(answering(ok(ANSWER))) as trial,
        shadowed(model, trial) as worker,
    ):
        worker.observe(plan(WATCH, both))
        stage = Shadowed(worker)
        stage.ask(1)
        assert stage.counters(both)["AGREED"] == 1
        block = worker.area(both).block(0)
        assert block.distribution("f0").rows == 0
        assert block.distribution("score").rows == 1
