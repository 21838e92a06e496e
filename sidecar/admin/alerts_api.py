"""The calls about alerts: what fires, who is told, what is silenced.

    GET    /api/v1/alerts                        alerts, rules, receivers
    GET    /api/v1/alerts/silences
    POST   /api/v1/alerts/silences               {"matchers", "for", "author", "comment"}
    DELETE /api/v1/alerts/silences?id=
    POST   /api/v1/alerts/test  {"receiver"?}    sends a test message, and says how each fared

Must not know: how alerts come about, how messages are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from msgspec import Struct, field

from sidecar.admin.alerts_views import alerts_view, silence_view
from sidecar.admin.answers import answer, body_of
from sidecar.config.matchers import MatcherText
from sidecar.config.units import parse_duration
from sidecar.control.alerts import AlertWatch
from sidecar.errors import ClientError


class SilenceOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/alerts/silences`; `for` is a duration such as `2h`."""

    matchers: dict[str, MatcherText]
    for_: str = field(name="for")
    author: str
    comment: str


class TrialOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/alerts/test`; without a receiver, all of them."""

    receiver: str | None = None


@dataclass(frozen=True, slots=True)
class AlertCalls:
    """The calls, over a watch. `now_ns` is the wall clock."""

    watch: AlertWatch
    now_ns: Callable[[], int]

    def routes(self) -> Sequence[web.RouteDef]:
        """The route table, for `Admin.further`."""
        return [
            web.get("/api/v1/alerts", self.alerts),
            web.get("/api/v1/alerts/silences", self.silences),
            web.post("/api/v1/alerts/silences", self.silence),
            web.delete("/api/v1/alerts/silences", self.unsilence),
            web.post("/api/v1/alerts/test", self.test),
        ]

    async def alerts(self, _request: web.Request) -> web.Response:
        """Everything that is at least pending; all rules; all receivers."""
        watch = self.watch
        return answer(
            alerts_view(
                watch.policy,
                watch.state,
                tuple(watch.couriers.values()),
                watch.silences,
                self.now_ns(),
            )
        )

    async def silences(self, _request: web.Request) -> web.Response:
        """All silences that hold."""
        now_ns = self.now_ns()
        held = [silence_view(one) for one in self.watch.silences if now_ns < one.until_ns]
        return answer({"silences": held})

    async def silence(self, request: web.Request) -> web.Response:
        """Keep alerts from being announced for a while."""
        order = await body_of(request, SilenceOrder)
        try:
            for_s = parse_duration(order.for_)
        except ValueError as error:
            raise ClientError(str(error), status=422, code="bad_silence") from error
        made = await self.watch.silence(
            order.matchers, for_s=for_s, author=order.author, comment=order.comment
        )
        return answer(silence_view(made), status=HTTPStatus.CREATED)

    async def unsilence(self, request: web.Request) -> web.Response:
        """End a silence."""
        silence_id = request.query.get("id")
        if not silence_id:
            raise ClientError("Say which one: ?id=ID", status=422, code="bad_query")
        return answer(silence_view(await self.watch.unsilence(silence_id)))

    async def test(self, request: web.Request) -> web.Response:
        """Send a test message and say how it fared; 200 also when it was not delivered."""
        order = await body_of(request, TrialOrder) if request.can_read_body else TrialOrder()
        return answer({"results": await self.watch.test(order.receiver)})
