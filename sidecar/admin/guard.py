"""Who may change things through the admin API.

With `admin.token_file`, whoever shows the token. Without one (allowed on loopback only) any local
process; but not a web page in a local browser, which could otherwise post to loopback:

- a request whose `Origin` is not the address it was sent to comes from somebody else's page;
- a `Host` that is a name other than `localhost` may be a rebound DNS name, under which a page is
  its own origin;
- bodies must say `application/json`, which no HTML form can.

Reading is free: metrics, status and health hold no payloads and no secrets. Calls that do show what
clients sent are guarded like changes (`check_payloads`).
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sidecar.errors import ClientError, LocalError

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110 9.2.1

TokenSource = Callable[[], bytes | None]
"""Reads the token that is valid now (a mounted secret may change); None: none is configured."""


class Unauthorized(ClientError):  # noqa: N818 - reads as the ClientError that it is
    """The call needs the bearer token and did not show it."""

    status = 401
    code = "unauthorized"


class Forbidden(ClientError):  # noqa: N818 - reads as the ClientError that it is
    """The call comes from where changes must not come from."""

    status = 403
    code = "forbidden"


def guard_changes(token_source: TokenSource) -> Middleware:
    """Middleware that lets a changing call pass only under the rules above."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method not in SAFE_METHODS:
            check_change(request, _current(token_source))
        return await handler(request)

    return check


def check_payloads(request: web.BaseRequest, token_source: TokenSource) -> None:
    """As `check_change`, for calls that only read but show what clients sent."""
    check_change(request, _current(token_source))


def check_change(request: web.BaseRequest, token: bytes | None) -> None:
    """Raise Unauthorized, Forbidden or ClientError when this changing call is not allowed."""
    if token is not None:
        if not has_token(request.headers.get("Authorization", ""), token):
            raise Unauthorized("This call needs the header `Authorization: Bearer <admin token>`")
    else:
        host = request.headers.get("Host", "")
        if not is_local_name(host):
            raise Forbidden("Without an admin token, call by address or as localhost")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != host:
            raise Forbidden("Without an admin token, web pages of other origins may not do this")
    if request.can_read_body and request.content_type != "application/json":
        raise ClientError("The body must be application/json", status=415, code="not_json")


def has_token(authorization: str, token: bytes) -> bool:
    """Compare in constant time: how long it takes says nothing about how much of it is right."""
    scheme, _, shown = authorization.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(
        shown.strip().encode("utf-8", "surrogateescape"), token
    )


def is_local_name(host: str) -> bool:
    """True for `localhost` and IP literals, with or without a port: what DNS cannot rebind."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def _current(token_source: TokenSource) -> bytes | None:
    try:
        return token_source()
    except OSError as error:
        # Fail closed, and in words: a token that cannot be read is not the same as none.
        raise LocalError(
            "The admin token file cannot be read; changing calls are refused until it can",
            code="token_unreadable",
        ) from error
