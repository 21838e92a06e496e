"""Counts how often a shadow says what the primary said.

Every exchange of a shadow's watch that is READ or UNREAD is either PAIRED or UNPAIRED; of those
that are paired, some AGREED.

Must not know: bodies, blocks.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sidecar.monitor.exchanges import Ended
from sidecar.monitor.pairs import Ticket, Verdict, compare_rows
from sidecar.payload import Outputs
from sidecar.payload.row_answers import RowAnswers, joined
from sidecar.sketch import WatchCounter

_PAIRED: Final = int(WatchCounter.PAIRED)
_AGREED: Final = int(WatchCounter.AGREED)
_UNPAIRED: Final = int(WatchCounter.UNPAIRED)
_VERDICTS: Final = {
    Verdict.AGREED: (_PAIRED, _AGREED),
    Verdict.DIFFERED: (_PAIRED,),
    Verdict.UNPAIRED: (_UNPAIRED,),
}


class Comparer:
    """See the module's text. `counters` are those of the shadow's watch, in its area."""

    def __init__(self, counters: memoryview) -> None:
        self._counters = counters
        self._comparing = 0  # answers whose counterparts are not known yet
        self._retired = False

    def compare(self, ticket: Ticket, said: Outputs | None) -> None:
        """Compare one answer, now or as soon as the primary's is known."""
        self._comparing += 1
        ticket.compare(said, self._tell)

    def compare_many(self, shadows: list[Ended], said: RowAnswers) -> None:
        """Compare what a shadow said with what the primary did, whom all tickets know."""
        tickets = [one.ticket for one in shadows if one.ticket is not None]
        primaries = {ticket.said: 0 for ticket in tickets if ticket.said is not None}
        if any(primary.labels != said.labels for primary in primaries):
            for at, ticket in enumerate(tickets):
                self.compare(ticket, said.outputs(at))
            return
        begin = 0
        for primary in primaries:  # a canary's answers were read apart, and some a while ago
            primaries[primary] = begin
            begin += len(primary.predictions)
        places = [primaries[ticket.said] + ticket.at for ticket in tickets if ticket.said]
        paired, agreed = compare_rows(joined(list(primaries)).of(np.array(places)), said)
        self._counters[_PAIRED] += paired
        self._counters[_AGREED] += agreed
        self._counters[_UNPAIRED] += len(tickets) - paired

    def retire(self) -> None:
        """Count no more: what is not known by now is unpaired."""
        for _ in range(self._comparing):
            self._tell(Verdict.UNPAIRED)
        self._retired = True

    def _tell(self, verdict: Verdict) -> None:
        """A comparison has ended; perhaps long after the primary was asked."""
        if not self._retired:
            self._comparing -= 1
            for counter in _VERDICTS[verdict]:
                self._counters[counter] += 1
