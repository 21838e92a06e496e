"""Whose fault it is: refused ones are found by halves, sinks that are down are waited for."""

from collections import Counter
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.delivery.consignment import DOUBTS, Consignment

S = 1_000_000_000
DEADLINE_NS = 600 * S


def consignment(items):
    made = Consignment(deadline_ns=DEADLINE_NS)
    made.add(items)
    return made


def bring(made, culprits, *, most=10_000):
    """Play a sink that refuses any batch with a culprit in it; returns taken, letters, attempts."""
    taken, letters, attempts = [], [], 0
    while len(made):
        assert attempts < most
        attempts += 1
        if culprits & set(made.next()):
            settled = made.refused("it answered 400")
        else:
            settled = made.answered()
        taken += settled.taken
        letters += settled.letters
    return taken, letters, attempts


def test_all_is_sent_at_once_and_in_order():
    made = consignment("abcde")
    assert made.next() == list("abcde")
    assert made.answered().taken == tuple("abcde")
    assert len(made) == 0


def test_records_that_are_refused_by_name_are_letters_and_the_others_delivered():
    made = consignment("abcd")
    made.next()
    settled = made.answered([(1, "too old"), (3, "too large")])
    assert settled.taken == ("a", "c")
    assert settled.letters == (("b", "too old"), ("d", "too large"))
    assert len(made) == 0


@pytest.mark.parametrize("culprit", [0, 1, 250, 498, 499])
def test_one_culprit_of_many_is_found_by_halves(culprit):
    taken, letters, attempts = bring(consignment(range(500)), {culprit})
    assert letters == [(culprit, "it answered 400")]
    assert taken == [n for n in range(500) if n != culprit]
    assert attempts <= 3 * ceil(log2(500)) + 1


def test_a_batch_that_is_merely_too_large_is_sent_in_two_halves():
    made = consignment(range(400))
    attempts = []
    while len(made):
        sent = made.next()
        attempts.append(len(sent))
        if len(sent) > 200:
            assert not made.refused("it answered 413").letters
        else:
            made.answered()
    assert attempts == [400, 200, 200]


@given(st.integers(1, 80), st.data())
def test_every_culprit_is_found_and_nobody_else_suffers(count, data):
    culprits = data.draw(st.sets(st.integers(0, count - 1)))
    taken, letters, _ = bring(consignment(range(count)), culprits)
    assert sorted(taken) == sorted(set(range(count)) - culprits)
    assert sorted(item for item, _ in letters) == sorted(culprits)


def test_a_sink_that_is_down_for_days_makes_no_dead_letter():
    made = consignment(range(100))
    for attempt in range(10_000):
        made.next(probe=attempt >= 5)
        settled = made.unavailable("connection refused", attempt * 30 * S)
        assert not settled.taken
        assert not settled.letters
    assert len(made) == 100


def test_a_sink_that_comes_back_after_days_gets_large_batches_soon():
    made = consignment(range(500))
    for attempt in range(10_000):
        made.next(probe=attempt >= 5)
        made.unavailable("connection refused", attempt * 30 * S)
    attempts = 0
    while len(made):
        made.next(probe=attempts == 0)
        made.answered()
        attempts += 1
    assert attempts <= 12


def test_until_the_deadline_a_batch_is_sent_again_as_it_was():
    made = consignment(range(10))
    for second in (0, 100, 599):
        assert made.next() == list(range(10))
        made.unavailable("it answered 500", second * S)
    made.next()
    made.unavailable("it answered 500", 600 * S)
    assert made.next() == list(range(5))


def test_a_probe_that_fails_past_the_deadline_lets_another_record_be_the_next_probe():
    made = consignment("abc")
    made.next()
    made.unavailable("no answer", 0)
    assert made.next(probe=True) == ["a"]
    made.unavailable("no answer", DEADLINE_NS)
    assert made.next(probe=True) == ["b"]


def test_what_the_sink_answered_for_before_it_failed_is_not_sent_again():
    made = consignment("abcdef")
    made.next()
    settled = made.unavailable(
        "it answered 503", 0, taken=[0, 2, 4], refused=[(5, "it answered 400")]
    )
    assert settled.taken == ("a", "c", "e")
    assert settled.letters == (("f", "it answered 400"),)
    assert made.next() == ["b", "d"]


