"""What docs/metrics.md says of each part's metrics, and what the part shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import Metric

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"

Families = dict[str, tuple[str, set[str]]]


def documented(*sections: str) -> Families:
    """Type and labels of every metric in the tables of these sections."""
    return {
        name: (kind, set(re.findall(r"`(\w+)`", labels)))
        for section in sections
        for name, kind, labels in re.findall(
            r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", _text(section), re.MULTILINE
        )
    }


def queries(section: str) -> list[str]:
    """The PromQL of a section, without its comments."""
    block = re.search(r"```promql\n(.*?)```", _text(section), re.DOTALL)[1]
    return re.split(r"\n+(?!\s)", re.sub(r"^#.*\n", "", block, flags=re.MULTILINE).strip())


def shown(families: Iterable[Metric]) -> Families:
    """Type and labels of families as they are shown."""
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"le"},
        )
        for family in families
    }


def _text(section: str) -> str:
    sections = re.split(r"^## (.*)\n", PAGE.read_text(), flags=re.MULTILINE)
    by_title = dict(zip(sections[1::2], sections[2::2], strict=True))
    return by_title[section]
