"""Files that are there for good, or not at all."""

from sidecar.disk.replacing import FILE_MODE, PRIVATE, replace_file, sync_directory

__all__ = ["FILE_MODE", "PRIVATE", "replace_file", "sync_directory"]
