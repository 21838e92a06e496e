"""Who is told what and when: transcripts of a receiver's day."""

import msgspec
import pytest

from sidecar.config.alerting import (
    AlertSettings,
    AlertSeverity,
    ReceiverSettings,
    ReceiverType,
    Tier,
)
from sidecar.config.units import Duration
from sidecar.control.alerts.grouping import MOST_OUTGOING
from sidecar.control.alerts.policy import GIVE_UP_NS, RESEND_NS, Policy
from sidecar.control.alerts.silences import Silence
from sidecar.control.alerts.step import AlertState, confirmed, step

WARNING, CRITICAL = AlertSeverity.WARNING, AlertSeverity.CRITICAL
S = 1_000_000_000
TWO_TIERS = (
    Tier(severity=WARNING, above=10, receivers=("ops",)),
    Tier(severity=CRITICAL, above=20, receivers=("pager",)),
)


class Day:
    """Steps one after the other. Messages arrive at once, unless the receiver is in `down`."""

    def __init__(self, policy, sample):
        self.policy, self._sample = policy, sample
        self.state = AlertState()
        self.now_ns = 1000 * S
        self.silences = ()
        self.down: set[str] = set()
        self.said: list[str] = []
        self.messages = []

    def look(self, *, after_s: float = 15, **values) -> list[str]:
        """What arrives after a moment in which series `sidecar_x{a=NAME}` have these values."""
        self.now_ns += round(after_s * S)
        samples = [self._sample("sidecar_x", value, a=name) for name, value in values.items()]
        self.state, messages = step(self.policy, self.state, samples, self.silences, self.now_ns)
        self.messages += messages
        return self.deliver()

    def deliver(self) -> list[str]:
        said = []
        for message in self.state.outgoing:
            if message.receiver not in self.down:
                self.state = confirmed(self.state, message, self.now_ns)
                said.append(self.words(message))
        self.said += said
        return sorted(said)

    @staticmethod
    def words(message) -> str:
        alerts = [
            f"{'-' if one.ends_at_ns else '+'}{one.severity[0]}:{one.labels.get('a', '')}"
            for one in message.bulletins
        ]
        again = " again" if message.repeated else ""
        return f"{message.receiver}{again} {' '.join(alerts)}"


@pytest.fixture
def day(policy, rule, sample):
    def day(*tiers, by=("a",), **keys) -> Day:
        return Day(policy(rule("r", *tiers, by=by), group_by=(), **keys), sample)

    return day


def test_an_alert_is_told_once_and_its_end_is_told_once(day):
    it = day()

    assert it.look(x=11) == ["ops +w:x"]
    assert it.look(x=11) == []
    assert it.look(x=1, after_s=60) == ["ops -w:x"]
    assert it.look(x=1, after_s=600) == []
    assert it.state.ledgers["ops"].told == {}


def test_the_first_alert_of_a_group_waits_for_others(day):
    it = day(group_wait=Duration(30))

    assert it.look(x=11) == []
    assert it.look(x=11, y=12) == []
    assert it.look(x=11, y=12) == ["ops +w:x +w:y"]


def test_what_ends_before_it_was_told_is_not_told(day):
    it = day(group_wait=Duration(30))
    it.look(x=11)
    it.look(x=1)

    assert it.look(x=1, after_s=60) == []
    assert it.state.ledgers["ops"].groups == {}


def test_news_of_a_group_comes_no_faster_than_its_interval(day):
    it = day(group_interval=Duration(60))
    it.look(x=11)

    assert it.look(x=11, y=12) == []
    assert it.look(x=1, y=12, z=13) == []
    assert it.look(x=1, y=12, z=13, after_s=30) == ["ops -w:x +w:y +w:z"]


def test_what_flaps_is_told_no_faster_than_the_interval(day):
    it = day(group_interval=Duration(60))
    for number in range(40):
        it.look(x=11 if number % 2 == 0 else 1)

    assert len(it.said) <= 1 + 40 * 15 / 60


def test_what_still_fires_is_told_again_after_a_while(day):
    it = day(repeat=Duration(3600))
    it.look(x=11)

    assert it.look(x=11, after_s=3599) == []
    assert it.look(x=11, after_s=1) == ["ops again +w:x"]
    assert it.look(x=11, after_s=3600) == ["ops again +w:x"]
    assert len({message.id for message in it.messages}) == 3


