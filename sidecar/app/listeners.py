"""Listening sockets, opened once by the launcher and inherited by every child.

They stay open while children come and go, so a connection that is queued when a worker dies waits
for the next worker instead of being reset. A TCP address is reusable at once (SO_REUSEADDR); a Unix
path that nobody answers on is a leftover and is replaced, one that answers is somebody's.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import stat
import struct
from pathlib import Path
from typing import Final

from sidecar.config.addresses import LISTEN_FORMS, UNIX, parse_listen
from sidecar.errors import ConfigError

SOMAXCONN: Final = Path("/proc/sys/net/core/somaxconn")
# Group members may connect (containers of one pod share a group through fsGroup), others may not.
UNIX_MODE: Final = 0o660

_SO_ATTACH_FILTER: Final = 26  # asm-generic/socket.h; not in the socket module
# Classic BPF (networking/filter.rst in the kernel's documentation) as (code, true, false, k). A
# socket filter of TCP sees the segment from the TCP header on; byte 13 holds the flags (RFC 9293
# 3.1).
_DROP_SYN: Final = (
    (0x30, 0, 0, 13),  # ldb [13]
    (0x45, 0, 1, 0x02),  # jset #SYN, next, next but one
    (0x06, 0, 0, 0),  # ret #0: drop
    (0x06, 0, 0, 0xFFFFFFFF),  # ret #-1: keep
)

Address = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
"""What `socket.getaddrinfo` gives for IPv4 and IPv6 (and for a system without IPv6)."""


def open_listeners(address: str, *, path: str) -> list[socket.socket]:
    """Sockets that listen on `address` (`host:port` or `unix:/path`): one per resolved address.

    `path` names the configuration key in errors. Raises ConfigError when the address is wrong,
    taken or not ours to take.
    """
    try:
        wanted = parse_listen(address)
    except ValueError as error:
        raise ConfigError(f"expected {LISTEN_FORMS}, found {error}", path=path) from error
    if wanted.path:
        return [open_unix(Path(wanted.path), path=path)]
    try:
        found = socket.getaddrinfo(
            wanted.host,
            wanted.port,
            type=socket.SOCK_STREAM,
            proto=socket.IPPROTO_TCP,
            flags=socket.AI_PASSIVE,
        )
    except socket.gaierror as error:
        raise ConfigError(
            f"{wanted.host!r} is no address here: {error.strerror}", path=path
        ) from error
    opened: list[socket.socket] = []
    with contextlib.ExitStack() as undo:
        for family, _, _, _, target in found:
            listener = socket.socket(family, socket.SOCK_STREAM)
            undo.callback(listener.close)
            if _bind(listener, target, address=address, path=path, alternatives=bool(opened)):
                opened.append(listener)
        undo.pop_all()
    return opened


def open_unix(file: Path, *, path: str, mode: int = UNIX_MODE) -> socket.socket:
    """A listening Unix socket at `file`, with `mode` from its first moment on."""
    _remove_stale(file, path=path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode)
    try:
        listener.bind(str(file))
        listener.listen(backlog())
    except OSError as error:
        listener.close()
        raise ConfigError(f"cannot listen on {file}: {error}", path=path) from error
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def turn_newcomers_away(listener: socket.socket) -> None:
    """Let nobody new begin to connect; who has begun still can, and is queued.

    A listening socket that closes resets what is in its queue, and between the last `accept` and
    the close somebody may get in. So newcomers are stopped first, and the socket is closed a moment
    later. TCP: a filter drops SYNs (the client sends another after a second, and finds the port
    closed), but not the last ACK of a handshake. Unix: the path goes. The socket is shared, so this
    holds for every process that has it.
    """
    if listener.family == socket.AF_UNIX:
        with contextlib.suppress(OSError):
            Path(listener.getsockname()).unlink()
        return
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in _DROP_SYN)
    held = ctypes.create_string_buffer(program)
    # struct sock_fprog: the number of instructions, and where they are.
    head = struct.pack("@HP", len(_DROP_SYN), ctypes.addressof(held))
    with contextlib.suppress(OSError):  # then somebody may get in; see above
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, head)


def backlog() -> int:
    """As many queued connections as the system allows, so that a short pause refuses nobody."""
    try:
        return int(SOMAXCONN.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return socket.SOMAXCONN


def shown(listener: socket.socket) -> str:
    """The address a listener really has (a port 0 is resolved), as users write it."""
    if listener.family == socket.AF_UNIX:
        return f"{UNIX}{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if listener.family == socket.AF_INET6 else f"{host}:{port}"


def _bind(
    listener: socket.socket, target: Address, *, address: str, path: str, alternatives: bool
) -> bool:
    """Bind and listen; False when this one of several resolved addresses does not exist here."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.family == socket.AF_INET6 and target[0] != "::":
        # `localhost` resolves to both families, and each gets a socket of its own; `[::]` means
        # both.
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listener.bind(target)
        listener.listen(backlog())
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL and alternatives:
            return False
        raise ConfigError(_why_not(address, error), path=path) from error
    listener.setblocking(False)
    return True


def _why_not(address: str, error: OSError) -> str:
    port = address.rpartition(":")[2]
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"{address} is taken by another process: stop it (`ss -ltnp 'sport = :{port}'` "
                "names it) or choose another port"
            )
        case errno.EACCES:
            return (
                f"{address} needs a privilege this user lacks: choose a port above 1023, or grant "
                "CAP_NET_BIND_SERVICE"
            )
        case errno.EADDRNOTAVAIL:
            return f"{address} is not an address of this machine"
        case _:
            return f"cannot listen on {address}: {error.strerror}"


def _remove_stale(file: Path, *, path: str) -> None:
    try:
        kind = file.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"cannot listen on {file}: {error.strerror}", path=path) from error
    if not stat.S_ISSOCK(kind):
        raise ConfigError(f"{file} exists and is not a socket", path=path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(file))
        except ConnectionRefusedError:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot listen on {file}: {error.strerror}", path=path) from error
        else:
            raise ConfigError(f"{file} is in use: somebody answers there", path=path)
