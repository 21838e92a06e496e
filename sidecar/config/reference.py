"""The reference page docs/configuration.md, made from the structs of `settings`.

    python -m sidecar.config.reference > docs/configuration.md

A test fails when the page in the repository is not what this makes.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from sidecar.config.keys import Annotation, Key, Shape, keys, shape
from sidecar.config.schema import plain_default
from sidecar.config.settings import Settings
from sidecar.config.units import BYTES, SECONDS, Duration, Size

EXAMPLE: Final = """\
listen: 127.0.0.1:8080
admin: {listen: 127.0.0.1:9090}
models:
  stable: {url: "http://127.0.0.1:9000"}
  next: {url: "http://127.0.0.1:9001"}
  trial: {url: "http://127.0.0.1:9002", timeouts: {first_byte: 10s}}
routes:
  - name: iris
    match: {path_prefix: /v2/models/iris}
    primary: stable
    canaries: [{model: next, percent: 5}] # 5 % of the users, always the same
    sticky: {header: x-user-id}
    shadows: [{model: trial, sample: 0.5}] # copies of half of the requests; answers go nowhere
  - name: everything-else
    primary: stable
"""

_DURATION_UNITS: Final = ", ".join(f"`{unit}`" for unit in SECONDS)
_SIZE_UNITS: Final = ", ".join(f"`{unit}`" for unit in BYTES)

_INTRODUCTION: Final = f"""\
<!-- Made by `python -m sidecar.config.reference > docs/configuration.md`; edit the structs. -->

# Configuration

One YAML file says everything; `models` and `routes` are all it must have.

```yaml
{EXAMPLE}```

`sidecar check -c sidecar.yaml` tells whether a file is valid, and if not, everything that is wrong
with it: the path and line of each key, what was expected, what was found, and what helps.
`sidecar schema` prints the JSON Schema, with which editors complete and check the file as you type:

```yaml
# yaml-language-server: $schema=sidecar.schema.json
```

## Values

| kind | written as | units |
|---|---|---|
| duration | a number and a unit: `500ms`, `1.5s`, `5m` | {_DURATION_UNITS} |
| size | a number and a unit: `64KiB`, `1.5MB` | {_SIZE_UNITS} |
| share | a number from 0 to 1: `0.25` | |
| percentage | a number from 0 to 100: `2.5` | |

- A bare number is no duration and no size: `timeout: 5` is refused, since nobody can know whether
  seconds or milliseconds were meant.
- YAML is read by its 1.2 rules: `yes`, `on` and `1:30` are text. Anchors, aliases and merge keys
  (`<<`) work. An unknown key and a key given twice are errors.
- Relative names of files are taken from the directory of the configuration file.

## Environment

Any key can be overridden by a variable: `SIDECAR__` and the key's path in any case, joined by
double underscores, names of models and indexes of lists included. The value is YAML.

```sh
SIDECAR__ADMIN__LISTEN=127.0.0.1:9191
SIDECAR__MODELS__STABLE__URL=http://10.0.0.7:9000
SIDECAR__ROUTES__0__CANARIES__0__PERCENT=10
SIDECAR__LISTEN='[0.0.0.0:8080, "unix:/run/sidecar.sock"]'
```

An override reaches only into models, routes and lists that the file has. A variable that names no
key is an error, not a silence.

## Reload

`sidecar reload`, SIGHUP or `POST /api/v1/reload` read the file again. A file with an error changes
nothing. `models`, `routes`, `limits`, `monitor`, `drift`, `alerts` and `sinks` apply at once;
other keys, `monitor.enabled` and `monitor.memory` need a restart, and the answer names those that
changed.
Percentages set at run time (`sidecar weights`, `sidecar rollback`) outrank the file until `sidecar
weights --reset`.

## How a request finds its model

1. The first route in the file whose `match` takes the request. None: 404 `no_route`.
2. A model that the request names in `X-Sidecar-Model`, if the route has `force`: the primary or any
   canary, also one at 0 %, and never the primary in its place. Another name: 400 `unknown_model`.
