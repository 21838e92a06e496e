"""File descriptors: how many a worker may need, and whether this system grants them.

Running out of descriptors in the middle of the day shows as refused connections and models that
"cannot be reached". So the count is settled before the first connection: an explicit
`limits.connections` that cannot be honoured refuses to start, the default shrinks to what is
granted.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Final

import msgspec

from sidecar.config.settings import Settings
from sidecar.errors import ConfigError

DEFAULT_CONNECTIONS: Final = 16_384
# Listeners, the board, the event loop's own, libraries, log, and slack for a reload that runs the
# pools of the old and the new table side by side for a moment.
RESERVED: Final = 256
# Below this a proxy is not worth starting: better to say so than to refuse the 17th client.
FEWEST_CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Need:
    """Descriptors of one worker."""

    connections: int
    towards_models: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.connections + self.towards_models + RESERVED


def need(settings: Settings) -> Need:
    """The most that one worker can have open at once under `settings`."""
    answering = sum(len(m.endpoints) * m.pool.connections for m in settings.models.values())
    mirroring = sum(shadow.concurrency for route in settings.routes for shadow in route.shadows)
    return Need(settings.limits.connections or DEFAULT_CONNECTIONS, answering + mirroring)


def fit(settings: Settings, granted: int) -> Settings:
    """`settings` with `limits.connections` as a number that `granted` descriptors allow.

    Raises ConfigError when an explicit number, or a useful number at all, is out of reach.
    """
    wanted = need(settings)
    attainable = granted - wanted.towards_models - RESERVED
    explicit = settings.limits.connections is not None
    if (explicit and attainable < wanted.connections) or attainable < FEWEST_CONNECTIONS:
        raise ConfigError(
            f"{wanted.connections} client connections, {wanted.towards_models} towards models and "
            f"{RESERVED} others need {wanted.total} file descriptors per worker, the hard limit is "
            f"{granted}: raise it (`ulimit -Hn {wanted.total}`, systemd `LimitNOFILE=`, docker "
            f"`--ulimit nofile={wanted.total}`) or lower limits.connections or the models' "
            "pool.connections",
            path="$.limits.connections",
        )
    limits = msgspec.structs.replace(
        settings.limits, connections=min(wanted.connections, attainable)
    )
    return msgspec.structs.replace(settings, limits=limits)


def raise_limit(wanted: int) -> int:
    """Raise this process's soft limit to `wanted`, as far as may be; returns what is granted.

    Children inherit it. A process that may (root with CAP_SYS_RESOURCE) raises the hard limit too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted if soft == resource.RLIM_INFINITY else soft
    if hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, OSError):
            wanted = hard
        else:
            return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
