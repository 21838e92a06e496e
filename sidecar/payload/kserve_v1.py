"""The KServe v1 protocol, which is TensorFlow Serving's REST API.

Requests have rows in `instances`, or columns in `inputs`; answers have `predictions` by row, or
`outputs` by column. An output without a name is called after the key: `predictions` or `outputs`.

Specification: https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

from sidecar.payload.answers import Answers
from sidecar.payload.extract import Inputs, Outputs, Undecodable
from sidecar.payload.forms import Forms
from sidecar.payload.instances import rows_in_columns, rows_in_lists
from sidecar.payload.named_outputs import read_named_outputs
from sidecar.payload.names import Reason


class KServeV1:
    """The dialect; see the module's text."""

    def __init__(self, forms: Forms, answers: Answers) -> None:
        self._forms = forms
        self._answers = answers

    def inputs(self, document: object, tail: bytes | memoryview) -> Inputs:  # noqa: ARG002
        """The rows of a prediction request."""
        if type(document) is not dict:
            raise Undecodable(Reason.SHAPE, "a request that is no object")
        instances = document.get("instances")
        if instances is not None:
            return rows_in_lists(instances, self._forms, document)
        columns = document.get("inputs")
        if type(columns) is dict:
            return rows_in_columns(columns, self._forms, document)
        if type(columns) is list:
            return rows_in_lists(columns, self._forms, document)
        raise Undecodable(Reason.SHAPE, "neither `instances` nor `inputs`")

    def outputs(
        self,
        document: object,
        tail: bytes | memoryview,  # noqa: ARG002 - tensors in binary are not of this protocol
        inputs: Inputs | None,
    ) -> Outputs:
        """The predictions of an answer."""
        if type(document) is dict:
            for key in ("predictions", "outputs"):
                if key in document:
                    return read_named_outputs(document[key], key, self._answers, inputs)
        raise Undecodable(Reason.SHAPE, "neither `predictions` nor `outputs`")
