"""Environment variables that override the file: `SIDECAR__ADMIN__LISTEN=127.0.0.1:9191`.

After the prefix comes the path of a key, in any case, joined by double underscores: names of keys
and models, indexes of lists (`SIDECAR__ROUTES__0__FALLBACK=false`). The value is YAML, so whole
lists and mappings can be given. An override changes what is there: it reaches into no model, route
or header field that the file does not have.

A variable that names no key is a problem: a misspelt one would otherwise do nothing, silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sidecar.config.keys import Annotation, keys, shape
from sidecar.config.problems import ROOT, InvalidConfig, Problem, child, did_you_mean
from sidecar.config.settings import Settings
from sidecar.config.yaml_text import read_yaml

PREFIX: Final = "SIDECAR__"
_SEPARATOR: Final = "__"


def apply_overrides(value: object, environ: Mapping[str, str]) -> tuple[object, dict[str, str]]:
    """A document's value with every override in place, and the variable of each overridden path.

    Raises InvalidConfig with every variable that names no key or holds no YAML.
    """
    problems: list[Problem] = []
    variables: dict[str, str] = {}
    named = [name for name in environ if name.startswith(PREFIX)]
    # The shorter path first: a section is replaced before a key inside of it.
    for variable in sorted(named, key=lambda name: (name.count(_SEPARATOR), name)):
        steps = variable.removeprefix(PREFIX).split(_SEPARATOR)
        try:
            override = _Override(variable, environ[variable])
            value = override.applied(value, Settings, steps, ROOT)
        except InvalidConfig as error:
            problems += error.problems
        else:
            variables[override.path] = variable
    if problems:
        raise InvalidConfig(problems)
    return value, variables


class _Override:
    """One variable on its way to its key; `path` is where it went."""

    def __init__(self, variable: str, text: str) -> None:
        self.variable = variable
        self.path = ROOT
        self._text = text

    def applied(self, value: object, annotation: Annotation, steps: list[str], path: str) -> object:
        """A copy of `value` in which the key at the end of `steps` has the variable's value."""
        self.path = path
        if not steps:
            return self._parsed()
        key, inner = self._step(value, annotation, steps[0])
        if isinstance(key, int) and isinstance(value, list):
            entry = self.applied(value[key], inner, steps[1:], child(path, key))
            return [*value[:key], entry, *value[key + 1 :]]
        mapping = value if isinstance(value, dict) else {}
        entry = self.applied(mapping.get(key), inner, steps[1:], child(path, key))
        return {**mapping, key: entry}

    def _step(
        self, value: object, annotation: Annotation, step: str
    ) -> tuple[str | int, Annotation]:
        parts = shape(annotation)
        if parts.variants and isinstance(value, dict):
            kind = str(value.get(parts.tag_field or ""))
            parts = shape(parts.variants.get(kind, next(iter(parts.variants.values()))))
        if parts.section is not None:
            known = {key.name: key.annotation for key in keys(parts.section)}
            name = step.lower()
            if name in known:
                return name, known[name]
            raise self._refusal("a known key", f"`{name}`", did_you_mean(name, known))
        if parts.key is not None:
            names = list(value) if isinstance(value, dict) else []
            for name in (step, *(name for name in names if name.lower() == step.lower())):
                if name in names:
                    return name, parts.item
            raise self._refusal("a name that the file has", f"`{step}`", did_you_mean(step, names))
        if parts.item is not None:
            length = len(value) if isinstance(value, list) else 0
            if step.isascii() and step.isdecimal() and int(step) < length:
                return int(step), parts.item
            raise self._refusal("an index of this list", f"`{step}`", f"the file has {length}")
        raise self._refusal("the variable to end here", f"`{step}`", "this key has no keys below")

    def _parsed(self) -> object:
        try:
            return read_yaml(self._text).value
        except InvalidConfig as error:
            raise self._refusal(error.problems[0].expected, error.problems[0].found) from error

    def _refusal(self, expected: str, found: str, fix: str = "") -> InvalidConfig:
        return InvalidConfig(
            [Problem(path=self.path, expected=expected, found=found, fix=fix, where=self.variable)]
        )
