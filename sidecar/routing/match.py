"""Which requests a route takes: host, path prefix and exact header fields; all must hold."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

WILDCARD = "*."


class Match(Struct, frozen=True, kw_only=True):
    """The conditions of one route. The defaults take every request.

    `host` is lower case, without port; with a leading `*.` it takes every subdomain (not the domain
    itself). `path_prefix` is compared byte by byte with the target's path; `/` takes every target,
    `*` and `host:port` (OPTIONS, CONNECT) too. `headers` holds lower-case names and exact values.
    """

    host: str | None = None
    path_prefix: bytes = b"/"
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def takes_all(self) -> bool:
        """Whether no request can fail to match."""
        return self.host is None and self.path_prefix == b"/" and not self.headers

    def takes(self, host: str | None, path: bytes, watched: Mapping[bytes, bytes] | None) -> bool:
        """Whether a request to `host` (as `host_name` gives it) and `path` matches."""
        if self.path_prefix != b"/" and not path.startswith(self.path_prefix):
            return False
        if self.host is not None and not (host is not None and _host_takes(self.host, host)):
            return False
        if not self.headers:
            return True
        fields = watched or {}
        return all(fields.get(name) == value for name, value in self.headers)

    def covers(self, other: Match) -> bool:
        """Whether every request that `other` takes is taken by this one as well."""
        return (
            (self.path_prefix == b"/" or other.path_prefix.startswith(self.path_prefix))
            and (
                self.host is None or (other.host is not None and _host_takes(self.host, other.host))
            )
            and set(self.headers) <= set(other.headers)
        )


def host_name(field: bytes | None) -> str | None:
    """The host that a Host field value names: lower case, without port and root dot.

    `None` when there is no host (RFC 9112 3.2: the value may be empty). An IPv6 literal keeps its
    brackets. The value has been validated as a field value, so Latin-1 always decodes it.
    """
    if not field:
        return None
    text = field.decode("latin-1").lower()
    if text.startswith("["):
        return text.partition("]")[0] + "]"
    return text.partition(":")[0].removesuffix(".") or None


def _host_takes(pattern: str, host: str) -> bool:
    """Whether the pattern takes the host; a host that is a pattern stands for all that it takes."""
    if pattern.startswith(WILDCARD):
        return host.endswith(pattern[1:])
    return host == pattern
