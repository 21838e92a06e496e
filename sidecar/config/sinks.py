"""The part of the configuration that says where records go.

`type` tells sinks apart; what all have in common stands in `_Sink`. A secret is never written into
the file: it is in a file of its own (`..._file`) or in the environment (`..._env`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from sidecar.config.units import Duration, Size


def _doc(text: str) -> Meta:
    return Meta(description=text)


class _Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


_Name = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}(?!\n)$",
        description="Appears in metrics and the API; unique.",
        extra={"wording": "a name: up to 63 letters, digits, `.`, `_` and `-`"},
    ),
]
_Count = Annotated[int, Meta(ge=1, le=1_000_000)]


class SinkRetry(_Settings, frozen=True, kw_only=True):
    """How long a batch is tried again; what is refused for good is not."""

    first: Annotated[Duration, _doc("The first wait, doubled each time, with jitter.")] = Duration(
        0.2
    )
    longest: Annotated[Duration, _doc("The longest wait.")] = Duration(30)
    deadline: Annotated[
        Duration,
        _doc(
            "After this, a record at which the sink fails while it takes others becomes a dead "
            "letter. A sink that is down is waited for without end."
        ),
    ] = Duration(600)


class ClientTls(_Settings, frozen=True, kw_only=True):
    """TLS towards a sink."""

    ca_file: Annotated[
        str | None, _doc("Bundle (PEM) that signed its certificate; else the system's.")
    ] = None
    cert_file: Annotated[str | None, _doc("Client certificate (PEM); needs `key_file`.")] = None
    key_file: Annotated[str | None, _doc("Client key (PEM); needs `cert_file`.")] = None
    verify: Annotated[bool, _doc("Verify its certificate.")] = True


class _Sink(_Settings, frozen=True, kw_only=True, tag_field="type"):
    name: _Name
    batch_records: Annotated[_Count, _doc("Most records of a batch.")] = 500
    batch_bytes: Annotated[Size, _doc("Most bytes of a batch, as the journal holds it.")] = Size(
        1024 * 1024
    )
    batch_age: Annotated[Duration, _doc("Longest wait of a record for its batch.")] = Duration(1)
    timeout: Annotated[Duration, _doc("Longest wait for a batch to be taken.")] = Duration(10)
    retry: SinkRetry = field(default_factory=SinkRetry)

    @property
    def type(self) -> str:
        """The kind of sink, as the file says it."""
        return str(self.__struct_config__.tag)


class JsonlSink(_Sink, frozen=True, kw_only=True, tag="jsonl"):
    """Files with a record a line, the present one begun anew by size and age."""

    path: Annotated[str, _doc("A directory, made if it is not there.")]
    rotate: Annotated[Size, _doc("A file of this size is closed.")] = Size(128 * 1024 * 1024)
    rotate_age: Annotated[Duration, _doc("A file of this age is closed.")] = Duration(3600)
    keep: Annotated[Size | None, _doc("Most bytes of closed files, the oldest go; else all.")] = (
        None
    )
    fsync: Annotated[bool, _doc("Force each batch to the disk before it counts as delivered.")] = (
        False
    )


class StdoutSink(_Sink, frozen=True, kw_only=True, tag="stdout"):
    """A record a line on the standard output of the process."""


class EventMode(StrEnum):
    """How CloudEvents travel in HTTP."""

    BINARY = "binary"
    BATCHED = "batched"


class EventForm(StrEnum):
    """What the events are: whole records, or what KServe's logger sends."""

    RECORDS = "records"
    KSERVE = "kserve"


class HttpSink(_Sink, frozen=True, kw_only=True, tag="http"):
    """CloudEvents 1.0 by POST. The URL stands in exactly one of `url`, `url_file` and `url_env`."""

    url: Annotated[str | None, _doc("Where it listens, if that is no secret.")] = None
    url_file: Annotated[str | None, _doc("File with the URL.")] = None
    url_env: Annotated[str | None, _doc("Variable of the environment with the URL.")] = None
    mode: Annotated[
        EventMode, _doc("A request for each event, with its attributes as header; or a JSON list.")
    ] = EventMode.BATCHED
    events: Annotated[
        EventForm,
        _doc(
            "`records`: a record each, of type `sidecar.record`. `kserve`: the captured request "
            "and answer, with the types and extensions of KServe's logger; needs `binary`."
        ),
    ] = EventForm.RECORDS
    source: Annotated[str, _doc("The events' `source`, a URI reference.")] = "/model-sidecar"
    concurrency: Annotated[
        Annotated[int, Meta(ge=1, le=256)], _doc("Most requests at once, with `binary`.")
    ] = 8
    headers: Annotated[dict[str, str], _doc("Further header fields, none of them secret.")] = {}
    token_file: Annotated[str | None, _doc("File with a bearer token.")] = None
    token_env: Annotated[str | None, _doc("Variable of the environment with that token.")] = None
    username: Annotated[str | None, _doc("For basic authentication.")] = None
    password_file: Annotated[str | None, _doc("File with its password.")] = None
    password_env: Annotated[str | None, _doc("Variable of the environment with that password.")] = (
        None
    )
    tls: ClientTls = field(default_factory=ClientTls)


