"""Compiles the kernels before the first request, or loads them from a cache of compiled code.

Where the cache is: `NUMBA_CACHE_DIR` if set (a container image builds it in and points there), else
`$XDG_CACHE_HOME/model-sidecar/kernels`, else `~/.cache/model-sidecar/kernels`. Three promises:

- a cache that can only be read is used (a read-only root file system);
- a cache that is absent, unwritable or damaged costs the compilation, never the start;
- code cached on one machine is found on another: it is compiled for the `generic` CPU of the
  architecture unless `NUMBA_CPU_NAME` says otherwise (the kernels are scalar; a newer instruction
  set gains them nothing), and belongs to the *content* of its source file, not to its mtime, which
  image builders truncate.

After `warm` the kernels accept exactly the signature they were compiled for: a call with another
one is an error and not a silent pause of a second in the request path.

Must not know: boards, workers, what is counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sidecar.sketch import record_rows

IntArray = npt.NDArray[np.int64]
RecordRows = Callable[[IntArray, IntArray, IntArray, IntArray, npt.NDArray[np.float64]], int]

_PORTABLE_CPU = "generic"


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmReport:
    """What `warm` did: how long it took, and where the compiled code came from and went.

    `cache_error` says why the cache could not be used or filled; it is not a failure.
    """

    elapsed_s: float
    loaded: tuple[str, ...]
    compiled: tuple[str, ...]
    cache_dir: str | None
    cpu: str
    cache_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """The kernels, ready to call, and how they became so."""

    record_rows: RecordRows
    report: WarmReport


class KernelCacheLocator:
    """Tells Numba where a kernel's compiled code is kept: the interface of its cache locators.

    Numba's own insist on a writable directory, and older ones on an unchanged mtime of the source.
    """

    def __init__(self, directory: Path, source: Path) -> None:
        self._directory = directory
        self._source_hash = hashlib.sha256(source.read_bytes()).hexdigest()

    @classmethod
    def from_function(cls, _function: Callable[..., Any], source: str) -> Self:
        """The locator of a function in the file `source`, under Numba's configured directory."""
        import numba  # noqa: PLC0415 -- as in `warm`

        return cls(Path(numba.config.CACHE_DIR), Path(source))

    def get_cache_path(self) -> str:
        """The directory of the compiled code; it need not exist, or be writable."""
        return str(self._directory)

    def ensure_cache_path(self) -> None:
        """Called before something is saved; raises OSError when it cannot be."""
        self._directory.mkdir(parents=True, exist_ok=True)

    def get_source_stamp(self) -> str:
        """What must be unchanged for cached code to be fresh."""
        return self._source_hash

    def get_disambiguator(self) -> str:
        """Part of the file name: two versions installed side by side do not overwrite each other."""
        return self._source_hash[:12]


def cache_directory(environ: Mapping[str, str]) -> Path | None:
    """Where compiled kernels are kept for this environment; None when there is no place."""
    if configured := environ.get("NUMBA_CACHE_DIR"):
        return Path(configured)
    if cache_home := environ.get("XDG_CACHE_HOME"):
        return Path(cache_home) / "model-sidecar" / "kernels"
    if home := environ.get("HOME"):
        return Path(home) / ".cache" / "model-sidecar" / "kernels"
    return None


def warm(environ: Mapping[str, str]) -> Kernels:
    """Load or compile every kernel with the types it is called with. Once per process tree, before fork.

    Numba is imported here, so that commands which count nothing start without it (0.3 s).
    """
    started_s = perf_counter()
    import numba  # noqa: PLC0415

    cpu = environ.get("NUMBA_CPU_NAME") or _PORTABLE_CPU
    directory = cache_directory(environ)
    error: str | None = (
        "no cache directory: neither NUMBA_CACHE_DIR, XDG_CACHE_HOME nor HOME is set"
    )
    with _configured(numba.config, cpu, directory):
        dispatcher = numba.njit(record_rows)
        loaded = False
        if not numba.config.DISABLE_JIT:
            if directory is not None:
                dispatcher, loaded, error = _compile_cached(dispatcher, _record_rows_types(numba))
            if not dispatcher.signatures:
                dispatcher.compile(_record_rows_types(numba))
            dispatcher.disable_compile()
    name = record_rows.__name__
    return Kernels(
        record_rows=dispatcher,
        report=WarmReport(
            elapsed_s=perf_counter() - started_s,
            loaded=(name,) if loaded else (),
            compiled=() if loaded else (name,),
            cache_dir=str(directory) if directory else None,
            cpu=cpu,
            cache_error=error,
        ),
    )


def _record_rows_types(numba: Any) -> Any:
    """The types of `record_rows` as `Recorder` calls it."""
    matrix, cube = numba.int64[:, ::1], numba.int64[:, :, ::1]
    edges = numba.types.Array(numba.float64, 1, "C", readonly=True)
    return numba.int64(matrix, matrix, cube, matrix, edges)


def _compile_cached(dispatcher: Any, types: Any) -> tuple[Any, bool, str | None]:
    """Compile through the cache: the dispatcher, whether it was loaded, and what was wrong if anything."""
    error: str | None = None
    try:
        dispatcher.enable_caching()
        dispatcher.compile(types)
    except Exception as broken:  # noqa: BLE001 -- whatever a damaged or unwritable cache raises
        # Compiled but not saved: keep it. Not even compiled: the caller does, with a fresh dispatcher.
        error = f"{type(broken).__name__}: {broken}"
        if not dispatcher.signatures:
            import numba  # noqa: PLC0415

            dispatcher = numba.njit(dispatcher.py_func)
    return dispatcher, bool(sum(dispatcher.stats.cache_hits.values())), error


@contextmanager
def _configured(config: Any, cpu: str, directory: Path | None) -> Iterator[None]:
    """Numba's settings for the time of compiling; it reads them when a function is first compiled."""
    wanted = {
        "CPU_NAME": cpu,
        "CPU_FEATURES": "" if cpu == _PORTABLE_CPU else config.CPU_FEATURES,
        "CACHE_DIR": str(directory or ""),
        "CACHE_LOCATOR_CLASSES": f"{__name__}.{KernelCacheLocator.__name__}",
    }
    before = {name: getattr(config, name) for name in wanted}
    for name, value in wanted.items():
        setattr(config, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(config, name, value)
