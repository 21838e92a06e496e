"""What is recorded: a journal that has room, models that are on their route, secrets that can be
found and hashed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from sidecar.config.problems import (
    Finding,
    Problem,
    Remark,
    Severity,
    child,
    did_you_mean,
    shown,
)
from sidecar.config.recording import CaptureSettings, JournalSettings, RedactSettings
from sidecar.config.rules.durations import must_last
from sidecar.config.rules.fields import examine_name
from sidecar.config.rules.secrets import given, one_of, variables_have_names
from sidecar.config.settings import RouteSettings, Settings
from sidecar.config.units import Size, format_duration, format_size
from sidecar.payload import Source
from sidecar.payload.pointer import Pointer
from sidecar.records.naming import SECRET_HEADERS
from sidecar.records.redaction import LONGEST_PARSED_BYTES

SMALLEST_SEGMENT: Final = Size(4096)
FEWEST_SEGMENTS: Final = 4
"""Of a worker's share of the journal: it may exceed that by a quarter until the controller has
pruned (`sidecar.journal.limits`), and it exceeds it by the segment that is being written."""

LARGEST_QUEUE: Final = Size(64 * 1024 * 1024)
"""As large as a record may be; a disk that is slower for longer does not catch up."""


def examine_recording(settings: Settings) -> Iterator[Finding]:
    """Findings about `journal`, `redact`, `dead_letters` and what routes capture."""
    yield from _journal(settings.journal, settings.workers)
    yield from _redact(settings.redact)
    yield from must_last(settings.dead_letters, "$.dead_letters")
    for index, route in enumerate(settings.routes):
        yield from _capture(route, settings, f"$.routes[{index}].capture")
        yield from _segments(route, settings.redact, f"$.routes[{index}].segments")
    yield from _room(settings)
    yield from _effect(settings)


def _journal(journal: JournalSettings, workers: int) -> Iterator[Finding]:
    path = "$.journal"
    yield from must_last(journal, path)
    if journal.segment < SMALLEST_SEGMENT:
        yield _less(f"{path}.segment", SMALLEST_SEGMENT, journal.segment)
    if journal.queue > LARGEST_QUEUE:
        yield Problem(
            path=f"{path}.queue",
            expected=f"at most {format_size(LARGEST_QUEUE)}",
            found=format_size(journal.queue),
        )
    least = Size(FEWEST_SEGMENTS * journal.segment * workers)
    if journal.enabled and journal.retain < least:
        each = "" if workers == 1 else f" for each of {workers} workers"
        largest = Size(max(journal.retain // (FEWEST_SEGMENTS * workers), SMALLEST_SEGMENT))
        yield Problem(
            path=f"{path}.retain",
            expected=f"at least {format_size(least)}, {FEWEST_SEGMENTS} times "
            f"`journal.segment`{each}",
            found=format_size(journal.retain),
            fix=f"or a `segment` of at most {format_size(largest)}",
        )


def _redact(redact: RedactSettings) -> Iterator[Finding]:
    path = "$.redact"
    for index, name in enumerate(redact.headers):
        yield from examine_name(name, f"{path}.headers[{index}]")
    for index, rule in enumerate(redact.pointers):
        try:
            Pointer.parse(rule.pointer)
        except ValueError as error:
            yield Problem(
                path=f"{path}.pointers[{index}].pointer",
                expected="a JSON Pointer (RFC 6901)",
                found=shown(rule.pointer),
                fix=str(error),
            )
    for index, column in enumerate(redact.columns):
        if not column.name:
            yield _empty(f"{path}.columns[{index}].name")
    for index, name in enumerate(redact.query):
        if not name:
            yield _empty(f"{path}.query[{index}]")
    yield from _each_once((rule.pointer for rule in redact.pointers), f"{path}.pointers", "pointer")
    yield from _each_once((rule.name for rule in redact.columns), f"{path}.columns", "name")
    yield from variables_have_names(redact, path)
    yield from one_of(redact, path, "key_file", "key_env", needed=redact.rules.needs_key)
    if given(redact, "key_file", "key_env") and not redact.rules.needs_key:
        yield Remark(path=path, text="no effect of the key: nothing is hashed")


def _capture(route: RouteSettings, settings: Settings, path: str) -> Iterator[Finding]:
    capture: CaptureSettings = route.capture
    on_route = {
        route.primary,
        *(canary.model for canary in route.canaries),
        *(shadow.model for shadow in route.shadows),
    }
    for model in capture.models:
        if model not in on_route:
            yield Problem(
                path=child(f"{path}.models", model),
                expected="a model of the route",
                found=f"`{model}`",
                fix=did_you_mean(model, sorted(on_route)),
            )
    secret = {name.lower() for name in settings.redact.headers}
    for index, name in enumerate(capture.headers):
        yield from examine_name(name, f"{path}.headers[{index}]")
        if name.lower() in SECRET_HEADERS and name.lower() not in secret:
            yield Remark(
                path=f"{path}.headers[{index}]",
                text=f"`{name}` usually holds credentials, and `redact.headers` does not name it",
            )


def _segments(route: RouteSettings, redact: RedactSettings, path: str) -> Iterator[Finding]:
    """Segments are labels of metrics: what is secret cannot be one."""
    for index, segment in enumerate(route.segments):
        by = _secret_source(segment.source, redact)
        if by is not None:
            yield Problem(
                path=f"{path}[{index}].from",
                expected="a source that is no secret: segments appear in metrics",
                found=f"one that {by} names",
            )


def _secret_source(source: Source, redact: RedactSettings) -> str | None:
    if source.header is not None:
        # Of those that everybody keeps secret, `sidecar.config.rules.payloads` says so already.
        names = {name.lower() for name in redact.headers} - {*SECRET_HEADERS}
        return "`redact.headers`" if source.header.lower() in names else None
    if source.feature is not None:
        columns = {rule.name for rule in redact.columns}
        return "`redact.columns`" if source.feature in columns else None
    pointers = {rule.pointer for rule in redact.pointers}
    return "`redact.pointers`" if source.pointer in pointers else None


def _room(settings: Settings) -> Iterator[Finding]:
    largest = settings.dead_letters.full_body + max(
        route.capture.max_body for route in settings.routes
    )
    if settings.journal.queue < largest:
        yield Remark(
            path="$.journal.queue",
            text=f"less than one record can need ({format_size(largest)}: "
            "`dead_letters.full_body` and `capture.max_body`); such records are dropped",
        )
    reads_bodies = settings.redact.pointers or settings.redact.columns
    if reads_bodies and settings.dead_letters.full_body > LONGEST_PARSED_BYTES:
        yield Remark(
            path="$.dead_letters.full_body",
            text=f"bodies of more than {format_size(LONGEST_PARSED_BYTES)} are not parsed, and "
            "under `redact.pointers` or `redact.columns` not kept at all",
        )


def _effect(settings: Settings) -> Iterator[Finding]:
    if settings.journal.enabled:
        yield from _destination(settings)
        return
    if settings.sinks:
        yield Remark(path="$.sinks", text="no effect: `journal.enabled` is false")
    for index, route in enumerate(settings.routes):
        if route.capture != CaptureSettings():
            yield Remark(
                path=f"$.routes[{index}].capture",
                text="no effect: `journal.enabled` is false",
            )


def _destination(settings: Settings) -> Iterator[Finding]:
    if settings.sinks:
        return
    kept_for = format_duration(settings.journal.retain_age)
    for index, route in enumerate(settings.routes):
        if route.capture.bodies or route.capture.models:
            yield Remark(
                path=f"$.routes[{index}].capture",
                text=f"there is no sink: bodies stay in the journal, for {kept_for}",
                severity=Severity.NOTE,
            )


def _each_once(names: Iterable[str], path: str, key: str) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in seen:
            yield Problem(
                path=f"{path}[{index}].{key}",
                expected=f"each {key} once",
                found=f"that of {path}[{seen[name]}]",
            )
        seen.setdefault(name, index)


def _empty(path: str) -> Problem:
    return Problem(path=path, expected="a name", found="an empty text")


def _less(path: str, least: int, found: int) -> Problem:
    return Problem(path=path, expected=f"at least {format_size(least)}", found=format_size(found))
