"""`sidecar dlq` before the real calls: what is ordered and printed, and how it exits."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading

import pytest
from harness.dead_letters import captured, failed, item
from harness.dead_letters_api import dead_letters_api
from typer.testing import CliRunner

from sidecar.cli.admin_client import AdminClient, Unreachable
from sidecar.cli.application import build
from sidecar.cli.dlq_filters import query
from sidecar.errors import ConfigError


@pytest.fixture
async def api(tmp_path):
    async with dead_letters_api(tmp_path) as api:
        await api.store.add_failed_predictions(
            [failed(1), failed(2, model="gone", captured=captured(request_cut=9))]
        )
        await api.store.add_refused("kafka", [item(failed(3))], ["too large"])
        yield api


@pytest.fixture
def run(api):
    """Run `sidecar dlq WORDS` against the API, which goes on serving meanwhile."""

    async def run(*words: str, answer: str | None = None):
        arguments = ["dlq", *words, "--admin", api.address]
        return await asyncio.to_thread(CliRunner().invoke, build(["dlq"]), arguments, input=answer)

    return run


def rows(done):
    return [line.split("\t") for line in done.stdout.splitlines()]


async def test_a_list_shows_what_failed_and_why(run):
    done = await run("list")

    assert done.exit_code == 0
    assert "prediction_failed: 2 open" in done.stderr
    header, *letters = rows(done)
    assert [row[header.index("id")] for row in letters] == ["3", "2", "1"]
    assert letters[0][header.index("reason")] == "too large"
    assert "cut" in letters[1][header.index("note")]


async def test_a_list_is_narrowed_and_paged(run):
    done = await run("list", "--class", "prediction_failed", "--limit", "1", "--oldest")

    assert [row[0] for row in rows(done)] == ["id", "1"]
    assert "1 of 2 shown; go on with --after 1" in done.stderr
    done = await run(
        "list", "--state", "waiting", "--state", "replayed", "--sink", "kafka", "--json"
    )
    assert [one["id"] for one in json.loads(done.stdout)["letters"]] == [3]


async def test_a_letter_is_shown_with_its_request_and_after_a_replay_its_answer(run):
    done = await run("show", "1")
    assert done.exit_code == 0
    assert "POST /v1/models/iris:predict\nContent-Type: application/json" in done.stdout
    assert '{"instances": [[1, 2]]}' in done.stdout

    await run("replay", "--id", "1")
    assert "status 200" in (await run("show", "1")).stdout
    assert json.loads((await run("show", "1", "--json")).stdout)["state"] == "replayed"


async def test_a_replay_that_sent_everything_exits_with_done(run, api):
    done = await run("replay", "--model", "stable", "--rate", "1000", "--concurrency", "2")

    assert done.exit_code == 0
    assert "done: 2 replayed, of 2 letters" in done.stderr
    assert (len(api.requests), len(api.sink.got)) == (1, 1)


async def test_a_replay_that_left_something_exits_with_no(run, api):
    done = await run("replay", "--json")
    job = json.loads(done.stdout)["job"]

    assert done.exit_code == 1
    assert (job["counts"]["replayed"], job["counts"]["refused"]) == (2, 1)

    api.model_status = 500
    done = await run("replay", "--id", "1", "--state", "replayed")
    assert done.exit_code == 1
    assert "1 failed again" in done.stderr


async def test_a_dry_run_shows_where_letters_would_go_and_sends_none(run, api):
    done = await run("replay", "--dry-run")

    assert done.exit_code == 0
    assert ["1", "model stable", "-"] in rows(done)
    assert "3 letters are meant; nothing was sent" in done.stderr
    assert (api.requests, api.sink.got) == ([], [])


async def test_a_replay_need_not_be_waited_for(run):
    done = await run("replay", "--rate", "0.1", "--concurrency", "1", "--no-wait")
    assert done.exit_code == 0
    job_id = rows(done)[1][0]

    assert rows(await run("jobs"))[1][0] == job_id
    assert "cancelled" in (await run("cancel", job_id)).stderr
    assert json.loads((await run("jobs", "--json")).stdout)["jobs"][0]["state"] == "cancelled"


async def test_an_export_is_a_private_file_of_json_lines(run, tmp_path):
    to = tmp_path / "letters.jsonl"
    done = await run("export", str(to), "--class", "prediction_failed")

    assert done.exit_code == 0
    assert [json.loads(line)["id"] for line in to.read_text().splitlines()] == [1, 2]
    assert to.stat().st_mode & 0o777 == 0o600
    assert f"Wrote 2 letters to {to}" in done.stderr


async def test_an_export_to_stdout_is_only_the_lines(run):
    done = await run("export", "-")

    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, 2, 3]


async def test_an_export_that_cannot_be_written_leaves_nothing(run, tmp_path):
    done = await run("export", str(tmp_path / "nowhere" / "x.jsonl"))

    assert isinstance(done.exception, ConfigError)
    assert "cannot be written" in str(done.exception)


async def test_purging_asks_whom_it_can_ask(run, api):
    asked = await run("purge", "--model", "stable")
    assert isinstance(asked.exception, ConfigError)
    assert "--yes" in str(asked.exception)

    dry = await run("purge", "--model", "stable", "--dry-run")
    assert dry.exit_code == 0
    assert "2 letters are meant" in dry.stderr
    assert len((await run("list")).stdout.splitlines()) == 4

    done = await run("purge", "--model", "stable", "--yes")
    assert (done.exit_code, done.stderr) == (0, "Purged 2 letters\n")
    assert [row[0] for row in rows(await run("list"))] == ["id", "2"]
    assert json.loads((await run("purge", "--yes", "--json")).stdout) == {"purged": 1}


@pytest.mark.parametrize(("answer", "exit_code"), [("y\n", 0), ("n\n", 1)])
async def test_on_a_terminal_the_answer_decides(run, monkeypatch, answer, exit_code):
    monkeypatch.setattr("sidecar.cli.dlq._somebody_is_there", lambda: True)

    done = await run("purge", answer=answer)

    assert done.exit_code == exit_code
    assert len(rows(await run("list"))) == (1 if exit_code == 0 else 4)


async def test_the_token_is_shown_where_payloads_are(run, api, tmp_path):
    api.token = b"open sesame"
    token = tmp_path / "token"
    token.write_text("open sesame\n")

    refused = await run("show", "1")
    assert "wants a token for this" in str(refused.exception)
    for words in (["show", "1"], ["export", "-"], ["purge", "--yes"]):
        done = await run(*words, "--token-file", str(token))
        assert done.exit_code == 0, done


async def test_a_wrong_filter_is_refused_in_words(run):
    done = await run("list", "--state", "gone")

    assert "'gone'" in str(done.exception)


def test_a_filter_reads_the_same_in_a_query():
    which = {"state": ["waiting", "replayed"], "text": "a&b"}

    assert query(which, limit=5, after=None) == "?state=waiting%2Creplayed&text=a%26b&limit=5"
    assert query({}) == ""


@pytest.mark.parametrize(
    "content", [b"4\r\nab\nc\r\n", b"3\r\nab\n\r\n", b""], ids=["in a line", "between", "at once"]
)
def test_an_export_that_breaks_off_is_no_whole_one(content):
    """The connection ends without the last chunk."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = True

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    client = AdminClient.at(f"127.0.0.1:{server.server_address[1]}")

    with pytest.raises(Unreachable):
        list(client.lines("/api/v1/dlq/export"))

    thread.join()
    server.server_close()
