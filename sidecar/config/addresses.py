"""Addresses as users write them: where the sidecar listens, and where models do.

Only their form is checked here; whether a name resolves or a port is free shows when it is used.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from msgspec import Struct

UNIX: Final = "unix:"
TCP_FORMS: Final = "`host:port` or `[ipv6]:port`"
LISTEN_FORMS: Final = "`host:port`, `[ipv6]:port` or `unix:/path`"
ENDPOINT_FORMS: Final = "`http://host:port`, `https://host:port` or `unix:/path`"

# sockaddr_un.sun_path holds 108 bytes, the last one NUL (unix(7)).
LONGEST_SOCKET_PATH_BYTES: Final = 107

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# Names of containers may hold `_`, which host names may not.
_HOST: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")


class Address(Struct, frozen=True, kw_only=True):
    """A TCP address (IPv6 without brackets), or a Unix socket when `path` is not empty."""

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it: loopback, or a Unix socket."""
        if self.path or self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where a model listens, and whether TLS is spoken there."""

    address: Address
    tls: bool = False


def parse_listen(text: str) -> Address:
    """Read a listen address; port 0 lets the system choose. Raises ValueError: what is wrong."""
    if text.startswith(UNIX):
        return _unix(text.removeprefix(UNIX))
    return _tcp(text, default_port=None, lowest_port=0)


def parse_endpoint(url: str) -> Endpoint:
    """Read the URL of a model. Raises ValueError: what is wrong; never quotes a password."""
    if url.startswith(UNIX):
        return Endpoint(address=_unix(url.removeprefix(UNIX)))
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _DEFAULT_PORTS:
        raise ValueError("no such scheme")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        raise ValueError("a user name or password")
    if authority != rest:
        raise ValueError("a path: requests keep their own")
    return Endpoint(
        address=_tcp(authority, default_port=_DEFAULT_PORTS[scheme], lowest_port=1),
        tls=scheme == "https",
    )


def _unix(path: str) -> Address:
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError("a path that does not begin with one `/`")
    if "\0" in path or len(path.encode()) > LONGEST_SOCKET_PATH_BYTES:
        raise ValueError(f"a path of more than {LONGEST_SOCKET_PATH_BYTES} bytes")
    return Address(path=path)


def _tcp(text: str, *, default_port: int | None, lowest_port: int) -> Address:
    host, port = _split_port(text)
    if port is None:
        if default_port is None:
            raise ValueError("no port")
        return Address(host=host, port=default_port)
    if not (port.isascii() and port.isdecimal() and lowest_port <= int(port) <= 65_535):
        raise ValueError(f"a port that is no number from {lowest_port} to 65535")
    return Address(host=host, port=int(port))


def _split_port(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        literal, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("no port after the brackets")
        try:
            ipaddress.IPv6Address(literal)
        except ValueError:
            raise ValueError("no IPv6 address between the brackets") from None
        return literal, rest[1:] if rest else None
    host, colon, port = text.partition(":")
    if ":" in port:
        raise ValueError("several colons; write IPv6 addresses in brackets")
    if not _HOST.fullmatch(host):
        raise ValueError("no host" if not host else "a host with characters no host has")
    return host, port if colon else None
