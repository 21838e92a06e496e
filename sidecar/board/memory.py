"""The board's memory: anonymous, shared by everyone forked after it, and really there.

A sparse file on a full file system answers a write with SIGBUS, which nobody can catch. So the whole
size is allocated before anything is mapped (`posix_fallocate`): what cannot be had is refused at start,
in words. Nothing is written to the pages then, so only what is used becomes resident.

Must not know: what stands in it.
"""

from __future__ import annotations

import mmap
import os

from sidecar.errors import LocalError


def allocate_shared(name: str, size_bytes: int) -> mmap.mmap:
    """Zeroed memory of `size_bytes`, shared with every process forked from this one.

    `name` shows in /proc/<pid>/maps. Raises LocalError when the machine (or its cgroup) is short of it.
    """
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
        return mmap.mmap(descriptor, size_bytes, mmap.MAP_SHARED)  # keeps a descriptor of its own
    except OSError as error:
        raise LocalError(
            f"cannot allocate {size_bytes} bytes of shared memory for {name}: {error.strerror}",
            code="no_memory",
        ) from error
    finally:
        os.close(descriptor)
