"""What MLflow's scoring server takes at /invocations, and what it answers.

A request is one of `dataframe_split` {columns, data}, `dataframe_records`, `instances` and
`inputs`; CSV is read by `csv_rows`. An answer has `predictions`, whose single output is called
that; servers of old answered with the bare list.

Documentation: https://mlflow.org/docs/latest/genai/serving/ ("Inference server specification").
"""

from __future__ import annotations

from sidecar.payload.answers import Answers
from sidecar.payload.extract import Inputs, Outputs, Undecodable
from sidecar.payload.forms import Forms
from sidecar.payload.instances import rows_in_columns, rows_in_lists, rows_under
from sidecar.payload.named_outputs import read_named_outputs
from sidecar.payload.names import Reason


class MLflow:
    """The dialect; see the module's text."""

    def __init__(self, forms: Forms, answers: Answers) -> None:
        self._forms = forms
        self._answers = answers

    def inputs(self, document: object, tail: bytes | memoryview) -> Inputs:  # noqa: ARG002
        """The rows of a scoring request."""
        if type(document) is not dict:
            raise Undecodable(Reason.SHAPE, "a request that is no object")
        split = document.get("dataframe_split")
        if type(split) is dict:
            return rows_under(split.get("columns"), split.get("data"), self._forms, document)
        for key in ("dataframe_records", "instances", "inputs"):
            found = document.get(key)
            if type(found) is list:
                return rows_in_lists(found, self._forms, document)
            if type(found) is dict:
                return rows_in_columns(found, self._forms, document)
        raise Undecodable(
            Reason.SHAPE, "none of `dataframe_split`, `dataframe_records`, `instances`, `inputs`"
        )

    def outputs(
        self,
        document: object,
        tail: bytes | memoryview,  # noqa: ARG002 - tensors in binary are not of this protocol
        inputs: Inputs | None,
    ) -> Outputs:
        """The predictions of an answer."""
        if type(document) is dict and "predictions" in document:
            document = document["predictions"]
        elif type(document) is not list:
            raise Undecodable(Reason.SHAPE, "no `predictions`")
        return read_named_outputs(document, "predictions", self._answers, inputs)
