"""What is called drift; `config` makes it part of the configuration file."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a difference is large enough, certain enough, and seen in enough traffic."""

    drift: Annotated[float, Meta(gt=0, description="PSI from which a shift is `drift`.")] = 0.1
    major: Annotated[float, Meta(gt=0, description="PSI from which a shift is `major`.")] = 0.25
    significance: Annotated[
        float,
        Meta(
            gt=0,
            lt=1,
            description="Share of false alarms among the alarms of one window, over all features.",
        ),
    ] = 0.05
    minimum: Annotated[
        int,
        Meta(
            ge=1,
            description="Fewest effective rows (n / phi) on both sides, or `insufficient_data`.",
        ),
    ] = 500
