"""The routing state that a (re)started child begins with."""

from __future__ import annotations

import logging
from typing import Final

from sidecar.app.inheritance import Inheritance
from sidecar.control.persistence import StateFile
from sidecar.control.state import RoutingState
from sidecar.errors import ConfigError

log: Final = logging.getLogger("sidecar.control")


def newest_state(inherited: Inheritance) -> RoutingState:
    """What is on disk, or what the launcher started with when the disk has nothing newer to say.

    The disk may lack it (full at start) or be damaged since; neither may stop a child from serving.
    """
    try:
        written = StateFile(inherited.state_dir.routing_file).read()
    except ConfigError as error:
        log.error("goes on with the routing of the start", extra={"reason": str(error)})  # noqa: TRY400 - foreseen; the reason says it all
        return inherited.initial
    if written is None or written.version < inherited.initial.version:
        return inherited.initial
    return written
