"""Reading back: what is meant is found, all of it, whatever segment it is in."""

import time

import pytest
from harness.logged import NS, a_record, write_journal

from sidecar.control.recording.search import JournalSearch, Question
from sidecar.errors import ClientError
from sidecar.model import Role, StatusClass


def names(records):
    return [record.request_id for record in records]


@pytest.fixture
def journal(tmp_path):
    """Two workers, whose exchanges take turns; one segment in three records."""
    now_ns = time.time_ns()
    for slot in (0, 1):
        records = [
            a_record(number, at_ns=now_ns + number * 1_000_000) for number in range(slot, 40, 2)
        ]
        write_journal(tmp_path, records, slot=slot, segment_bytes=600)
    return tmp_path


def test_the_newest_are_in_the_order_in_which_they_began_whoever_wrote_them(journal):
    found = JournalSearch(journal).newest(Question(), 5)
    assert names(found) == [f"request-{number}" for number in range(35, 40)]


def test_every_record_is_exported_once_and_progress_ends_at_the_size(journal):
    search = JournalSearch(journal)
    told = []
    found = names(search.all(Question(), told.append))
    assert sorted(found) == sorted(f"request-{number}" for number in range(40))
    assert sum(told) == search.size_bytes(Question())


def test_a_record_is_found_by_its_id_and_a_request_by_its(journal):
    search = JournalSearch(journal)
    one = search.newest(Question(), 7)[0]
    assert search.find(one.id) == [one]
    assert search.find("request-12")[0].request_id == "request-12"
    assert search.find("nobody") == []


def test_a_search_that_may_not_look_through_all_says_so(journal):
    search = JournalSearch(journal, most_bytes=1)
    found = search.newest(Question(), 100)
    assert 0 < len(found) < 40
    assert not search.complete
    all_of_it = JournalSearch(journal, most_bytes=10**9)
    assert len(all_of_it.newest(Question(), 100)) == 40
    assert all_of_it.complete


def test_following_gives_what_is_written_from_now_on_and_nothing_twice(journal):
    more = JournalSearch(journal).follow(Question())
    assert more() == []
    write_journal(journal, [a_record(100)])
    assert names(more()) == ["request-100"]
    assert more() == []


def test_no_journal_holds_no_records(tmp_path):
    search = JournalSearch(tmp_path / "nothing")
    assert search.newest(Question(), 5) == []
    assert list(search.all(Question())) == []


FAILED = a_record(
    1,
    at_ns=100 * NS,
    status=503,
    outcome=StatusClass.SERVER_ERROR,
    role=Role.CANARY,
    segments={"region": "eu"},
)


@pytest.mark.parametrize(
    "meant",
    [
        {},
        {"status": "503"},
        {"status": "5xx"},
        {"model": "stable", "route": "r"},
        {"role": Role.CANARY},
        {"segment": ("region", "eu")},
        {"since_ns": 100 * NS, "until_ns": 101 * NS},
        {"request_id": "request-1"},
    ],
)
def test_what_is_meant_is_found(meant):
    assert Question(**meant).means(FAILED)


@pytest.mark.parametrize(
    "meant",
    [
        {"status": "500"},
        {"status": "error"},
        {"model": "next"},
        {"route": "s"},
        {"role": Role.PRIMARY},
        {"segment": ("region", "us")},
        {"segment": ("country", "eu")},
        {"since_ns": 100 * NS + 1},
        {"until_ns": 100 * NS},
        {"request_id": "request-2"},
    ],
)
def test_what_is_not_meant_is_not_found(meant):
    assert not Question(**meant).means(FAILED)


@pytest.mark.parametrize("status", ["6xx", "5XX", "", "fine", "-1"])
def test_a_status_that_is_none_is_refused(status):
    with pytest.raises(ClientError, match="expected a status such as 503"):
        Question(status=status).check()
