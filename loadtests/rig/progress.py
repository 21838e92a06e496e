"""Telling whoever waits how far it is: on stderr, because results go to stdout."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """One line, at once."""
    print(text, file=sys.stderr, flush=True)
