"""JSON of no protocol: the settings point to what is what.

`instances` points to the row (an object, or a list of values) or to a list of rows; without it,
that is the whole document. `prediction` and `score` are pointers when one of them begins with `/`:
followed from the root of the answer, or, when nothing is there and the answer is a list, from each
of its entries. Else they are names of outputs, with the usual defaults.
"""

from __future__ import annotations

from sidecar.payload.answers import Answers
from sidecar.payload.columns import SCALARS, Column, column_of
from sidecar.payload.extract import Inputs, Outputs, Undecodable
from sidecar.payload.forms import Forms
from sidecar.payload.instances import rows_in_lists
from sidecar.payload.named_outputs import read_named_outputs
from sidecar.payload.names import Reason
from sidecar.payload.pointer import Pointer
from sidecar.payload.settings import PayloadSettings


class AnyJson:
    """The dialect; see the module's text. Raises ValueError when a setting is no pointer."""

    def __init__(self, settings: PayloadSettings, forms: Forms, answers: Answers) -> None:
        self._forms = forms
        self._answers = answers
        self._instances = Pointer.parse(settings.instances or "")
        points = any(
            text is not None and text.startswith("/")
            for text in (settings.prediction, settings.score)
        )
        self._prediction = _pointer(settings.prediction) if points else None
        self._score = _pointer(settings.score) if points else None

    def inputs(self, document: object, tail: bytes | memoryview) -> Inputs:  # noqa: ARG002
        """The rows that `instances` points to."""
        found = self._instances.find(document)
        if type(found) is dict or (type(found) is list and _is_row(found)):
            found = [found]
        elif type(found) is not list:
            raise Undecodable(Reason.SHAPE, "no rows where `payload.instances` points")
        return rows_in_lists(found, self._forms, document)

    def outputs(
        self,
        document: object,
        tail: bytes | memoryview,  # noqa: ARG002 - tensors in binary are not of this protocol
        inputs: Inputs | None,
    ) -> Outputs:
        """The predictions that `prediction` and `score` point to, or name."""
        if self._prediction is None and self._score is None:
            return read_named_outputs(document, "prediction", self._answers, inputs)
        prediction = _column_at(self._prediction, document)
        score = _column_at(self._score, document)
        if prediction is None and score is None:
            raise Undecodable(Reason.SHAPE, "nothing where `payload.prediction` and `score` point")
        return self._answers.read(prediction, score, inputs)


def _is_row(entries: list[object]) -> bool:
    return bool(entries) and SCALARS.issuperset(map(type, entries))


def _pointer(text: str | None) -> Pointer | None:
    """A pointer as it stands, or to the output of that name."""
    if text is None or text.startswith("/"):
        return None if text is None else Pointer.parse(text)
    return Pointer(text, ((text, None),))


def _column_at(pointer: Pointer | None, document: object) -> Column | None:
    if pointer is None:
        return None
    found = pointer.find(document)
    if found is None and type(document) is list:
        entries = [pointer.find(entry) for entry in document]
        found = entries if any(entry is not None for entry in entries) else None
    if found is None:
        return None
    return column_of(found) if type(found) is list else column_of([found])
