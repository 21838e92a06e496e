"""Everything that is made once, before the fork, in the order in which it can fail cheaply.

Descriptors, state directory and sockets first: a wrong start ends in a sentence within a moment.
Then the board and the kernels, loaded here so that all children share their pages.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from sidecar.app import descriptors
from sidecar.app.inheritance import Inheritance
from sidecar.app.listeners import open_listeners, open_unix, shown
from sidecar.app.state_dir import StateDir
from sidecar.board import Board, BoardLayout, warm
from sidecar.board.layout import WORD_BYTES
from sidecar.config.addresses import UNIX
from sidecar.config.redaction_key import redaction_key
from sidecar.config.settings import ListenTls, Settings
from sidecar.control.persistence import StateFile
from sidecar.control.state import Remembered, RoutingState, Salts
from sidecar.errors import ConfigError
from sidecar.proxy import Listener

# Only the workers of this sidecar talk there.
CONTROL_MODE: Final = 0o600

log: Final = logging.getLogger("sidecar.launcher")


def prepare(
    settings: Settings,
    *,
    load: Callable[[], Settings],
    environ: Mapping[str, str],
    salts: Salts,
) -> Inheritance:
    """What the children will find. Raises ConfigError or LocalError."""
    started_s = time.monotonic()
    wanted = descriptors.need(settings)
    granted = descriptors.raise_limit(wanted.total)
    settings = descriptors.fit(settings, granted)
    if settings.limits.connections != wanted.connections:
        log.warning(
            "the descriptor limit allows fewer client connections than the default",
            extra={"connections": settings.limits.connections, "default": wanted.connections},
        )
    key = redaction_key(settings.redact, environ)
    state_dir = StateDir.claim(Path(settings.state_dir))
    control_listener = open_unix(state_dir.control_socket, path="$.state_dir", mode=CONTROL_MODE)
    admin_listeners = open_listeners(settings.admin.listen, path="$.admin.listen")
    listeners = _data_listeners(settings)
    initial = _initial_state(settings, StateFile(state_dir.routing_file), salts)

    kernels = warm(environ)
    log.debug(
        "kernels are warm",
        extra={"elapsed_s": kernels.report.elapsed_s, "compiled": bool(kernels.report.compiled)},
    )
    layout = BoardLayout(
        workers=settings.workers,
        cells=initial.cells.capacity,
        model_rows=initial.model_rows.capacity,
        arena_words=settings.monitor.memory // WORD_BYTES if settings.monitor.enabled else 0,
    )
    for listener in listeners:
        log.info(
            "listens", extra={"address": shown(listener.socket), "tls": listener.tls is not None}
        )
    for socket_ in admin_listeners:
        log.info("listens for admin calls", extra={"address": shown(socket_)})
    return Inheritance(
        settings=settings,
        load=lambda: descriptors.fit(load(), granted),
        state_dir=state_dir,
        initial=initial,
        board=Board.allocate(layout, kernels),
        board_id=salts(),
        listeners=listeners,
        admin_listeners=admin_listeners,
        control_listener=control_listener,
        started_s=started_s,
        redaction_key=key,
    )


def _data_listeners(settings: Settings) -> list[Listener]:
    tls = _tls(settings.tls) if settings.tls is not None else None
    return [
        Listener(socket_, None if address.startswith(UNIX) else tls)
        for place, address in enumerate(settings.listeners)
        for socket_ in open_listeners(address, path=f"$.listen[{place}]")
    ]


def _tls(settings: ListenTls) -> ssl.SSLContext:
    """Server-side TLS; the certificate is read here once, a new one needs a restart."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.cert_file, settings.key_file)
        if settings.client_ca_file is not None:
            context.load_verify_locations(settings.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"certificate, key or CA cannot be used: {error}", path="$.tls"
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _initial_state(settings: Settings, store: StateFile, salts: Salts) -> RoutingState:
    """The file's routing, under what is remembered; written down, unless the disk refuses."""
    # Every model has at least one cell of its own, so there are never more models than cells.
    size = {"cells": settings.metrics.cells, "model_rows": settings.metrics.cells}
    remembered = store.read_remembered() or Remembered.nothing(**size)
    state = remembered.started(settings, **size, salts=salts)
    for override in state.overridden():
        log.warning(
            "a percentage set at run time outranks the file (`sidecar weights --reset` ends that)",
            extra={
                "route": override.route,
                "model": override.model,
                "percent": override.percent,
                "file_percent": override.file_percent,
            },
        )
    try:
        store.write(state)
    except OSError as error:
        log.error("the routing state cannot be written", extra={"reason": str(error)})  # noqa: TRY400 - no traceback
    return state
