"""Bodies from 1 KB to 10 MB, towards the model and back, with Envoy beside when it is installed."""

from __future__ import annotations

import argparse
from typing import Final

from loadtests.curves.outcome import COLUMNS, Curve, figures
from loadtests.peers import envoy, nginx
from loadtests.rig import sidecar
from loadtests.rig.command import stage
from loadtests.rig.load import Load, Point, Rounds, Subject, median_ratio, take_turns
from loadtests.rig.processes import Fleet, tree_pss_mib
from loadtests.rig.report import Table
from loadtests.rig.tools import find
from loadtests.rig.traffic import Traffic

SIZES: Final = {"1 KB": 10**3, "10 KB": 10**4, "100 KB": 10**5, "1 MB": 10**6, "10 MB": 10**7}
CONNECTIONS: Final = 8


def measure(chosen: argparse.Namespace) -> Curve:
    with stage() as fleet:
        upstream = nginx.start_upstream(fleet).port
        ours = sidecar.start(fleet, "sidecar", sidecar.plain_route(upstream))
        subjects = [ours.subject(sidecar.PLAIN)]
        if find("envoy"):
            subjects.append(envoy.start(fleet, upstream)[0])
        points = [
            Point(f"{label} {subject.name}", subject, load)
            for label, load in loads(fleet, chosen.seconds).items()
            for subject in subjects
        ]
        before_mib = tree_pss_mib(ours.pid)
        rounds = take_turns(points, chosen.rounds)
        after_mib = tree_pss_mib(ours.pid)
    return Curve(
        heading="Bodies",
        text=(
            f"{CONNECTIONS} connections. Up: the request's body, answered by 150 bytes; down: a "
            f"file in answer to a GET. The sidecar's PSS was {before_mib:.0f} MiB before the first "
            f"body and {after_mib:.0f} MiB after the last."
        ),
        table=table(rounds, subjects),
        rounds=rounds,
        facts={"pss_mib": {"before": before_mib, "after": after_mib}},
    )


def loads(fleet: Fleet, seconds: int) -> dict[str, Load]:
    """Each size in each direction, by its label."""
    made: dict[str, Load] = {}
    for label, size in SIZES.items():
        script = Traffic(bodies=(b"x" * size,)).script(fleet.home, f"up-{size}")
        made[f"up {label}"] = Load(
            script=script, path="/whole/", connections=CONNECTIONS, seconds=seconds
        )
    script = Traffic(method="GET").script(fleet.home, "down")
    for label, size in SIZES.items():
        (fleet.home / "files" / str(size)).write_bytes(b"x" * size)
        made[f"down {label}"] = Load(
            script=script, path=f"/files/{size}", connections=CONNECTIONS, seconds=seconds
        )
    return made


def table(rounds: Rounds, subjects: list[Subject]) -> Table:
    """A row per size and direction; Envoy's cost and the ratio when it took part."""
    columns = ["body", *COLUMNS]
    beside = [subject.name for subject in subjects if subject.name != sidecar.PLAIN]
    for name in beside:
        columns += [f"{name}: CPU us/request", f"sidecar / {name}"]
    rows = []
    for label in (f"{way} {size}" for way in ("up", "down") for size in SIZES):
        ours = f"{label} {sidecar.PLAIN}"
        row = [label, *figures(rounds, ours)]
        for name in beside:
            theirs = f"{label} {name}"
            ratio = median_ratio(rounds[ours], rounds[theirs])
            row += [figures(rounds, theirs)[0], f"{ratio:.2f}"]
        rows.append(row)
    return Table(columns, rows)
