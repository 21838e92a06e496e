"""Snapshots where they are kept: one file each, or in memory while the disk refuses.

    <directory>/<stamp of 20 digits>.snapshot

Each is replaced whole or not at all (`sidecar.control.persistence`). What can go wrong:

- a file that is damaged, or of another version, is left out, and said once. It is not deleted, but
  its bytes count, and it is the first to go when room is needed;
- a disk that refuses: snapshots stay in memory, at most MEMORY_BYTES, and are written as soon as
  one write succeeds. Failures are counted, and said once.

Everything here may block, and one caller at a time may be inside (`History` sees to it); `shelf`
and `losses` are values that anybody may read at any moment.
"""

from __future__ import annotations

import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sidecar.control.observation import snapshot_file
from sidecar.control.observation.snapshot_file import Damaged, SeriesHead
from sidecar.disk import replace_file
from sidecar.sketch import IntArray
from sidecar.sketch.areas import Area, AreaLayout

MEMORY_BYTES: Final = 32 * 1024 * 1024
"""Most bytes of snapshots that wait for a disk, of numbers unpacked to be asked again, and of bins
of them. Bins are a twentieth of the numbers: those of a day's windows stay, round after round."""

SUFFIX: Final = ".snapshot"
_PRIVATE: Final = 0o700

log: Final = logging.getLogger("sidecar.control")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """A snapshot that is there: on disk, or in memory (`content`) while the disk refuses."""

    taken_ns: int
    size_bytes: int
    body_at: int
    series: Mapping[str, SeriesHead]
    content: bytes | None = None


@dataclass(slots=True)
class Losses:
    """What went wrong since the start."""

    write_failures: int = 0
    damaged: int = 0
    forgotten: int = 0  # never reached the disk, and there was no room left in memory


class _Lately:
    """What was asked for lately, by stamp and owner: MEMORY_BYTES at most, the oldest go first."""

    def __init__(self) -> None:
        self._arrays: OrderedDict[tuple[int, str], IntArray] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[int, str]) -> IntArray | None:
        found = self._arrays.get(key)
        if found is not None:
            self._arrays.move_to_end(key)
        return found

    def put(self, key: tuple[int, str], array: IntArray) -> None:
        self._arrays[key] = array
        self._bytes += array.nbytes
        while self._bytes > MEMORY_BYTES:
            self._bytes -= self._arrays.popitem(last=False)[1].nbytes


