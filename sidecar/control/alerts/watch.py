"""Watches the sidecar's series and tells receivers what is wrong: the pure core, running.

Every `alerts.interval` the samples that rules name are read and one step is taken. What must not be
forgotten is on disk before a message goes out, and again after it was confirmed; so a controller
that is killed at any moment neither forgets a message nor repeats one that it knew to be confirmed.
(One whose confirmation was on its way is sent again, with the same id.) A disk that refuses stops
no message.

Must not know: HTTP calls of operators, where samples come from.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final

import aiohttp
from msgspec import Struct

from sidecar.config.alerting import AlertSettings
from sidecar.config.matchers import MatcherText
from sidecar.config.wire import encode
from sidecar.control.alerts.bulletins import Notification
from sidecar.control.alerts.courier import Backoff, Courier
from sidecar.control.alerts.memory import AlertFiles, AlertMemory
from sidecar.control.alerts.policy import Policy, ReceiverPolicy
from sidecar.control.alerts.samples import SampleSource
from sidecar.control.alerts.senders import NotDelivered, sender_for
from sidecar.control.alerts.silences import Silence, new_silence
from sidecar.control.alerts.step import AlertState, confirmed, resumed, step
from sidecar.control.alerts.trial import trial_message
from sidecar.control.alerts.windows import MOST_TRACKS, NS_PER_S, Windows
from sidecar.errors import ClientError, ConfigError

CHECKPOINT_NS: Final = 60 * NS_PER_S
"""How often windows are written; a crash loses at most so much of what series said before."""

MOST_SILENCES: Final = 1000
CONNECTIONS_PER_HOST: Final = 4

log: Final = logging.getLogger("sidecar.alerts")


class TrialResult(Struct, frozen=True, kw_only=True):
    """How a test message fared; `detail` says why it was not delivered."""

    receiver: str
    delivered: bool
    detail: str
    duration_ms: float


class AlertWatch:
    """Owns the alerts of one sidecar.

    `settings` are those of the configuration file at the start of this `launch`; what was reloaded
    in the same launch outranks them. `samples` is asked for the series that rules name. `ids` gives
    a new text each time, `chance` numbers in [0, 1), `environ` holds secrets that receivers name.
    `wall_ns` is the time that people know, `monotonic_ns` one that only goes forward.
    """

    def __init__(
        self,
        settings: AlertSettings,
        *,
        launch: str,
        samples: SampleSource,
        files: AlertFiles,
        wall_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
        environ: Mapping[str, str],
        ids: Callable[[], str],
        chance: Callable[[], float],
        backoff: Backoff = Backoff(),  # noqa: B008 - a frozen value
    ) -> None:
        self._launch = launch
        self._samples = samples
        self._files = files
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._environ = environ
        self._ids = ids
        self._chance = chance
        self._backoff = backoff
        memory, windows = self._remembered()
        self.silences = memory.silences
        self.state = resumed(
            AlertState(alerts=memory.alerts, ledgers=memory.ledgers, windows=windows), wall_ns()
        )
        self._use(memory.settings_of(launch) or settings)
        self.couriers: dict[str, Courier] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._woken = asyncio.Event()
        self._serial = 0
        self._disk_refuses = False
        self._unwritten = False
        self._blind = False
        self._checkpoint_ns = wall_ns()

    # -- running ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watch and tell until cancelled."""
        connector = aiohttp.TCPConnector(limit_per_host=CONNECTIONS_PER_HOST)
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar()
        ) as self._session:
            try:
                async with asyncio.TaskGroup() as self._tasks:
                    self._employ(self._tasks)
                    while True:
                        began_ns = self._monotonic_ns()
                        await self._look()
                        took_s = (self._monotonic_ns() - began_ns) / NS_PER_S
                        await self._pause(max(0.0, self.policy.interval_s - took_s))
            finally:
                self._tasks = None
                # A courier may have been cancelled between a confirmation and its writing.
                with contextlib.suppress(OSError):  # the log has said so, if the disk refuses
                    self._writing()()
                    self._files.write_windows(self.state.windows)

    async def _look(self) -> None:
        try:
            await self.tick()
        except Exception:
            # A fault of ours in alerts must not end the controller, which rolls back canaries.
            log.exception("alerts could not be evaluated")

    async def tick(self) -> None:
        """Look once: one step, and whatever follows from it."""
        now_ns = self._wall_ns()
        self.silences = tuple(one for one in self.silences if now_ns < one.until_ns)
        try:
            samples = list(self._samples(self.policy.series))
        except Exception:
            if not self._blind:
                log.exception("alerts cannot read the series; values are missing until they can")
            self._blind, samples = True, []
        else:
            self._blind = False
        before = self.state
        self.state, messages = step(self.policy, before, samples, self.silences, now_ns)
        self._tell_of_changes(before)
        if self._unwritten or messages or _lasting(before) != _lasting(self.state):
            await self._keep()
        for message in messages:
            self._hand_over(message)
        if now_ns - self._checkpoint_ns >= CHECKPOINT_NS or now_ns < self._checkpoint_ns:
            self._checkpoint_ns = now_ns
            with contextlib.suppress(OSError):  # the durable file says when the disk refuses
                await asyncio.to_thread(self._files.write_windows, self.state.windows)

    def reconfigure(self, settings: AlertSettings) -> None:
        """Go on under other settings; alerts and windows of what did not change go on as well."""
        if settings == self.settings:
            return
        self._use(settings)
        self._unwritten = True
        if self._tasks is not None:
            self._employ(self._tasks)
            self._woken.set()

    # -- what operators do -----------------------------------------------------------------------

    async def silence(
        self, matchers: dict[str, MatcherText], *, for_s: float, author: str, comment: str
    ) -> Silence:
        """Keep alerts from being announced for a while. Raises ClientError."""
        if len(self.silences) >= MOST_SILENCES:
            raise ClientError(
                f"There are {MOST_SILENCES} silences already; end one (`sidecar alerts unsilence`)",
                status=409,
                code="too_many_silences",
            )
        made = new_silence(
            self._ids(),
            matchers,
            now_ns=self._wall_ns(),
            for_s=for_s,
            author=author,
            comment=comment,
        )
        self.silences = (*self.silences, made)
        await self._keep()
        return made

    async def unsilence(self, silence_id: str) -> Silence:
        """End a silence now. Raises ClientError when there is none of that id."""
        ended = next((one for one in self.silences if one.id == silence_id), None)
        if ended is None:
            raise ClientError(
                f"There is no silence {silence_id!r}", status=404, code="unknown_silence"
            )
        self.silences = tuple(one for one in self.silences if one.id != silence_id)
        await self._keep()
        return ended

    async def test(self, receiver: str | None) -> list[TrialResult]:
        """Send a test message to a receiver (None: to all), once each. Raises ClientError."""
        if receiver is not None and receiver not in self.couriers:
            raise ClientError(
                f"There is no receiver {receiver!r}; the receivers are: {', '.join(self.couriers)}",
                status=404,
                code="unknown_receiver",
            )
        named = [receiver] if receiver is not None else list(self.couriers)
        return list(await asyncio.gather(*(self._try(self.couriers[name]) for name in named)))

    async def _try(self, courier: Courier) -> TrialResult:
        began_ns = self._monotonic_ns()
        detail = ""
        try:
            await courier.sender.send(
                trial_message(courier.receiver.name, self._ids(), self._wall_ns())
            )
        except NotDelivered as failure:
            detail = failure.reason
        return TrialResult(
            receiver=courier.receiver.name,
            delivered=not detail,
            detail=detail,
            duration_ms=round((self._monotonic_ns() - began_ns) / 1e6, 1),
        )

    # -- parts -----------------------------------------------------------------------------------

    def _remembered(self) -> tuple[AlertMemory, Windows]:
        try:
            memory = self._files.read()
        except ConfigError as error:
            log.error("alerts begin anew", extra={"reason": str(error)})  # noqa: TRY400 - foreseen; the reason says it all
            self._files.set_aside()
            memory = AlertMemory()
        try:
            return memory, self._files.read_windows()
        except ConfigError as error:
            log.warning("windows of alerts begin anew", extra={"reason": str(error)})
            return memory, Windows()

    def _use(self, settings: AlertSettings) -> None:
        self.settings = settings
        self.policy = Policy.of(settings)

    def _employ(self, tasks: asyncio.TaskGroup) -> None:
        """A courier for every receiver; one whose receiver did not change goes on."""
        wanted = self.policy.receivers
        for name, courier in list(self.couriers.items()):
            if wanted.get(name) != courier.receiver:
                del self.couriers[name]
                self._running.pop(name).cancel()
        for name, receiver in wanted.items():
            if name not in self.couriers:
                self._start(name, receiver, tasks)

    def _start(self, name: str, receiver: ReceiverPolicy, tasks: asyncio.TaskGroup) -> None:
        sender = sender_for(
            receiver.settings,
            session=self._pool,
            environ=self._environ,
            now_ns=self._wall_ns,
        )
        courier = Courier(
            receiver,
            sender,
            confirm=self._confirmed,
            now_ns=self._wall_ns,
            chance=self._chance,
            backoff=self._backoff,
        )
        self.couriers[name] = courier
        self._running[name] = tasks.create_task(courier.run(), name=f"tell {name}")
        ledger = self.state.ledgers.get(name)
        for message in () if ledger is None else ledger.outgoing:
            courier.take(message)

    def _pool(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise NotDelivered("alerts are not being watched yet")
        return self._session

    def _hand_over(self, message: Notification) -> None:
        courier = self.couriers.get(message.receiver)
        if courier is not None:
            courier.take(message)

    async def _confirmed(self, message: Notification) -> None:
        self.state = confirmed(self.state, message, self._wall_ns())
        await self._keep()

    async def _pause(self, seconds: float) -> None:
        """Wait for the next look; a reload does not."""
        self._woken.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)

    async def _keep(self) -> None:
        """Have what is the case now on disk, or something newer."""
        settings = self.settings
        write = self._writing()
        try:
            await asyncio.to_thread(write)
        except OSError as error:
            if not self._disk_refuses:
                log.error(  # noqa: TRY400 - foreseen; the reason says it all
                    "alerts go on but cannot be written; a restart may repeat some",
                    extra={"reason": str(error)},
                )
            self._disk_refuses = self._unwritten = True  # tried again at the next look
            return
        if self._disk_refuses:
            log.info("alerts are on disk again")
        self._disk_refuses = False
        self._unwritten = self.settings is not settings

    def _writing(self) -> Callable[[], None]:
        """What writes the state of now, whenever it is called and whoever is cancelled."""
        memory = AlertMemory(
            launch=self._launch,
            settings=encode(self.settings),
            alerts=self.state.alerts,
            ledgers=self.state.ledgers,
            silences=self.silences,
        )
        self._serial += 1
        return partial(self._files.write, memory, self._serial)

    def _tell_of_changes(self, before: AlertState) -> None:
        if self.state.crowded_out and not before.crowded_out:
            log.warning(
                "there are too many alerts; further ones wait until others end",
                extra={"kept": len(self.state.alerts), "waiting": self.state.crowded_out},
            )
        left_out = self.state.windows.left_out
        if left_out and not before.windows.left_out:
            log.warning(
                "rules look at too many series; some have no data: narrow them by `where`",
                extra={"kept": MOST_TRACKS, "left_out": left_out},
            )
        for name, ledger in self.state.ledgers.items():
            known = before.ledgers.get(name)
            if ledger.lost > (0 if known is None else known.lost):
                log.error("ends of alerts could not be told", extra={"receiver": name})


def _lasting(state: AlertState) -> tuple[Collection[object], object]:
    """What of a state must not be forgotten: not the figures, which are read anew."""
    alerts = {(one.fingerprint, one.state, one.starts_at_ns) for one in state.alerts.values()}
    return alerts, state.ledgers
