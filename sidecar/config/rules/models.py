"""Models: reachable in form, patient for some time, and asked by some route."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.config.addresses import ENDPOINT_FORMS, Endpoint, parse_endpoint
from sidecar.config.problems import Finding, Problem, Remark, child
from sidecar.config.rules.durations import must_last
from sidecar.config.settings import ModelSettings, Settings, UpstreamTls

# Common model servers (uvicorn and those built on it) close idle connections after 5 s.
_SERVERS_CLOSE_IDLE_S = 5.0


def examine_models(settings: Settings) -> Iterator[Finding]:
    """Findings about `models`."""
    asked = {
        name
        for route in settings.routes
        for name in (
            route.primary,
            *(canary.model for canary in route.canaries),
            *(shadow.model for shadow in route.shadows),
        )
    }
    for name, model in settings.models.items():
        path = child("$.models", name)
        if name not in asked:
            yield Remark(path=path, text="no route names this model")
        endpoints: list[Endpoint] = []
        yield from _endpoints(model, path, endpoints)
        yield from _tls(model.tls, f"{path}.tls", endpoints)
        yield from must_last(model.timeouts, f"{path}.timeouts")
        if model.pool.idle_timeout >= _SERVERS_CLOSE_IDLE_S:
            yield Remark(
                path=f"{path}.pool.idle_timeout",
                text="many model servers close idle connections after 5 s; a request that meets "
                "the close gets 502 unless it may be retried",
            )


def _endpoints(model: ModelSettings, path: str, valid: list[Endpoint]) -> Iterator[Finding]:
    """Findings about the URLs; those that are valid are added to `valid`."""
    named = [(f"{path}.urls[{index}]", url) for index, url in enumerate(model.urls)]
    if model.url is not None:
        named.insert(0, (f"{path}.url", model.url))
    if not named:
        yield Problem(path=path, expected="`url` or `urls`", found="neither")
    for place, url in named:
        try:
            endpoint = parse_endpoint(url)
        except ValueError as error:
            yield Problem(path=place, expected=ENDPOINT_FORMS, found=str(error))
            continue
        if endpoint in valid:
            yield Problem(path=place, expected="each endpoint once", found=f'"{url}" again')
        valid.append(endpoint)


def _tls(tls: UpstreamTls, path: str, endpoints: list[Endpoint]) -> Iterator[Finding]:
    if (tls.cert_file is None) != (tls.key_file is None):
        present, absent = ("cert_file", "key_file") if tls.cert_file else ("key_file", "cert_file")
        yield Problem(
            path=f"{path}.{absent}",
            expected=f"the file that belongs to `{present}`",
            found="nothing",
        )
    if tls != UpstreamTls() and not any(endpoint.tls for endpoint in endpoints):
        yield Remark(path=path, text="no effect: no URL of this model begins with `https`")
    if not tls.verify:
        yield Remark(
            path=f"{path}.verify", text="whoever answers there is believed to be the model"
        )
