"""From alerts to notifications: who is told what, when, and only once.

Each receiver has a ledger of what it was told. What it should know and was not told is news: an
alert that fires and is neither silenced nor inhibited, or the end of one of whose beginning it
heard. News is gathered by group: the first waits `group_wait`, further ones until `group_interval`
has passed since the last message. Of a group with news nothing but the news is told; what still
fires is told again only every `repeat`.

A message is *outgoing* until its delivery is confirmed. One at a time of each group is, so the
order is never wrong; and when it was tried for too long in vain, it is made anew, of what is the
case by then. While it may have arrived, the receiver counts as told for the end of an alert, and
as not told for its beginning: an end is never lost, a beginning is told until it is confirmed.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from sidecar.control.alerts.bulletins import (
    Bulletin,
    Notification,
    Status,
    bulletin,
    notification,
)
from sidecar.control.alerts.lifecycle import Alert
from sidecar.control.alerts.policy import Policy, ReceiverPolicy
from sidecar.control.alerts.samples import Labels

MOST_OUTGOING: Final = 64
"""Messages under way to one receiver. News beyond them waits, and is not lost."""

MOST_ENDED: Final = 500
"""Ends that a receiver which cannot be reached is still to hear of; older ones are given up."""


class Group(Struct, frozen=True, kw_only=True):
    """Alerts that share messages. `news_ns`: since when there is news; `sent_ns`: the last message.

    Both are 0 when there is none; `rounds` counts messages.
    """

    news_ns: int = 0
    sent_ns: int = 0
    rounds: int = 0
    outgoing: Notification | None = None


class Ledger(Struct, frozen=True, kw_only=True):
    """What one receiver was told.

    `told` maps the episodes of which it heard that they fire to whether it confirmed that; `ended`
    are those among them whose end it has not confirmed; `lost` counts ends that were given up.
    """

    told: dict[str, bool] = {}
    ended: dict[str, Bulletin] = {}
    groups: dict[Labels, Group] = {}
    lost: int = 0

    @property
    def outgoing(self) -> list[Notification]:
        """Messages under way."""
        return [group.outgoing for group in self.groups.values() if group.outgoing is not None]


def gathered(
    policy: Policy,
    ledgers: Mapping[str, Ledger],
    firing: Collection[Alert],
    ended: Collection[Alert],
    muted: Collection[str],
    now_ns: int,
) -> tuple[dict[str, Ledger], tuple[Notification, ...]]:
    """The ledgers after this moment, and the messages that are to go out.

    `muted` are the fingerprints of alerts that are silenced or inhibited.
    """
    after, messages = {}, []
    ends = {alert.episode: bulletin(alert, policy.rule(alert.alertname)) for alert in ended}
    for name, receiver in policy.receivers.items():
        turn = _Turn(policy, receiver, ledgers.get(name, Ledger()), muted, now_ns)
        after[name] = turn.taken([alert for alert in firing if _tells(policy, alert, name)], ends)
        messages += turn.messages
    return after, tuple(messages)


def confirmed(ledger: Ledger, sent: Notification, now_ns: int) -> Ledger:
    """The ledger once a message has arrived; unchanged when it is not the one under way."""
    group = ledger.groups.get(sent.group)
    if group is None or group.outgoing is None or group.outgoing.id != sent.id:
        return ledger
    over = {one.episode for one in sent.bulletins if one.status is Status.RESOLVED}
    heard = {one.episode: True for one in sent.bulletins if one.status is Status.FIRING}
    told = {**ledger.told, **heard}
    quiet = msgspec.structs.replace(
        group, sent_ns=now_ns, news_ns=0, rounds=group.rounds + 1, outgoing=None
    )
    return msgspec.structs.replace(
        ledger,
        told={episode: sure for episode, sure in told.items() if episode not in over},
        ended={episode: one for episode, one in ledger.ended.items() if episode not in over},
        groups={**ledger.groups, sent.group: quiet},
    )


def _tells(policy: Policy, alert: Alert, receiver: str) -> bool:
    rule = policy.rule(alert.alertname)
    tier = None if rule is None else rule.tier(alert.severity)
    return tier is not None and receiver in tier.receivers


class _Turn:
    """One receiver at one moment."""

    def __init__(
        self,
        policy: Policy,
        receiver: ReceiverPolicy,
        ledger: Ledger,
        muted: Collection[str],
        now_ns: int,
    ) -> None:
        self.messages: list[Notification] = []
        self._policy = policy
        self._receiver = receiver
        self._ledger = ledger
        self._muted = muted
        self._now_ns = now_ns
        self._told = dict(ledger.told)
        self._under_way = len(ledger.outgoing)

    def taken(self, firing: list[Alert], ends: Mapping[str, Bulletin]) -> Ledger:
        """The ledger after it; what is to be sent is in `messages`."""
        ended = {
            **self._ledger.ended,
            **{episode: end for episode, end in ends.items() if episode in self._told},
        }
        if not self._receiver.settings.send_resolved:
            self._forget(ended, list(ended))
        lost = list(ended)[: max(0, len(ended) - MOST_ENDED)]
        self._forget(ended, lost)
        members: dict[Labels, list[Alert]] = {}
        for alert in firing:
            members.setdefault(self._group_of(alert.all_labels), []).append(alert)
        over: dict[Labels, list[Bulletin]] = {}
        for end in ended.values():
            over.setdefault(self._group_of(end.all_labels), []).append(end)
        groups = {}
        for labels in {**self._ledger.groups, **members, **over}:
            group = self._group(labels, members.get(labels, []), over.get(labels, []))
            idle = group.outgoing is None and labels not in members and labels not in over
            # An empty group is remembered for one interval: what flaps is not told faster.
            if not idle or self._now_ns < group.sent_ns + self._receiver.interval_ns:
                groups[labels] = group
        return Ledger(
            told=self._told, ended=ended, groups=groups, lost=self._ledger.lost + len(lost)
        )

    def _group(self, labels: Labels, members: list[Alert], over: list[Bulletin]) -> Group:
        group, receiver, now_ns = (
            self._ledger.groups.get(labels, Group()),
            self._receiver,
            self._now_ns,
        )
        if group.outgoing is not None:
            if now_ns < group.outgoing.created_ns + receiver.give_up_ns:
                return group
            group = msgspec.structs.replace(group, outgoing=None)
            self._under_way -= 1
        fresh = [
            alert
            for alert in members
            if alert.fingerprint not in self._muted and not self._told.get(alert.episode)
        ]
        news = bool(fresh or over)
        news_ns = (min(group.news_ns, now_ns) or now_ns) if news else 0
        group = msgspec.structs.replace(group, news_ns=news_ns, sent_ns=min(group.sent_ns, now_ns))
        if self._under_way >= MOST_OUTGOING:
            return group
        if news and now_ns >= self._due_ns(group):
            return self._sent(group, labels, fresh, over, repeated=False)
        again = [alert for alert in members if self._told.get(alert.episode)]
        if not receiver.keeps_alive:
            again = [alert for alert in again if alert.fingerprint not in self._muted]
        if again and not news and now_ns >= group.sent_ns + receiver.repeat_ns:
            return self._sent(group, labels, again, [], repeated=True)
        return group

    def _due_ns(self, group: Group) -> int:
        if group.sent_ns:
            return group.sent_ns + self._receiver.interval_ns
        return group.news_ns + self._receiver.wait_ns

    def _sent(
        self,
        group: Group,
        labels: Labels,
        alerts: Iterable[Alert],
        over: list[Bulletin],
        *,
        repeated: bool,
    ) -> Group:
        # Ends first: an alert that ended and fires again must be seen to fire.
        now = [bulletin(alert, self._policy.rule(alert.alertname)) for alert in alerts]
        message = notification(
            self._receiver.name,
            labels,
            (*over, *now),
            repeated=repeated,
            round_of=group.rounds,
            now_ns=self._now_ns,
        )
        for one in now:
            self._told.setdefault(one.episode, False)
        self.messages.append(message)
        self._under_way += 1
        return msgspec.structs.replace(group, outgoing=message)

    def _forget(self, ended: dict[str, Bulletin], episodes: Iterable[str]) -> None:
        for episode in episodes:
            ended.pop(episode, None)
            self._told.pop(episode, None)

    def _group_of(self, labels: Mapping[str, str]) -> Labels:
        return tuple((name, labels.get(name, "")) for name in self._receiver.group_by)
