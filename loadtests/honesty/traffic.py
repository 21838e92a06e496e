"""Traffic without drift, as a sidecar would have counted it: one law, and ways to depend on itself.

Every process gives the counts of a window in consecutive sub-snapshots of unequal size (5, as a
window of 5 minutes has, or 20), `int64[slice, feature, bucket]`; the last bucket holds missing
values. Rows are drawn as latent normal variables, a third of whose variance the features share, and
counted by where they fall; rows that are independent anyway are drawn as counts at once, which is
the same law but for what features share.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Process = Callable[[np.random.Generator, int], Counts]

SLICES: Final = (5, 20)
MISSING: Final = 0.02
BURST: Final = 50
_SHARED: Final = 1 / 3


def _zipf(count: int) -> Floats:
    weights = 1 / np.arange(1, count + 1)
    shares: Floats = weights / weights.sum()
    return shares


LAWS: Final[tuple[Floats, ...]] = (
    *[np.full(10, 0.1)] * 20,  # numbers, in bins of equal frequency
    np.array([0.5, 0.25, 0.125, 0.0625, 0.0625]),  # counts of something
    np.array([0.9, *[0.1 / 9] * 9]),  # mostly one value
    *(np.array([1 - share, share]) for share in (0.5, 0.1, 0.01)),  # flags
    *(_zipf(count) for count in (5, 10, 50, 100, 200)),  # categories, with long tails
)
"""The shares of the bins of 30 features."""
WIDTH: Final = max(len(law) for law in LAWS) + 1
_ENDS: Final = tuple(
    np.array([NormalDist().inv_cdf(end) for end in np.cumsum(law) * (1 - MISSING)]) for law in LAWS
)


def independent(rng: np.random.Generator, n: int) -> Counts:
    """Rows that know nothing of each other."""
    sizes = rng.multinomial(n, _slice_shares(rng))
    counts = np.zeros((len(sizes), len(LAWS), WIDTH), np.int64)
    for feature, law in enumerate(LAWS):
        drawn = rng.multinomial(sizes, np.append(law * (1 - MISSING), MISSING))
        counts[:, feature, : len(law)], counts[:, feature, -1] = drawn[:, :-1], drawn[:, -1]
    return counts


def repeated(rng: np.random.Generator, n: int) -> Counts:
    """Every row comes 50 times in a row."""
    count = -(-n // BURST)
    return _in_order(rng, _buckets(_latent(rng, count)), np.full(count, BURST))


def bursts(rng: np.random.Generator, n: int) -> Counts:
    """Half of the rows come alone, half in bursts of one row, some 50 times (geometric)."""
    lengths = np.ones(n // 2, np.int64)
    count = max(n // 2 // BURST, 1)
    lengths[rng.choice(n // 2, size=count, replace=False)] = rng.geometric(1 / BURST, size=count)
    return _in_order(rng, _buckets(_latent(rng, len(lengths))), lengths)


def sessions(rng: np.random.Generator, n: int) -> Counts:
    """As `repeated`, but every other feature is drawn anew for each row."""
    buckets = np.repeat(_buckets(_latent(rng, -(-n // BURST))), BURST, axis=0)
    buckets[:, ::2] = _buckets(_latent(rng, len(buckets)))[:, ::2]
    return _in_order(rng, buckets, np.ones(len(buckets), np.int64))


def autoregressive(rng: np.random.Generator, n: int) -> Counts:
    """Each row is near the one before it: AR(1) with a coefficient of 0.9 in every feature."""
    latent = _latent(rng, n)
    latent[1:] *= np.sqrt(1 - 0.9**2)
    for row in range(1, n):
        latent[row] += 0.9 * latent[row - 1]
    return _in_order(rng, _buckets(latent), np.ones(n, np.int64))


def entities(per_window: int) -> Process:
    """Users with features of their own, who come 50 times in a window on average, at any time.

    They are declared, and each counts once in every `per_window`-th of the window; so the n rows
    that are counted are of n / per_window users. What cannot be seen in the counts is known then:
    phi is at least `per_window`.
    """

    def drawn(rng: np.random.Generator, n: int) -> Counts:
        users = _buckets(_latent(rng, -(-n // per_window)))
        periods = np.repeat(np.arange(per_window), len(users))
        coming = np.tile(np.arange(len(users)), per_window)
        return _at(rng, (periods + rng.random(len(periods))) / per_window, users[coming])

    return drawn


def undeclared_entities(rng: np.random.Generator, n: int) -> Counts:
    """The same users, of whom nobody told the sidecar: all of their requests count."""
    users = _buckets(_latent(rng, -(-n // BURST)))
    coming = np.repeat(np.arange(len(users)), rng.poisson(BURST, size=len(users)))
    return _at(rng, rng.random(len(coming)), users[coming])


def _latent(rng: np.random.Generator, rows: int) -> Floats:
    """`float64[rows, features]`, standard normal, correlated between features."""
    common, own = rng.normal(size=(rows, 1)), rng.normal(size=(rows, len(LAWS)))
    latent: Floats = np.sqrt(_SHARED) * common + np.sqrt(1 - _SHARED) * own
    return latent


def _buckets(latent: Floats) -> Counts:
    """`int64[rows, features]`: the bucket of each value, the last for a missing one."""
    buckets = np.empty(latent.shape, np.int64)
    for feature, ends in enumerate(_ENDS):
        found = np.searchsorted(ends, latent[:, feature], side="right")
        buckets[:, feature] = np.where(found < len(ends), found, WIDTH - 1)
    return buckets


def _in_order(rng: np.random.Generator, buckets: Counts, lengths: Counts) -> Counts:
    """Rows in order, each `lengths` times in a row, cut into slices (a burst is in one slice)."""
    begins = (np.cumsum(lengths) - lengths) / lengths.sum()
    return _at(rng, begins, buckets, lengths)


def _at(
    rng: np.random.Generator, times: Floats, buckets: Counts, weights: Counts | None = None
) -> Counts:
    """Rows that come at `times` in [0, 1) of the window, counted by slices."""
    ends = np.cumsum(_slice_shares(rng))
    slices = np.searchsorted(ends[:-1], times, side="right")
    counts = np.empty((len(ends), len(LAWS), WIDTH), np.int64)
    for feature in range(len(LAWS)):
        places = slices * WIDTH + buckets[:, feature]
        tabled = np.bincount(places, weights=weights, minlength=len(ends) * WIDTH)
        counts[:, feature] = tabled.reshape(len(ends), WIDTH)
    return counts


def _slice_shares(rng: np.random.Generator) -> Floats:
    """Traffic is not even: the busiest slice has some three times what the quietest has."""
    shares: Floats = rng.dirichlet(np.full(rng.choice(SLICES), 10.0))
    return shares
