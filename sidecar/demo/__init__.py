"""The demo world: car loans, three trained models behind the sidecar, and a live view of it all.

Needs the extra `demo` (scikit-learn). Only the command line imports this package.
"""

from sidecar.demo.command import register

__all__ = ["register"]
