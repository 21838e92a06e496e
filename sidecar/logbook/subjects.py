"""Whose records there are: for each cell of the board what all of its records have in common.

A route keeps its policy from one routing update to the next, as long as its settings are the same:
the policy has learned which scores are unusual. A cell that nobody has any more keeps its subject
until somebody else gets it, for exchanges that are still under way.

Must not know: exchanges, the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sidecar.config.recording import CaptureSettings, RedactSettings
from sidecar.config.settings import RouteSettings
from sidecar.config.update import RoutingUpdate
from sidecar.logbook.capturing import Capturing, Dechunk
from sidecar.model import CellKey
from sidecar.records import CapturePolicy, Redactor

MakeRedactor = Callable[[RouteSettings], Redactor]
"""The redactor of a route: which outputs are predictions is the route's to say."""


class Subject:
    """What is the same in all records of a cell.

    `by_chance` says that an exchange may be recorded, or its bodies kept, by chance; if not, the
    policy is only to be asked about one that failed, or whose score is not `is_usual`.
    """

    __slots__ = (
        "by_chance",
        "capturing",
        "is_usual",
        "key",
        "model",
        "names_columns",
        "policy",
        "redactor",
        "role",
        "route",
        "share",
    )

    def __init__(self, key: CellKey, capturing: Capturing, policy: CapturePolicy) -> None:
        self.key = key
        self.route = key.route
        self.model = key.model
        self.role = key.role.value
        self.capturing = capturing
        self.redactor = capturing.redactor
        self.names_columns = capturing.redactor.names_columns
        self.policy = policy
        self.is_usual = policy.scores_of(key.model).passes
        settings = capturing.settings
        self.share = settings.records
        self.by_chance = self.share < 1 or settings.models.get(key.model, settings.bodies) > 0


def redactor_of(redact: RedactSettings, key: bytes | None, route: RouteSettings) -> Redactor:
    """What hides the secrets of a route; `key` is what hashes are made with."""
    payload = route.payload
    return Redactor(redact.rules, key, prediction=payload.prediction, score=payload.score)


class Subjects:
    """Makes them. `full_body` is `dead_letters.full_body`."""

    def __init__(self, make_redactor: MakeRedactor, *, full_body: int, dechunk: Dechunk) -> None:
        self._make_redactor = make_redactor
        self._full_body = full_body
        self._dechunk = dechunk
        self._routes: Mapping[str, tuple[RouteSettings, Capturing, CapturePolicy]] = {}

    def of(self, update: RoutingUpdate, before: list[Subject | None]) -> list[Subject | None]:
        """Who has which cell by an update; `before` is who had it."""
        self._routes = {route.name: self._prepare(route) for route in update.routes}
        subjects = [self._subject(key) for key in update.cells]
        return [
            new or (before[cell] if cell < len(before) else None)
            for cell, new in enumerate(subjects)
        ]

    def _prepare(self, route: RouteSettings) -> tuple[RouteSettings, Capturing, CapturePolicy]:
        known = self._routes.get(route.name)
        if known is not None and (known[0].capture, known[0].payload) == (
            route.capture,
            route.payload,
        ):
            return known
        settings: CaptureSettings = route.capture
        capturing = Capturing(
            settings=settings,
            redactor=self._make_redactor(route),
            full_body=self._full_body,
            dechunk=self._dechunk,
        )
        policy = CapturePolicy(
            bodies=settings.bodies,
            models=settings.models,
            failures=settings.failures,
            unusual=settings.unusual,
        )
        return route, capturing, policy

    def _subject(self, key: CellKey | None) -> Subject | None:
        if key is None or key.route not in self._routes:
            return None
        _, capturing, policy = self._routes[key.route]
        return Subject(key, capturing, policy)
