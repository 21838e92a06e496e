"""Where whole files are put, by a key such as `date=2025-01-31/model=m/part-1.parquet`.

A file is there whole or not at all, and putting it again replaces it: on disk by a rename, in
object storage because a PUT is atomic.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from sidecar.config.sinks import S3Access
from sidecar.delivery.sink import Unavailable
from sidecar.delivery.sinks.credentials import secret
from sidecar.delivery.sinks.libraries import library
from sidecar.delivery.sinks.lines import Thread
from sidecar.disk import replace_file
from sidecar.errors import ConfigError

S3_SCHEME: Final = "s3"


class Place(Protocol):
    """Takes files."""

    async def open(self) -> None:
        """Make ready. Raises Unavailable."""

    async def put(self, key: str, content: bytes) -> None:
        """Have the file there, durably, when this returns. Raises Unavailable."""

    async def close(self) -> None:
        """Let go of everything."""


class LocalPlace:
    """A directory. The thread is that of the sink: one call at a time."""

    def __init__(self, directory: Path, thread: Thread) -> None:
        self._directory = directory
        self._thread = thread

    async def open(self) -> None:
        """Make the directory. Raises Unavailable."""
        await self._thread.call(lambda: self._make(self._directory))

    async def put(self, key: str, content: bytes) -> None:
        """Write beside it, flush, rename. Raises Unavailable."""
        await self._thread.call(lambda: self._replace(self._directory / key, content))

    async def close(self) -> None:
        """Nothing is held open."""

    def _make(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"{directory} cannot be made: {error.strerror}") from None

    def _replace(self, file: Path, content: bytes) -> None:
        self._make(file.parent)
        try:
            replace_file(file, content)
        except OSError as error:
            raise Unavailable(f"{file} cannot be written: {error.strerror}") from None


class S3Place:
    """A prefix in a bucket of S3, or of what speaks like it; through obstore.

    Credentials that the configuration does not name are found by obstore: in the environment
    (`AWS_...`), or from the identity of the pod or the machine.
    """

    def __init__(
        self, url: str, access: S3Access, *, timeout_s: float, environ: Mapping[str, str]
    ) -> None:
        self._obstore = library("obstore", "s3")
        self._errors = library("obstore.exceptions", "s3")
        self._stores = library("obstore.store", "s3")
        parts = urlsplit(url)
        if not parts.netloc:
            raise ConfigError(f"`{url}` names no bucket: s3://bucket/prefix", path="$.sinks")
        self._bucket = parts.netloc
        self._prefix = parts.path.strip("/")
        self._access = access
        self._timeout = timedelta(seconds=timeout_s)
        self._environ = environ
        self._store: Any = None

    async def open(self) -> None:
        """Make the client; nothing is asked yet. Raises Unavailable."""
        access, environ = self._access, self._environ
        options: dict[str, Any] = {
            "region": access.region,
            "endpoint": access.endpoint,
            "access_key_id": secret(
                "access key", access.access_key_id_file, access.access_key_id_env, environ
            ),
            "secret_access_key": secret(
                "secret key",
                access.secret_access_key_file,
                access.secret_access_key_env,
                environ,
            ),
        }
        self._store = self._stores.S3Store(
            self._bucket,
            prefix=self._prefix or None,
            client_options={
                "timeout": self._timeout,
                "allow_http": (access.endpoint or "").startswith("http://"),
            },
            # The pump tries again, and knows for how long.
            retry_config={"max_retries": 0, "retry_timeout": self._timeout},
            **{name: value for name, value in options.items() if value is not None},
        )

    async def put(self, key: str, content: bytes) -> None:
        """One PUT. Raises Unavailable."""
        try:
            await self._obstore.put_async(self._store, key, content, use_multipart=False)
        except (self._errors.PermissionDeniedError, self._errors.UnauthenticatedError):
            raise Unavailable("object storage refuses our credentials") from None
        except (self._errors.NotFoundError, FileNotFoundError):
            raise Unavailable(f"there is no bucket {self._bucket}") from None
        except (self._errors.BaseError, OSError) as error:
            # What the library says quotes URLs and answers at length.
            raise Unavailable(f"object storage did not take it: {type(error).__name__}") from None

    async def close(self) -> None:
        """Drop the client and its connections."""
        self._store = None


def is_s3(path: str) -> bool:
    """Whether a sink's `path` is a place in object storage."""
    return urlsplit(path).scheme == S3_SCHEME
