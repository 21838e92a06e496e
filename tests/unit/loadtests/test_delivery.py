"""The measurement of delivery delivers everything it says, and notices when it does not."""

import asyncio
import json

import pytest

from loadtests import delivery
from sidecar.journal import walk_plainly


def test_every_record_of_the_journal_is_a_line_in_the_files(tmp_path):
    delivery.write_journal(tmp_path / "journal", 700, captured=delivery.some_bodies())
    done = asyncio.run(delivery.deliver(tmp_path / "journal", tmp_path, walk_plainly))
    lines = b"".join(path.read_bytes() for path in (tmp_path / "log").iterdir()).splitlines()
    assert done.records == 700
    assert {json.loads(line)["id"] for line in lines} == {
        delivery.outcome(number).id for number in range(700)
    }


def test_stages_are_of_the_records_that_are_delivered(tmp_path):
    delivery.write_journal(tmp_path / "journal", 600, captured=None)
    assert len(list(delivery.payloads(tmp_path / "journal"))) == 600
    assert set(delivery.stage_costs(tmp_path / "journal", walk_plainly)) == {
        "read and check",
        "decode",
        "encode as JSON",
        "write",
        "the books",
        "failed predictions",
    }
    assert sum(delivery.keep_books(tmp_path / "journal", walk_plainly).logged.values()) == 600


def test_a_refusal_ends_the_measurement(tmp_path):
    with pytest.raises(ValueError, match="refused"):
        asyncio.run(delivery.NobodyRefuses().add_refused("files", [1], ["too large"]))


@pytest.mark.parametrize(("q", "expected"), [(0.0, 1.0), (0.5, 3.0), (1.0, 4.0)])
def test_quantiles_are_of_the_ordered_values(q, expected):
    assert delivery.quantile([4.0, 1.0, 3.0, 2.0], q) == expected
