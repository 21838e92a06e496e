"""Writes one segment: many records in one call, and never half a record left behind.

Frames of a batch are joined and written by one `write`. When the disk takes only part of them, the
file is cut back to the last whole frame, and the caller is told how many records are in: the rest
is for another segment. After that, and after a `sync` that failed, nothing more is written here.

Not thread-safe. Must not know queues, policies, or what a record says.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Final
from zlib import crc32

from sidecar.disk import FILE_MODE
from sidecar.frames.layout import (
    FRAME_BYTES,
    RECORD_LABEL,
    Head,
    Kind,
    Subjects,
    check_subjects,
    encode_frame,
    encode_head,
    encode_subjects,
    encode_tally,
    pack_rest,
    pack_start,
    subject_of,
)

Item = tuple[int, bytes]
"""A record to be written: subject (with FAILURE or without), payload."""

_RECORD: Final = int(RECORD_LABEL)
_said_subject: Final = itemgetter(0)


class SegmentWriter:
    """A segment that was just created, with its head and table. Raises OSError; leaves no file."""

    def __init__(self, path: Path, head: Head, table: Subjects) -> None:
        self.path = path
        self.mark = head.mark
        self.number = head.first_number
        self.records = 0
        self._table = table
        self._tally: Counter[int] = Counter()
        subjects = encode_frame(head.mark, Kind.SUBJECTS, 0, self.number, encode_subjects(table))
        preamble = encode_head(head) + 2 * subjects
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        try:
            if os.write(self._descriptor, preamble) < len(preamble):
                os.write(self._descriptor, preamble)  # fails, and says why the first was short
                raise OSError(f"only part of the head of {path.name} could be written")
        except OSError:
            os.close(self._descriptor)
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        self.size_bytes = len(preamble)

    def append(self, items: Sequence[Item]) -> tuple[int, OSError | None]:
        """Write records; how many are in, and what kept the others out.

        Raises ValueError for what is no subject; then none is in.
        """
        tally = Counter(map(_said_subject, items))
        check_subjects(tally)
        mark, number = self.mark, self.number
        parts: list[bytes] = []
        add = parts.append
        for subject, payload in items:
            rest = pack_rest(len(payload), subject | _RECORD, number)
            add(pack_start(mark, crc32(payload, crc32(rest, mark))))
            add(rest)
            add(payload)
            number += 1
        taken, error = self._write(b"".join(parts), items)
        if taken < len(items):
            tally = Counter(map(_said_subject, items[:taken]))
        for subject, count in tally.items():
            self._tally[subject_of(subject)] += count
        self.number += taken
        self.records += taken
        return taken, error

    def sync(self) -> None:
        """Force what was written to the disk. Raises OSError: nobody knows then what is there."""
        os.fsync(self._descriptor)

    def vanished(self) -> bool:
        """Whether somebody deleted the file, so that what is written is lost."""
        return os.fstat(self._descriptor).st_nlink == 0

    def finish(self) -> None:
        """Say in a last frame what the segment was given. Raises OSError."""
        tally = encode_tally(self._tally, self._table)
        frame = encode_frame(self.mark, Kind.TALLY, 0, self.number, tally)
        if (written := os.write(self._descriptor, frame)) < len(frame):
            self._cut_back()
            raise OSError(f"only {written} bytes of the last frame could be written")
        self.size_bytes += len(frame)

    def close(self) -> None:
        """Let go of the file."""
        with contextlib.suppress(OSError):  # EIO of a late write: the next sync would have said so
            os.close(self._descriptor)

    def _write(self, data: bytes, items: Sequence[Item]) -> tuple[int, OSError | None]:
        sent = 0
        try:
            while sent < len(data):
                sent += os.write(self._descriptor, data[sent:] if sent else data)
        except OSError as error:
            taken = whole = 0
            for _, payload in items:
                if whole + FRAME_BYTES + len(payload) > sent:
                    break
                whole += FRAME_BYTES + len(payload)
                taken += 1
            self.size_bytes += whole
            self._cut_back()
            return taken, error
        self.size_bytes += len(data)
        return len(items), None

    def _cut_back(self) -> None:
        with contextlib.suppress(OSError):  # readers can tell half a frame, too
            os.ftruncate(self._descriptor, self.size_bytes)
