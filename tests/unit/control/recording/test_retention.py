"""One look at a journal that has more than it may keep, on disks that refuse and with a backlog."""

import time
from dataclasses import dataclass, field

from harness.journals import numbered, write, writing

from sidecar.config.recording import JournalSettings
from sidecar.config.units import Duration, Size
from sidecar.control.recording.retention import COMPRESS_AT_ONCE, Retention
from sidecar.journal import START, Position, Segment, WriterLimits, past, survey

SEGMENTS = 11


@dataclass
class Sink:
    """A pump as retention sees it: where it is, and whether it can save that."""

    position: Position = START
    disk_is_full: bool = False
    let_go_of: list[Segment] = field(default_factory=list)

    async def let_go(self, segment: Segment) -> int:
        if self.disk_is_full:
            raise OSError(28, "No space left on device")
        self.let_go_of.append(segment)
        self.position = past(segment, self.position)
        return 1


def filled(directory) -> list[Segment]:
    """A journal of closed segments."""
    for number in range(SEGMENTS):
        with writing(directory, WriterLimits()) as writer:
            write(writer, *numbered(3, first=3 * number))
    found = survey(directory)
    assert len(found) == SEGMENTS
    return found


def retention(directory, **changed) -> Retention:
    settings = JournalSettings(**changed)
    return Retention(directory, settings, workers=1, wall_ns=time.time_ns)


async def test_what_nobody_needs_goes_even_when_no_place_can_be_saved(tmp_path):
    found = filled(tmp_path)
    half = found[SEGMENTS // 2]
    sink = Sink(past(half, START), disk_is_full=True)

    await retention(tmp_path, retain_age=Duration(0.000_001)).tend([sink], [])

    assert [one.sequence for one in survey(tmp_path)] == [
        one.sequence for one in found if one.sequence > half.sequence
    ]


async def test_what_is_needed_goes_once_its_place_is_saved(tmp_path):
    found = filled(tmp_path)
    sink = Sink()

    await retention(tmp_path, retain=Size(1)).tend([sink], [])

    left = survey(tmp_path)
    gone = [one.sequence for one in found if one.sequence not in {kept.sequence for kept in left}]
    assert gone
    assert [one.sequence for one in sink.let_go_of] == gone


async def test_a_backlog_is_compressed_look_by_look(tmp_path):
    filled(tmp_path)
    tended = retention(tmp_path, compress=True)
    plain = []
    for _ in range(4):
        await tended.tend([Sink()], [])
        plain.append(sum(one.path.suffix == ".seg" for one in survey(tmp_path)))

    first = SEGMENTS - COMPRESS_AT_ONCE
    assert plain == [first, first - COMPRESS_AT_ONCE, 1, 1]  # the last of a slot stays as it is
