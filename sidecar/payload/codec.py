"""What every codec offers, whatever its protocol.

A codec belongs to one owner in one thread: it remembers the forms of bodies that it has seen. It
raises nothing but `Undecodable`, whatever the bytes, and keeps no reference to them.
"""

from __future__ import annotations

from typing import Protocol

from sidecar.payload.extract import Body, Inputs, Outputs


class Codec(Protocol):
    """Reads complete bodies of one protocol. Raises Undecodable."""

    def read_request(self, body: Body) -> Inputs:
        """The rows of a request and the values of the sources that were asked for."""
        ...

    def read_response(self, body: Body, inputs: Inputs | None = None) -> Outputs:
        """The predictions of an answer; `inputs` is what it answers, where that is known."""
        ...


class StreamReader(Protocol):
    """Reads one answer while it passes, and holds no more of it than a bounded line."""

    def feed(self, data: bytes | memoryview, now_ns: int) -> None:
        """Take the next bytes, which arrived at `now_ns`. Never raises."""
        ...

    def finish(self) -> Outputs:
        """What the answer said until it ended, however it ended. Raises Undecodable if nothing."""
        ...


class Dialect(Protocol):
    """How a protocol uses JSON: documents to rows and predictions. Raises Undecodable.

    `tail` is what follows the JSON in a body with binary tensors, empty everywhere else.
    """

    def inputs(self, document: object, tail: bytes | memoryview) -> Inputs:
        """The rows of a request."""
        ...

    def outputs(self, document: object, tail: bytes | memoryview, inputs: Inputs | None) -> Outputs:
        """The predictions of an answer."""
        ...