def test_alerts_are_gathered_by_the_labels_of_the_group(policy, rule, sample):
    it = Day(policy(rule("r", by=("a",)), group_by=("a",)), sample)

    assert it.look(x=11, y=12) == ["ops +w:x", "ops +w:y"]


# --- tiers, silences -----------------------------------------------------------------------------


def test_each_tier_has_its_receivers_and_the_worse_one_speaks_for_the_lesser(day):
    it = day(*TWO_TIERS, receivers={"ops": "webhook", "pager": "webhook"})

    assert it.look(x=25) == ["pager +c:x"]
    assert it.look(x=15, after_s=60) == ["ops +w:x", "pager -c:x"]
    assert it.look(x=1, after_s=60) == ["ops -w:x"]


def test_a_lesser_tier_that_was_told_is_told_to_have_ended_though_the_worse_one_fires(day):
    it = day(*TWO_TIERS, receivers={"ops": "webhook", "pager": "webhook"})
    it.look(x=15)
    it.look(x=25, after_s=60)

    assert it.look(x=1, after_s=60) == ["ops -w:x", "pager -c:x"]


def silence(**matchers) -> Silence:
    return Silence(
        id="s", matchers=matchers, from_ns=0, until_ns=10**18, author="me", comment="why"
    )


def test_what_is_silenced_is_not_announced_until_the_silence_ends(day):
    it = day()
    it.silences = (silence(alertname="r", a="~x|y"),)

    assert it.look(x=11, z=11) == ["ops +w:z"]
    it.silences = ()
    assert it.look(x=11, z=11, after_s=60) == ["ops +w:x"]


def test_who_was_told_of_an_alert_is_told_of_its_end_though_it_is_silenced(day):
    it = day()
    it.look(x=11)
    it.silences = (silence(a="x"),)

    assert it.look(x=11, after_s=4 * 3600) == []  # no repeat
    assert it.look(x=1) == ["ops -w:x"]


def test_a_silence_holds_from_its_beginning_to_its_end(day):
    it = day()
    it.silences = (msgspec.structs.replace(silence(a="x"), until_ns=1030 * S),)

    assert it.look(x=11) == []
    assert it.look(x=11) == ["ops +w:x"]


# --- receivers that cannot be told ---------------------------------------------------------------


def test_a_receiver_that_is_down_holds_no_other(day):
    it = day(receivers={"ops": "webhook", "chat": "webhook"})
    it.down = {"ops"}

    assert it.look(x=11) == ["chat +w:x"]
    assert it.look(x=1, after_s=60) == ["chat -w:x"]


def test_a_message_is_under_way_until_it_is_confirmed_and_not_made_twice(day):
    it = day()
    it.down = {"ops"}
    for _ in range(5):
        it.look(x=11)

    assert len(it.messages) == 1
    it.down = set()
    assert it.deliver() == ["ops +w:x"]
    assert it.look(x=11) == []


def test_after_a_long_time_in_vain_what_holds_by_then_is_told_under_the_same_id(day):
    it = day()
    it.down = {"ops"}
    it.look(x=11)
    it.look(x=11, after_s=GIVE_UP_NS / S)

    first, second = it.messages
    assert first.id == second.id
    it.down = set()
    assert it.deliver() == ["ops +w:x"]


def test_an_end_is_told_also_if_nobody_knows_whether_the_beginning_arrived(day):
    it = day()
    it.down = {"ops"}
    it.look(x=11)
    it.look(x=1)
    it.down = set()

    assert it.deliver() == ["ops +w:x"]
    assert it.look(x=1, after_s=60) == ["ops -w:x"]

    it = day()
    it.down = {"ops"}
    it.look(x=11)
    it.look(x=1, after_s=GIVE_UP_NS / S)
    it.down = set()
    assert it.deliver() == ["ops -w:x"]


def test_a_late_confirmation_of_a_message_that_was_made_anew_changes_nothing(day):
    it = day()
    it.down = {"ops"}
    it.look(x=11)
    (late,) = it.messages
    it.look(x=11, y=12, after_s=GIVE_UP_NS / S)

    assert confirmed(it.state, late, it.now_ns) == it.state


def test_an_alert_that_ends_and_fires_again_is_told_as_two(day):
    it = day(group_interval=Duration(60))
    it.look(x=11)
    it.look(x=1)
    it.look(x=11)

    assert it.look(x=11, after_s=60) == ["ops -w:x +w:x"]
    ended, fires = it.messages[-1].bulletins
    assert ended.fingerprint == fires.fingerprint
    assert ended.episode != fires.episode


