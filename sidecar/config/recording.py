"""The part of the configuration that says what is recorded, kept, and left out as secret.

See `sidecar.config.settings`, of which these sections are part, and `sidecar.config.sinks` for
where records go.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from sidecar.config.units import Duration, Size
from sidecar.records.hiding import How
from sidecar.records.naming import (
    SECRET_HEADERS,
    SECRET_PARAMETERS,
    ColumnRule,
    PointerRule,
    RedactionRules,
)
from sidecar.records.policy import CapturePolicy


def _doc(text: str) -> Meta:
    return Meta(description=text)


class _Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


_Share = Annotated[float, Meta(ge=0, le=1)]


class CaptureSettings(_Settings, frozen=True, kw_only=True):
    """Of which exchanges a record is made, and of which bodies and header fields are kept in it."""

    records: Annotated[
        _Share,
        _doc(
            "Share of the exchanges that are recorded at all; the others are counted as sampled "
            "out. Failures always are recorded, and so is everything whose bodies are kept."
        ),
    ] = 1
    bodies: Annotated[_Share, _doc("Share of the exchanges whose bodies are kept.")] = 0
    models: Annotated[
        dict[str, _Share], _doc("That share for models of the route, where it differs.")
    ] = {}
    failures: Annotated[
        bool, _doc("Keep those of every exchange that failed: no answer, a broken one, a 5xx.")
    ] = True
    unusual: Annotated[
        _Share, _doc("Keep those of the most unusual exchanges: this share of all; 0 for none.")
    ] = 0.01
    headers: Annotated[
        tuple[str, ...], _doc("Header fields that are kept with the bodies, where there are such.")
    ] = ()
    query: Annotated[bool, _doc("Whether the query of the URL is kept with the bodies.")] = False
    max_body: Annotated[
        Size, _doc("Of a longer body only so much is kept, and its length; see `dead_letters`.")
    ] = Size(64 * 1024)

    def policy(self) -> CapturePolicy:
        """What decides by these settings; it learns, so each route of a worker has its own."""
        return CapturePolicy(
            bodies=self.bodies, models=self.models, failures=self.failures, unusual=self.unusual
        )


class Fsync(StrEnum):
    """When what was written is forced to the disk."""

    NEVER = "never"
    INTERVAL = "interval"
    ALWAYS = "always"


class JournalSettings(_Settings, frozen=True, kw_only=True):
    """The files in which workers record every exchange, until it has been delivered."""

    enabled: Annotated[bool, _doc("Whether anything is recorded at all.")] = True
    path: Annotated[str | None, _doc("Its directory; else `journal` in `state_dir`.")] = None
    segment: Annotated[Size, _doc("A file of this size is closed, and the next begun.")] = Size(
        64 * 1024 * 1024
    )
    segment_age: Annotated[Duration, _doc("A file of this age is closed, too.")] = Duration(600)
    fsync: Annotated[
        Fsync,
        _doc(
            "What a power cut can take: `never` leaves it to the system (about 30 s), `interval` "
            "the last `fsync_interval`, `always` nothing that counts as durable. A process that "
            "is killed loses nothing that was written, whichever it is."
        ),
    ] = Fsync.INTERVAL
    fsync_interval: Annotated[Duration, _doc("Of `interval`: the time between two.")] = Duration(
        0.5
    )
    retain: Annotated[
        Size, _doc("Most bytes on disk; then the oldest files go, delivered or not, and counted.")
    ] = Size(4 * 1024**3)
    retain_age: Annotated[Duration, _doc("Older files go, delivered or not, and counted.")] = (
        Duration(7 * 86_400)
    )
    queue: Annotated[
        Size, _doc("Most bytes that wait in memory for the disk, per worker; more are dropped.")
    ] = Size(16 * 1024 * 1024)
    compress: Annotated[
        bool, _doc("Compress closed files; needs `pip install 'model-sidecar[zstd]'`.")
    ] = False


class RedactSettings(_Settings, frozen=True, kw_only=True):
    """What is secret: left out, masked or hashed before anything is written."""

    headers: Annotated[
        tuple[str, ...],
        _doc("Header fields that are secret, in whatever case they are written."),
    ] = SECRET_HEADERS
    pointers: Annotated[
        tuple[PointerRule, ...], _doc("Places in JSON bodies of requests and answers.")
    ] = ()
    columns: Annotated[
        tuple[ColumnRule, ...],
        _doc("Features, predictions, scores and segments, by name, wherever a body has them."),
    ] = ()
    query: Annotated[
        tuple[str, ...], _doc("Parameters of the URL's query, in whatever case they are written.")
    ] = SECRET_PARAMETERS
    how: Annotated[
        How,
        _doc(
            "What is done with what the rules name: `drop` leaves it out, `mask` writes `***`, "
            "`hash` a keyed hash, equal for equal values. A rule may say otherwise."
        ),
    ] = How.MASK
    key_file: Annotated[
        str | None, _doc("File with the key of `hash`: 16 bytes or more, the same on all hosts.")
    ] = None
    key_env: Annotated[str | None, _doc("Variable of the environment with that key.")] = None

    @property
    def rules(self) -> RedactionRules:
        """What a redactor goes by."""
        return RedactionRules(
            headers=self.headers,
            pointers=self.pointers,
            columns=self.columns,
            query=self.query,
            how=self.how,
        )


class DeadLetterSettings(_Settings, frozen=True, kw_only=True):
    """What could not be predicted or delivered, kept to be looked at and replayed."""

    max: Annotated[Size, _doc("Most bytes of dead letters; then the oldest go, counted.")] = Size(
        1024**3
    )
    max_age: Annotated[Duration, _doc("Older ones go, counted.")] = Duration(14 * 86_400)
    full_body: Annotated[
        Size,
        _doc(
            "Of a failed exchange so much of the request is kept, whatever `capture.max_body` "
            "says: a request that was cut cannot be replayed."
        ),
    ] = Size(1024 * 1024)
