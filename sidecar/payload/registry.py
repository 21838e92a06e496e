"""Which codec reads which protocol: one table, and the one place that builds codecs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sidecar.payload.answers import Answers
from sidecar.payload.any_json import AnyJson
from sidecar.payload.bodies import (
    AnyBodies,
    CompletionBodies,
    CsvOrJson,
    JsonBodies,
    NoBodies,
)
from sidecar.payload.codec import Codec, Dialect, StreamReader
from sidecar.payload.csv_rows import CsvBodies
from sidecar.payload.forms import Forms
from sidecar.payload.kserve_v1 import KServeV1
from sidecar.payload.mlflow import MLflow
from sidecar.payload.names import Protocol
from sidecar.payload.open_inference import OpenInference, OpenInferenceBodies
from sidecar.payload.openai import OpenAI
from sidecar.payload.openai_stream import OpenAIStream
from sidecar.payload.raw_answers import RawAnswers
from sidecar.payload.settings import PayloadSettings, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What codecs are built from."""

    settings: PayloadSettings
    sources: tuple[Source, ...]
    forms: Forms
    answers: Answers
    max_bytes: int


def codec_for(
    settings: PayloadSettings,
    sources: tuple[Source, ...] = (),
    *,
    max_bytes: int,
    names: tuple[str, ...] = (),
) -> Codec:
    """The codec of a route.

    It finds the `sources` that stand in bodies; values of header fields are None, since it sees no
    head. `names` are the features of the baseline, in order. Bodies of more than `max_bytes`,
    decompressed, are refused. Raises ValueError when a pointer is none.
    """
    parts = _Parts(
        settings=settings,
        sources=sources,
        forms=Forms(settings.features, names, sources),
        answers=Answers(settings),
        max_bytes=max_bytes,
    )
    return FACTORIES[settings.codec](parts)


def raw_codec_for(
    settings: PayloadSettings,
    sources: tuple[Source, ...] = (),
    *,
    max_bytes: int,
    names: tuple[str, ...] = (),
) -> Codec:
    """A codec that reads requests as that of `codec_for` does, and leaves answers unread.

    See `raw_answers`; it is for single rows.
    """
    forms, answers = Forms(settings.features, names, sources), RawAnswers(settings)
    parts = _Parts(
        settings=settings, sources=sources, forms=forms, answers=answers, max_bytes=max_bytes
    )
    return FACTORIES[settings.codec](parts)


def stream_reader(
    settings: PayloadSettings, *, started_ns: int | None = None, content_encoding: bytes = b""
) -> StreamReader | None:
    """A reader of one answer that is a stream of events; None where there is none to read it.

    `started_ns` is when the request began, on the clock that `feed` is given; without it times are
    not measured. A compressed stream is not read.
    """
    if content_encoding.strip().lower() not in (b"", b"identity"):
        return None
    if settings.codec in (Protocol.OPENAI, Protocol.AUTO):
        return OpenAIStream(started_ns)
    return None


def _open_inference(parts: _Parts) -> Codec:
    return OpenInferenceBodies(
        OpenInference(parts.forms, parts.answers),
        parts.max_bytes,
        needs_documents=any(source.pointer is not None for source in parts.sources),
    )


def _kserve_v1(parts: _Parts) -> Codec:
    return JsonBodies(KServeV1(parts.forms, parts.answers), parts.max_bytes)


def _mlflow(parts: _Parts) -> Codec:
    json = JsonBodies(MLflow(parts.forms, parts.answers), parts.max_bytes)
    return CsvOrJson(_csv_bodies(parts, header=True), json, otherwise=json)


def _openai(parts: _Parts) -> Codec:
    return CompletionBodies(OpenAI(parts.forms), parts.max_bytes)


def _any_json(parts: _Parts) -> Codec:
    return JsonBodies(AnyJson(parts.settings, parts.forms, parts.answers), parts.max_bytes)


def _csv(parts: _Parts) -> Codec:
    csv = _csv_bodies(parts, header=parts.settings.csv_header)
    json = JsonBodies(MLflow(parts.forms, parts.answers), parts.max_bytes)
    return CsvOrJson(csv, json, otherwise=csv)


def _auto(parts: _Parts) -> Codec:
    json = JsonBodies(MLflow(parts.forms, parts.answers), parts.max_bytes)
    # MLflow's CSV has a header, SageMaker's has none, and both come to /invocations.
    csv = _csv_bodies(parts, header=parts.settings.csv_header or None)
    codecs = {
        Protocol.OPEN_INFERENCE: _open_inference(parts),
        Protocol.KSERVE_V1: _kserve_v1(parts),
        Protocol.MLFLOW: CsvOrJson(csv, json, otherwise=json),
        Protocol.OPENAI: _openai(parts),
        Protocol.CSV: CsvOrJson(csv, json, otherwise=csv),
    }
    dialects: dict[Protocol, Dialect] = {
        Protocol.OPEN_INFERENCE: OpenInference(parts.forms, parts.answers),
        Protocol.KSERVE_V1: KServeV1(parts.forms, parts.answers),
        Protocol.MLFLOW: MLflow(parts.forms, parts.answers),
        Protocol.OPENAI: OpenAI(parts.forms),
    }
    return AnyBodies(codecs, dialects, parts.max_bytes)


def _none(parts: _Parts) -> Codec:  # noqa: ARG001
    return NoBodies()


def _csv_bodies(parts: _Parts, *, header: bool | None) -> CsvBodies:
    named = parts.settings.prediction is not None or parts.settings.score is not None
    return CsvBodies(parts.forms, parts.answers, parts.max_bytes, header=header, by_name=named)


FACTORIES: Final[Mapping[Protocol, Callable[[_Parts], Codec]]] = {
    Protocol.AUTO: _auto,
    Protocol.OPEN_INFERENCE: _open_inference,
    Protocol.KSERVE_V1: _kserve_v1,
    Protocol.MLFLOW: _mlflow,
    Protocol.OPENAI: _openai,
    Protocol.JSON: _any_json,
    Protocol.CSV: _csv,
    Protocol.NONE: _none,
}
"""The registry: every protocol has an entry."""
