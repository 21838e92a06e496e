"""Which model answers, as clients see it; and the copies that shadows get, to the byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from harness.messages import get, ok, post
from harness.transcript import Names, http
from harness.upstream import Upstream, answering
from harness.worker import RunningWorker

from sidecar.board import CellCounter
from sidecar.config.settings import Canary, HeaderEdits, Match, RouteSettings, Shadow, Sticky
from sidecar.config.units import Size
from sidecar.model import Role, ShadowOutcome


@dataclass(frozen=True, slots=True)
class Scene:
    """A worker before three models that each answer with their name."""

    worker: RunningWorker
    stable: Upstream
    next: Upstream
    trial: Upstream


@contextmanager
def scene(*routes: RouteSettings) -> Iterator[Scene]:
    with (
        Upstream(answering(ok(b"stable"))) as stable,
        Upstream(answering(ok(b"next"))) as following,
        Upstream(answering(ok(b"trial"))) as trial,
        RunningWorker(
            models={"stable": stable.url, "next": following.url, "trial": trial.url}, routes=routes
        ) as worker,
    ):
        yield Scene(worker, stable, following, trial)


def answer_of(worker: RunningWorker, *fields: str, target: str = "/") -> bytes:
    client = worker.connect()
    client.send(get(target, fields="".join(f"{field}\r\n" for field in fields)))
    answer = client.read_response()
    client.close()
    assert answer.body == answer.field("x-sidecar-model")
    return answer.body


# -- who answers -----------------------------------------------------------------------------------


def test_a_forced_model_answers_and_others_are_refused() -> None:
    route = RouteSettings(name="r", primary="stable", canaries=(Canary(model="next"),))
    with scene(route) as on:
        assert answer_of(on.worker) == b"stable"
        assert answer_of(on.worker, "X-Sidecar-Model: next") == b"next"
        assert answer_of(on.worker, "x-sidecar-model:stable ") == b"stable"
        client = on.worker.connect()
        client.send(get(fields="X-Sidecar-Model: trial\r\n"))
        assert client.read_response().field("x-sidecar-error") == b"unknown_model"


def test_forcing_can_be_switched_off() -> None:
    route = RouteSettings(name="r", primary="stable", canaries=(Canary(model="next"),), force=False)
    with scene(route) as on:
        assert answer_of(on.worker, "X-Sidecar-Model: next") == b"stable"


def test_a_canary_gets_about_its_share() -> None:
    route = RouteSettings(name="r", primary="stable", canaries=(Canary(model="next", percent=30),))
    with scene(route) as on:
        client = on.worker.connect()
        answers = Counter[bytes]()
        for _ in range(600):
            client.send(get())
            answers[client.read_response().body] += 1
        assert 130 < answers[b"next"] < 230  # 4.4 standard deviations either way
        assert on.worker.counted("next", CellCounter.STATUS_2XX, Role.CANARY) == answers[b"next"]
        assert on.worker.counted("stable", CellCounter.STATUS_2XX) == answers[b"stable"]


@pytest.mark.parametrize(
    ("sticky", "field"),
    [
        (Sticky(header="x-user-id"), "X-User-Id: {}"),
        (Sticky(cookie="session"), "Cookie: theme=dark; session={}; x=1"),
    ],
    ids=["header", "cookie"],
)
def test_a_sticky_client_always_meets_the_same_model(sticky: Sticky, field: str) -> None:
    route = RouteSettings(
        name="r", primary="stable", canaries=(Canary(model="next", percent=50),), sticky=sticky
    )
    with scene(route) as on:
        met = {user: answer_of(on.worker, field.format(user)) for user in range(24)}
        assert set(met.values()) == {b"stable", b"next"}
        for user, model in met.items():
            assert answer_of(on.worker, field.format(user)) == model


def test_routes_are_chosen_by_host_path_and_header() -> None:
    with scene(
        RouteSettings(name="a", primary="next", match=Match(host="next.example")),
        RouteSettings(name="b", primary="trial", match=Match(path_prefix="/trial")),
        RouteSettings(name="c", primary="trial", match=Match(headers={"X-Trial": "yes"})),
        RouteSettings(name="d", primary="stable"),
    ) as on:
        client = on.worker.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: NEXT.example:80\r\n\r\n")
        assert client.read_response().body == b"next"
        client.send(b"GET http://next.example/ HTTP/1.1\r\nHost: other\r\n\r\n")
        assert client.read_response().body == b"next"
        assert answer_of(on.worker, target="/trial/1") == b"trial"
        assert answer_of(on.worker, "x-trial: yes") == b"trial"
        assert answer_of(on.worker, "x-trial: no") == b"stable"


# -- who gets copies -------------------------------------------------------------------------------

MIRRORED = RouteSettings(name="r", primary="stable", shadows=(Shadow(model="trial"),))


def shadow(**settings: object) -> RouteSettings:
    return RouteSettings(
        name="r",
        primary="stable",
        shadows=(Shadow(model="trial", **settings),),  # type: ignore[arg-type]
    )


def outcomes(worker: RunningWorker, outcome: ShadowOutcome) -> int:
    return worker.counted("trial", CellCounter.of_shadow(outcome), Role.SHADOW)


def test_a_copy_is_the_primarys_request_with_a_mark() -> None:
    with scene(MIRRORED) as on:
        client = on.worker.connect()
        client.send(http("""
            POST /v2/models/iris/infer?x=1 HTTP/1.1
            Host: models.example
            Content-Type: application/json
            X-Sidecar-Shadow: 1
            Content-Length: 13

            {"a": "\xff\x00 b"}\\
        """).replace(b"\\", b""))  # fmt: skip
        assert client.read_response().body == b"stable"
        on.trial.wait_for(lambda one: len(one.requests) == 1)
        original, copy = on.stable.requests[0], on.trial.requests[0]
        assert copy.body == original.body
        assert copy.start == original.start
        assert sorted(copy.lines) == sorted((*original.lines, b"X-Sidecar-Shadow: 1"))
        assert original.field("x-sidecar-shadow") is None
        assert copy.field("host") == b"models.example"  # a virtual host is meant by it
        on.worker.wait_for(lambda one: outcomes(one, ShadowOutcome.ANSWERED) == 1)


def test_a_copy_of_a_body_in_chunks_has_the_same_payload_and_trailers() -> None:
    with scene(MIRRORED) as on:
        client = on.worker.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
        on.stable.wait_for(lambda one: any(b"hel" in data for data in one.received))
        assert on.trial.received == []  # not before the request is complete
        client.send(b"lo\r\n3;x=1\r\n!!!\r\n0\r\nX-Sum: 8\r\n\r\n")
        assert client.read_response().body == b"stable"
        on.trial.wait_for(lambda one: len(one.requests) == 1)
        (original,), (copy,) = on.stable.requests, on.trial.requests
        assert original.body == copy.body == b"hello!!!"
        assert original.trailers == copy.trailers == (b"X-Sum: 8",)


def test_a_copy_expects_nothing() -> None:
    with scene(MIRRORED) as on:
        client = on.worker.connect()
        fields = "X-Expect: 100-continue\r\nExpect: 100-continue\r\nX-After: 1\r\n"
        client.send(post(b"hello", fields=fields))
        assert client.read_response().body == b"stable"
        on.trial.wait_for(lambda one: len(one.requests) == 1)
        (copy,) = on.trial.requests
        assert copy.field("expect") is None
        assert copy.field("x-expect") == b"100-continue"
        assert copy.field("x-after") == b"1"
        assert copy.body == b"hello"


def test_a_shadow_may_have_fields_of_its_own() -> None:
    edits = HeaderEdits(set={"Authorization": "Bearer trial", "X-New": "1"}, remove=("Cookie",))
    with scene(shadow(headers=edits)) as on:
        client = on.worker.connect()
        client.send(
            post(fields="authorization: secret\r\ncookie: a=1\r\nCookie: b=2\r\nX-Cookie: c\r\n")
        )
        assert client.read_response().body == b"stable"
        on.trial.wait_for(lambda one: len(one.requests) == 1)
        (original,), (copy,) = on.stable.requests, on.trial.requests
        assert original.all("cookie") == [b"a=1", b"b=2"]
        assert original.field("authorization") == b"secret"
        assert copy.all("cookie") == []
        assert copy.field("x-cookie") == b"c"
        assert copy.all("authorization") == [b"Bearer trial"]
        assert copy.field("x-new") == b"1"
        assert copy.body == original.body


def test_a_large_body_is_not_copied_and_counted() -> None:
    with scene(shadow(max_body=Size(10))) as on:
        client = on.worker.connect()
        for body in (b"x" * 11, b"x" * 10):
            client.send(post(body))
            assert client.read_response().body == b"stable"
        on.trial.wait_for(lambda one: len(one.requests) == 1)
        assert on.trial.requests[0].body == b"x" * 10
        assert outcomes(on.worker, ShadowOutcome.SKIPPED_TOO_LARGE) == 1


def test_a_request_that_never_was_complete_is_not_copied_and_counted() -> None:
    with scene(MIRRORED) as on:
        client = on.worker.connect()
        client.send(post(b"half", announced=8))
        on.stable.wait_for(lambda one: any(data.endswith(b"half") for data in one.received))
        client.close()
        on.worker.wait_for(lambda one: outcomes(one, ShadowOutcome.SKIPPED_INCOMPLETE) == 1)
        assert on.trial.received == []


def test_a_share_of_the_requests_can_be_copied() -> None:
    with scene(shadow(sample=0.5)) as on:
        client = on.worker.connect()
        for _ in range(200):
            client.send(get())
            assert client.read_response().body == b"stable"
        on.worker.wait_for(
            lambda one: outcomes(one, ShadowOutcome.ANSWERED) == len(on.trial.requests)
        )
        assert 60 < len(on.trial.requests) < 140  # 5.6 standard deviations either way


def test_several_shadows_each_get_their_copy_of_what_a_canary_answers() -> None:
    route = RouteSettings(
        name="r",
        primary="stable",
        canaries=(Canary(model="next", percent=100),),
        shadows=(Shadow(model="trial"), Shadow(model="stable")),
    )
    with scene(route) as on:
        client = on.worker.connect()
        client.send(post(b"hello"))
        assert client.read_response().body == b"next"
        for model in (on.trial, on.stable):
            model.wait_for(lambda one: len(one.requests) == 1)
            assert model.requests[0].body == b"hello"
            assert model.requests[0].field("x-sidecar-shadow") == b"1"


def test_the_answer_of_a_shadow_goes_nowhere() -> None:
    with scene(MIRRORED) as on:
        names = Names()
        client = on.worker.connect()
        for number in range(20):
            client.send(get())
            names.assert_match(
                http(f"""
                    HTTP/1.1 200 OK
                    Content-Length: 6
                    Via: 1.1 sidecar
                    X-Sidecar-Model: stable
                    X-Request-Id: <id{number}>

                    stable\
                """),
                client.read_response().raw,
            )  # fmt: skip
        on.worker.wait_for(lambda one: outcomes(one, ShadowOutcome.ANSWERED) == 20)
