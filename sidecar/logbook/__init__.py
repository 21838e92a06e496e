"""A worker's part in recording: every exchange that is over becomes a record, in between requests.

`Logbook` is handed what is over, chooses, composes and appends to the journal.
"""

from sidecar.logbook.composing import Composer
from sidecar.logbook.identity import RecordIds
from sidecar.logbook.logbook import Journal, Logbook
from sidecar.logbook.subjects import Subjects, redactor_of

__all__ = ["Composer", "Journal", "Logbook", "RecordIds", "Subjects", "redactor_of"]
