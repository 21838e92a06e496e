"""Calls the admin API of a running sidecar, and says in words what went wrong and what helps.

Built on `http.client`: a command that asks one question must not load a web framework for it.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from sidecar.errors import ConfigError, SidecarError

DEFAULT_ADDRESS: Final = "127.0.0.1:9090"
# A change waits up to 2 s for workers, a reload reads files, a slow disk takes its time.
Json = Any
"""A decoded answer: its form is described in docs/operations.md."""

TIMEOUT_S: Final = 15.0
PART_BYTES: Final = 64 * 1024
WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Unreachable(SidecarError):  # noqa: N818 - reads as the SidecarError that it is
    """No sidecar answers at the admin address."""

    status = 503
    code = "unreachable"


class Refused(SidecarError):  # noqa: N818 - reads as the SidecarError that it is
    """The sidecar answered with an error; `data` is its whole answer."""

    def __init__(self, message: str, *, status: int, code: str, data: Json) -> None:
        super().__init__(message, status=status, code=code)
        self.data = data


@dataclass(frozen=True, slots=True)
class AdminClient:
    """Where the admin API is, and the file of the token that changing calls need."""

    host: str
    port: int
    token_file: Path | None = None

    @classmethod
    def at(cls, address: str, token_file: Path | None = None) -> AdminClient:
        """A client for `host:port` or `http://host:port`. Raises ConfigError for anything else."""
        try:
            parts = urlsplit(address if "//" in address else f"//{address}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if not host or not port or parts.scheme not in {"", "http"} or parts.path.strip("/"):
            raise ConfigError(f"expected `host:port`, got {address!r}", path="--admin")
        return cls(WILDCARDS.get(host, host), port, token_file)

    def get(self, path: str, *, with_token: bool = False) -> Json:
        """The data of a reading call; those that show payloads need the token.

        Raises Unreachable and Refused.
        """
        return self._call("GET", path, with_token=with_token)

    def lines(self, path: str) -> Iterator[bytes]:
        """The lines of an export, as they come, with the token.

        Raises Unreachable, also half way when the export breaks off, and Refused.
        """
        with self._answer("GET", path, None, with_token=True) as response:
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise self._refusal(response.status, self._decoded(self._content(response)))
            rest = b""
            while part := self._part(response):
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    yield line + b"\n"
            if rest:
                raise Unreachable("The export ends inside a line; see the sidecar's log")

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Json:
        """The data of a changing call. Raises Unreachable and Refused."""
        return self._call("POST", path, body)

    def delete(self, path: str, query: Mapping[str, str]) -> Json:
        """The data of a resetting call. Raises Unreachable and Refused."""
        return self._call("DELETE", f"{path}?{urlencode(query)}" if query else path)

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        with_token: bool = True,
    ) -> Json:
        with self._answer(method, path, body, with_token=with_token) as response:
            data = self._decoded(self._content(response))
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise self._refusal(response.status, data)
            return data

    @contextmanager
    def _answer(
        self, method: str, path: str, body: Mapping[str, object] | None, *, with_token: bool
    ) -> Iterator[http.client.HTTPResponse]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if with_token and self.token_file is not None:
            headers["Authorization"] = f"Bearer {_token(self.token_file)}"
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        try:
            try:
                connection.request(
                    method, path, body=None if body is None else json.dumps(body), headers=headers
                )
                response = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(self._why_not(error)) from error
            yield response
        finally:
            connection.close()

    def _content(self, response: http.client.HTTPResponse) -> bytes:
        try:
            return response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(self._why_not(error)) from error

    def _part(self, response: http.client.HTTPResponse) -> bytes:
        """Some more of an answer. `readline` would take one that broke off for whole."""
        try:
            return response.read1(PART_BYTES)
        except http.client.IncompleteRead as error:
            raise Unreachable("The export broke off; see the sidecar's log") from error
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(self._why_not(error)) from error

    def _decoded(self, content: bytes) -> Json:
        try:
            return json.loads(content)
        except ValueError as error:
            raise Unreachable(
                f"What answers at {self._shown} is no sidecar's admin API; give its address with "
                "--admin, or the configuration with -c"
            ) from error

    def _refusal(self, status: int, data: Json) -> Refused:
        return _refusal(status, data, with_token=self.token_file is not None)

    @property
    def _shown(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def _why_not(self, error: Exception) -> str:
        if isinstance(error, ConnectionRefusedError):
            return (
                f"No sidecar listens on {self._shown}: start one (`sidecar run -c FILE`), or say "
                "where it is with --admin or -c"
            )
        if isinstance(error, TimeoutError):
            return f"The sidecar at {self._shown} did not answer within {TIMEOUT_S:g} s"
        return f"The sidecar at {self._shown} cannot be asked: {error}"


def _refusal(status: int, data: Json, *, with_token: bool) -> Refused:
    error = data.get("error", {}) if isinstance(data, dict) else {}
    message = "\n  ".join(
        error.get("problems") or [error.get("message") or HTTPStatus(status).phrase]
    )
    if status == HTTPStatus.UNAUTHORIZED:
        message = (
            "The token is not the one this sidecar wants"
            if with_token
            else "This sidecar wants a token for this: give its file with --token-file, or the "
            "configuration with -c"
        )
    return Refused(message, status=status, code=str(error.get("code", "")), data=data)


def _token(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {error}", path="--token-file") from error
