"""Where clients and operators connect: valid addresses, each once, none open without a guard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sidecar.config.addresses import LISTEN_FORMS, TCP_FORMS, Address, parse_listen
from sidecar.config.problems import Finding, Problem, Remark
from sidecar.config.settings import Settings

_ADMIN: Final = "$.admin.listen"


def examine_listeners(settings: Settings) -> Iterator[Finding]:
    """Findings about `listen`, `admin` and `tls`."""
    if not settings.listeners:
        yield Problem(path="$.listen", expected="at least one address", found="an empty list")
    taken: dict[Address, str] = {}
    for path, text in _named_addresses(settings):
        try:
            address = parse_listen(text)
        except ValueError as error:
            yield Problem(path=path, expected=LISTEN_FORMS, found=f'"{text}": {error}')
            continue
        if address in taken:
            yield Problem(
                path=path, expected="an address of its own", found=f"that of {taken[address]}"
            )
        if address.path or address.port:  # with port 0 the system gives each its own
            taken.setdefault(address, path)
        if path == _ADMIN:
            yield from _admin_guard(settings, address)
    yield from _idle_tls(settings)


def _named_addresses(settings: Settings) -> Iterator[tuple[str, str]]:
    if isinstance(settings.listen, str):
        yield "$.listen", settings.listen
    else:
        for index, text in enumerate(settings.listen):
            yield f"$.listen[{index}]", text
    yield _ADMIN, settings.admin.listen


def _admin_guard(settings: Settings, address: Address) -> Iterator[Finding]:
    if address.path:
        yield Problem(path=_ADMIN, expected=TCP_FORMS, found=f'"{settings.admin.listen}"')
    elif not address.is_local and settings.admin.token_file is None:
        yield Problem(
            path=_ADMIN,
            expected="a loopback address, or `admin.token_file` beside it",
            found=f'"{settings.admin.listen}", which others can reach, and no token',
            fix="name a file with a token, or listen on 127.0.0.1",
        )


def _idle_tls(settings: Settings) -> Iterator[Finding]:
    if settings.tls is not None and all(text.startswith("unix:") for text in settings.listeners):
        yield Remark(path="$.tls", text="no effect: every listener is a Unix socket")
