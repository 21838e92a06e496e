"""Of which exchanges bodies are kept: failures, a share of all, and the most unusual ones.

The share of a model is met by chance alone, so what it gives is a fair sample. How unusual a score
has to be is learned from the scores of the model: it is compared with the last `WINDOW` of them, n
say, by the randomised rank

    p = (those above + u * (those equal + 1)) / (n + 1),   u uniform in [0, 1)

which is uniform itself as long as scores keep their distribution, however many of them are equal
(they come in few values, see `sidecar.monitor.rows`), so that p < share takes that share exactly:
V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random World, 2005, 2.2. A score of 0 is
never unusual.

Memory: 50 KB per model. Cost: a comparison for usual scores, and a sort every `EVERY` exchanges.

Must not know: bodies, clocks, randomness (it is given a draw).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Mapping
from math import ceil
from typing import Final

from sidecar.records.record import Why

WINDOW: Final = 1024
"""Scores that a threshold is made of: at a share of 1 %, the ten highest."""

EVERY: Final = 256
"""They are ranked anew after so many."""


class Unusual:
    """The most unusual exchanges of one stream, a share of them."""

    __slots__ = ("_ranked", "_recent", "_share", "_threshold", "_until_ranked")

    def __init__(self, share: float) -> None:
        self._share = share
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._until_ranked = 1
        self._ranked: list[float] = []
        self._threshold = 0.0

    def passes(self, score: float) -> bool:
        """Whether an exchange of this score is none whatever the draw: then `take` is not asked."""
        if not self._share:
            return True
        if score > 0 and score >= self._threshold:
            return False
        self._remember(score)
        return True

    def take(self, score: float, draw: float) -> bool:
        """Whether an exchange of this score is one; `draw` is uniform in [0, 1)."""
        if self.passes(score):
            return False
        is_one = self._p(score, draw) < self._share
        self._remember(score)
        return is_one

    def _p(self, score: float, draw: float) -> float:
        ranked = self._ranked
        above = len(ranked) - bisect_right(ranked, score)
        equal = len(ranked) - above - bisect_left(ranked, score)
        return (above + draw * (equal + 1)) / (len(ranked) + 1)

    def _remember(self, score: float) -> None:
        self._recent.append(score)
        self._until_ranked -= 1
        if not self._until_ranked:
            self._rank()

    def _rank(self) -> None:
        """Find out anew which scores are unusual; at first after 1, 2, 4, ... of them."""
        ranked = self._ranked = sorted(self._recent)
        self._until_ranked = min(len(ranked), EVERY)
        # With so many above it a score has no p below the share, whatever the draw.
        too_many = ceil(self._share * (len(ranked) + 1))
        at = len(ranked) - too_many
        self._threshold = ranked[at] if at >= 0 else 0.0


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

    def scores_of(self, model: str) -> Unusual:
        """How unusual scores of a model are judged."""
        known = self._unusual_of.get(model)
        if known is None:
            known = self._unusual_of[model] = Unusual(self._unusual)
        return known

    def why(self, model: str, *, failed: bool, unusual: float | None, draw: float) -> Why | None:
        """Why the bodies of an exchange are kept, None: they are not.

        `unusual` is its score, None where it has none; `draw` is uniform in [0, 1), and decides
        everything that is left to chance. To be asked once per exchange, since it learns by it.
        """
        share = self._models.get(model, self._bodies)
        is_unusual = False
        if unusual is not None and self._unusual:
            known = self.scores_of(model)
            # What is left of a draw that is no sample is uniform again.
            is_unusual = known.take(unusual, (draw - share) / (1 - share) if draw > share else draw)
        if failed and self._failures:
            return Why.FAILED
        if draw < share:
            return Why.SAMPLED
        return Why.UNUSUAL if is_unusual else None