def test_messages_under_way_are_bounded_and_news_beyond_them_is_not_lost(policy, rule, sample):
    it = Day(policy(rule("r", by=("a",)), group_by=("a",)), sample)
    it.down = {"ops"}
    values = {f"x{n}": 11 for n in range(MOST_OUTGOING + 10)}
    it.look(**values)

    assert len(it.state.outgoing) == MOST_OUTGOING
    it.down = set()
    it.deliver()
    assert len(it.look(**values)) == 10


def test_a_receiver_that_wants_no_ends_is_told_none(policy, rule, sample):
    made = policy(rule("r", by=("a",)), group_by=())
    quiet = msgspec.structs.replace(
        made.receivers["ops"],
        settings=ReceiverSettings(type=ReceiverType.LOG, send_resolved=False),
    )
    it = Day(msgspec.structs.replace(made, receivers={"ops": quiet}), sample)

    assert it.look(x=11) == ["ops +w:x"]
    assert it.look(x=1, after_s=60) == []
    assert it.look(x=11, after_s=60) == ["ops +w:x"]


# --- an Alertmanager -----------------------------------------------------------------------------


def test_an_alertmanager_hears_at_once_and_every_minute_that_an_alert_still_fires(day):
    it = day(receivers={"am": "alertmanager"}, group_wait=Duration(60))
    resend_s = RESEND_NS / S

    assert it.look(x=11) == ["am +w:x"]
    assert it.look(x=11, y=12) == ["am +w:y"]
    assert it.look(x=11, y=12, after_s=resend_s) == ["am again +w:x +w:y"]
    assert it.look(x=1, y=12) == ["am -w:x"]


def test_an_alertmanager_hears_on_of_what_was_silenced_after_it_was_announced(day):
    it = day(receivers={"am": "alertmanager"})
    it.look(x=11)
    it.silences = (silence(a="~.*"),)

    assert it.look(x=11, y=11, after_s=60) == ["am again +w:x"]


def test_an_alertmanager_that_was_away_hears_of_all_that_fires(day):
    it = day(receivers={"am": "alertmanager"})
    it.look(x=11)
    it.down = {"am"}
    it.look(x=11, y=12, after_s=60)
    it.look(x=11, y=12, after_s=120)
    it.down = set()

    assert it.deliver() == ["am +w:y"]
    assert it.look(x=11, y=12, after_s=60) == ["am again +w:x +w:y"]


# --- settings that change ------------------------------------------------------------------------


def test_other_groups_repeat_nothing_and_lose_no_end(policy, rule, sample):
    one = rule("r", by=("a",))
    it = Day(policy(one, group_by=()), sample)
    it.look(x=11)
    it.policy = policy(one, group_by=("a", "severity"))

    assert it.look(x=11, after_s=60) == []
    assert it.look(x=1, after_s=60) == ["ops -w:x"]


def test_a_new_receiver_is_told_what_fires_and_one_that_is_gone_is_forgotten(policy, rule, sample):
    one = rule("r", by=("a",))
    it = Day(policy(one, group_by=()), sample)
    it.look(x=11)
    it.policy = policy(one, group_by=(), receivers={"chat": "webhook"})

    assert it.look(x=11) == ["chat +w:x"]
    assert set(it.state.ledgers) == {"chat"}


def test_a_rule_that_is_gone_tells_of_the_end_of_its_alerts(policy, rule, sample):
    it = Day(policy(rule("r", by=("a",)), group_by=()), sample)
    it.look(x=11)
    it.policy = policy(group_by=())

    assert it.look(x=11, after_s=60) == ["ops -w:x"]


def test_default_rules_are_valid_and_give_way_to_rules_of_their_name(rule):
    usual = Policy.of(AlertSettings())
    own = Policy.of(AlertSettings(rules=(rule("errors"),)))

    assert {one.name for one in usual.rules} == {
        "errors", "breaker-open", "drift-major", "monitor-shedding", "unwatched", "dead-letters",
        "dead-letters-waiting",
    }  # fmt: skip
    assert all(one.is_default for one in usual.rules)
    assert [one.is_default for one in own.rules if one.name == "errors"] == [False]
    assert list(usual.receivers) == ["log"]
