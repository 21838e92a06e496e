"""The calls about dead letters over real HTTP."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from harness.dead_letters import HOUR_NS, NOW_NS, captured, failed, item
from harness.dead_letters_api import dead_letters_api

from sidecar.admin.dlq_filters import moment_ns
from sidecar.delivery.dead_letters import Filter, StoreUnavailable
from sidecar.errors import ClientError
from sidecar.records import from_json

SECRET = "what a client sent"


@pytest.fixture
async def api(tmp_path):
    async with dead_letters_api(tmp_path) as api:
        body = SECRET.encode()
        await api.store.add_failed_predictions(
            [failed(1, captured=captured(request_body=body)), failed(2, model="gone")]
        )
        await api.store.add_refused("kafka", [item(failed(3))], ["too large"])
        yield api


@pytest.fixture
async def call(api):
    async with aiohttp.ClientSession() as session:

        async def call(method, path, body=None, **headers):
            async with session.request(
                method,
                f"http://{api.address}/api/v1/dlq{path}",
                json=body,
                headers={name.replace("_", "-"): value for name, value in headers.items()},
            ) as response:
                return response.status, json.loads(await response.read())

        call.session = session
        yield call


async def job_over(call, job):
    async with asyncio.timeout(10):
        while True:
            _, now = await call("GET", f"/jobs/{job['id']}")
            if now["job"]["over"]:
                return now["job"]
            await asyncio.sleep(0.01)


async def test_a_list_shows_letters_without_what_clients_sent(call):
    status, found = await call("GET", "")

    assert status == 200
    assert [one["id"] for one in found["letters"]] == [3, 2, 1]
    assert (found["total"], found["next"]) == (3, None)
    assert found["letters"][0] | {"at": "", "record_id": ""} == {
        "id": 3,
        "class": "delivery_failed",
        "state": "waiting",
        "sink": "kafka",
        "route": "iris",
        "model": "stable",
        "role": "primary",
        "status": 503,
        "outcome": "5xx",
        "failure": None,
        "reason": "too large",
        "at": "",
        "arrived": "2026-09-21T14:13:20.000Z",
        "changed": "2026-09-21T14:13:20.000Z",
        "method": "POST",
        "path": "/v1/models/iris:predict",
        "request_id": "request-3",
        "record_id": "",
        "obstacle": None,
        "attempts": 0,
        "replay": None,
        "note": None,
        "size_bytes": found["letters"][0]["size_bytes"],
    }
    assert SECRET not in json.dumps(found)


async def test_a_list_says_what_there_is_of_each_class(api, call):
    api.clock.now_ns += HOUR_NS
    _, found = await call("GET", "?limit=1")

    predictions, deliveries = found["classes"]
    assert (predictions["class"], predictions["open"], predictions["age_s"]) == (
        "prediction_failed", 2, 3600,
    )  # fmt: skip
    assert deliveries["letters"]["waiting"] == deliveries["arrived"] == 1


async def test_a_list_is_filtered_and_turned_over(call):
    _, first = await call("GET", "?class=prediction_failed&limit=1&order=oldest")
    _, second = await call("GET", f"?class=prediction_failed&after={first['next']}&order=oldest")
    _, by_states = await call("GET", "?state=waiting,purged&sink=kafka")

    assert [one["id"] for one in first["letters"]] == [1]
    assert (first["total"], first["next"]) == (2, 1)
    assert [one["id"] for one in second["letters"]] == [2]
    assert [one["id"] for one in by_states["letters"]] == [3]


@pytest.mark.parametrize(
    "query",
    ["?class=lost", "?state=waiting,gone", "?status=6xx", "?modle=x", "?since=yesterday",
     "?limit=0", "?limit=501", "?order=up", "?id=x"],
)  # fmt: skip
async def test_a_filter_that_makes_no_sense_is_refused_in_words(call, query):
    status, refused = await call("GET", query)

    assert status == 422
    assert refused["error"]["message"]


async def test_one_letter_comes_with_its_whole_record(call):
    status, found = await call("GET", "/1")

    assert status == 200
    assert found["record"]["captured"]["request_body"] == SECRET
    assert found["answer"] is None
    assert (await call("GET", "/99"))[0] == 404


async def test_an_export_holds_every_letter_that_is_meant_and_can_be_read_again(api, call):
    url = f"http://{api.address}/api/v1/dlq/export?class=prediction_failed"
    async with call.session.get(url) as response:
        lines = (await response.read()).splitlines()
        kind = response.headers["Content-Type"]

    assert kind == "application/x-ndjson"
    assert [json.loads(line)["id"] for line in lines] == [1, 2]
    assert from_json(json.dumps(json.loads(lines[1])["record"])) == failed(2, model="gone")


async def test_an_export_that_cannot_go_on_is_cut_so_that_it_shows(api, call, monkeypatch):
    real = api.store.export

    async def breaks(filter_):
        async for one in real(filter_):
            yield one
            raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(type(api.store), "export", lambda _self, filter_: breaks(filter_))
    async with call.session.get(f"http://{api.address}/api/v1/dlq/export") as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_replay_is_ordered_followed_and_listed(api, call):
    status, ordered = await call("POST", "/replay", {"filter": {"since": "1h"}, "timeout": "5s"})
    assert status == 202
    assert (ordered["job"]["total"], ordered["job"]["timeout_s"]) == (3, 5)

    job = await job_over(call, ordered["job"])

    assert job["state"] == "done"
    assert job["counts"] == {
        "replayed": 2, "failed_again": 0, "refused": 1, "unreached": 0, "skipped": 0,
    }  # fmt: skip
    assert job["filter"]["state"] == ["waiting", "failed_again"]
    assert job["filter"]["since"] == "2026-09-21T13:13:20.000Z"
    ((request, body),) = api.requests
    assert (request.headers["X-Sidecar-Replay"], body.decode()) == (job["id"], SECRET)
    assert api.sink.got == [failed(3).id]
    _, letter = await call("GET", "/1")
    assert (letter["state"], letter["replay"]) == ("replayed", job["id"])
    assert letter["answer"]["body"] == '{"predictions": [1]}'
    assert (await call("GET", "/jobs"))[1]["jobs"] == [job]


async def test_a_dry_run_says_what_would_be_sent(api, call):
    status, found = await call("POST", "/replay", {"dry_run": True})

    assert status == 200
    assert found["dry_run"]["sent"] == {"model stable": 1, "sink kafka": 1}
    assert list(found["dry_run"]["refused"].values()) == [1]
    assert (api.requests, (await call("GET", "/jobs"))[1]["jobs"]) == ([], [])


@pytest.mark.parametrize(
    "order",
    [
        {"to": "nobody"},
        {"timeout": "soon"},
        {"timeout": "0s"},
        {"concurrency": 0},
        {"rate_per_s": -1},
        {"filter": {"state": ["purged"]}},
        {"filter": {"modle": "x"}},
        {"letters": [1]},
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(call, order):
    assert (await call("POST", "/replay", order))[0] == 422
    assert (await call("GET", "/jobs"))[1]["jobs"] == []


async def test_a_replay_that_is_not_there_is_a_404(call):
    assert (await call("GET", "/jobs/none"))[0] == 404
    assert (await call("DELETE", "/jobs/none"))[0] == 404


async def test_a_replay_is_ended(call):
    _, ordered = await call("POST", "/replay", {"rate_per_s": 0.5, "concurrency": 1})

    status, ended = await call("DELETE", f"/jobs/{ordered['job']['id']}")

    assert (status, ended["job"]["state"]) == (200, "cancelled")


async def test_purging_says_first_what_it_would_take(api, call):
    _, would = await call("POST", "/purge", {"filter": {"model": "stable"}, "dry_run": True})
    assert would["total"] == 2
    assert {one["class"]: one["letters"] for one in would["letters"]} == {
        "prediction_failed": 1,
        "delivery_failed": 1,
    }
    assert len((await api.store.page(Filter(), limit=10)).letters) == 3

    assert await call("POST", "/purge", {"filter": {"model": "stable"}}) == (200, {"purged": 2})
    assert [one.id for one in (await api.store.page(Filter(), limit=10)).letters] == [2]


async def test_purging_everything_has_to_be_said(call):
    assert (await call("POST", "/purge", {}))[0] == 422
    assert await call("POST", "/purge", {"filter": {}}) == (200, {"purged": 3})


async def test_with_a_token_payloads_are_shown_to_those_who_have_it(api, call):
    api.token = b"open sesame"
    shown = {"Authorization": "Bearer open sesame"}

    for path in ("/1", "/export"):
        assert (await call("GET", path))[0] == 401
        url = f"http://{api.address}/api/v1/dlq{path}"
        async with call.session.get(url, headers=shown) as response:
            assert SECRET in await response.text()
    assert (await call("GET", ""))[0] == 200
    assert (await call("POST", "/purge", {"filter": {}}))[0] == 401
    assert (await call("POST", "/purge", {"filter": {}}, **shown))[0] == 200


async def test_without_a_token_no_web_page_reads_payloads(call):
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        for path in ("/1", "/export"):
            assert (await call("GET", path, **headers))[0] == 403


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("2h", NOW_NS - 2 * HOUR_NS),
        ("0s", NOW_NS),
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T00:00:01.000002", 10**9 + 2000),
        ("1970-01-02", 86_400 * 10**9),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1969-12-31T23:59:59Z", -(10**9)),
    ],
)
def test_a_moment_is_a_time_or_how_long_ago(text, expected_ns):
    assert moment_ns(text, NOW_NS) == expected_ns


@pytest.mark.parametrize("text", ["", "2", "2 fortnights", "tomorrow", "2026-13-01"])
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(ClientError, match="Expected a time"):
        moment_ns(text, NOW_NS)
