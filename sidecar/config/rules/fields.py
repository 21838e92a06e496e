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

# RFC 9110 7.6.1: these speak about one connection and end at the proxy; and only the sidecar itself
# may say that a request is a shadow's.
_ENDS_HERE: Final = frozenset(
    {
        "connection",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-sidecar-shadow",
    }
)
_OWNED: Final = _ENDS_HERE | {"content-length", "expect"}


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


def examine_read_field(name: str, path: str) -> Iterator[Finding]:
    """Findings about the name of a request field that routing is to read."""
    yield from examine_name(name, path)
    if name.lower() in _ENDS_HERE:
        yield Problem(
            path=path,
            expected="a field of the request, not of the connection",
            found=f"`{name}`",
        )


def examine_match_headers(headers: Mapping[str, str], path: str) -> Iterator[Finding]:
    """Findings about fields that a route matches."""
    yield from _unique_names_and_values(headers, path)
    for name in headers:
        yield from examine_read_field(name, child(path, name))
        if name.lower() == "host":
            yield Problem(
                path=child(path, name),
                expected="a field other than Host",
                found="Host",
                fix="use `match.host`",
            )


def examine_edits(edits: HeaderEdits, path: str) -> Iterator[Finding]:
    """Findings about the edits for a shadow."""
    yield from examine_set_fields(edits.set, f"{path}.set")
    removed = set()
    for index, name in enumerate(edits.remove):
        yield from examine_name(name, f"{path}.remove[{index}]")
        yield from _not_owned(name, f"{path}.remove[{index}]")
        removed.add(name.lower())
    for name in edits.set:
        if name.lower() in removed:
            yield Problem(
                path=child(f"{path}.set", name),
                expected="a field that stays",
                found="one in `remove`",
            )


def examine_set_fields(fields: Mapping[str, str], path: str) -> Iterator[Finding]:
    """Findings about fields that requests of ours carry."""
    yield from _unique_names_and_values(fields, path)
    for name in fields:
        yield from examine_name(name, child(path, name))
        yield from _not_owned(name, child(path, name))


def _not_owned(name: str, path: str) -> Iterator[Finding]:
    if name.lower() in _OWNED:
        yield Problem(path=path, expected="a field that is not the proxy's own", found=f"`{name}`")


def _unique_names_and_values(headers: Mapping[str, str], path: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for name, value in headers.items():
        place = child(path, name)
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
