"""Compiles the kernels before the first request, or loads them from a cache of compiled code.

Where the cache is: `NUMBA_CACHE_DIR` if set (a container image builds it in and points there), else
`$XDG_CACHE_HOME/model-sidecar/kernels`, else `~/.cache/model-sidecar/kernels`. Four promises:

- a cache that can only be read is used (a read-only root file system);
- a cache that is absent, unwritable or damaged costs the compilation, never the start;
- an empty cache is filled by two processes at once, where another one can be had: all kernels take
  some seconds;
- code compiled on one machine is good on another: it is made for the `generic` CPU of the
  architecture unless `NUMBA_CPU_NAME` names one (the kernels are scalar; newer instructions gain
  them nothing), and belongs to the *content* of its source file, not to an mtime that image
  builders truncate.

After `warm` a kernel accepts exactly the signature it was compiled for: a call with another one is
an error, and not a silent pause of a second on the request path.

Must not know: boards, workers, what is counted.
"""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from time import monotonic, perf_counter, sleep
from types import ModuleType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from sidecar.frames.walk import WalkRecords, walk_records
from sidecar.payload.decimals import NearestDoubles, nearest_doubles
from sidecar.payload.scan import ScanBodies, scan_bodies
from sidecar.sketch import CountValues, IntArray, count_values, record_rows

RecordRows = Callable[[IntArray, IntArray, IntArray, IntArray, npt.NDArray[np.float64]], int]

_PORTABLE_CPU = "generic"
LONGEST_S: Final = 60.0
"""What another process may take to compile; after that it is done here."""
_LOOK_S: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmReport:
    """What `warm` did, and how long it took.

    Each kernel is either `loaded` from the cache or `compiled`; under `NUMBA_DISABLE_JIT` it is
    neither, and interpreted. `cache_error` says why the cache could not be read or filled, which
    is worth a line in the log and no reason to stop.
    """

    elapsed_s: float
    loaded: tuple[str, ...]
    compiled: tuple[str, ...]
    cpu: str
    cache_dir: str | None
    cache_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """The kernels, ready to be called, and how they became so."""

    record_rows: RecordRows
    count_values: CountValues
    scan_bodies: ScanBodies
    nearest_doubles: NearestDoubles
    walk_records: WalkRecords
    report: WarmReport


def warm(environ: Mapping[str, str]) -> Kernels:
    """Load or compile every kernel for the types it is called with; once, before the fork.

    Numba is imported here and not above, so that commands which count nothing start without it.
    """
    started_s = perf_counter()
    numba = import_module("numba")
    cpu = environ.get("NUMBA_CPU_NAME") or _PORTABLE_CPU
    directory = cache_directory(environ)
    prepared: dict[str, _Kernel] = {}
    with _configured(numba, cpu, directory):
        with _compiled_meanwhile(numba, directory) as theirs:
            for function, types in _SIGNATURES:
                if function not in theirs:
                    prepared[function.__name__] = _prepare(numba, function, types, directory)
        for function, types in _SIGNATURES:
            if function in theirs:
                found = _prepare(numba, function, types, directory)
                prepared[function.__name__] = replace(found, origin="compiled")
    kernels = {function.__name__: prepared[function.__name__] for function, _ in _SIGNATURES}
    errors = [kernel.cache_error for kernel in kernels.values() if kernel.cache_error]
    return Kernels(
        record_rows=kernels[record_rows.__name__].function,
        count_values=kernels[count_values.__name__].function,
        scan_bodies=kernels[scan_bodies.__name__].function,
        nearest_doubles=kernels[nearest_doubles.__name__].function,
        walk_records=kernels[walk_records.__name__].function,
        report=WarmReport(
            elapsed_s=perf_counter() - started_s,
            loaded=_names(kernels, "loaded"),
            compiled=_names(kernels, "compiled"),
            cpu=cpu,
            cache_dir=str(directory) if directory else None,
            cache_error=errors[0] if errors else None,
        ),
    )


