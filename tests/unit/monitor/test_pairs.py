"""Primary and shadow are compared once, in whatever order they are read."""

import math

import pytest

from sidecar.monitor.exchanges import SHORT_BYTES, Request
from sidecar.monitor.pairs import MOST_COMPARED, Ticket, Verdict, compare, same
from sidecar.payload import Outputs


class NoCodec:
    pass


def ticket():
    return Ticket(Request(b"head", 4, b"/"))


@pytest.mark.parametrize(("one", "other", "expected"), [
    (1, 1, True),
    (1, 1.0, True),
    (1, True, True),
    ("1", 1, True),  # a server that answers with texts
    ("a", "a", True),
    ("a", "b", False),
    ("a", 1.5, False),
    (0.1, 0.1 + 1e-9, True),  # float32 on one side
    (0.1, 0.1001, False),
    (1e300, 1e300 * (1 + 1e-7), True),
    (0.0, 1e-9, False),  # relative: a zero is a zero
    (math.nan, math.nan, True),
    (math.nan, 1.0, False),
    (1.0, math.nan, False),
    (math.inf, math.inf, True),
    (math.inf, -math.inf, False),
    (None, None, True),
    (None, 0, False),
    (0, None, False),
])  # fmt: skip
def test_numbers_agree_nearly_and_categories_by_their_text(one, other, expected):
    assert same(one, other) is expected


@pytest.mark.parametrize(("primary", "shadow", "expected"), [
    (Outputs([1, 0]), Outputs([1, 0]), Verdict.AGREED),
    (Outputs([1, 0]), Outputs([1, 1]), Verdict.DIFFERED),
    (Outputs([1, 0]), Outputs([1]), Verdict.DIFFERED),
    (Outputs([1], [0.9]), Outputs([1], [0.6]), Verdict.AGREED),  # what is decided is the same
    (Outputs((), [0.9]), Outputs((), [0.9]), Verdict.AGREED),
    (Outputs((), [0.9]), Outputs([1], [0.6]), Verdict.DIFFERED),
    (Outputs(), Outputs([1]), Verdict.UNPAIRED),
    (Outputs([1]), Outputs(), Verdict.UNPAIRED),
    (None, Outputs([1]), Verdict.UNPAIRED),
    (Outputs([0] * (MOST_COMPARED + 1)), Outputs([0]), Verdict.UNPAIRED),
])  # fmt: skip
def test_predictions_are_compared_and_scores_where_there_are_none(primary, shadow, expected):
    assert compare(primary, shadow) is expected


@pytest.mark.parametrize("order", ["pss", "sps", "ssp"])
def test_every_shadow_gets_one_verdict_whoever_is_first(order):
    shared, told = ticket(), []
    for who in order:
        if who == "p":
            shared.settle(Outputs([1]))
        else:
            shared.compare(Outputs([1]), told.append)
    assert told == [Verdict.AGREED, Verdict.AGREED]


def test_shadows_that_wait_for_a_primary_without_an_answer_are_unpaired():
    shared, told = ticket(), []
    shared.compare(Outputs([1]), told.append)
    shared.settle(None)
    shared.settle(Outputs([1]))  # too late: it is settled once
    shared.compare(Outputs([1]), told.append)
    assert told == [Verdict.UNPAIRED, Verdict.UNPAIRED]


def test_the_same_bytes_say_the_same_to_the_same_codec_only():
    shared, codec, said = ticket(), NoCodec(), Outputs([1])
    assert shared.known(b"{}", codec) is None
    shared.know(b"{}", codec, said)
    assert shared.known(b"{}", codec) is said
    assert shared.known(b"[]", codec) is None
    assert shared.known(b"{}", NoCodec()) is None


def test_nothing_is_known_of_answers_that_were_empty_or_large():
    shared, codec = ticket(), NoCodec()
    shared.know(b"", codec, Outputs([1]))
    assert shared.known(b"", codec) is None
    large = b"x" * (SHORT_BYTES + 1)
    shared.know(large, codec, Outputs([1]))
    assert shared.known(large, codec) is None
