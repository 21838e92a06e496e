"""What a restarted controller must know of observing, in one file: replaced whole, as it was.

    observation.msgpack    seats, what each series counted before its present one, settings
    provisional/<route>/<model>.json    what was learned of a primary, in the form of baselines

The file is written when seats change, which is rare, and read when a controller starts. Seats and
the past stand in it together, so whichever version of it is found belongs together. When it is
lost, or of another board (the launcher has started anew), everybody is seated anew and the past is
what the newest snapshot says.

Everything here blocks: from an event loop, use a thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from sidecar.baseline import encode as encode_baseline
from sidecar.config.baselines import read_baseline
from sidecar.config.monitoring import DriftSettings, MonitorSettings
from sidecar.config.wire import decode, encode
from sidecar.control.observation import snapshot_file
from sidecar.control.observation.ledger import Ledger, Tenure
from sidecar.control.observation.seating import Seating
from sidecar.control.observation.snapshot_file import Damaged
from sidecar.control.observation.subjects import Lesson
from sidecar.disk import replace_file
from sidecar.errors import ConfigError
from sidecar.model import CellKey
from sidecar.payload import Protocol
from sidecar.sketch import Area, AreaLayout

_PRIVATE: Final = 0o700

log: Final = logging.getLogger("sidecar.control")


class Past(Struct, frozen=True, array_like=True):
    """What a series counted before a tenure: `words` numbers, packed."""

    tenure: str
    words: int
    packed: bytes


class Remembered(Struct, frozen=True, kw_only=True):
    """The content of the file. `board` is the identity of the board that the seats are on."""

    board: str
    version: int
    seating: Seating
    past: dict[str, Past]
    monitor: MonitorSettings
    drift: DriftSettings
    protocols: dict[str, dict[str, Protocol]] = {}  # by route and model


def past_of(ledger: Ledger) -> dict[str, Past]:
    """The ledger in the form of the file."""
    return {
        owner: Past(tenure.name, len(tenure.before.words), snapshot_file.pack(tenure.before.words))
        for owner, tenure in ledger.tenures.items()
    }


def ledger_of(past: Mapping[str, Past], layouts: Mapping[str, AreaLayout]) -> Ledger:
    """The ledger of those series whose layout is known and whose past is readable."""
    tenures = {}
    for owner, one in past.items():
        layout = layouts.get(owner)
        if layout is None or layout.words != one.words:
            continue
        try:
            before = Area(layout, snapshot_file.unpack(one.packed, one.words))
        except Damaged:
            continue
        tenures[owner] = Tenure(name=one.tenure, before=before)
    return Ledger(tenures)


class Memory:
    """The files; see the module's text."""

    def __init__(
        self,
        file: Path,
        lessons: Path,
        *,
        replace: Callable[[Path, bytes], None] = replace_file,
    ) -> None:
        self._file = file
        self._lessons = lessons
        self._replace = replace

    def write(self, remembered: Remembered) -> None:
        """Replace the file. Raises OSError and changes nothing."""
        self._replace(self._file, encode(remembered))

    def read(self) -> Remembered | None:
        """What was written last; None, and said, when it cannot be read."""
        try:
            return decode(self._file.read_bytes(), Remembered)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.error(  # noqa: TRY400 - foreseen; the reason says it all
                "forgot how it observed, and begins anew", extra={"reason": str(error)}
            )
            return None

    def write_lesson(self, primary: CellKey, lesson: Lesson) -> None:
        """Keep what was learned of a primary. Raises OSError."""
        path = self._lesson_path(primary)
        path.parent.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        self._replace(path, encode_baseline(lesson.baseline).encode())

    def forget_lesson(self, primary: CellKey) -> None:
        """Drop what was learned of a primary. Raises OSError."""
        self._lesson_path(primary).unlink(missing_ok=True)

    def read_lesson(self, primary: CellKey, protocol: Protocol) -> Lesson | None:
        """What was learned of a primary; None when nothing was, or it cannot be read (said)."""
        path = self._lesson_path(primary)
        try:
            return Lesson(baseline=read_baseline(path), protocol=protocol)
        except ConfigError as error:
            if not path.exists():
                return None
            log.error(  # noqa: TRY400 - foreseen; the reason says it all
                "forgot what was learned of a model, and learns anew",
                extra={"route": primary.route, "model": primary.model, "reason": str(error)},
            )
            return None

    def _lesson_path(self, primary: CellKey) -> Path:
        return self._lessons / primary.route / f"{primary.model}.json"