def cache_directory(environ: Mapping[str, str]) -> Path | None:
    """Where compiled kernels are kept for this environment; None when there is no place."""
    if configured := environ.get("NUMBA_CACHE_DIR"):
        return Path(configured)
    if cache_home := environ.get("XDG_CACHE_HOME"):
        return Path(cache_home) / "model-sidecar" / "kernels"
    if home := environ.get("HOME"):
        return Path(home) / ".cache" / "model-sidecar" / "kernels"
    return None


class KernelCacheLocator:
    """Tells Numba where a kernel's compiled code is, by the interface of its own cache locators.

    Those insist on a directory that can be written; this one reads what it finds.
    """

    def __init__(self, directory: Path, source: Path) -> None:
        self._directory = directory
        self._source_hash = hashlib.sha256(source.read_bytes()).hexdigest()

    @classmethod
    def from_function(cls, _function: Callable[..., Any], source: str) -> Self:
        """The locator of a function in the file `source`."""
        return cls(Path(import_module("numba").config.CACHE_DIR), Path(source))

    def get_cache_path(self) -> str:
        """The directory of the compiled code; it need not exist yet, or be writable."""
        return str(self._directory)

    def ensure_cache_path(self) -> None:
        """Called before something is saved; raises OSError when nothing can be."""
        self._directory.mkdir(parents=True, exist_ok=True)

    def get_source_stamp(self) -> str:
        """What must be unchanged for cached code to be fresh."""
        return self._source_hash

    def get_disambiguator(self) -> str:
        """Part of the file name: two installed versions do not overwrite each other's code."""
        return self._source_hash[:12]


@dataclass(frozen=True, slots=True)
class _Kernel:
    function: Any
    origin: str  # "loaded", "compiled" or "interpreted"
    cache_error: str | None


def _names(kernels: Mapping[str, _Kernel], origin: str) -> tuple[str, ...]:
    return tuple(name for name, kernel in kernels.items() if kernel.origin == origin)


@contextmanager
def _compiled_meanwhile(
    numba: ModuleType, directory: Path | None
) -> Iterator[frozenset[Callable[..., int]]]:
    """Have some kernels compiled into an empty cache by another process; gives which.

    When this ends it has ended, and they are there, unless it failed. None are given when the cache
    is not empty or there is no second core, nor beside other threads: a fork could copy a lock that
    one of them holds.
    """
    alone = threading.active_count() == 1 and len(os.sched_getaffinity(0)) > 1
    if numba.config.DISABLE_JIT or not (alone and _is_to_be_filled(directory)):
        yield frozenset()
        return
    theirs = _SIGNATURES[1::2]
    try:
        child = os.fork()
    except OSError:  # as many processes as there may be
        yield frozenset()
        return
    if not child:
        try:
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # locks and sockets are the parent's alone
            for function, types in theirs:
                _prepare(numba, function, types, directory)
        finally:
            os._exit(0)  # whatever failed is compiled by who waits
    try:
        yield frozenset(function for function, _ in theirs)
    finally:
        _await_end(child)


def _await_end(child: int) -> None:
    """Wait until a process has ended, which has what it takes; then it is ended."""
    deadline_s = monotonic() + LONGEST_S
    with suppress(ChildProcessError):  # whoever started us wants no ended children to be kept
        while not os.waitpid(child, os.WNOHANG)[0]:
            if monotonic() > deadline_s:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                break
            sleep(_LOOK_S)


def _is_to_be_filled(directory: Path | None) -> bool:
    if directory is None:
        return False
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK) and not any(directory.glob("*.nbi"))


def _prepare(
    numba: ModuleType,
    function: Callable[..., int],
    types_of: Callable[[ModuleType], object],
    directory: Path | None,
) -> _Kernel:
    types = types_of(numba)
    if numba.config.DISABLE_JIT:
        return _Kernel(function, "interpreted", None)
    dispatcher = numba.njit(function)
    cache_error: str | None = None
    if directory is None:
        cache_error = "no place for it: NUMBA_CACHE_DIR, XDG_CACHE_HOME and HOME are not set"
    else:
        try:
            dispatcher.enable_caching()
            dispatcher.compile(types)
        except Exception as error:  # noqa: BLE001 -- whatever reading a damaged file may raise
            cache_error = f"{type(error).__name__}: {error}"
    loaded = any(dispatcher.stats.cache_hits.values())
    if not dispatcher.signatures:  # the cache failed before there was code; else only saving did
        dispatcher = numba.njit(function)
        dispatcher.compile(types)
    dispatcher.disable_compile()
    return _Kernel(dispatcher, "loaded" if loaded else "compiled", cache_error)


