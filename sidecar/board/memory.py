"""The board's memory: anonymous, shared by everyone forked after it, and really there.

A sparse file on a full file system answers a write with SIGBUS, which nobody can catch, and memory
promised but absent ends in the OOM killer. So the whole size is asked for before it is mapped:
what cannot be had is refused at start, in words. Allocated pages that nobody writes or reads stay
out of every process's resident memory.

Must not know: what stands in it.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from sidecar.errors import LocalError


def allocate_shared(name: str, size_bytes: int) -> mmap.mmap:
    """Zeroed memory of `size_bytes`, shared with every process forked from this one.

    `name` shows in /proc/<pid>/maps. Raises LocalError when there is not as much.
    """
    available = available_bytes()
    if size_bytes > available:
        raise _refusal(name, size_bytes, f"only {available} are available")
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
        return mmap.mmap(descriptor, size_bytes, mmap.MAP_SHARED)  # holds a descriptor of its own
    except OSError as error:
        raise _refusal(name, size_bytes, os.strerror(error.errno or 0)) from error
    finally:
        os.close(descriptor)


def available_bytes(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Memory that can be had without swapping, by the machine and by our cgroup (v2) if it says.

    `posix_fallocate` of shared memory does not fail when memory runs out: the OOM killer comes.
    """
    meminfo = (proc / "meminfo").read_text().splitlines()
    limits = [int(line.split()[1]) * 1024 for line in meminfo if line.startswith("MemAvailable:")]
    try:
        most = (cgroup / "memory.max").read_text().strip()
        if most != "max":
            limits.append(int(most) - int((cgroup / "memory.current").read_text()))
    except OSError:
        pass  # no cgroup v2, or not ours to read
    return min(limits, default=2**63)


def _refusal(name: str, size_bytes: int, reason: str) -> LocalError:
    return LocalError(
        f"cannot allocate {size_bytes} bytes of shared memory for {name}: {reason}",
        code="no_memory",
    )
