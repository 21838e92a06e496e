"""A baseline of live traffic: what a window of the board saw, frozen.

Must not know: the board, snapshots, clocks: the window comes as a value, its times as arguments.
"""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.baseline.baseline import Baseline, BaselineSegment
from sidecar.baseline.records import TimeSpan, Traffic
from sidecar.errors import ConfigError
from sidecar.sketch import Area, Block, BlockCounter, Column, Distribution


def from_area(
    area: Area,
    *,
    model: str,
    route: str,
    span: TimeSpan,
    seconds: float,
    segments: Sequence[tuple[str, Sequence[str]]] = (),
    positive: str | None = None,
) -> Baseline:
    """The baseline of a window: `area` is what was counted in `seconds`, from `span.start` on.

    `segments` are the keys of the watch, with the values that were told apart, in the order of the
    area's blocks: for each key one block per value and one for `other`; without keys a single one.
    Raises ConfigError when the window has no rows, or no length, and ValueError when the blocks are
    not those of `segments`.
    """
    layout = area.layout
    if layout.block_count != (sum(len(values) + 1 for _, values in segments) or 1):
        raise ValueError(f"{layout.block_count} blocks are not those of {len(segments)} segments")
    # The blocks of any one key sum to everything.
    total = area.total(range(len(segments[0][1]) + 1 if segments else 1))
    rows = total.counter(BlockCounter.ROWS)
    if not rows:
        raise ConfigError(
            f"no rows of {model} were read in this window; choose a longer one", path="--window"
        )
    if seconds <= 0:
        raise ConfigError("the window is one instant, not a span of time", path="--window")
    requests = total.counter(BlockCounter.REQUESTS)
    made = []
    at = 0
    for name, values in segments:
        blocks = [area.block(place) for place in range(at, at + len(values) + 1)]
        at += len(blocks)
        made.append(
            BaselineSegment(
                name=name,
                values=tuple(values),
                rows=tuple(block.counter(BlockCounter.ROWS) for block in blocks),
                distributions=tuple(_distributions(block, layout.columns) for block in blocks),
            )
        )
    return Baseline(
        model=model,
        rows=rows,
        distributions=_distributions(total, layout.columns),
        measured=_distributions(total, layout.measures),
        segments=tuple(made),
        positive=positive,
        traffic=Traffic(
            route=route,
            requests=requests,
            failed=total.counter(BlockCounter.FAILED),
            seconds=seconds,
            requests_per_second=requests / seconds,
        ),
        span=span,
    )


def _distributions(block: Block, columns: Sequence[Column]) -> tuple[Distribution, ...]:
    return tuple(block.distribution(column) for column in columns)
