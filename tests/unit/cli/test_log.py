"""`sidecar log` over a journal on the disk, without a sidecar."""

import json

import msgspec
import pytest
from harness.logged import NS, a_record, write_journal
from typer.testing import CliRunner

from sidecar.cli.application import build
from sidecar.control.recording import Balance, Books
from sidecar.control.recording.books import _Kept
from sidecar.control.recording.ledger import Saved
from sidecar.control.recording.standings import cursor_of
from sidecar.errors import ConfigError
from sidecar.journal import Standing
from sidecar.model import CellKey, DropReason, Role, StatusClass

KEY = CellKey(route="r", model="stable", role=Role.PRIMARY)


@pytest.fixture
def journal(tmp_path):
    directory = tmp_path / "journal"
    records = [a_record(number, at_ns=(1_700_000_000 + number) * NS) for number in range(5)]
    records.append(
        a_record(
            9,
            at_ns=1_700_000_009 * NS,
            status=0,
            outcome=StatusClass.ERROR,
            failure="upstream_timeout",
            segments={"region": "eu"},
        )
    )
    write_journal(directory, records)
    return directory


def run(*arguments):
    return CliRunner().invoke(build(["log"]), ["log", *map(str, arguments)])


def lines(*arguments):
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def test_tail_shows_the_newest_last_with_what_failed(journal):
    head, *rows = lines("tail", "-n", 2, "--journal", journal)
    assert head.startswith("at\troute\tmodel")
    assert [row.split("\t")[5] for row in rows] == ["2xx", "upstream_timeout"]


def test_tail_as_json_gives_whole_records(journal):
    (line,) = lines("tail", "-n", 1, "--json", "--journal", journal)
    assert json.loads(line)["failure"] == "upstream_timeout"


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--status", "error"), 1),
        (("--status", "200"), 5),
        (("--segment", "region=eu"), 1),
        (("--since", "2023-11-14T22:13:23Z"), 3),
        (("--until", "2023-11-14T22:13:23Z"), 3),
        (("--model", "other"), 0),
        (("--role", "primary"), 6),
    ],
)
def test_an_export_holds_what_is_meant(journal, options, count):
    assert len(lines("export", "-", *options, "--journal", journal)) == count


def test_an_exported_file_is_there_whole_and_private(journal, tmp_path):
    to = tmp_path / "records.jsonl"
    run("export", to, "--journal", journal)
    assert len(to.read_text().splitlines()) == 6
    assert to.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["records.jsonl"]


def test_show_gives_a_record_by_its_id_or_says_that_there_is_none(journal):
    (line,) = lines("tail", "-n", 1, "--json", "--journal", journal)
    shown = lines("show", json.loads(line)["id"], "--journal", journal)
    assert "failure: upstream_timeout" in shown
    assert run("show", "nobody", "--journal", journal).exit_code == 1


def test_stats_show_the_books_that_were_written_down_last(journal):
    books = Books(requests=9, logged=6, dropped={DropReason.DISK_FULL: 2}, lost_in_crash=1)
    kept = _Kept(
        saved=Saved(launch="0" * 16),
        balance=Balance(at_ns=1_700_000_000 * NS, books=[(KEY, books)], logged={"stable": 6}),
    )
    (journal / "books.msgpack").write_bytes(msgspec.msgpack.encode(kept))
    cursor_of(journal, "files").save(Standing(totals={"delivered": {"stable": 5}}))
    view = json.loads("\n".join(lines("stats", "--json", "--journal", journal)))
    (one,) = view["requests"]
    assert (one["requests"], one["logged"], one["in_memory"]) == (9, 6, 0)
    (sink,) = view["sinks"]
    assert (sink["sink"], sink["delivered"], sink["pending"]) == ("files", 5, 1)
    assert any("lost in crash" in line for line in lines("stats", "--journal", journal))


def test_stats_show_what_waits_for_a_sink_that_was_never_there(journal, tmp_path):
    kept = _Kept(
        saved=Saved(launch="0" * 16),
        balance=Balance(at_ns=NS, books=[(KEY, Books(requests=6, logged=6))], logged={"stable": 6}),
    )
    (journal / "books.msgpack").write_bytes(msgspec.msgpack.encode(kept))
    config = tmp_path / "sidecar.yaml"
    config.write_text(
        f"models: {{stable: {{url: 'http://127.0.0.1:9'}}}}\n"
        f"routes: [{{name: all, primary: stable}}]\n"
        f"journal: {{path: {journal}}}\n"
        f"sinks: [{{name: hook, type: http, url: 'http://127.0.0.1:9'}}]\n"
    )
    view = json.loads("\n".join(lines("stats", "--json", "--config", config)))
    (sink,) = view["sinks"]
    assert (sink["sink"], sink["logged"], sink["pending"]) == ("hook", 6, 6)


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (("tail", "--since", "yesterday"), "--since"),
        (("tail", "--status", "6xx"), "--status"),
        (("export", "-", "--segment", "region"), "--segment"),
        (("stats",), "log stats"),
    ],
)
def test_what_cannot_be_is_refused_with_the_option_to_blame(journal, arguments, path):
    done = run(*arguments, "--journal", journal)
    assert isinstance(done.exception, ConfigError)
    assert path in str(done.exception)


def test_a_journal_that_is_not_there_is_said(tmp_path):
    done = run("tail", "--journal", tmp_path / "nothing")
    assert "is no directory" in str(done.exception)
