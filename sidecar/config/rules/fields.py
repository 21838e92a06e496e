"""Header fields in the configuration: valid names and values, and none that HTTP framing owns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from sidecar.config.problems import Finding, Problem, child, shown
from sidecar.config.settings import HeaderEdits

# RFC 9110 5.6.2 (token), which cookie names are as well (RFC 6265 4.1.1).
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 9110 5.5: visible characters, with spaces and tabs only between them.
_VALUE: Final = re.compile(r"[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?")
_HOST: Final = re.compile(
    r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\]"
)

# What delimits messages and manages the connection is the proxy's (RFC 9110 7.6.1), and the marker
# tells a shadow what it is.
_OWNED: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-sidecar-shadow",
    }
)


def is_host_pattern(text: str) -> bool:
    """Whether a text is a host, or `*.` and a host; without port and root dot."""
    return _HOST.fullmatch(text) is not None


def examine_name(name: str, path: str) -> Iterator[Finding]:
    """Findings about the name of a field or cookie."""
    if not _TOKEN.fullmatch(name):
        yield Problem(
            path=path,
            expected="a name of letters, digits and `-` (an RFC 9110 token)",
            found=shown(name),
        )


def examine_match_headers(headers: Mapping[str, str], path: str) -> Iterator[Finding]:
    """Findings about fields that a route matches."""
    yield from _names_and_values(headers, path)
    for name in headers:
        if name.lower() == "host":
            yield Problem(
                path=child(path, name),
                expected="a field other than Host",
                found="Host",
                fix="use `match.host`",
            )


def examine_edits(edits: HeaderEdits, path: str) -> Iterator[Finding]:
    """Findings about the edits for a shadow."""
    yield from _names_and_values(edits.set, f"{path}.set")
    removed = set()
    for index, name in enumerate(edits.remove):
        yield from examine_name(name, f"{path}.remove[{index}]")
        removed.add(name.lower())
    named = [(child(f"{path}.set", name), name) for name in edits.set]
    named += [(f"{path}.remove[{index}]", name) for index, name in enumerate(edits.remove)]
    for place, name in named:
        if name.lower() in _OWNED:
            yield Problem(
                path=place, expected="a field that is not the proxy's own", found=f"`{name}`"
            )
    for name in edits.set:
        if name.lower() in removed:
            yield Problem(
                path=child(f"{path}.set", name),
                expected="a field that stays",
                found="one in `remove`",
            )


def _names_and_values(headers: Mapping[str, str], path: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for name, value in headers.items():
        place = child(path, name)
        yield from examine_name(name, place)
        if name.lower() in seen:
            yield Problem(path=place, expected="each field once", found="it again, in another case")
        seen.add(name.lower())
        if not _VALUE.fullmatch(value):
            # The value may be a secret: it is not quoted.
            yield Problem(
                path=place,
                expected="a value without line breaks, controls and outer spaces",
                found="one with them" if value else "an empty one",
            )
