"""Secrets in the configuration: each in a file or a variable, in one of the two, and never itself.

A value that may be a secret is never part of a finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from sidecar.config.keys import keys
from sidecar.config.problems import Finding, Problem

_ENVIRONMENT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IN_ITS_OWN_FILE: Final = "put it into a file of its own, and name that in"


def given(section: Struct, *names: str) -> list[str]:
    """Those of some keys of a section that are set."""
    return [name for name in names if getattr(section, name) is not None]


def one_of(section: Struct, path: str, *names: str, needed: bool) -> Iterator[Problem]:
    """A problem when more than one of these keys is set, or none though one is needed."""
    found = given(section, *names)
    if len(found) > 1 or (needed and not found):
        words = ", ".join(f"`{name}`" for name in names[:-1]) + f" and `{names[-1]}`"
        yield Problem(
            path=path,
            expected=f"{'exactly' if needed else 'at most'} one of {words}",
            found=" and ".join(f"`{name}`" for name in found) or "none",
        )


def variables_have_names(section: Struct, path: str) -> Iterator[Problem]:
    """A problem for every `..._env` that is not the name of a variable, but maybe its value."""
    for key in keys(type(section)):
        value = getattr(section, key.attribute)
        is_name = isinstance(value, str) and _ENVIRONMENT_NAME.fullmatch(value)
        if key.name.endswith("_env") and value is not None and not is_name:
            yield Problem(
                path=f"{path}.{key.name}",
                expected="the name of a variable",
                found="something else",
            )


def password_has_user(section: Struct, path: str) -> Iterator[Problem]:
    """Problems of `username` and the two places of its password."""
    yield from one_of(section, path, "password_file", "password_env", needed=False)
    password = given(section, "password_file", "password_env")
    if password and not given(section, "username"):
        yield Problem(
            path=f"{path}.username", expected=f"the user of `{password[0]}`", found="none"
        )
    if given(section, "username") and not password:
        yield Problem(
            path=path, expected="`password_file` or `password_env` for `username`", found="neither"
        )


def plain_url(url: str, path: str, *, schemes: tuple[str, ...], fix: str) -> Iterator[Finding]:
    """Findings about a URL that must name a host and hold no secret."""
    parts = _split(url)
    if parts is None or parts.scheme not in schemes or not parts.hostname:
        forms = " or ".join(f"`{scheme}://...`" for scheme in schemes)
        yield Problem(path=path, expected=forms, found="no such URL")
    elif parts.username is not None or parts.query or parts.fragment:
        yield Problem(
            path=path,
            expected="a URL without secrets",
            found="one with a user or a query, which may be one",
            fix=f"{_IN_ITS_OWN_FILE} {fix}",
        )


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
