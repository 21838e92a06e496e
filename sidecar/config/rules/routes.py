"""Routes: names that exist, percentages that fit, one sticky key, and a chance to be reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sidecar.config.problems import Finding, Problem, Remark, did_you_mean
from sidecar.config.rules.durations import must_last
from sidecar.config.rules.fields import (
    examine_edits,
    examine_match_headers,
    examine_name,
    examine_read_field,
    is_host_pattern,
)
from sidecar.config.settings import ModelSettings, RouteSettings, Settings, Sticky
from sidecar.config.tables import build_match
from sidecar.routing import MODELS_MAX, SLOTS_PER_PERCENT, Match

# What a person sees sum to 100 is taken as 100: 33.4 + 33.3 + 33.3 is not, in binary.
_ROUNDING = 1e-6


def examine_routes(settings: Settings) -> Iterator[Finding]:
    """Findings about `routes`."""
    earlier: list[tuple[str, Match]] = []
    names: dict[str, str] = {}
    for index, route in enumerate(settings.routes):
        path = f"$.routes[{index}]"
        if route.name in names:
            yield Problem(
                path=f"{path}.name",
                expected="a name of its own",
                found=f"`{route.name}`, the name of {names[route.name]}",
            )
        names.setdefault(route.name, path)
        match = build_match(route.match)
        for other_path, other in earlier:
            if other.covers(match):
                yield Remark(
                    path=path,
                    text=f"never reached: {other_path} comes first and takes everything it would; "
                    "put the narrower route first",
                )
                break
        earlier.append((path, match))
        yield from _match(route, f"{path}.match")
        yield from _models(route, settings.models, path)
        yield from _percents(route, path)
        if route.sticky is not None:
            yield from _sticky(route.sticky, f"{path}.sticky")
        for number, shadow in enumerate(route.shadows):
            yield from must_last(shadow, f"{path}.shadows[{number}]")
            yield from examine_edits(shadow.headers, f"{path}.shadows[{number}].headers")


def _match(route: RouteSettings, path: str) -> Iterator[Finding]:
    host, prefix = route.match.host, route.match.path_prefix
    if host is not None and not is_host_pattern(host):
        yield Problem(
            path=f"{path}.host",
            expected="a host without port, such as `example.com` or `*.example.com`",
            found=f'"{host}"',
        )
    if any(not "!" <= character <= "~" or character in "?#" for character in prefix):
        yield Problem(
            path=f"{path}.path_prefix",
            expected="a path as it is sent: ASCII, percent-encoded, without query",
            found=f'"{prefix}"',
        )
    yield from examine_match_headers(route.match.headers, f"{path}.headers")


def _models(
    route: RouteSettings, models: Mapping[str, ModelSettings], path: str
) -> Iterator[Finding]:
    canaries = [(f"{path}.canaries[{i}].model", c.model) for i, c in enumerate(route.canaries)]
    shadows = [(f"{path}.shadows[{i}].model", s.model) for i, s in enumerate(route.shadows)]
    for place, model in [(f"{path}.primary", route.primary), *canaries, *shadows]:
        if model not in models:
            yield Problem(
                path=place,
                expected="a model of `models`",
                found=f"`{model}`",
                fix=did_you_mean(model, models),
            )
    yield from _each_once([(f"{path}.primary", route.primary), *canaries])
    yield from _each_once(shadows)
    if len(canaries) >= MODELS_MAX:
        yield Problem(
            path=f"{path}.canaries", expected=f"fewer than {MODELS_MAX}", found=str(len(canaries))
        )


def _each_once(named: list[tuple[str, str]]) -> Iterator[Finding]:
    """Two canaries, or two shadows, of one model would share their numbers."""
    seen: dict[str, str] = {}
    for place, model in named:
        if model in seen:
            yield Problem(
                path=place, expected="a model of its own", found=f"`{model}`, as in {seen[model]}"
            )
        seen.setdefault(model, place)


def _percents(route: RouteSettings, path: str) -> Iterator[Finding]:
    total = sum(canary.percent for canary in route.canaries)
    if total > 100 + _ROUNDING:
        yield Problem(
            path=f"{path}.canaries",
            expected="percentages that sum to at most 100",
            found=f"{total:g}",
        )
    for index, canary in enumerate(route.canaries):
        if 0 < canary.percent * SLOTS_PER_PERCENT < 1 - _ROUNDING:
            yield Remark(
                path=f"{path}.canaries[{index}].percent",
                text=f"{canary.percent:g} % is less than one slot of 0.01 %: it gets no request",
            )


def _sticky(sticky: Sticky, path: str) -> Iterator[Finding]:
    given = [
        name
        for name, value in (
            ("header", sticky.header is not None),
            ("cookie", sticky.cookie is not None),
            ("client_address", sticky.client_address),
        )
        if value
    ]
    if len(given) != 1:
        yield Problem(
            path=path,
            expected="exactly one of `header`, `cookie` and `client_address: true`",
            found=" and ".join(f"`{name}`" for name in given) or "none",
        )
    if sticky.header is not None:
        yield from examine_read_field(sticky.header, f"{path}.header")
    if sticky.cookie is not None:
        yield from examine_name(sticky.cookie, f"{path}.cookie")
