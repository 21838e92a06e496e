"""HTTP/1.1 messages as bytes, for tests that do not care how they are spelled."""

from __future__ import annotations


def get(target: str = "/", *, fields: str = "", version: str = "1.1") -> bytes:
    """A GET. `fields` are whole field lines, each with its CRLF."""
    return f"GET {target} HTTP/{version}\r\nHost: model\r\n{fields}\r\n".encode()


def post(
    body: bytes = b"{}", target: str = "/", *, fields: str = "", announced: int | None = None
) -> bytes:
    """A POST with a Content-Length: that of the body, or the `announced` one."""
    length = len(body) if announced is None else announced
    head = f"POST {target} HTTP/1.1\r\nHost: model\r\nContent-Length: {length}\r\n{fields}\r\n"
    return head.encode() + body


def ok(body: bytes = b"ok", *, fields: str = "", announced: int | None = None) -> bytes:
    """A 200 with a Content-Length: that of the body, or the `announced` one."""
    length = len(body) if announced is None else announced
    return f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{fields}\r\n".encode() + body


def ok_chunked(*chunks: bytes, last: bool = True) -> bytes:
    """A 200 in chunks; without the `last` one it is incomplete."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    end = b"0\r\n\r\n" if last else b""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed + end
