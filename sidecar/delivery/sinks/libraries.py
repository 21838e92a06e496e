"""Libraries that only some sinks need, loaded when a sink of that type is made and not before.

Who writes no Parquet has neither pyarrow's 100 MB on disk nor its 50 MB in memory.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from sidecar.errors import ConfigError


def library(module: str, extra: str) -> ModuleType:
    """A module that the extra of that name installs. Raises ConfigError, with the command."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"this sink needs {module.partition('.')[0]}: pip install 'model-sidecar[{extra}]'",
            path="$.sinks",
        ) from error
