"""Which letters a filter means, against the rows of a real table."""

from __future__ import annotations

import msgspec
import pytest
from harness.dead_letters import NOW_NS, failed, item

from sidecar.delivery.dead_letters import DeadLetterClass, Filter, LetterState
from sidecar.model import Role, StatusClass


@pytest.fixture
async def letters(store):
    """Ids of five letters by a word for each."""
    await store.add_failed_predictions(
        [
            failed(1),
            failed(2, model="next", role=Role.CANARY, status=500),
            failed(3, route="fraud", status=0, outcome=StatusClass.ERROR, failure="timeout"),
        ]
    )
    await store.add_refused(
        "kafka", [item(failed(4)), item(failed(5))], ["Too Large: 100%", "no such topic"]
    )
    await store.purge(Filter(id=5))
    return dict(zip(["plain", "canary", "timeout", "large"], range(1, 5), strict=True))


@pytest.mark.parametrize(
    ("filter_", "meant"),
    [
        (Filter(), ["plain", "canary", "timeout", "large"]),
        (Filter(class_=DeadLetterClass.DELIVERY_FAILED), ["large"]),
        (Filter(model="next"), ["canary"]),
        (Filter(route="fraud"), ["timeout"]),
        (Filter(sink="kafka"), ["large"]),
        (Filter(sink="nats"), []),
        (Filter(since_ns=NOW_NS + 3), ["timeout", "large"]),
        (Filter(since_ns=NOW_NS + 2, until_ns=NOW_NS + 4), ["canary", "timeout"]),
        (Filter(status="503"), ["plain", "large"]),
        (Filter(status="5xx"), ["plain", "canary", "large"]),
        (Filter(status="4xx"), []),
        (Filter(status="none"), ["timeout"]),
        (Filter(failure="timeout"), ["timeout"]),
        (Filter(text="too large"), ["large"]),
        (Filter(text="100%"), ["large"]),
        (Filter(text="%"), ["large"]),
        (Filter(text="' OR 1=1 --"), []),
        (Filter(request_id="request-2"), ["canary"]),
        (Filter(id=3), ["timeout"]),
        (Filter(states=(LetterState.WAITING,), model="stable"), ["plain", "timeout", "large"]),
        (Filter(states=(LetterState.REPLAYED, LetterState.FAILED_AGAIN)), []),
    ],
)
async def test_a_filter_means_exactly_the_letters_of_which_all_of_it_holds(
    store, letters, filter_, meant
):
    page = await store.page(filter_, limit=10, newest_first=False)

    assert [one.id for one in page.letters] == [letters[name] for name in meant]
    assert sum(one.letters for one in await store.count(filter_)) == len(meant)


async def test_purged_letters_are_meant_only_when_they_are_asked_for(store, letters):
    (purged,) = (await store.page(Filter(states=(LetterState.PURGED,)), limit=10)).letters

    assert (purged.id, purged.note) == (5, "purged: operator")


@pytest.mark.parametrize("status", ["6xx", "99", "5", "5xx\n", "abc", ""])
def test_what_is_no_status_is_refused_where_filters_are_read(status):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"status": status}, Filter)


def test_a_filter_comes_back_from_json_as_it_was():
    filter_ = Filter(
        class_=DeadLetterClass.PREDICTION_FAILED, states=(LetterState.WAITING,), text="ä'"
    )

    assert msgspec.json.decode(msgspec.json.encode(filter_), type=Filter) == filter_
