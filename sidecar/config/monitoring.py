"""The part of the configuration that says what is observed, and what is called drift.

See `sidecar.config.settings`, of which these sections are part.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from sidecar.config.units import Duration, Size
from sidecar.drift.settings import Thresholds
from sidecar.payload import Source


def _doc(text: str) -> Meta:
    return Meta(description=text)


class _Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Segment(_Settings, frozen=True, kw_only=True):
    """A key by which the numbers of a route are also kept apart."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}(?!\n)$",
            description="Appears in metrics and the API; unique in its route.",
            extra={"wording": "a name: up to 63 letters, digits and `_`"},
        ),
    ]
    source: Annotated[Source, _doc("Where its value is found.")] = field(name="from")
    values: Annotated[
        tuple[str, ...], _doc("The values to tell apart; every other one is `other`.")
    ] = ()
    top: Annotated[
        int,
        Meta(
            ge=1, le=200, description="Without `values`: how many of the most frequent are learned."
        ),
    ] = 10


class MonitorSettings(_Settings, frozen=True, kw_only=True):
    """What a worker may spend on looking into bodies; beyond it exchanges are shed, and counted."""

    enabled: Annotated[bool, _doc("Whether bodies are looked into at all.")] = True
    max_cpu_share: Annotated[
        float, Meta(gt=0, le=1, description="Most of a worker's time; a sample is read beyond it.")
    ] = 0.3
    max_body: Annotated[
        Size, _doc("Largest body, decompressed, that is read; larger ones are counted.")
    ] = Size(1024 * 1024)
    pending: Annotated[
        int, Meta(ge=1, le=65_536, description="Most exchanges that wait to be read, per worker.")
    ] = 1024
    pending_bytes: Annotated[Size, _doc("Most bytes of their bodies, per worker.")] = Size(
        16 * 1024 * 1024
    )
    memory: Annotated[Size, _doc("Shared memory for histograms of payloads, per worker.")] = Size(
        32 * 1024 * 1024
    )
    learn_rows: Annotated[
        int,
        Meta(
            ge=100,
            le=100_000,
            description="Rows from which a provisional reference is made where there is no "
            "baseline, and the values of segments that are not listed.",
        ),
    ] = 2000


class FeatureOverride(_Settings, frozen=True, kw_only=True):
    """Thresholds of one feature, where they differ."""

    drift: Annotated[Annotated[float, Meta(gt=0)] | None, _doc("PSI from which it is drift.")] = (
        None
    )
    major: Annotated[Annotated[float, Meta(gt=0)] | None, _doc("PSI from which it is major.")] = (
        None
    )
    ignore: Annotated[bool, _doc("Shown, but never judged.")] = False


class Entity(_Settings, frozen=True, kw_only=True):
    """Who requests come from, when few of them send many: each counts once per `per`."""

    source: Annotated[Source, _doc("Where its key is found.")] = field(name="from")
    per: Annotated[
        Duration | None, _doc("How long an entity is not counted again; else the shortest window.")
    ] = None


class DriftSettings(_Settings, frozen=True, kw_only=True):
    """What is compared with what, and what is called drift."""

    interval: Annotated[
        Duration, _doc("Time between snapshots and judgements; a crash loses at most one.")
    ] = Duration(60)
    windows: Annotated[tuple[Duration, ...], _doc("Lengths of the windows that are judged.")] = (
        Duration(300),
        Duration(3600),
        Duration(86400),
    )
    references: Annotated[
        tuple[str, ...],
        Meta(
            min_length=1,
            description="What windows are compared with: `baseline`, `previous` (the window "
            "before), `day` and `week` (the same hours a day or a week ago), or the name of a "
            "pinned snapshot.",
        ),
    ] = ("baseline", "previous", "day", "week")
    thresholds: Thresholds = field(default_factory=Thresholds)
    features: Annotated[dict[str, FeatureOverride], _doc("By the name of the feature.")] = {}
    entity: Entity | None = None
    history: Annotated[Size, _doc("Most bytes of snapshots kept on disk; older ones thin out.")] = (
        Size(256 * 1024 * 1024)
    )
