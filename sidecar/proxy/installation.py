"""From a routing update to what connections work with, keeping what an update leaves as it was.

A model or shadow whose settings did not change keeps its pool, and so its warm connections, its
breaker and what was learned about it. Everything that can fail (names, TLS files) fails before
anything is changed.
"""

from __future__ import annotations

import ssl

from sidecar.board import Recorder
from sidecar.config.settings import ModelSettings, Shadow
from sidecar.config.tables import build_table
from sidecar.config.update import RoutingUpdate
from sidecar.errors import ConfigError
from sidecar.model import CellKey, Role
from sidecar.proxy.endpoint import tls_context
from sidecar.proxy.mirror import Mirror, shadow_settings
from sidecar.proxy.plane import Installed, Plane
from sidecar.proxy.pool import Pool
from sidecar.routing import Router


def build(update: RoutingUpdate, plane: Plane, before: Installed | None) -> Installed:
    """Prepare `update`. Raises ConfigError and changes nothing."""
    contexts = {name: _tls(name, model) for name, model in update.models.items()}
    return _Builder(update, plane, contexts, before).build()


def take_over_board(update: RoutingUpdate, recorder: Recorder) -> None:
    """Claim the board's cells and rows for those the update gives them to."""
    for cell, key in enumerate(update.cells):
        if key is not None:
            recorder.assign_cell(cell, f"{key.route} {key.model} {key.role}")
    for row, model in enumerate(update.model_rows):
        if model is not None:
            recorder.assign_model(row, model)


class _Builder:
    """Builds one `Installed`, looking at the one before."""

    def __init__(
        self,
        update: RoutingUpdate,
        plane: Plane,
        contexts: dict[str, ssl.SSLContext | None],
        before: Installed | None,
    ) -> None:
        self._update = update
        self._plane = plane
        self._contexts = contexts
        self._before = before
        self._cells = {key: cell for cell, key in enumerate(update.cells) if key is not None}
        self._rows = {name: row for row, name in enumerate(update.model_rows) if name is not None}

    def build(self) -> Installed:
        update = self._update
        return Installed(
            update,
            router=Router(build_table(update)),
            pools={name: self._pool(name, model) for name, model in update.models.items()},
            mirrors={
                route.name: tuple(self._mirror(route.name, shadow) for shadow in route.shadows)
                for route in update.routes
            },
        )

    def _pool(self, name: str, model: ModelSettings) -> Pool:
        row = self._rows.get(name, -1)
        before = self._before
        if before is not None and before.update.models.get(name) == model:
            pool = before.pools[name]
            if pool.row == row:
                return pool
        return self._new_pool(name, model, row)

    def _new_pool(self, name: str, model: ModelSettings, row: int) -> Pool:
        return Pool(
            name,
            model,
            recorder=self._plane.recorder,
            row=row,
            spawn=self._plane.spawn,
            now=self._plane.now,
            tls=self._contexts[name],
        )

    def _mirror(self, route: str, shadow: Shadow) -> Mirror:
        model = self._update.models[shadow.model]
        cell = self._cells.get(CellKey(route=route, model=shadow.model, role=Role.SHADOW), -1)
        before = self._before
        if before is not None and before.update.models.get(shadow.model) == model:
            for old, mirror in zip(
                _shadows(before.update, route), before.mirrors.get(route, ()), strict=True
            ):
                if old == shadow and mirror.cell == cell:
                    return mirror
        pool = self._new_pool(shadow.model, shadow_settings(model, shadow), -1)
        return Mirror(
            shadow,
            cell=cell,
            pool=pool,
            recorder=self._plane.recorder,
            monitor=self._plane.monitor,
            logbook=self._plane.logbook,
        )


def _shadows(update: RoutingUpdate, route: str) -> tuple[Shadow, ...]:
    return next((one.shadows for one in update.routes if one.name == route), ())


def _tls(name: str, model: ModelSettings) -> ssl.SSLContext | None:
    """The TLS context towards a model, None for plain HTTP. Raises ConfigError."""
    if not any(url.startswith("https:") for url in model.endpoints):
        return None
    try:
        return tls_context(model.tls)
    except OSError as error:
        raise ConfigError(str(error), path=f"$.models.{name}.tls") from error
