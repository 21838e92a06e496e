"""How the admin API reads and answers: JSON, errors in the form that the data plane uses too."""

from __future__ import annotations

import logging
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import Struct

from sidecar.config.problems import InvalidConfig
from sidecar.errors import ClientError, SidecarError

log: Final = logging.getLogger("sidecar.admin")

B = TypeVar("B", bound=Struct)


async def body_of(request: web.Request, kind: type[B]) -> B:
    """The JSON body of a call. Raises ClientError (422) that says what is wrong with it."""
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError as error:
        raise ClientError(str(error), status=422, code="bad_body") from error


def answer(data: object, *, status: int = 200) -> web.Response:
    """`data` as JSON."""
    return web.Response(
        body=msgspec.json.encode(data),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def refusal(error: SidecarError) -> web.Response:
    """`{"error": {"code", "message"}}`; of a refused configuration, with every problem."""
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if isinstance(error, InvalidConfig):
        body["problems"] = [str(problem) for problem in error.problems]
    response = answer({"error": body}, status=error.status)
    response.headers["X-Sidecar-Error"] = error.code
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="sidecar"'  # RFC 9110 15.5.2
    return response


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The one place where errors become responses."""
    try:
        return await handler(request)
    except SidecarError as error:
        return refusal(error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code = (error.reason or "error").lower().replace(" ", "_")
        response = answer({"error": {"code": code, "message": error.reason}}, status=error.status)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception:
        log.exception("an admin call failed", extra={"path": request.path})
        return answer(
            {"error": {"code": "internal", "message": "see the sidecar's log"}}, status=500
        )
