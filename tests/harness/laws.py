"""Laws of distribution that statistics are tested with: from the tame to the nasty.

`law.draw(rng, n)` gives `float64[n]`. `has_mean` says whether the law has one: distances between
means mean nothing for those that have none.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Law:
    """A law by name, with values drawn from it."""

    name: str
    draw: Callable[[np.random.Generator, int], np.ndarray]
    has_mean: bool = True

    def __str__(self) -> str:
        return self.name


def _mixture(*parts):
    """Each value from one of `(share, draw)`."""

    def draw(rng, n):
        shares = np.array([share for share, _ in parts])
        chosen = rng.choice(len(parts), size=n, p=shares / shares.sum())
        values = np.empty(n)
        for place, (_, part) in enumerate(parts):
            mask = chosen == place
            values[mask] = part(rng, int(mask.sum()))
        return values

    return draw


def _constant(value):
    return lambda rng, n: np.full(n, float(value))


def _normal(mean=0.0, deviation=1.0):
    return lambda rng, n: rng.normal(mean, deviation, n)


def _spiked(share, value, rest):
    """`share` of the values are `value`, the others are drawn from `rest`."""
    return _mixture((share, _constant(value)), (1 - share, rest))


def _with(share, value, rest):
    """`share` of the values of `rest` are replaced by what is no number."""

    def draw(rng, n):
        values = rest(rng, n)
        values[rng.random(n) < share] = value
        return values

    return draw


LAWS = (
    Law("normal", _normal()),
    Law("normal far from zero", _normal(1e9, 1.0)),
    Law("normal, tiny", _normal(0.0, 1e-300)),
    Law("normal, huge", _normal(0.0, 1e280)),
    Law("uniform", lambda rng, n: rng.random(n)),
    Law("exponential", lambda rng, n: rng.exponential(3.0, n)),
    Law("gamma", lambda rng, n: rng.gamma(0.3, 2.0, n)),
    Law("beta, u-shaped", lambda rng, n: rng.beta(0.3, 0.3, n)),
    Law("beta of a sharp classifier", lambda rng, n: rng.beta(0.05, 0.2, n)),
    Law("lognormal", lambda rng, n: rng.lognormal(0.0, 1.0, n)),
    Law("lognormal, wide", lambda rng, n: rng.lognormal(0.0, 2.0, n)),
    Law("Student's t, 3 degrees", lambda rng, n: rng.standard_t(3, n)),
    Law("Laplace", lambda rng, n: rng.laplace(0.0, 1.0, n)),
    Law("logistic", lambda rng, n: rng.logistic(5.0, 2.0, n)),
    Law("Gumbel", lambda rng, n: rng.gumbel(0.0, 1.0, n)),
    Law("Weibull", lambda rng, n: rng.weibull(0.7, n)),
    Law("triangular", lambda rng, n: rng.triangular(0.0, 1.0, 10.0, n)),
    Law("Pareto, with mean", lambda rng, n: 1 + rng.pareto(2.5, n)),
    Law("Pareto, without mean", lambda rng, n: 1 + rng.pareto(0.9, n), has_mean=False),
    Law("Cauchy", lambda rng, n: rng.standard_cauchy(n), has_mean=False),
    Law("two humps", _mixture((0.5, _normal(-5)), (0.5, _normal(5)))),
    Law("two humps of unlike width", _mixture((0.7, _normal(0, 1)), (0.3, _normal(40, 0.01)))),
    Law("three scales", _mixture((0.4, _normal(0, 0.1)), (0.4, _normal()), (0.2, _normal(0, 10)))),
    Law("zeros and amounts", _spiked(0.6, 0.0, lambda rng, n: rng.lognormal(3.0, 1.0, n))),
    Law("nearly all zeros", _spiked(0.97, 0.0, lambda rng, n: rng.exponential(1.0, n))),
    Law(
        "spikes on a hump",
        _mixture((0.1, _constant(1.0)), (0.05, _constant(-0.5)), (0.85, _normal())),
    ),
    Law("round prices", lambda rng, n: np.round(rng.lognormal(3.0, 0.6, n)) - 0.01),
    Law("one decimal", lambda rng, n: np.round(rng.normal(20.0, 5.0, n), 1)),
    Law("Poisson", lambda rng, n: rng.poisson(4.0, n).astype(float)),
    Law("Poisson, large", lambda rng, n: rng.poisson(300.0, n).astype(float)),
    Law("geometric", lambda rng, n: rng.geometric(0.05, n).astype(float)),
    Law("zipf", lambda rng, n: np.minimum(rng.zipf(2.5, n), 10**9).astype(float)),
    Law("dice", lambda rng, n: rng.integers(1, 7, n).astype(float)),
    Law("coin", lambda rng, n: rng.integers(0, 2, n).astype(float)),
    Law("years", lambda rng, n: np.round(rng.triangular(1950, 2005, 2024, n))),
    Law("percentages of a score", lambda rng, n: np.round(rng.beta(2.0, 5.0, n), 2)),
    Law("constant", _constant(3.7)),
    Law("constant zero", _constant(0.0)),
    Law("missing values", _with(0.2, np.nan, _normal(2.0, 3.0))),
    Law("infinities", _with(0.01, np.inf, _normal(2.0, 3.0))),
    Law(
        "no numbers and infinities",
        _with(0.1, np.nan, _with(0.02, -np.inf, lambda rng, n: rng.lognormal(0.0, 1.0, n))),
    ),
    Law("denormal", lambda rng, n: rng.integers(0, 5000, n) * 5e-324),
)
