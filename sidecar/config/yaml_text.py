"""YAML text to plain values, with the line of each.

YAML's 1.2 core schema: `on`, `yes`, `1:30`, `2024-01-01` and `010` are what they look like, not
a boolean, a number in base 60, a date and an 8. Anchors, aliases and merge keys (`<<`) work; tags
that make objects do not. A key given twice is a problem, because one of the two would be lost.

Bounds: a megabyte of text, and as many values after aliases are followed as any real configuration
can need, since nested aliases grow exponentially.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import yaml

from sidecar.config.problems import ROOT, InvalidConfig, Problem, child, shown

LONGEST_TEXT_BYTES: Final = 1024 * 1024
MOST_VALUES: Final = 100_000

_TAG: Final = "tag:yaml.org,2002:"
_MERGE: Final = f"{_TAG}merge"


@dataclass(frozen=True, slots=True)
class Document:
    """`value` is made of dict, list, str, numbers, bool and None; `lines` maps paths to lines."""

    value: Any
    lines: dict[str, int]


def read_yaml(text: str) -> Document:
    """Read one document. Raises InvalidConfig for what is no YAML, or not ours to take."""
    if len(text.encode()) > LONGEST_TEXT_BYTES:
        raise _refusal("at most 1 MiB of text", "more")
    try:
        root = _CoreLoader(text).get_single_node()
        builder = _Builder()
        value = builder.build(root, ROOT) if root is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise _refusal("valid YAML", f"an error ({error.problem})", where) from error
    except yaml.YAMLError as error:
        raise _refusal("valid YAML", "characters that YAML does not allow") from error
    except RecursionError as error:
        raise _refusal("reasonable nesting", "far too many levels") from error
    if builder.problems:
        raise InvalidConfig(builder.problems)
    return Document(value, builder.lines)


class _CoreLoader(yaml.SafeLoader):
    """Composes nodes; plain scalars are resolved by YAML 1.2, section 10.3.2."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {  # type: ignore[misc]
        None: [
            (_TAG + tag, re.compile(rf"(?:{pattern})\Z"))
            for tag, pattern in (
                ("null", r"null|Null|NULL|~|"),
                ("bool", r"true|True|TRUE|false|False|FALSE"),
                ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
                ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"),
                ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"),
                ("merge", "<<"),
            )
        ]
    }


class _Builder:
    """Builds the values of a node graph, noting lines and problems on the way."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []
        self._open: set[int] = set()
        self._values = 0

    def build(self, node: yaml.Node, path: str) -> object:
        self._values += 1
        if self._values > MOST_VALUES:
            raise yaml.composer.ComposerError(
                problem=f"more than {MOST_VALUES} values", problem_mark=node.start_mark
            )
        if id(node) in self._open:
            raise yaml.composer.ComposerError(
                problem="an alias inside of what it stands for", problem_mark=node.start_mark
            )
        self._open.add(id(node))
        self.lines.setdefault(path, node.start_mark.line + 1)
        try:
            match node:
                case yaml.MappingNode(tag=tag) if tag == f"{_TAG}map":
                    return self._mapping(node, path)
                case yaml.SequenceNode(tag=tag) if tag == f"{_TAG}seq":
                    return [
                        self.build(item, child(path, index))
                        for index, item in enumerate(node.value)
                    ]
                case yaml.ScalarNode(tag=tag) if tag in _SCALARS:
                    return self._scalar(node, path)
                case _:
                    self._problem(path, node, "a plain value", f"the tag {node.tag!r}")
                    return None
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged = self._merged(value_node, path) | merged
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(path, key_node, "text as a key", "a list or mapping")
                continue
            key = self._scalar(key_node, path) if key_node.tag in _SCALARS else None
            if not isinstance(key, str):
                found = key_node.value
                self._problem(path, key_node, "text as a key", found, f'quote it: "{found}"')
            elif key in own:
                first = self.lines[child(path, key)]
                self._problem(
                    child(path, key), key_node, "each key once", f"it again, after line {first}"
                )
            else:
                self.lines[child(path, key)] = key_node.start_mark.line + 1
                own[key] = self.build(value_node, child(path, key))
        return merged | own

    def _merged(self, node: yaml.Node, path: str) -> dict[str, Any]:
        """What `<<` brings in; the first of several mappings wins, as in YAML 1.1's merge type."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in parts:
            value = self.build(part, path)
            if isinstance(value, dict):
                merged = value | merged
            else:
                self._problem(path, part, "a mapping after `<<`", shown(value))
        return merged

    def _scalar(self, node: yaml.ScalarNode, path: str) -> object:
        try:
            return _SCALARS[node.tag](node.value)
        except ValueError:
            self._problem(path, node, f"what the tag {node.tag!r} says", shown(node.value))
            return None

    def _problem(
        self, path: str, node: yaml.Node, expected: str, found: str, fix: str = ""
    ) -> None:
        where = f"line {node.start_mark.line + 1}"
        self.problems.append(
            Problem(path=path, expected=expected, found=found, fix=fix, where=where)
        )


def _integer(text: str) -> int:
    return int(text, 0) if text.lower().startswith(("0o", "0x")) else int(text)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_SCALARS: Final[dict[str, Callable[[str], object]]] = {
    f"{_TAG}str": str,
    f"{_TAG}null": lambda _: None,
    f"{_TAG}bool": lambda text: text.lower() == "true",
    f"{_TAG}int": _integer,
    f"{_TAG}float": _float,
}


def _refusal(expected: str, found: str, where: str = "") -> InvalidConfig:
    return InvalidConfig([Problem(path=ROOT, expected=expected, found=found, where=where)])
