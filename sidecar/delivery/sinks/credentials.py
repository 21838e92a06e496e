"""Who we are to a sink, and whom we trust: secrets and TLS, read when a connection is made.

A file is read each time, so that a rotated secret or certificate counts at the next connection.
What is in it is never part of a message: an error names the file or the variable. A file that
cannot be used now may be there later (a mount, a rotation), so that is `Unavailable`, not an end.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from sidecar.config.sinks import ClientTls
from sidecar.delivery.sink import Unavailable


def secret(
    what: str, file: str | None, variable: str | None, environ: Mapping[str, str]
) -> str | None:
    """The secret in a file or a variable, None when neither is named. Blocking (a small file).

    Raises Unavailable when there is none to be had: it is missing, empty, or not one line of text.
    """
    if file is not None:
        try:
            text = Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Unavailable(f"{file} cannot be read: {error.strerror}") from None
        except ValueError:
            raise Unavailable(f"{file} is not text") from None
    elif variable is not None:
        text = environ.get(variable, "").strip()
    else:
        return None
    # A line break inside would end a header field or a line of a protocol.
    if not text or not text.isprintable():
        raise Unavailable(f"{file or variable} holds no {what}")
    return text


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """The TLS context towards a sink. Blocking (files). Raises Unavailable."""
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file is not None:
            # A passphrase that is given, though empty, keeps OpenSSL from asking on the terminal.
            context.load_cert_chain(tls.cert_file, tls.key_file, password="")
    except OSError as error:  # ssl.SSLError is one
        named = ", ".join(file for file in (tls.ca_file, tls.cert_file, tls.key_file) if file)
        why = error.strerror or type(error).__name__
        raise Unavailable(f"TLS cannot be set up with {named}: {why}") from None
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
