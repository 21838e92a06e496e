"""The columns of measures: what is counted of a request as a whole, the same everywhere.

They are fixed, not learned, so that windows of any two models and versions can be compared, and a
baseline of one model says something about another.

    latency_ns, time_to_first_token_ns, inter_token_ns    10 us to 1000 s in cells of 5 % or less
    unusual                                               0 to 1 in 100 cells
    request_rows                                          1 to a million, in cells of 10 % or less
    prompt_tokens, completion_tokens                      0, then to ten million in cells of 5 %

Small whole numbers have cells of their own. The bins of drift are steps of 1, 2, 5 in a decade, of
`unusual` steps of 0.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from sidecar.model import (
    LATENCY_DECADES,
    SHORTEST_LATENCY_NS,
    ColumnKind,
    ColumnPart,
)
from sidecar.sketch.columns import Column

LATENCY: Final = "latency_ns"
UNUSUAL: Final = "unusual"
REQUEST_ROWS: Final = "request_rows"
PROMPT_TOKENS: Final = "prompt_tokens"
COMPLETION_TOKENS: Final = "completion_tokens"
FIRST_ANSWER: Final = "time_to_first_token_ns"
BETWEEN_ANSWERS: Final = "inter_token_ns"

_STEPS: Final = (1, 2, 5, 10)


def measure_columns(openai: bool) -> tuple[Column, ...]:
    """The measures of a request; with tokens and their times where the protocol has them."""
    measures = (
        _measure(LATENCY, _times(), _decades(SHORTEST_LATENCY_NS, LATENCY_DECADES)),
        _measure(UNUSUAL, [at / 100 for at in range(101)], [at / 10 for at in range(1, 10)]),
        _measure(REQUEST_ROWS, _wholes(1, 6, 0.10), _decades(1, 6)[1:]),
    )
    if not openai:
        return measures
    tokens = [0.0, *_wholes(1, 7, 0.05)]
    return (
        *measures,
        _measure(PROMPT_TOKENS, tokens, _decades(1, 7)),
        _measure(COMPLETION_TOKENS, tokens, _decades(1, 7)),
        _measure(FIRST_ANSWER, _times(), _decades(SHORTEST_LATENCY_NS, LATENCY_DECADES)),
        _measure(BETWEEN_ANSWERS, _times(), _decades(SHORTEST_LATENCY_NS, LATENCY_DECADES)),
    )


def _measure(name: str, edges: list[float], bounds: Iterable[float]) -> Column:
    return Column(
        name=name,
        part=ColumnPart.MEASURE,
        kind=ColumnKind.NUMERIC,
        edges=tuple(edges),
        summed=(0, len(edges)),
        bins=(0, *(edges.index(bound) + 1 for bound in bounds)),
    )


def _decades(first: int, decades: int) -> list[float]:
    """`first` times 1, 2, 5, 10, 20, ... to the end of the last decade."""
    steps = [first * 10.0**decade * step for decade in range(decades) for step in _STEPS[:-1]]
    return [*steps, first * 10.0**decades]


def _times() -> list[float]:
    """Nanoseconds, log-spaced between the steps of a decade, every cell at most 5 % wide."""
    edges: list[float] = []
    for low, high in pairwise(_decades(SHORTEST_LATENCY_NS, LATENCY_DECADES)):
        cells = math.ceil(math.log(high / low) / math.log1p(0.05))
        # Rounded: math libraries differ in the last bit of a power, and the hash would show it.
        edges += [float(round(low * (high / low) ** (cell / cells))) for cell in range(cells)]
    return [*edges, SHORTEST_LATENCY_NS * 10.0**LATENCY_DECADES]


def _wholes(first: int, decades: int, width: float) -> list[float]:
    """Whole numbers, each next one by `width` larger, or by 1; with the steps of every decade."""
    edges: list[float] = []
    for low, high in pairwise(_decades(first, decades)):
        at = low
        while at < high:
            edges.append(at)
            at = max(at + 1, float(math.floor(at * (1 + width))))
    return [*edges, first * 10.0**decades]
