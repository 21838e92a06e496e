"""Where a receiver listens and what it wants to be shown: secrets, read when they are needed.

A file is read each time, so that a rotated secret counts at once. Nothing of it is ever part of a
message: an error names the file or variable, not what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from sidecar.config.alerting import ReceiverSettings


class DestinationUnknown(Exception):  # noqa: N818 - a state of the receiver, told in words
    """The URL or the token cannot be had now; says why."""


class Destination(Struct, frozen=True):
    """A URL and the header fields that go with it. Not for logs."""

    url: str
    headers: dict[str, str]

    def __repr__(self) -> str:
        return "Destination(...)"


def destination(settings: ReceiverSettings, environ: Mapping[str, str]) -> Destination:
    """Where to send now. Blocking (files). Raises DestinationUnknown."""
    url = settings.url or _secret("url", settings.url_file, settings.url_env, environ) or ""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        place = settings.url_file or settings.url_env or "`url`"
        raise DestinationUnknown(f"{place} holds no URL that begins with http:// or https://")
    token = _secret("token", settings.token_file, settings.token_env, environ)
    return Destination(url, {"Authorization": f"Bearer {token}"} if token else {})


def _secret(
    what: str, file: str | None, variable: str | None, environ: Mapping[str, str]
) -> str | None:
    if file is not None:
        try:
            text = Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise DestinationUnknown(f"{file} cannot be read: {error.strerror}") from None
        except ValueError:
            raise DestinationUnknown(f"{file} is not text") from None
    elif variable is not None:
        text = environ.get(variable, "").strip()
    else:
        return None
    # A line break inside would end the header field, or the request line.
    if not text or not text.isprintable():
        raise DestinationUnknown(f"{file or variable} holds no {what}")
    return text
