"""What series are compared with: baseline files, and references learned of primaries without one.

What was learned is written down when it has changed; until a disk takes it, every call of `write`
tries again, since a restart would learn it anew.

What reads or writes files, or sorts rows, blocks: from an event loop, use a thread.

Must not know: seats, plans, snapshots.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from sidecar.baseline import Baseline
from sidecar.config.baselines import read_baseline
from sidecar.config.monitoring import MonitorSettings
from sidecar.config.settings import ModelSettings, RouteSettings
from sidecar.control.messages import Learned
from sidecar.control.observation.learning import Lessons
from sidecar.control.observation.memory import Memory
from sidecar.control.observation.subjects import Lesson, Subject, primary_of, subjects
from sidecar.errors import ConfigError
from sidecar.model import CellKey
from sidecar.payload import Protocol

log: Final = logging.getLogger("sidecar.control")


class References:
    """See the module's text. `memory` keeps what was learned."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._baselines: dict[str, Baseline] = {}
        self._lessons: dict[CellKey, Lesson] = {}
        self._unwritten: set[CellKey] = set()
        self._learning = Lessons()

    # -- from files ----------------------------------------------------------------------------

    def load(self, models: Mapping[str, ModelSettings]) -> None:
        """Read the baseline files again; one that cannot be read now stays as it was."""
        loaded = {}
        for model, settings in models.items():
            if settings.baseline is None:
                continue
            try:
                loaded[model] = read_baseline(settings.baseline)
            except ConfigError as error:
                log.error(  # noqa: TRY400 - foreseen; the reason says it all
                    "a baseline cannot be read",
                    extra={"model": model, "reason": str(error), "kept": model in self._baselines},
                )
                if model in self._baselines:
                    loaded[model] = self._baselines[model]
        self._baselines = loaded

    def recall(
        self,
        routes: Sequence[RouteSettings],
        protocols: Mapping[str, Mapping[str, Protocol]],
    ) -> None:
        """Read what was learned of the primaries of routes; `protocols` by route and model."""
        for route in routes:
            protocol = protocols.get(route.name, {}).get(route.primary, Protocol.AUTO)
            lesson = self._memory.read_lesson(primary_of(route), protocol)
            if lesson is not None:
                self._lessons[primary_of(route)] = lesson

    def write(self) -> None:
        """Bring the files to what is known; what fails is tried again at the next call."""
        for primary in list(self._unwritten):
            lesson = self._lessons.get(primary)
            try:
                if lesson is None:
                    self._memory.forget_lesson(primary)
                else:
                    self._memory.write_lesson(primary, lesson)
            except OSError as error:
                log.error(  # noqa: TRY400 - foreseen; the reason says it all
                    "cannot write down what was learned; a restart would learn it anew",
                    extra={"route": primary.route, "reason": str(error)},
                )
            else:
                self._unwritten.discard(primary)

    # -- from rows -----------------------------------------------------------------------------

    def rows(self, primary: CellKey) -> int:
        """How many rows of a primary that is being learned have come."""
        return self._learning.rows(primary)

    def is_learned(self, primary: CellKey) -> bool:
        """Whether rows of a primary are wanted no more."""
        return primary in self._lessons

    def take(self, learned: Learned, *, rows_wanted: int) -> bool:
        """Collect rows of a primary; True when there are enough now."""
        return self._learning.take(learned, rows_wanted=rows_wanted)

    def learn(self, routes: Sequence[RouteSettings], *, rows_wanted: int) -> None:
        """Make references of those primaries of which enough rows have come."""
        for route in routes:
            primary = primary_of(route)
            if self._learning.rows(primary) < rows_wanted:
                continue
            try:
                lesson = self._learning.made(primary, route.segments)
            except (ConfigError, ValueError) as error:
                log.error(  # noqa: TRY400 - foreseen; the reason says it all
                    "nothing can be learned of these rows; waits for others",
                    extra={"route": route.name, "reason": str(error)},
                )
            else:
                self._lessons[primary] = lesson
                self._unwritten.add(primary)
                log.info(
                    "learned a provisional baseline",
                    extra={
                        "route": route.name,
                        "model": route.primary,
                        "rows": lesson.baseline.rows,
                    },
                )
            self._learning.forget(primary)

    def forget(self, primary: CellKey) -> None:
        """Let go of what was learned of a primary: it is learned anew."""
        self._learning.forget(primary)
        self._lessons.pop(primary, None)
        self._unwritten.add(primary)

    # -- what is known -------------------------------------------------------------------------

    def protocols(self) -> dict[str, dict[str, Protocol]]:
        """What the learned primaries speak, by route and model."""
        found: dict[str, dict[str, Protocol]] = {}
        for primary, lesson in self._lessons.items():
            found.setdefault(primary.route, {})[primary.model] = lesson.protocol
        return found

    def subjects(self, routes: Sequence[RouteSettings], monitor: MonitorSettings) -> list[Subject]:
        """Everything that is to be observed of routes, with the columns that are known of it."""
        primaries = [primary_of(route) for route in routes]
        return subjects(
            routes,
            monitor,
            baselines=self._baselines,
            lessons=self._lessons,
            learned_rows={primary: self._learning.rows(primary) for primary in primaries},
        )
