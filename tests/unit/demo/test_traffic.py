"""The demo's clients, against a server that misbehaves on demand."""

import asyncio
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.demo import traffic as demo_traffic
from sidecar.demo.traffic import Place, Traffic, question


class Server:
    """Answers as `behave(request_id)` says, and remembers who asked."""

    def __init__(self):
        self.users = []
        self.values = []
        self.behave = lambda request_id: web.json_response(
            {"id": request_id}, headers={"x-sidecar-model": "stable"}
        )

    async def handle(self, request):
        self.users.append(request.headers["x-user-id"])
        asked = await request.json()
        self.values.append(asked["inputs"][0]["data"][0])
        answer = self.behave(asked["id"])
        if answer is None:
            request.transport.abort()
            return web.Response()
        return answer


@pytest.fixture
async def server():
    server = Server()
    app = web.Application()
    app.router.add_post("/", server.handle)
    async with TestServer(app) as running:
        server.url = str(running.make_url("/"))
        yield server


async def drive(server, loans, *, until, rate=500.0):
    """Drive traffic until the condition on what the clients have seen holds."""
    traffic = Traffic(loans.rows[:3], rate=rate)
    await driven(server, traffic, until)
    return traffic.seen


async def driven(server, traffic, until):
    stop = asyncio.Event()

    async def watch():
        async with asyncio.timeout(10):
            while not until(traffic.seen):  # noqa: ASYNC110 - polled, with a deadline
                await asyncio.sleep(0.005)
        stop.set()

    await asyncio.gather(traffic.run(server.url, stop), watch())


async def test_answers_are_counted_by_the_model_that_gave_them(server, loans):
    seen = await drive(server, loans, until=lambda seen: seen.requests >= 20)
    assert set(seen.answered) == {"stable"}
    assert not seen.failed
    assert seen.requests == len(server.users)
    assert len(set(server.users)) == len(server.users)


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (lambda _: web.Response(status=503), "status 503"),
        (lambda _: web.json_response({"id": "loan-x"}), "someone else's answer"),
        (lambda _: web.Response(text="{"), "not an answer"),
        (lambda _: None, "connection"),
    ],
)
async def test_every_failure_is_counted_by_its_reason(server, loans, behave, reason):
    server.behave = behave
    seen = await drive(server, loans, until=lambda seen: seen.requests >= 5)
    assert set(seen.failed) == {reason}
    assert not seen.answered


async def test_stopping_finishes_what_was_asked_and_asks_no_more(server, loans):
    seen = await drive(server, loans, until=lambda seen: seen.requests >= 1, rate=20.0)
    asked = len(server.users)
    await asyncio.sleep(0.1)
    assert len(server.users) == asked == seen.requests


async def test_a_lap_takes_the_same_time_however_many_rows_there_are(server, loans, monkeypatch):
    monkeypatch.setattr(demo_traffic, "LAP_S", 0.12)
    traffic = Traffic(loans.rows, rate=500.0)  # 60 requests a lap for 600 rows: every tenth
    await driven(server, traffic, lambda seen: seen.requests >= 90)
    assert set(server.values) == {row["car_value"] for row in loans.rows[::10]}
    assert traffic.place.lap == 1 + (traffic._newest * 10) // 600 >= 2
    assert traffic.place.row == (traffic._newest * 10) % 600


async def test_rows_too_few_for_a_whole_lap_make_shorter_laps(server, loans):
    traffic = Traffic(loans.rows[:7], rate=500.0)
    await driven(server, traffic, lambda seen: seen.requests >= 21)
    assert set(server.values) == {row["car_value"] for row in loans.rows[:7]}
    assert traffic.place.lap >= 3


def test_before_the_first_request_the_place_is_the_start(loans):
    assert Traffic(loans.rows, rate=10.0).place == Place(lap=1, row=0, rows=len(loans.rows))


def test_a_question_names_every_feature(loans):
    asked = json.loads(question("a", loans.rows[0]))
    assert {tensor["name"]: tensor["data"] for tensor in asked["inputs"]} == {
        name: [value] for name, value in loans.rows[0].items()
    }
    assert all(tensor["shape"] == [1] for tensor in asked["inputs"])