class SnapshotStore:
    """The files of one sidecar's snapshots; see the module's text. Empty before `load`."""

    def __init__(
        self, directory: Path, *, replace: Callable[[Path, bytes], None] = replace_file
    ) -> None:
        self.shelf: tuple[Shelved, ...] = ()
        self.losses = Losses()
        self._directory = directory
        self._replace = replace
        self._refuses = False
        self._foreign: dict[Path, int] = {}
        self._unpacked = _Lately()
        self._binned = _Lately()

    @property
    def newest_ns(self) -> int:
        """The stamp of the newest snapshot; 0: there is none."""
        shelf = self.shelf
        return shelf[-1].taken_ns if shelf else 0

    @property
    def size_bytes(self) -> int:
        """What all readable snapshots take."""
        return sum(one.size_bytes for one in self.shelf)

    @property
    def foreign_bytes(self) -> int:
        """What the files take that cannot be read."""
        return sum(self._foreign.values())

    def load(self) -> None:
        """Find what earlier processes have written."""
        found = []
        for path in sorted(self._directory.glob(f"*{SUFFIX}")):
            try:
                found.append(_shelved(path))
            except (OSError, Damaged) as error:
                self._leave_out(path, error)
        self.shelf = tuple(sorted(found, key=lambda one: one.taken_ns))

    def put(self, taken_ns: int, totals: Mapping[str, Area]) -> None:
        """Keep a snapshot of these totals, by owner. `taken_ns` is higher than all before."""
        words = {owner: area.words for owner, area in totals.items()}
        content = snapshot_file.encode(taken_ns, words)
        self.shelf = (*self.shelf, _of_start(content, len(content), content=content))
        self._write_waiting()

    def drop(self, stamps: Collection[int]) -> None:
        """Let go of these snapshots."""
        if stamps:
            self.shelf = tuple(one for one in self.shelf if one.taken_ns not in stamps)
            for stamp in stamps:
                _remove(self._path(stamp))

    def drop_foreign(self) -> None:
        """Let go of the files that cannot be read."""
        for path in self._foreign:
            _remove(path)
        self._foreign.clear()

    def total(self, one: Shelved, owner: str, layout: AreaLayout) -> Area | None:
        """The total of a series in a snapshot; None when it is not there in this layout.

        A snapshot that turns out to be damaged is left out of the shelf, and None.
        """
        if not _has(one, owner, layout):
            return None
        key = (one.taken_ns, owner)
        words = self._unpacked.get(key)
        if words is None:
            words = self._words(one, owner)
            if words is None:
                return None
            self._unpacked.put(key, words)
        return Area(layout, words)

    def bins(self, one: Shelved, owner: str, layout: AreaLayout) -> IntArray | None:
        """The bins of such a total, as `Area.bins` has them; None likewise."""
        if not _has(one, owner, layout):
            return None
        key = (one.taken_ns, owner)
        bins = self._binned.get(key)
        if bins is None:
            words = self._unpacked.get(key)
            if words is None:
                words = self._words(one, owner)
            if words is None:
                return None
            bins = Area(layout, words).bins()
            self._binned.put(key, bins)
        return bins

    def write(self, name: str, content: bytes) -> bool:
        """Replace another file of this directory; False (and counted) when the disk refuses."""
        try:
            self._directory.mkdir(mode=_PRIVATE, exist_ok=True)
            self._replace(self._directory / name, content)
        except OSError as error:
            self._refused(error)
            return False
        return True

    def read(self, name: str) -> bytes | None:
        """Another file of this directory, None: it is not there. Raises OSError."""
        try:
            return (self._directory / name).read_bytes()
        except FileNotFoundError:
            return None

    def _write_waiting(self) -> None:
        """Write what is not on disk yet, the newest first, until the disk refuses."""
        for one in reversed(self.shelf):
            if one.content is None:
                continue
            if not self.write(self._path(one.taken_ns).name, one.content):
                self._keep_in_bounds()
                return
            written = replace(one, content=None)
            self.shelf = tuple(written if other is one else other for other in self.shelf)
        if self._refuses:
            log.info("snapshots are on disk again")
            self._refuses = False

    def _refused(self, error: OSError) -> None:
        self.losses.write_failures += 1
        if not self._refuses:
            log.error(
                "snapshots cannot be written and stay in memory; a restart would lose them",
                extra={"reason": str(error)},
            )
        self._refuses = True

    def _keep_in_bounds(self) -> None:
        """Forget the oldest of those in memory that are beyond the bound, never the newest."""
        room = MEMORY_BYTES
        forgotten = set()
        for one in reversed(self.shelf):
            if one.content is not None:
                room -= one.size_bytes
                if room < 0 and one is not self.shelf[-1]:
                    forgotten.add(one.taken_ns)
        self.losses.forgotten += len(forgotten)
        self.shelf = tuple(one for one in self.shelf if one.taken_ns not in forgotten)

    def _words(self, one: Shelved, owner: str) -> IntArray | None:
        """The numbers of a series, read anew; None when they are damaged."""
        series = one.series[owner]
        try:
            return snapshot_file.decode_body(self._body(one, series), series)
        except (OSError, Damaged) as error:
            self.shelf = tuple(other for other in self.shelf if other is not one)
            self._leave_out(self._path(one.taken_ns), error)
            return None

    def _body(self, one: Shelved, series: SeriesHead) -> bytes:
        at = one.body_at + series.at
        if one.content is not None:
            return one.content[at : at + series.size_bytes]
        with self._path(one.taken_ns).open("rb") as file:
            file.seek(at)
            return file.read(series.size_bytes)

    def _path(self, taken_ns: int) -> Path:
        return self._directory / f"{taken_ns:020d}{SUFFIX}"

    def _leave_out(self, path: Path, error: Exception) -> None:
        self.losses.damaged += 1
        log.error(
            "a snapshot cannot be read and is left out",
            extra={"file": path.name, "reason": str(error)},
        )
        with contextlib.suppress(OSError):
            self._foreign[path] = path.stat().st_size


def _has(one: Shelved, owner: str, layout: AreaLayout) -> bool:
    """Whether a series is in a snapshot, in this layout."""
    series = one.series.get(owner)
    return series is not None and series.words == layout.words


def _shelved(path: Path) -> Shelved:
    with path.open("rb") as file:
        start = file.read(snapshot_file.HEAD_AT)
        start += file.read(snapshot_file.head_bytes(start))
        return _of_start(start, path.stat().st_size)


def _of_start(start: bytes, size_bytes: int, *, content: bytes | None = None) -> Shelved:
    head = snapshot_file.decode_head(start)
    body_at = snapshot_file.HEAD_AT + snapshot_file.head_bytes(start)
    if size_bytes < body_at + sum(series.size_bytes for series in head.series):
        raise Damaged("it is cut off")
    return Shelved(
        taken_ns=head.taken_ns,
        size_bytes=size_bytes,
        body_at=body_at,
        series={series.owner: series for series in head.series},
        content=content,
    )


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