class SaslMechanism(StrEnum):
    """How a Kafka client says who it is."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


class Sasl(_Settings, frozen=True, kw_only=True):
    """Who we are to Kafka. The password stands in `password_file` or `password_env`."""

    mechanism: Annotated[SaslMechanism, _doc("As the brokers are set up.")] = SaslMechanism.PLAIN
    username: Annotated[str, _doc("The user.")]
    password_file: Annotated[str | None, _doc("File with the password.")] = None
    password_env: Annotated[str | None, _doc("Variable of the environment with that password.")] = (
        None
    )


class KafkaCompression(StrEnum):
    """What batches are compressed with on their way."""

    NONE = "none"
    GZIP = "gzip"


class KafkaSink(_Sink, frozen=True, kw_only=True, tag="kafka"):
    """A topic of Kafka, by an idempotent producer. Needs `pip install 'model-sidecar[kafka]'`."""

    brokers: Annotated[
        tuple[str, ...], Meta(min_length=1, description="`host:port` of one or more to begin with.")
    ]
    topic: Annotated[str, _doc("The topic; records of one request share its key.")]
    client_id: Annotated[str, _doc("What we are called in the brokers' logs and quotas.")] = (
        "model-sidecar"
    )
    compression: Annotated[
        KafkaCompression, _doc("What batches are compressed with on their way.")
    ] = KafkaCompression.NONE
    max_message: Annotated[
        Size, _doc("The brokers' `message.max.bytes`; a larger record is a dead letter.")
    ] = Size(1024 * 1024)
    tls: Annotated[ClientTls | None, _doc("TLS to the brokers; `{}` for the system's trust.")] = (
        None
    )
    sasl: Sasl | None = None


class NatsSink(_Sink, frozen=True, kw_only=True, tag="nats"):
    """A stream of NATS JetStream, acknowledged. Needs `pip install 'model-sidecar[nats]'`."""

    url: Annotated[str, _doc("`nats://host:4222`, or `tls://` with TLS.")]
    subject: Annotated[
        str,
        _doc("The subject; `{route}` and `{model}` in it are the record's. A stream must take it."),
    ]
    stream: Annotated[
        str | None, _doc("The stream that is expected to take it; else whichever does.")
    ] = None
    create: Annotated[
        bool, _doc("Make that stream if it is not there, with the defaults and 7 days' retention.")
    ] = False
    username: Annotated[str | None, _doc("The user.")] = None
    password_file: Annotated[str | None, _doc("File with its password.")] = None
    password_env: Annotated[str | None, _doc("Variable of the environment with that password.")] = (
        None
    )
    token_file: Annotated[str | None, _doc("File with a token.")] = None
    token_env: Annotated[str | None, _doc("Variable of the environment with that token.")] = None
    credentials_file: Annotated[str | None, _doc("File with a JWT and its seed (`.creds`).")] = None
    tls: Annotated[ClientTls | None, _doc("TLS; `{}` for the system's trust.")] = None


class ParquetCompression(StrEnum):
    """What columns are compressed with."""

    ZSTD = "zstd"
    SNAPPY = "snappy"
    NONE = "none"


class S3Access(_Settings, frozen=True, kw_only=True):
    """How object storage is reached; what is left out is found as AWS's own tools find it."""

    region: Annotated[str | None, _doc("The bucket's region.")] = None
    endpoint: Annotated[
        str | None, _doc("URL of a store other than AWS, such as MinIO or Ceph.")
    ] = None
    access_key_id_file: Annotated[str | None, _doc("File with the id of the access key.")] = None
    access_key_id_env: Annotated[str | None, _doc("Variable of the environment with that id.")] = (
        None
    )
    secret_access_key_file: Annotated[str | None, _doc("File with the secret of that key.")] = None
    secret_access_key_env: Annotated[
        str | None, _doc("Variable of the environment with that secret.")
    ] = None


class ParquetSink(_Sink, frozen=True, kw_only=True, tag="parquet"):
    """Files partitioned by date and model, one per batch and partition; on disk, or in S3.

    Needs `pip install 'model-sidecar[parquet]'`, for `s3://` also `model-sidecar[s3]`.
    """

    path: Annotated[str, _doc("A directory, or `s3://bucket/prefix`.")]
    batch_records: Annotated[
        _Count, _doc("Most records of a batch: large ones make files that are read fast.")
    ] = 10_000
    batch_bytes: Annotated[Size, _doc("Most bytes of a batch, as the journal holds it.")] = Size(
        8 * 1024 * 1024
    )
    batch_age: Annotated[Duration, _doc("Longest wait of a record for its batch.")] = Duration(60)
    timeout: Annotated[Duration, _doc("Longest wait for a batch to be stored.")] = Duration(60)
    compression: Annotated[ParquetCompression, _doc("What columns are compressed with.")] = (
        ParquetCompression.ZSTD
    )
    s3: S3Access = field(default_factory=S3Access)


SinkSettings = JsonlSink | StdoutSink | HttpSink | KafkaSink | NatsSink | ParquetSink
"""Any sink; `type` says which."""
