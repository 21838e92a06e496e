"""Finds out where letters go: the model or sink of each, made when the first letter needs it.

One per replay; models and sinks are those of the configuration when it begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from sidecar.config.settings import ModelSettings
from sidecar.delivery.dead_letters.jobs import Replay
from sidecar.delivery.dead_letters.letters import DeadLetterClass, Letter
from sidecar.delivery.dead_letters.model_target import ModelTarget, Redactors, TlsContexts
from sidecar.delivery.dead_letters.sink_target import Redeliver, SinkTarget
from sidecar.delivery.dead_letters.targets import NoTarget, Target


class World(Struct, frozen=True, kw_only=True):
    """What replays need of the rest.

    `models` and `sink_names` are those of now; `redeliver` brings records to a sink, `tls` makes
    the context towards a model (blocking, raises OSError), `redactors` give what hides the secrets
    of a route. `wall_ns` is the wall clock.
    """

    models: Callable[[], Mapping[str, ModelSettings]]
    sink_names: Callable[[], frozenset[str]]
    redeliver: Redeliver
    tls: TlsContexts
    redactors: Redactors
    wall_ns: Callable[[], int]


class Addressees:
    """The targets of one replay; `job_id` marks what is sent."""

    def __init__(self, world: World, replay: Replay, job_id: str = "") -> None:
        self._world = world
        self._replay = replay
        self._job_id = job_id
        self._models = world.models()
        self._sink_names = world.sink_names()
        self._targets: dict[tuple[DeadLetterClass, str], Target] = {}

    def of(self, letter: Letter) -> Target:
        """Where a letter goes. Raises NoTarget."""
        name = letter.sink
        if letter.class_ is DeadLetterClass.PREDICTION_FAILED:
            if letter.obstacle is not None:
                raise NoTarget(letter.obstacle.sentence)
            name = self._replay.to or letter.model
        if why := self.missing(letter.class_, name):
            raise NoTarget(why)
        key = (letter.class_, name)
        if key not in self._targets:
            self._targets[key] = self._make(*key)
        return self._targets[key]

    def missing(self, class_: DeadLetterClass, name: str) -> str:
        """Why letters cannot go to a model or sink of this name; empty: they can."""
        if class_ is DeadLetterClass.PREDICTION_FAILED:
            if name in self._models:
                return ""
            return f"the configuration has no model {name!r}; replay to another one (`to`)"
        return "" if name in self._sink_names else f"the configuration has no sink {name!r}"

    async def close(self) -> None:
        """Let go of all connections."""
        while self._targets:
            _, target = self._targets.popitem()
            await target.close()

    def _make(self, class_: DeadLetterClass, name: str) -> Target:
        if class_ is DeadLetterClass.DELIVERY_FAILED:
            return SinkTarget(name, self._world.redeliver, timeout_s=self._replay.timeout_s)
        return ModelTarget(
            name,
            self._models[name],
            job_id=self._job_id,
            timeout_s=self._replay.timeout_s,
            tls=self._world.tls,
            redactors=self._world.redactors,
            wall_ns=self._world.wall_ns,
        )
