"""Texts of alerts with placeholders: a closed set, so that a slip is found with the configuration.

    {alertname} {severity} {value} {threshold} {n} {window} {labels} {labels.route}

`{labels.NAME}` is the value of one label, `-` where the alert has none of that name. Braces that
hold nothing of this form stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

PLACEHOLDERS: Final = (
    "alertname", "severity", "value", "threshold", "n", "window", "labels",
)  # fmt: skip

_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)(?:\.([a-z_][a-z0-9_]*))?\}")


def unknown_placeholders(text: str) -> list[str]:
    """Every placeholder in a text that there is not."""
    return [
        found[0]
        for found in _PLACEHOLDER.finditer(text)
        if found[1] not in PLACEHOLDERS or (found[2] and found[1] != "labels")
    ]


def fill(text: str, values: Mapping[str, str], labels: Mapping[str, str]) -> str:
    """A text with every placeholder replaced; `values` has all but the labels."""

    def replacement(found: re.Match[str]) -> str:
        if found[1] != "labels":
            return values.get(found[1], found[0])
        if found[2]:
            return labels.get(found[2], "-")
        return ", ".join(f"{label}={value}" for label, value in labels.items())

    return _PLACEHOLDER.sub(replacement, text)