3. With `sticky`, the hash of the key: the same key gets the same model, in every worker and after a
   restart. Raising a canary moves users from the primary to it, lowering moves them back; nobody
   moves between canaries. Where a raise would need what another canary gives up in the same
   change, the change is refused: make two of it.
4. Otherwise, and for requests without the key, chance.

Each shadow is sampled on its own. Nothing it does delays or changes the client's answer.

## Keys
"""

_SCALARS: Final = {
    Duration: "[duration](#values)",
    Size: "[size](#values)",
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
}


def reference_page() -> str:
    """The page as Markdown."""
    parts = [_INTRODUCTION]
    # Sections of one title are one: what several kinds of sink have in common is said once.
    for title, section in dict.fromkeys(_sections(Settings, "")):
        parts.append(f"### {title}\n\n{inspect.getdoc(section)}\n")
        rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
        rows += [_row(key, _below(title, key)) for key in keys(section)]
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _sections(section: type[Struct], title: str) -> Iterator[tuple[str, type[Struct]]]:
    """Every section with its title, which is the path to it; depth first, in the order of keys."""
    yield title or "Top level", section
    for key in keys(section):
        inner = shape(key.annotation).inner_sections
        for one in inner:
            below = _below(title, key)
            yield from _sections(one, _of_kind(below, one) if len(inner) > 1 else below)


def _below(title: str, key: Key) -> str:
    """The title of what a key holds: `models.<name>`, `routes[]`, `limits`."""
    parts = shape(key.annotation)
    path = key.name if title in ("", "Top level") else f"{_path(title)}.{key.name}"
    if parts.item is None:
        return f"`{path}`"
    return f"`{path}.<name>`" if parts.key is not None else f"`{path}[]`"


def _of_kind(title: str, section: type[Struct]) -> str:
    """The title of one of several sections that may stand in the same place: `sinks[]`, http."""
    return f"{title}: {section.__struct_config__.tag}"


def _path(title: str) -> str:
    """The path in a title."""
    return title.partition(":")[0].strip("`")


def _row(key: Key, inner_title: str) -> str:
    meaning = " ".join(key.description.split())
    cells = (f"`{key.name}`", _type(key.annotation, inner_title), _default(key), meaning)
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _type(annotation: Annotation, inner_title: str) -> str:
    parts = shape(annotation)
    if parts.variants:
        return " or ".join(
            f"[{kind}](#{_anchor(_of_kind(inner_title, section))})"
            for kind, section in parts.variants.items()
        )
    if parts.choices:
        return " or ".join(_type(choice, inner_title) for choice in parts.choices)
    if parts.section is not None:
        return f"[section](#{_anchor(inner_title)})"
    if parts.key is not None:
        return f"mapping{_of(parts.item, inner_title)}"
    if parts.item is not None:
        return f"list{_of(parts.item, inner_title)}"
    if parts.bare in _SCALARS:
        return _SCALARS[parts.bare] + _range(parts)
    return ", ".join(f"`{value}`" for value in parts.members)


def _of(item: Annotation, inner_title: str) -> str:
    """What a list or mapping holds, as far as there is something to say about it."""
    parts = shape(item)
    if parts.variants:
        return f" of {_type(item, inner_title)}"
    if parts.section is not None:
        return f" of [sections](#{_anchor(inner_title)})"
    return (
        " of mappings"
        if parts.item is not None
        else f" of {_SCALARS.get(parts.bare, 'any values')}"
    )


def _range(parts: Shape) -> str:
    """The bounds of a number, after a comma: `, 1 to 64`, `, more than 0 and at most 1`."""
    words = parts.bounds_in_words.removeprefix(" from ").removeprefix(" of ")
    return f", {words}" if words else ""


def _default(key: Key) -> str:
    if key.required:
        return "**required**"
    default = plain_default(key)
    if default is None or default in ({}, []):
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _anchor(title: str) -> str:
    """The fragment that renderers of Markdown give a heading."""
    return re.sub(r"[^a-z0-9_ -]", "", title.lower()).replace(" ", "-")


if __name__ == "__main__":
    sys.stdout.write(reference_page())
