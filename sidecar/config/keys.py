"""The schema as data: what each section may contain, read from the structs of `settings`.

Conversion, environment overrides, the JSON Schema and the reference page walk the same tree; this
is the one place that knows how msgspec and typing spell it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from sidecar.config.units import Duration, Size, parse_duration, parse_size

Annotation = Any
"""A type expression as it stands in `settings`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a section. `annotation` is its type as written, `default` None when required.

    `name` is what stands in the file, `attribute` what the struct calls it: they differ where the
    file's word is reserved in Python, as `from` is.
    """

    name: str
    attribute: str
    annotation: Annotation
    description: str
    required: bool
    default: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A type taken apart.

    `bare` is the type without `None` and constraints, `item` the type of a list's or mapping's
    entries, `key` that of a mapping's keys, `section` the struct; None where it does not apply.
    """

    bare: Annotation
    optional: bool
    metas: tuple[Meta, ...]
    choices: tuple[Annotation, ...] = ()
    item: Annotation = None
    key: Annotation = None
    section: type[Struct] | None = None

    @property
    def inner_sections(self) -> tuple[type[Struct], ...]:
        """The section itself, or those that it or an entry of a list or mapping may be."""
        if self.choices:
            return tuple(inner for choice in self.choices for inner in shape(choice).inner_sections)
        if self.section is None and self.item is not None:
            return shape(self.item).inner_sections
        return () if self.section is None else (self.section,)

    @property
    def variants(self) -> dict[str, type[Struct]]:
        """Of a choice between sections, each by the value of the key that tells them apart."""
        sections = [section for choice in self.choices if (section := shape(choice).section)]
        return {str(section.__struct_config__.tag): section for section in sections}

    @property
    def tag_field(self) -> str | None:
        """The key that tells the variants apart; None where there are none."""
        sections = list(self.variants.values())
        return sections[0].__struct_config__.tag_field if sections else None

    @property
    def members(self) -> tuple[str, ...]:
        """The texts of a closed set, a `Literal` or a StrEnum; empty where it is none."""
        if _origin(self.bare) is Literal:
            return get_args(self.bare)
        if isinstance(self.bare, type) and issubclass(self.bare, StrEnum):
            return tuple(member.value for member in self.bare)
        return ()

    @property
    def bounds_in_words(self) -> str:
        """The range of a number, to follow the noun; empty where there is none."""
        least, most = self.constraint("ge"), self.constraint("le")
        above, below = self.constraint("gt"), self.constraint("lt")
        if least is not None and most is not None:
            return f" from {least} to {most}"
        lower = f"at least {least}" if least is not None else ""
        lower = f"more than {above}" if above is not None else lower
        upper = f"at most {most}" if most is not None else ""
        upper = f"less than {below}" if below is not None else upper
        words = " and ".join(text for text in (lower, upper) if text)
        return f" of {words}" if words else ""

    def constraint(self, name: str) -> Any:  # noqa: ANN401 - a bound, a length or a pattern
        """The value of a constraint such as `ge`, None when there is none."""
        return next((v for meta in self.metas if (v := getattr(meta, name)) is not None), None)


def keys(section: type[Struct]) -> tuple[Key, ...]:
    """The keys of a section, in the order in which they are declared; what it is comes first."""
    return (*_tag(section), *_declared(section))


def _tag(section: type[Struct]) -> Iterator[Key]:
    """The key that tells a section from others that may stand in its place."""
    name, tag = section.__struct_config__.tag_field, section.__struct_config__.tag
    if name is not None:
        yield Key(
            name=name,
            attribute=name,
            annotation=Literal[tag],
            description="Which kind it is.",
            required=True,
            default=None,
        )


def _declared(section: type[Struct]) -> tuple[Key, ...]:
    return tuple(
        Key(
            name=field.encode_name,
            attribute=field.name,
            annotation=field.type,
            description=_description(shape(field.type)),
            required=field.required,
            default=_default(field),
        )
        for field in msgspec.structs.fields(section)
    )


def sections_below(section: type[Struct]) -> tuple[type[Struct], ...]:
    """Every section that a section can hold, at any depth, each once, in the order of the keys."""
    found: dict[type[Struct], None] = {}
    for key in keys(section):
        for inner in shape(key.annotation).inner_sections:
            found |= dict.fromkeys((inner, *sections_below(inner)))
    return tuple(found)


def shape(annotation: Annotation) -> Shape:
    """Take a type apart. The last description wins, as it does in msgspec."""
    metas: list[Meta] = []
    optional = False
    choices: tuple[Any, ...] = ()
    while True:
        origin = _origin(annotation)
        if origin is Annotated:
            annotation, *found = get_args(annotation)
            metas += reversed([meta for meta in found if isinstance(meta, Meta)])
        elif origin in (Union, UnionType):
            members = [member for member in get_args(annotation) if member is not NoneType]
            optional = optional or len(members) < len(get_args(annotation))
            if len(members) > 1:
                choices = tuple(members)
                break
            annotation = members[0]
        else:
            break
    arguments = get_args(annotation)
    is_mapping = _origin(annotation) is dict
    is_list = _origin(annotation) is tuple
    is_section = isinstance(annotation, type) and issubclass(annotation, Struct)
    return Shape(
        bare=annotation,
        optional=optional,
        metas=tuple(metas),
        choices=choices,
        item=arguments[1] if is_mapping else arguments[0] if is_list else None,
        key=arguments[0] if is_mapping else None,
        section=annotation if is_section else None,
    )


def wording(annotation: Annotation) -> str:
    """A type in words that finish the sentence "expected ..."."""
    parts = shape(annotation)
    if parts.choices:
        return " or ".join(dict.fromkeys(wording(choice) for choice in parts.choices))
    if parts.section is not None:
        return "a mapping"
    if parts.item is not None:
        container = "a mapping" if parts.key is not None else "a list"
        return (
            f"{container} with at least one entry" if parts.constraint("min_length") else container
        )
    if parts.members:
        return " or ".join(f"`{value}`" for value in parts.members)
    if parts.bare is Duration:
        return "a duration such as `500ms`, `30s` or `5m`"
    if parts.bare is Size:
        return "a size such as `64KiB` or `1MB`"
    if parts.bare is bool:
        return "true or false"
    if parts.bare in (int, float):
        noun = "an integer" if parts.bare is int else "a number"
        return noun + parts.bounds_in_words
    if parts.bare is str:
        return str((parts.constraint("extra") or {}).get("wording", "text"))
    return "any value"


def from_text(kind: type, value: object) -> Duration | Size:
    """Decoding hook of msgspec for configuration files, where quantities are text with a unit."""
    if kind is Duration:
        return parse_duration(value)
    if kind is Size:
        return parse_size(value)
    raise NotImplementedError(f"{kind.__name__} is no type of a configuration key")


def _description(parts: Shape) -> str:
    """The key's own text; else that of the section it holds, or of the sections in it."""
    text = parts.constraint("description")
    sections = parts.inner_sections
    return str(text or (inspect.getdoc(sections[0]) if sections else None) or "")


def _default(field: msgspec.structs.FieldInfo) -> object:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return None if field.default is msgspec.NODEFAULT else field.default


def _origin(annotation: Annotation) -> object:
    """`typing.get_origin`, whose stub cannot follow a type expression held in a variable."""
    return get_origin(annotation)
