"""Options that several commands share, declared once and made into one value.

Typer reads a command's signature, so each option that a command takes has to stand in it. What
many commands take is put there by a decorator, in place of one parameter that stands for all.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

Command = Callable[..., None]


def takes(
    parameter: str, options: Mapping[str, Any], make: Callable[[dict[str, Any]], object]
) -> Callable[[Command], Command]:
    """Give a command `options` (annotations by name) in place of its parameter.

    It gets what `make` makes of those that were given, by name.
    """
    # An underscore: `class` is no name that a parameter could have.
    names = {f"{name}_": name for name in options}
    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=options[of]
        )
        for name, of in names.items()
    ]

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        own = [one for one in signature.parameters.values() if one.name != parameter]

        @functools.wraps(command)
        def with_options(*arguments: object, **named: object) -> None:
            given = {of: named.pop(name, None) for name, of in names.items()}
            chosen = {of: value for of, value in given.items() if value not in (None, [])}
            command(*arguments, **{parameter: make(chosen)}, **named)

        merged = signature.replace(parameters=[*own, *added])
        with_options.__signature__ = merged  # type: ignore[attr-defined]
        with_options.__annotations__ = {
            one.name: one.annotation for one in merged.parameters.values()
        }
        return with_options

    return decorate
