"""A receiver's life with an unreliable world: nothing is told twice, no end is lost.

Values come and go, time passes, receivers are down, confirmations are lost, the controller is
killed and comes back with what was on disk, silences begin and end. Beside it runs a model of the
life of alerts that is written down another way: from the history of the condition, not from states.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sidecar.config.alerting import (
    AlertSettings,
    AlertSeverity,
    ReceiverSettings,
    ReceiverType,
    RuleSettings,
    Tier,
)
from sidecar.config.units import Duration
from sidecar.config.wire import decode, encode
from sidecar.control.alerts.bulletins import Status
from sidecar.control.alerts.memory import AlertMemory
from sidecar.control.alerts.policy import GIVE_UP_NS, Policy
from sidecar.control.alerts.silences import Silence
from sidecar.control.alerts.step import AlertState, confirmed, step

S = 1_000_000_000
FOR_S, KEEP_S, NO_DATA_S = 30, 45, 300
THRESHOLDS = {AlertSeverity.WARNING: 10, AlertSeverity.CRITICAL: 20}
RECEIVERS = ("ops", "am")
GROUPS = ("x", "y")

POLICY = Policy.of(
    AlertSettings(
        defaults=False,
        group_by=(),
        group_wait=Duration(15),
        group_interval=Duration(60),
        repeat=Duration(900),
        receivers={
            "ops": ReceiverSettings(type=ReceiverType.WEBHOOK, url="http://127.0.0.1:1/"),
            "am": ReceiverSettings(type=ReceiverType.ALERTMANAGER, url="http://127.0.0.1:1/"),
        },
        rules=(
            RuleSettings(
                name="r",
                series="sidecar_x",
                no_data_for=Duration(NO_DATA_S),
                tiers=tuple(
                    Tier(
                        severity=severity,
                        above=threshold,
                        for_=Duration(FOR_S),
                        keep_firing_for=Duration(KEEP_S),
                    )
                    for severity, threshold in THRESHOLDS.items()
                ),
            ),
        ),
    )
)


@dataclass(frozen=True)
class Reading:
    name: str
    labels: dict[str, str]
    value: float


@dataclass
class Life:
    """One alert by its definition: met for FOR_S begins it, not met for KEEP_S ends it."""

    met_since: int | None = None
    calm_since: int | None = None
    seen: int = 0
    fires_since: int | None = None

    def look(self, now: int, value: float | None, threshold: float) -> None:
        if value is None:
            if now - self.seen >= NO_DATA_S:
                self.met_since = self.calm_since = self.fires_since = None
            return
        self.seen = now
        if value > threshold:
            self.calm_since = None
            self.met_since = now if self.met_since is None else self.met_since
            if self.fires_since is None and now - self.met_since >= FOR_S:
                self.fires_since = now
            return
        self.calm_since = now if self.calm_since is None else self.calm_since
        if self.fires_since is None or now - self.calm_since >= KEEP_S:
            self.met_since = self.fires_since = None


@dataclass
class Inbox:
    """What one receiver got. `sure` are the ids that were confirmed."""

    began: Counter[str] = field(default_factory=Counter)
    over: Counter[str] = field(default_factory=Counter)
    sure: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)


class AlertsMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.now = 1000
        self.state = AlertState()
        self.silences: tuple[Silence, ...] = ()
        self.values: dict[str, float | None] = dict.fromkeys(GROUPS)
        self.down: set[str] = set()
        self.lives: defaultdict[tuple[str, AlertSeverity], Life] = defaultdict(Life)
        self.inboxes = {name: Inbox() for name in RECEIVERS}
        self.announced: defaultdict[str, set[str]] = defaultdict(set)

    # -- the world -------------------------------------------------------------------------------

    @rule(
        group=st.sampled_from(GROUPS),
        value=st.sampled_from([None, 5.0, 15.0, 25.0]),
    )
    def a_value_changes(self, group: str, value: float | None) -> None:
        self.values[group] = value

    @rule(after=st.sampled_from([15, 15, 15, 30, 60, 300]))
    def time_passes(self, after: int) -> None:
        self.now += after
        samples = [
            Reading("sidecar_x", {"a": group}, value)
            for group, value in self.values.items()
            if value is not None
        ]
        self.state, messages = step(POLICY, self.state, samples, self.silences, self.now * S)
        for group in GROUPS:
            for severity, threshold in THRESHOLDS.items():
                self.lives[group, severity].look(self.now, self.values[group], threshold)
        for message in messages:
            self.check_new(message)

    @rule(receiver=st.sampled_from(RECEIVERS))
    def a_receiver_goes_or_comes(self, receiver: str) -> None:
        self.down ^= {receiver}

    @rule()
    def messages_arrive(self) -> None:
        for message in self.state.outgoing:
            if message.receiver not in self.down:
                self.arrives(message)
                self.inboxes[message.receiver].sure.add(message.id)
                self.state = confirmed(self.state, message, self.now * S)

    @rule()
    def messages_arrive_and_the_controller_is_killed_before_it_knows(self) -> None:
        for message in self.state.outgoing:
            if message.receiver not in self.down:
                self.arrives(message)
                self.inboxes[message.receiver].unsure.add(message.id)
        self.the_controller_is_killed()

    @rule()
    def the_controller_is_killed(self) -> None:
        memory = AlertMemory(
            alerts=self.state.alerts, ledgers=self.state.ledgers, silences=self.silences
        )
        back = decode(encode(memory), AlertMemory)
        self.state = AlertState(alerts=back.alerts, ledgers=back.ledgers)
        self.silences = back.silences

    @rule(group=st.sampled_from(GROUPS))
    @precondition(lambda self: not self.silences)
    def an_operator_silences(self, group: str) -> None:
        self.silences = (
            Silence(
                id="s", matchers={"a": group}, from_ns=0, until_ns=10**18, author="a", comment="c"
            ),
        )

    @rule()
    def silences_end(self) -> None:
        self.silences = ()

    # -- what must hold --------------------------------------------------------------------------

    def check_new(self, message) -> None:
        """A message with news announces nothing that is silenced, or that a worse tier tells."""
        for one in message.bulletins:
            if one.status is Status.RESOLVED:
                assert one.episode in self.announced[message.receiver]
                continue
            if not message.repeated:
                group = one.labels["a"]
                assert not any(silence.matchers["a"] == group for silence in self.silences)
                worse = self.lives[group, AlertSeverity.CRITICAL].fires_since is not None
                assert one.severity is AlertSeverity.CRITICAL or not worse
            self.announced[message.receiver].add(one.episode)

    def arrives(self, message) -> None:
        """What was confirmed does not come again; what comes again has the id of the first."""
        inbox = self.inboxes[message.receiver]
        assert message.id not in inbox.sure
        if message.id in inbox.unsure:
            return  # a receiver that keeps ids sees that it has this already
        for one in message.bulletins:
            if one.status is Status.RESOLVED:
                inbox.over[one.episode] += 1
            elif not message.repeated:
                inbox.began[one.episode] += 1

    @invariant()
    def what_fires_is_what_the_definition_says(self) -> None:
        fires = {
            (dict(one.labels)["a"], one.severity): one.starts_at_ns // S
            for one in self.state.alerts.values()
            if one.state.fires
        }
        assert fires == {
            key: life.fires_since
            for key, life in self.lives.items()
            if life.fires_since is not None
        }

    @invariant()
    def nothing_is_told_twice(self) -> None:
        for inbox in self.inboxes.values():
            if not inbox.unsure:
                assert max(inbox.began.values(), default=0) <= 1
                assert max(inbox.over.values(), default=0) <= 1

    def teardown(self) -> None:
        """In a world that works again, everybody hears of every end, and nothing is left over."""
        if not hasattr(self, "now"):
            return
        self.down, self.silences = set(), ()
        self.values = dict.fromkeys(GROUPS, 5.0)
        for _ in range(3 + (GIVE_UP_NS // S) // 60):
            self.messages_arrive()
            self.time_passes(60)
        self.messages_arrive()
        self.what_fires_is_what_the_definition_says()
        self.nothing_is_told_twice()
        assert self.state.alerts == {}
        for name, inbox in self.inboxes.items():
            ledger = self.state.ledgers.get(name)
            assert ledger is None or (not ledger.told and not ledger.ended)
            assert set(inbox.began) <= set(inbox.over)
            assert self.announced[name] >= set(inbox.over)


TestAlerts = AlertsMachine.TestCase
TestAlerts.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
