"""Of which exchanges bodies are kept: failures, a share of all, and the most unusual ones.

The share of a model is met by chance alone, so what it gives is a fair sample. Which score is
unusual enough is learned from the scores themselves: the threshold is the one that the wanted share
of the last `WINDOW` exchanges of the model reached. Scores come in few values (see
`sidecar.monitor.rows`), and many exchanges may have the very score of the threshold; of those so
many are taken, by chance, as are missing to the share. A score of 0 is never unusual.

Memory: 8 KB per model. Cost: a comparison, and every `EVERY` exchanges a sort.

Must not know: bodies, clocks, randomness (it is given a draw).
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from math import inf
from typing import Final

from sidecar.records.record import Why

WINDOW: Final = 1024
"""Scores that a threshold is made of: at a share of 1 %, the ten highest."""

EVERY: Final = 128
"""A new threshold after so many scores; at first after 1, 2, 4, ... of them."""


class Unusual:
    """The most unusual exchanges of one stream, a share of them."""

    __slots__ = ("_at", "_chance", "_next", "_scores", "_share", "_threshold")

    def __init__(self, share: float) -> None:
        self._share = share
        self._scores = array("d")
        self._at = 0
        self._next = 1
        self._threshold = inf  # until there is something to compare with
        self._chance = 0.0

    def take(self, score: float, draw: float) -> bool:
        """Whether an exchange of this score is one; `draw` is uniform in [0, 1)."""
        is_one = score > self._threshold or (score == self._threshold and draw < self._chance)
        self._remember(score)
        return is_one and score > 0

    def _remember(self, score: float) -> None:
        if len(self._scores) < WINDOW:
            self._scores.append(score)
        else:
            self._scores[self._at % WINDOW] = score
        self._at += 1
        if self._at >= self._next:
            self._next = self._at + min(self._at, EVERY)
            self._learn()

    def _learn(self) -> None:
        ranked = sorted(self._scores, reverse=True)
        wanted = self._share * len(ranked)
        self._threshold = ranked[min(int(wanted), len(ranked) - 1)]
        above = sum(score > self._threshold for score in ranked)
        self._chance = min((wanted - above) / ranked.count(self._threshold), 1.0)


class CapturePolicy:
    """The policy of one route.

    `bodies` is the share of the exchanges, `models` that of single models; `failures` whether all
    that failed are kept; `unusual` the share of the most unusual.
    """

    __slots__ = ("_bodies", "_failures", "_models", "_unusual", "_unusual_of")

    def __init__(
        self,
        *,
        bodies: float = 0.0,
        models: Mapping[str, float] | None = None,
        failures: bool = True,
        unusual: float = 0.0,
    ) -> None:
        self._bodies = bodies
        self._models = dict(models or {})
        self._failures = failures
        self._unusual = unusual
        self._unusual_of: dict[str, Unusual] = {}

    @property
    def keeps_nothing(self) -> bool:
        """Whether no body can ever be asked for, so that none has to be held."""
        return not (self._failures or self._unusual or self._bodies or any(self._models.values()))

    def may_keep_answered(self, model: str) -> bool:
        """Whether bodies of exchanges of this model that did not fail can be asked for."""
        return bool(self._unusual or self._models.get(model, self._bodies))

    def why(self, model: str, *, failed: bool, unusual: float | None, draw: float) -> Why | None:
        """Why the bodies of an exchange are kept, None: they are not.

        `unusual` is its score, None where it has none; `draw` is uniform in [0, 1), and decides
        everything that is left to chance. To be asked once per exchange, since it learns by it.
        """
        share = self._models.get(model, self._bodies)
        is_unusual = False
        if unusual is not None and self._unusual:
            known = self._unusual_of.get(model)
            if known is None:
                known = self._unusual_of[model] = Unusual(self._unusual)
            # What is left of a draw that is no sample is uniform again.
            is_unusual = known.take(unusual, (draw - share) / (1 - share) if draw > share else draw)
        if failed and self._failures:
            return Why.FAILED
        if draw < share:
            return Why.SAMPLED
        return Why.UNUSUAL if is_unusual else None
