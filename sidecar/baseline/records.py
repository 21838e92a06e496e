"""What a baseline knows beside its distributions: where it is from, and how well the model did.

Plain values, written into the file as they stand. Times are texts in UTC, as ISO 8601 has them.

Must not know: how any of it is computed.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Method(StrEnum):
    """How an interval was found."""

    WILSON = "wilson"
    BOOTSTRAP = "bootstrap"


class Estimate(Struct, frozen=True, kw_only=True):
    """A figure, and the interval that covers its true value with probability `level`.

    `n` is the number of rows it rests on; None as interval when they are too few for one.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    method: Method
    level: float = 0.95


class Task(StrEnum):
    """What a model predicts."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


class Confusion(Struct, frozen=True, kw_only=True):
    """`counts[i][j]` rows have the target `labels[i]` and the prediction `labels[j]`."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class CalibrationBin(Struct, frozen=True, kw_only=True):
    """Rows with a score in `[low, high)`: their mean score, and the share that was positive."""

    low: float
    high: float
    n: int
    mean_score: float
    positive_share: float


class Performance(Struct, frozen=True, kw_only=True):
    """How predictions and scores compare with the target; see docs/baselines.md for the figures.

    `rows` are those compared: all that have a target, or a sample of them.
    """

    task: Task
    rows: int
    positive: str | None
    figures: dict[str, Estimate]
    confusion: Confusion | None = None
    calibration: tuple[CalibrationBin, ...] = ()


class BusinessFigure(Struct, frozen=True, kw_only=True):
    """A column of money, conversions or the like: its mean, its sum, and how often it is given."""

    n: int
    missing: int
    total: float
    mean: Estimate


class TimeSpan(Struct, frozen=True, kw_only=True):
    """From the first to the last row."""

    start: str
    end: str


class Traffic(Struct, frozen=True, kw_only=True):
    """What passed while a live baseline was taken."""

    route: str
    requests: int
    failed: int
    seconds: float
    requests_per_second: float


class Source(Struct, frozen=True, kw_only=True):
    """A file that was learned from, by its name without folder and the hash of its bytes."""

    name: str
    sha256: str
    bytes: int
    rows: int


class Provenance(Struct, frozen=True, kw_only=True):
    """Where a baseline comes from. `sampled_rows` are those that edges were learned from."""

    sources: tuple[Source, ...] = ()
    sampled_rows: int = 0
    created: str | None = None
    libraries: dict[str, str] = {}
    hardware: dict[str, str] = {}
