"""What counting one exchange costs the request path, beside what prometheus_client would take.

    python -m loadtests.recorder [--json]

Both count the same made-up exchanges in turn: one counter and four durations each, over eight
cells, durations spread over five decades (harder than real traffic, which stays in few buckets).
CPU time of this process, best and median of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram

from sidecar.board import LATENCY_COLUMNS, Board, BoardLayout, CellCounter, warm
from sidecar.config.settings import MetricsSettings

EXCHANGES, CELLS, ROUNDS = 20_000, 8, 11

Exchange = tuple[int, int, int, int, int, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    exchanges = made_up_exchanges()
    contenders = {"board": count_on_a_board(exchanges), "prometheus_client": count_there(exchanges)}
    rounds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, count in contenders.items():
            started_ns = time.process_time_ns()
            count()
            rounds[name].append((time.process_time_ns() - started_ns) / len(exchanges))
    figures = {
        name: {"best_ns": round(min(costs)), "median_ns": round(statistics.median(costs))}
        for name, costs in rounds.items()
    }
    if as_json:
        json.dump(figures, sys.stdout)
        return
    for name, figure in figures.items():
        print(f"{name:18} {figure['median_ns']:6} ns an exchange (best {figure['best_ns']})")
    ratio = figures["board"]["median_ns"] / figures["prometheus_client"]["median_ns"]
    print(f"{'ratio':18} {ratio:6.3f}")


def made_up_exchanges() -> list[Exchange]:
    rng = np.random.default_rng(1)
    durations = (10 ** rng.uniform(4, 9, (EXCHANGES, len(LATENCY_COLUMNS)))).astype(int).tolist()
    cells = rng.integers(0, CELLS, EXCHANGES).tolist()
    return [
        (cell, int(CellCounter.STATUS_2XX), *four)
        for cell, four in zip(cells, durations, strict=True)
    ]


def count_on_a_board(exchanges: list[Exchange]) -> Callable[[], None]:
    board = Board.allocate(BoardLayout(workers=1, cells=CELLS, model_rows=1), warm(os.environ))
    recorder = board.recorder(0)

    def count() -> None:
        record = recorder.record
        for cell, counter, total, upstream, first_byte, overhead in exchanges:
            record(cell, counter, total, upstream, first_byte, overhead)
        recorder.flush()

    return count


def count_there(exchanges: list[Exchange]) -> Callable[[], None]:
    registry = CollectorRegistry()
    requests = Counter("requests", "-", ["cell"], registry=registry)
    buckets = MetricsSettings().buckets
    columns = [
        Histogram(name, "-", ["cell"], buckets=buckets, registry=registry)
        for name in LATENCY_COLUMNS
    ]
    # Children looked up once, as a careful user of the library would.
    increments = [requests.labels(cell).inc for cell in range(CELLS)]
    observers = [[column.labels(cell).observe for column in columns] for cell in range(CELLS)]

    def count() -> None:
        for cell, _, total, upstream, first_byte, overhead in exchanges:
            observe = observers[cell]
            increments[cell]()
            observe[0](total / 1e9)
            observe[1](upstream / 1e9)
            observe[2](first_byte / 1e9)
            observe[3](overhead / 1e9)

    return count


if __name__ == "__main__":
    main()
