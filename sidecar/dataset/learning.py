"""A baseline from files: they are read twice, in chunks, so that their size does not matter.

Must not know: commands, where the baseline is written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import msgspec

from sidecar.baseline import Baseline
from sidecar.baseline.blueprint import draw, draw_like, require_columns
from sidecar.baseline.evaluation import business_of, performance_of
from sidecar.baseline.learning import Count
from sidecar.baseline.records import Provenance, TimeSpan
from sidecar.baseline.roles import Roles
from sidecar.baseline.survey import Survey
from sidecar.dataset.files import Dataset
from sidecar.dataset.reader import Advance
from sidecar.dataset.times import SpanOfTime
from sidecar.errors import ConfigError

PASSES: Final = 2
"""How often all data are read."""


@dataclass(frozen=True, slots=True)
class Learned:
    """A baseline, and what a person should know about the data."""

    baseline: Baseline
    remarks: tuple[str, ...]


def learn_from(
    dataset: Dataset,
    model: str,
    roles: Roles,
    *,
    like: Baseline | None = None,
    provenance: Provenance | None = None,
    advance: Advance = lambda _: None,
) -> Learned:
    """The baseline of a data set; `like` another one, it counts into the columns of that.

    `advance` is told of every byte `PASSES` times. Raises ConfigError when the data will not do.
    """
    if dataset.names is not None:
        require_columns(dataset.names, roles.named)
    survey, span = _surveyed(dataset, roles, advance)
    require_columns(survey.names, roles.named)
    blueprint = draw(survey) if like is None else draw_like(like, survey)
    performance = performance_of(survey, blueprint.positive)
    business = business_of(survey)
    count = Count(blueprint)
    for chunk in dataset.chunks(advance):
        count.add(chunk)
    if count.rows != survey.rows:
        raise ConfigError("the data changed while they were read: build again", path="--data")
    baseline = replace(
        count.baseline(model),
        performance=performance,
        business=business,
        span=span,
        provenance=msgspec.structs.replace(
            provenance or Provenance(), sources=dataset.sources(), sampled_rows=survey.sampled_rows
        ),
    )
    return Learned(baseline, blueprint.remarks)


def _surveyed(dataset: Dataset, roles: Roles, advance: Advance) -> tuple[Survey, TimeSpan | None]:
    survey = Survey(roles)
    times = SpanOfTime(roles.time) if roles.time is not None else None
    for chunk in dataset.chunks(advance):
        survey.add(chunk)
        if times is not None:
            times.add(chunk.columns.get(times.column, ()), chunk.first_row)
    return survey, times.span() if times is not None else None
