"""The calls about drift.

    GET /api/v1/drift            what the newest round found; judged at once when `feature` (then
                                 with its evidence), `segment` or `from` and `to` are given
    GET /api/v1/drift/features   one column: both histograms, and which of its values fail

Both are narrowed by `route`, `model`, `role`, `window`, `reference`, `segment` (`region`, or
`region=eu`), and by `from` and `to`, the names of two snapshots (`to=now`: the newest), for what
passed between them instead of the windows. `feature` is one column; it is needed for the second.

Must not know: how drift is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web

from sidecar.admin.answers import answer
from sidecar.admin.drift_bins import feature_view
from sidecar.admin.drift_views import drift_view
from sidecar.config.problems import did_you_mean
from sidecar.control.drift import DriftWatch, Question, Round
from sidecar.errors import ClientError
from sidecar.model import Role

PARAMETERS: Final = (
    "route", "model", "role", "window", "reference", "feature", "segment", "from", "to",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DriftCalls:
    """The calls, over a drift watch."""

    watch: DriftWatch

    def routes(self) -> Sequence[web.RouteDef]:
        """The route table, for `Admin.further`."""
        return [
            web.get("/api/v1/drift", self.drift),
            web.get("/api/v1/drift/features", self.features),
        ]

    async def drift(self, request: web.Request) -> web.Response:
        """Every window against every reference, or what is asked of it."""
        given = _given(request)
        feature = given.get("feature")
        question = _question(given)
        at_once = _needs_judging(given) or not self.watch.round.taken_ns
        found = await self.watch.answer(question) if at_once else self.watch.known(question)
        if feature is not None:
            found = _of(found, feature)
        return answer(drift_view(found))

    async def features(self, request: web.Request) -> web.Response:
        """One column in full."""
        given = _given(request)
        if "feature" not in given:
            raise ClientError("Say which one: ?feature=NAME", status=422, code="bad_query")
        return answer(feature_view(await self.watch.detail(_question(given), given["feature"])))


def _given(request: web.Request) -> dict[str, str]:
    for name in request.query:
        if name not in PARAMETERS:
            raise ClientError(
                f"There is no parameter {name!r}; {did_you_mean(name, PARAMETERS)}",
                status=422,
                code="bad_query",
            )
    return {name: value for name, value in request.query.items() if value}


def _needs_judging(given: dict[str, str]) -> bool:
    return any(name in given for name in ("feature", "segment", "from", "to"))


def _question(given: dict[str, str]) -> Question:
    if given.get("role", "primary") not in set(Role):
        raise ClientError(
            f"role is one of {', '.join(Role)}, not {given['role']!r}",
            status=422,
            code="bad_query",
        )
    first, last = given.get("from"), given.get("to")
    if first is None and last is not None:
        raise ClientError("`to` needs a `from`", status=422, code="bad_query")
    key, _, value = given.get("segment", "").partition("=")
    feature = given.get("feature")
    return Question(
        route=given.get("route"),
        model=given.get("model"),
        role=Role(given["role"]) if "role" in given else None,
        window=given.get("window"),
        reference=given.get("reference"),
        segment=key or None,
        value=value or None,
        first=first,
        last=last or ("now" if first is not None else None),
        evidence_for=None if feature is None else frozenset({feature}),
    )


def _of(found: Round, feature: str) -> Round:
    """Only one column of it. Raises ClientError: no model has it."""
    having = [watch for watch in found.watches if any(one.name == feature for one in watch.columns)]
    if found.watches and not having:
        names = [column.name for watch in found.watches for column in watch.columns]
        raise ClientError(
            f"No column is called {feature!r}; {did_you_mean(feature, dict.fromkeys(names))}",
            status=404,
            code="unknown_feature",
        )
    return replace(found, watches=tuple(watch.of(feature) for watch in having))