def _record_rows_types(numba: ModuleType) -> object:
    """The signature of `record_rows` as `Recorder` calls it; the edges are read-only."""
    matrix, cube = numba.int64[:, ::1], numba.int64[:, :, ::1]
    return numba.int64(matrix, matrix, cube, matrix, _read_only(numba, numba.float64, 1))


def _count_values_types(numba: ModuleType) -> object:
    """The signature of `count_values` as `ColumnTable` calls it; the table is read-only."""
    integers, floats = numba.int64[::1], numba.float64[::1]
    rows = (numba.float64[:, ::1], numba.int64[:, ::1], integers, integers)
    table = (
        _read_only(numba, numba.int64, 1),
        _read_only(numba, numba.int64, 2),
        _read_only(numba, numba.float64, 2),
        _read_only(numba, numba.float64, 1),
        _read_only(numba, numba.int32, 2),
    )
    return numba.int64(*rows, integers, floats, integers, *table)


def _scan_bodies_types(numba: ModuleType) -> object:
    """The signature of `scan_bodies` as `Pattern` calls it; bodies and pattern are read-only."""
    integers, table = numba.int64[::1], numba.int64[:, ::1]
    some_bytes = _read_only(numba, numba.uint8, 1)
    steps = _read_only(numba, numba.int64, 2)
    pattern = (some_bytes, steps, some_bytes, steps)
    return numba.int64(some_bytes, integers, integers, *pattern, table, table, integers)


def _nearest_doubles_types(numba: ModuleType) -> object:
    """The signature of `nearest_doubles`; the tables of powers are read-only."""
    integers, table = numba.int64[::1], numba.int64[:, ::1]
    powers = (_read_only(numba, numba.uint64, 2), _read_only(numba, numba.float64, 1))
    return numba.int64(table, table, *powers, numba.float64[:, ::1], integers)


def _walk_records_types(numba: ModuleType) -> object:
    """The signature of `walk_records`; the window of bytes and the tables are read-only."""
    number, integers = numba.int64, numba.int64[::1]
    window, tables = _read_only(numba, numba.uint8, 1), _read_only(numba, numba.int64, 2)
    return numba.int64(window, number, number, number, number, tables, integers, integers)


def _read_only(numba: ModuleType, number: object, dimensions: int) -> object:
    return numba.types.Array(number, dimensions, "C", readonly=True)


_SIGNATURES: tuple[tuple[Callable[..., int], Callable[[ModuleType], object]], ...] = (
    (record_rows, _record_rows_types),
    (scan_bodies, _scan_bodies_types),
    (nearest_doubles, _nearest_doubles_types),
    (walk_records, _walk_records_types),
    (count_values, _count_values_types),
)
"""Every kernel with what tells the types that it is called with.

Every second one takes as long to compile as the others together; see `_compiled_meanwhile`.
"""


@contextmanager
def _configured(numba: ModuleType, cpu: str, directory: Path | None) -> Iterator[None]:
    """Numba's settings while it compiles for us; afterwards they are as we found them."""
    config = numba.config
    wanted = {
        "CPU_NAME": cpu,
        "CPU_FEATURES": "" if cpu == _PORTABLE_CPU else config.CPU_FEATURES,
        "CACHE_DIR": str(directory or ""),
        "CACHE_LOCATOR_CLASSES": f"{__name__}.{KernelCacheLocator.__name__}",
    }
    found = {name: getattr(config, name) for name in wanted}
    for name, value in wanted.items():
        setattr(config, name, value)
    try:
        yield
    finally:
        for name, value in found.items():
            setattr(config, name, value)
