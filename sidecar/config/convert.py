"""Plain values to `Settings`: every key checked on its own, all problems reported, not the first.

msgspec is the judge of each value and builds the result. It stops at the first error and does not
name the keys of mappings, so the walk that collects problems is done here, key by key.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from sidecar.config.keys import Annotation, Shape, from_text, keys, shape, wording
from sidecar.config.problems import ROOT, InvalidConfig, Problem, child, did_you_mean, shown
from sidecar.config.settings import Settings
from sidecar.config.units import Duration, Size


def convert(value: object) -> Settings:
    """The settings in a document's value. Raises InvalidConfig with every problem there is."""
    problems = list(find_problems(value, Settings, ROOT))
    if problems:
        raise InvalidConfig(problems)
    return msgspec.convert(value, Settings, dec_hook=from_text)


def find_problems(value: object, annotation: Annotation, path: str) -> Iterator[Problem]:
    """What keeps a value from being of a type, in the order of the value."""
    parts = shape(annotation)
    if value is None and parts.optional:
        return
    if parts.variants and isinstance(value, dict):
        yield from _variant_problems(value, parts, path)
        return
    if parts.choices:
        parts = shape(_choice(value, parts.choices))
    if parts.section is not None and isinstance(value, dict):
        yield from _section_problems(value, parts.section, path)
    elif parts.key is not None and isinstance(value, dict) and value:
        for key, item in value.items():
            yield from find_problems(key, parts.key, child(path, key))
            yield from find_problems(item, parts.item, child(path, key))
    elif parts.key is None and parts.item is not None and isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from find_problems(item, parts.item, child(path, index))
    else:
        try:
            msgspec.convert(value, annotation, dec_hook=from_text)
        except msgspec.ValidationError:
            yield Problem(
                path=path,
                expected=wording(annotation),
                found=shown(value),
                fix=_fix(value, parts.bare),
            )


def _variant_problems(value: dict[str, object], parts: Shape, path: str) -> Iterator[Problem]:
    """The problems of a section that is one of several, told apart by one of its keys."""
    name = parts.tag_field or ""
    kind = value.get(name)
    if isinstance(kind, str) and kind in parts.variants:
        yield from _section_problems(value, parts.variants[kind], path)
    else:
        yield Problem(
            path=child(path, name),
            expected=" or ".join(f"`{known}`" for known in parts.variants),
            found=shown(kind),
            fix=did_you_mean(kind, parts.variants) if isinstance(kind, str) else "",
        )


def _section_problems(
    value: dict[str, object], section: type[Struct], path: str
) -> Iterator[Problem]:
    known = {key.name: key for key in keys(section)}
    for name, item in value.items():
        if name in known:
            yield from find_problems(item, known[name].annotation, child(path, name))
        else:
            yield Problem(
                path=child(path, name),
                expected="a known key",
                found=f"`{name}`",
                fix=did_you_mean(name, known),
            )
    for name, key in known.items():
        if key.required and name not in value:
            yield Problem(path=child(path, name), expected=wording(key.annotation), found="nothing")


def _choice(value: object, choices: tuple[Annotation, ...]) -> Annotation:
    """The member of a union that a value is most likely meant to be."""
    holds_entries = isinstance(value, list | dict)
    fitting = [choice for choice in choices if (shape(choice).item is not None) == holds_entries]
    return (*fitting, *choices)[0]


def _fix(value: object, bare: Annotation) -> str:
    if value is None:
        return "give it a value, or leave the key out"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if bare is Duration and is_number:
        return f"write `{value}s` if it means seconds"
    if bare is Size and is_number:
        return f"write `{value}B` if it means bytes"
    if bare is str and isinstance(value, int | float):
        return f'quote it: "{shown(value)}"'
    if bare in (int, float, bool) and isinstance(value, str):
        return "write it without quotes" if _is_plain(value) else ""
    return ""


def _is_plain(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() or text in {"true", "false"}
