"""What a route may say about its payloads; `config` makes it part of the configuration file."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from sidecar.payload.names import Protocol


def _doc(text: str) -> Meta:
    return Meta(description=text)


class Source(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a value of a request is found; exactly one key."""

    header: Annotated[str | None, _doc("A request header field.")] = None
    feature: Annotated[str | None, _doc("A feature, by its name.")] = None
    pointer: Annotated[str | None, _doc("A JSON Pointer (RFC 6901) into the request's body.")] = (
        None
    )


class PayloadSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the bodies of a route are read. Without it, the protocol is detected."""

    codec: Annotated[
        Protocol, _doc("The protocol of the bodies; `auto` tells it by path and body.")
    ] = Protocol.AUTO
    features: Annotated[
        tuple[str, ...],
        _doc(
            "Names of features in the order of the values, where the protocol has none (one "
            "tensor, bare rows, CSV without header); else those to observe. Empty: all, as they "
            "come, or by the baseline."
        ),
    ] = ()
    instances: Annotated[
        str | None, _doc("`json` codec: pointer to the row, or list of rows, of a request.")
    ] = None
    prediction: Annotated[
        str | None,
        _doc("The output that is the prediction: a name, or a pointer for `json`. Else the usual."),
    ] = None
    score: Annotated[
        str | None, _doc("The output that holds scores or probabilities, likewise.")
    ] = None
    positive: Annotated[
        str | None,
        _doc("The label of the positive class, and of its place among the probabilities."),
    ] = None
    labels: Annotated[
        tuple[str, ...], _doc("The classes in the order of the probabilities, where unsaid.")
    ] = ()
    csv_header: Annotated[bool, _doc("`csv` codec: the first line of a body holds names.")] = False
