"""What must hold between keys: sums, names that must exist, addresses, routes that are reachable.

Each module looks at one part of the settings and yields findings; nothing here does I/O.
"""

from sidecar.config.rules.examine import examine

__all__ = ["examine"]