def test_a_record_at_which_the_sink_fails_each_time_is_given_up_once_others_are_taken():
    made = consignment(range(8))
    now_s = 0
    taken, letters = [], []
    while not letters:
        if made.in_doubt(now_s * S):
            made.add([f"later {now_s}"])
        sent = made.next()
        if 3 in sent:
            settled = made.unavailable("it answered 500", now_s * S)
            now_s += 30
        else:
            settled = made.answered()
        taken += settled.taken
        letters += settled.letters
        assert now_s < 3600
    assert letters == [(3, "retries exhausted: it answered 500")]
    assert now_s > DEADLINE_NS / S
    assert set(range(8)) - {3} <= set(taken)


def test_a_record_that_fails_is_never_given_up_while_there_are_no_others():
    made = consignment([1])
    for minute in range(1000):
        assert made.next() == [1]
        assert not made.unavailable("it answered 500", minute * 60 * S).letters
    assert made.in_doubt(1000 * 60 * S)


def test_a_record_in_doubt_is_sent_alone_and_does_not_hold_those_that_join_it():
    made = consignment(["bad"])
    for minute in (0, 20, 40):
        made.next()
        made.unavailable("it answered 500", minute * 60 * S)
    made.add(["a", "b"])
    sizes = Counter()
    letters = ()
    for minute in range(60, 90):
        if made.in_doubt(minute * 60 * S):
            made.add(["c", "d"])
        sent = made.next()
        if "bad" in sent:
            sizes[len(sent)] += 1
            letters = made.unavailable("it answered 500", minute * 60 * S).letters
        else:
            made.answered()
        if letters:
            break
    assert letters
    assert sizes[1] >= DOUBTS


@given(
    st.integers(1, 40),
    st.data(),
)
def test_with_any_mix_of_faults_everything_is_settled_once(count, data):
    """Culprits are refused, poisonous ones make the sink fail, and at times it is down for all."""
    items = set(range(count))
    culprits = data.draw(st.sets(st.sampled_from(sorted(items))))
    poisonous = data.draw(st.sets(st.sampled_from(sorted(items)))) - culprits
    down = data.draw(st.lists(st.booleans(), max_size=60))
    made = consignment(range(count))
    taken, letters = Counter(), Counter()
    now_s, company = 0, count
    for _ in range(4000):
        if not set(range(count)) - set(taken) - set(letters):
            break
        if made.in_doubt(now_s * S):
            made.add(range(company, company + 4))
            company += 4
        is_down = down.pop() if down else False
        sent = made.next(probe=is_down)
        if is_down or poisonous & set(sent):
            settled = made.unavailable("it answered 500", now_s * S)
            now_s += 60
        elif culprits & set(sent):
            settled = made.refused("it answered 400")
        else:
            settled = made.answered()
        taken.update(settled.taken)
        letters.update(item for item, _ in settled.letters)
    assert culprits | poisonous <= set(letters)
    assert set(taken).isdisjoint(letters)
    assert items <= set(taken) | set(letters)
    assert max([*taken.values(), *letters.values()]) == 1


class Lined(Consignment):
    """A consignment in which everybody stands in line from the start."""

    def add(self, items):
        super().add(items)
        self._line_up()


@given(st.data())
def test_those_that_never_failed_are_treated_as_if_they_stood_in_line(data):
    quick, lined = Consignment(deadline_ns=10), Lined(deadline_ns=10)
    numbers, now_ns = iter(range(10**6)), 0
    for _ in range(data.draw(st.integers(1, 25))):
        if not len(quick) or data.draw(st.booleans()):
            items = [next(numbers) for _ in range(data.draw(st.integers(1, 6)))]
            quick.add(items)
            lined.add(items)
        assert quick.in_doubt(now_ns) == lined.in_doubt(now_ns)
        probe = data.draw(st.booleans())
        sent = quick.next(probe=probe)
        assert sent == lined.next(probe=probe)
        now_ns += data.draw(st.integers(0, 8))
        places = data.draw(st.lists(st.sampled_from(range(len(sent))), unique=True))
        some = len(places) // 2
        refused, taken = [(place, "no") for place in places[:some]], places[some:]
        ending = data.draw(st.sampled_from(["taken", "some", "refused", "down", "slow"]))

        def conclude(one, ending=ending, refused=refused, taken=taken, now_ns=now_ns):
            match ending:
                case "taken":
                    return one.answered()
                case "some":
                    return one.answered(refused)
                case "refused":
                    return one.refused("never")
                case "down":
                    return one.unavailable("down", now_ns)
                case _:
                    return one.unavailable("slow", now_ns, taken=taken, refused=refused)

        assert conclude(quick) == conclude(lined)
        assert (len(quick), quick.first, quick.window) == (len(lined), lined.first, lined.window)
