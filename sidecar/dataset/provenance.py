"""What a baseline is made with: versions of libraries, and the machine. Blocking."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from sidecar.baseline.records import Provenance

_LIBRARIES: Final = ("model-sidecar", "numpy", "msgspec", "orjson", "pyarrow")


def provenance(created: str | None = None) -> Provenance:
    """Of this process. The same for every call on one machine: a time is written only if given."""
    libraries = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:  # an extra, or a checkout that is not installed
            continue
    hardware = {
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cores": str(os.cpu_count() or ""),
        "memory_gib": _memory(),
    }
    return Provenance(
        created=created,
        libraries=libraries,
        hardware={name: value for name, value in hardware.items() if value},
    )


def _cpu() -> str:
    """The name of the processor, as Linux tells it; empty when it does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def _memory() -> str:
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return ""
    return f"{pages * size / 1024**3:.1f}"
