"""What could not be predicted or delivered: kept, shown, and replayed.

`DeadLetterStore` keeps letters, `FailedPredictions` finds those of models in the journal (those of
sinks come from the pumps), `Replayer` sends them again.
"""

from sidecar.delivery.dead_letters.addressees import World
from sidecar.delivery.dead_letters.bounds import Bounds, PurgeReason
from sidecar.delivery.dead_letters.database import StoreUnavailable
from sidecar.delivery.dead_letters.failed_predictions import FailedPredictions, Found
from sidecar.delivery.dead_letters.figures import ClassFigures, Figures
from sidecar.delivery.dead_letters.jobs import (
    Counts,
    Fate,
    Job,
    JobState,
    Replay,
)
from sidecar.delivery.dead_letters.letters import (
    OPEN,
    Answer,
    Content,
    DeadLetterClass,
    Letter,
    LetterState,
    Obstacle,
)
from sidecar.delivery.dead_letters.replayer import Preview, Replayer
from sidecar.delivery.dead_letters.selection import Filter
from sidecar.delivery.dead_letters.store import DeadLetterStore, Page, Tally

__all__ = [
    "OPEN",
    "Answer",
    "Bounds",
    "ClassFigures",
    "Content",
    "Counts",
    "DeadLetterClass",
    "DeadLetterStore",
    "FailedPredictions",
    "Fate",
    "Figures",
    "Filter",
    "Found",
    "Job",
    "JobState",
    "Letter",
    "LetterState",
    "Obstacle",
    "Page",
    "Preview",
    "PurgeReason",
    "Replay",
    "Replayer",
    "StoreUnavailable",
    "Tally",
    "World",
]
