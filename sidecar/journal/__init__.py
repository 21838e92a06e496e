"""The durable spool between workers and whoever wants their records.

A worker appends to segment files of its own (`Writer`); consumers in the controller read them from
a `Position` on (`Reader`), which each keeps in a `Cursor`. The layout of a file stands above the
code that packs it, `sidecar.frames.layout`; docs/journal.md tells the whole.
"""

from sidecar.frames.layout import FAILURE, UNKNOWN_CELL, Subjects
from sidecar.frames.walk import CompiledWalk, Walk, walk_plainly
from sidecar.journal.bookkeeper import Account, Bookkeeper, Books
from sidecar.journal.cursor import Cursor, Standing
from sidecar.journal.limits import WriterLimits
from sidecar.journal.position import START, Position, SlotPosition
from sidecar.journal.quarantine import Quarantine
from sidecar.journal.reader import Batch, Reader, bytes_behind, read
from sidecar.journal.retention import (
    Bounds,
    Plan,
    Segment,
    compress,
    count_after,
    needs,
    past,
    plan_retention,
    remove,
    survey,
)
from sidecar.journal.runs import Entry, Run
from sidecar.journal.writer import Writer

__all__ = [
    "FAILURE",
    "START",
    "UNKNOWN_CELL",
    "Account",
    "Batch",
    "Bookkeeper",
    "Books",
    "Bounds",
    "CompiledWalk",
    "Cursor",
    "Entry",
    "Plan",
    "Position",
    "Quarantine",
    "Reader",
    "Run",
    "Segment",
    "SlotPosition",
    "Standing",
    "Subjects",
    "Walk",
    "Writer",
    "WriterLimits",
    "bytes_behind",
    "compress",
    "count_after",
    "needs",
    "past",
    "plan_retention",
    "read",
    "remove",
    "survey",
    "walk_plainly",
]
