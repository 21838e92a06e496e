"""Names that change, vanish or hang: traffic follows the name and never waits for the resolver.

Only the event loop's `getaddrinfo` is replaced; connections are real, to addresses of loopback.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest
from harness.messages import get
from harness.stream import Message
from harness.upstream import Connection, Upstream
from harness.worker import RunningWorker

from sidecar.config.settings import Breaker, ModelSettings, Retry, RouteSettings, Timeouts
from sidecar.config.settings import Match as MatchSettings
from sidecar.config.units import Duration
from sidecar.proxy.resolver import FRESH_S

NAME = "model.test"


class Names:
    """A resolver under control: `addresses[name]` is its answer; without one it hangs."""

    def __init__(self, **addresses: tuple[str, ...] | OSError) -> None:
        self.addresses: dict[str, tuple[str, ...] | OSError] = dict(addresses)
        self.asked = 0
        self.open = 0
        self.most_open = 0

    async def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            while host not in self.addresses:  # noqa: ASYNC110  # another thread fills it in
                await asyncio.sleep(0.01)
        finally:
            self.open -= 1
        answer = self.addresses[host]
        if isinstance(answer, OSError):
            raise answer
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (address, port)) for address in answer]


def use(names: Names, worker: RunningWorker) -> None:
    """Have the worker's loop ask these names."""

    def replace() -> None:
        asyncio.get_running_loop().getaddrinfo = names.getaddrinfo  # type: ignore[method-assign]

    worker.call(replace)


def named(port: int, **settings: Any) -> ModelSettings:
    quick = {"timeouts": Timeouts(connect=Duration(0.5)), "breaker": Breaker(failures=0)}
    return ModelSettings(url=f"http://{NAME}:{port}", **{**quick, **settings})


def answers_as(who: bytes):
    def script(model: Connection) -> None:
        while True:
            model.read_request()
            model.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(who), who))

    return script


def code(answer: Message) -> str:
    return json.loads(answer.body)["error"]["code"]


def ask(worker: RunningWorker, target: str = "/") -> Message:
    client = worker.connect()
    client.send(get(target))
    answer = client.read_response()
    client.close()
    return answer


def test_traffic_follows_a_name_to_its_new_address():
    with Upstream(answers_as(b"old")) as old:
        new = Upstream(answers_as(b"new"), host="127.0.0.2", port=old.port)
        with new, RunningWorker(models={"m": named(old.port)}) as worker:
            names = Names(**{NAME: ("127.0.0.1",)})
            use(names, worker)
            assert [ask(worker).body for _ in range(3)] == [b"old"] * 3
            names.addresses[NAME] = ("127.0.0.2",)
            assert ask(worker).body == b"old"  # what is known is fresh
            worker.age_names("m", FRESH_S)
            old.wait_for(lambda one: all(conn.ended for conn in one.connections))
            assert [ask(worker).body for _ in range(3)] == [b"new"] * 3


def test_an_exchange_that_runs_is_not_cut_off_when_its_address_leaves_the_name():
    def slow(model: Connection) -> None:
        model.read_head()
        model.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl")
        model.read_exactly(1)
        model.send(b"ow")

    with Upstream(slow) as model, RunningWorker(models={"m": named(model.port)}) as worker:
        names = Names(**{NAME: ("127.0.0.1",)})
        use(names, worker)
        client = worker.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 1\r\n\r\n")
        client.read_until(b"sl")
        names.addresses[NAME] = ("127.0.0.2",)
        worker.age_names("m", FRESH_S)
        worker.wait_for(lambda one: one.call(lambda: names.asked) == 2)
        client.send(b"x")
        assert client.read_exactly(2) == b"ow"


def test_an_address_that_refuses_is_passed_over_for_the_next_one_of_the_name():
    with Upstream() as model, RunningWorker(models={"m": named(model.port)}) as worker:
        use(Names(**{NAME: ("127.0.0.2", "127.0.0.3", "127.0.0.1")}), worker)
        for _ in range(4):
            assert ask(worker).status == 200
            worker.drop_idle("m")


def test_connections_are_spread_over_the_addresses_of_a_name():
    with Upstream(answers_as(b"1")) as one:
        other = Upstream(answers_as(b"2"), host="127.0.0.2", port=one.port)
        with other, RunningWorker(models={"m": named(one.port)}) as worker:
            use(Names(**{NAME: ("127.0.0.1", "127.0.0.2")}), worker)
            seen = []
            for _ in range(6):
                seen.append(ask(worker).body)
                worker.drop_idle("m")
            assert sorted(seen) == [b"1"] * 3 + [b"2"] * 3


@pytest.mark.parametrize("failure", [socket.gaierror(-2, "Name or service not known"), ()])
def test_the_last_good_answer_stands_while_the_resolver_knows_nothing(failure):
    with Upstream() as model, RunningWorker(models={"m": named(model.port)}) as worker:
        names = Names(**{NAME: ("127.0.0.1",)})
        use(names, worker)
        assert ask(worker).status == 200
        names.addresses[NAME] = failure
        for asked in (2, 3):
            worker.age_names("m", FRESH_S)
            worker.wait_for(lambda one, asked=asked: one.call(lambda: names.asked) == asked)
            worker.drop_idle("m")
            assert ask(worker).status == 200


def test_the_last_good_answer_is_used_at_once_while_the_resolver_hangs():
    with Upstream() as model, RunningWorker(models={"m": named(model.port)}) as worker:
        names = Names(**{NAME: ("127.0.0.1",)})
        use(names, worker)
        assert ask(worker).status == 200
        del names.addresses[NAME]
        for _ in range(3):
            worker.age_names("m", FRESH_S)
            worker.drop_idle("m")
            assert ask(worker).status == 200
        assert worker.call(lambda: names.most_open) == 1


def test_a_name_that_was_never_known_gets_504_while_the_resolver_hangs_and_nobody_else_waits():
    routes = (
        RouteSettings(name="named", match=MatchSettings(path_prefix="/named"), primary="named"),
        RouteSettings(name="all", primary="plain"),
    )
    with Upstream() as model:
        models = {
            "plain": ModelSettings(url=model.url),
            "named": named(model.port, retry=Retry(attempts=0)),
        }
        with RunningWorker(models=models, routes=routes) as worker:
            names = Names()
            use(names, worker)
            waiting = [worker.connect() for _ in range(10)]
            for client in waiting:
                client.send(get("/named"))
            client = worker.connect(deadline_s=2)
            for _ in range(100):
                client.send(get())
                assert client.read_response().status == 200
            for client in waiting:
                answer = client.read_response()
                assert (answer.status, code(answer)) == (504, "upstream_connect_timeout")
            assert worker.call(lambda: names.most_open) == 1
            names.addresses[NAME] = ("127.0.0.1",)
            worker.wait_for(lambda one: ask(one, "/named").status == 200)


def test_a_name_that_nobody_knows_gets_502():
    with RunningWorker(models={"m": named(1)}) as worker:
        use(Names(**{NAME: socket.gaierror(-2, "Name or service not known")}), worker)
        answer = ask(worker)
        assert (answer.status, code(answer)) == (502, "upstream_unreachable")


def test_a_name_that_no_host_can_have_gets_502():
    impossible = ModelSettings(url=f"http://{'a' * 64}.test:80")
    with RunningWorker(models={"m": impossible}) as worker:
        assert ask(worker).status == 502
