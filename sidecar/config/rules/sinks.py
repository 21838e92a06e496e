"""Sinks: told apart by name, reachable in form, with secrets that are not written into the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from sidecar.config.problems import Finding, Problem, Remark, child, shown
from sidecar.config.rules.durations import must_last
from sidecar.config.rules.fields import examine_set_fields
from sidecar.config.rules.secrets import (
    given,
    one_of,
    password_has_user,
    plain_url,
    variables_have_names,
)
from sidecar.config.settings import Settings
from sidecar.config.sinks import (
    ClientTls,
    EventForm,
    EventMode,
    HttpSink,
    JsonlSink,
    KafkaSink,
    NatsSink,
    ParquetSink,
    SaslMechanism,
    SinkSettings,
    StdoutSink,
)
from sidecar.config.units import format_duration, format_size
from sidecar.records.naming import SECRET_HEADERS

S3: Final = "s3://"

_HOST_AND_PORT: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})")
# Kafka's own rule for topics (Topic.LEGAL_CHARS).
_TOPIC: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,249}")
# https://docs.nats.io/nats-concepts/subjects: tokens between dots; wildcards are for subscribers.
_SUBJECT: Final = re.compile(r"[^\s.*>]+(?:\.[^\s.*>]+)*")
_STREAM: Final = re.compile(r"[^\s.*>/\\]+")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/.*)?", re.DOTALL)


def examine_sinks(settings: Settings) -> Iterator[Finding]:
    """Findings about `sinks`."""
    names: dict[str, str] = {}
    places: dict[str, str] = {}
    for index, sink in enumerate(settings.sinks):
        path = f"$.sinks[{index}]"
        if sink.name in names:
            yield Problem(
                path=f"{path}.name",
                expected="a name of its own",
                found=f"`{sink.name}`, the name of {names[sink.name]}",
            )
        names.setdefault(sink.name, path)
        place = _place(sink)
        if place is not None and place in places:
            yield Problem(
                path=path, expected="a place of its own", found=f"that of {places[place]}"
            )
        if place is not None:
            places.setdefault(place, path)
        yield from _common(sink, path)
        yield from _by_kind(sink, path)


def _place(sink: SinkSettings) -> str | None:
    """Where only one sink can write."""
    if isinstance(sink, StdoutSink):
        return sink.type
    if not isinstance(sink, JsonlSink | ParquetSink):
        return None
    return sink.path if sink.path.startswith(S3) else str(PurePath(sink.path))


def _common(sink: SinkSettings, path: str) -> Iterator[Finding]:
    yield from must_last(sink, path)
    yield from must_last(sink.retry, f"{path}.retry")
    yield from variables_have_names(sink, path)
    if sink.batch_bytes == 0:
        yield Problem(path=f"{path}.batch_bytes", expected="more than 0B", found=format_size(0))
    for longer in ("longest", "deadline"):
        if getattr(sink.retry, longer) < sink.retry.first:
            yield Problem(
                path=f"{path}.retry.{longer}",
                expected=f"at least `first` ({format_duration(sink.retry.first)})",
                found=format_duration(getattr(sink.retry, longer)),
            )


def _by_kind(sink: SinkSettings, path: str) -> Iterator[Finding]:
    match sink:
        case JsonlSink():
            yield from _directory(sink.path, f"{path}.path")
        case HttpSink():
            yield from _http(sink, path)
        case KafkaSink():
            yield from _kafka(sink, path)
        case NatsSink():
            yield from _nats(sink, path)
        case ParquetSink():
            yield from _parquet(sink, path)


def _http(sink: HttpSink, path: str) -> Iterator[Finding]:
    yield from one_of(sink, path, "url", "url_file", "url_env", needed=True)
    yield from one_of(sink, path, "token_file", "token_env", needed=False)
    yield from password_has_user(sink, path)
    if given(sink, "token_file", "token_env") and sink.username is not None:
        yield Problem(path=path, expected="a token or a `username`", found="both")
    if sink.url is not None:
        yield from plain_url(
            sink.url,
            f"{path}.url",
            schemes=("http", "https"),
            fix="`url_file`; a password in `password_file`",
        )
        if sink.tls != ClientTls() and sink.url.startswith("http://"):
            yield Remark(path=f"{path}.tls", text="no effect: `url` begins with `http`")
    yield from examine_set_fields(sink.headers, f"{path}.headers")
    for name in sink.headers:
        if name.lower() in SECRET_HEADERS:
            yield Problem(
                path=child(f"{path}.headers", name),
                expected="no credentials",
                found=f"`{name}`",
                fix="use `token_file`, or `username` and `password_file`",
            )
    if sink.events is EventForm.KSERVE and sink.mode is not EventMode.BINARY:
        yield Problem(
            path=f"{path}.mode", expected="`binary` with `events: kserve`", found=f"`{sink.mode}`"
        )
    yield from _tls(sink.tls, f"{path}.tls")


def _kafka(sink: KafkaSink, path: str) -> Iterator[Finding]:
    for index, broker in enumerate(sink.brokers):
        found = _HOST_AND_PORT.fullmatch(broker)
        if found is None or not 1 <= int(found[1]) <= 65_535:
            yield Problem(
                path=f"{path}.brokers[{index}]",
                expected="`host:port`",
                found="something else",
                fix="who we are stands in `sasl`" if "@" in broker else "",
            )
    if not _TOPIC.fullmatch(sink.topic):
        yield Problem(
            path=f"{path}.topic",
            expected="a name of up to 249 letters, digits, `.`, `_` and `-`",
            found=shown(sink.topic),
        )
    if sink.tls is not None:
        yield from _tls(sink.tls, f"{path}.tls")
    if sink.sasl is not None:
        where = f"{path}.sasl"
        yield from variables_have_names(sink.sasl, where)
        yield from one_of(sink.sasl, where, "password_file", "password_env", needed=True)
        if sink.tls is None and sink.sasl.mechanism is SaslMechanism.PLAIN:
            yield Remark(path=where, text="without `tls` the password crosses the network as it is")


def _nats(sink: NatsSink, path: str) -> Iterator[Finding]:
    yield from plain_url(
        sink.url,
        f"{path}.url",
        schemes=("nats", "tls"),
        fix="`password_file`, `token_file` or `credentials_file`",
    )
    if not _SUBJECT.fullmatch(sink.subject):
        yield Problem(
            path=f"{path}.subject",
            expected="tokens between dots, without spaces and wildcards",
            found=shown(sink.subject),
        )
    if sink.stream is not None and not _STREAM.fullmatch(sink.stream):
        yield Problem(
            path=f"{path}.stream",
            expected="the name of a stream, without spaces, dots and wildcards",
            found=shown(sink.stream),
        )
    if sink.create and sink.stream is None:
        yield Problem(
            path=f"{path}.stream", expected="the name of the stream to `create`", found="none"
        )
    yield from password_has_user(sink, path)
    yield from one_of(sink, path, "token_file", "token_env", needed=False)
    ways = [
        name
        for name, is_given in (
            ("username", sink.username is not None),
            ("a token", bool(given(sink, "token_file", "token_env"))),
            ("`credentials_file`", sink.credentials_file is not None),
        )
        if is_given
    ]
    if len(ways) > 1:
        yield Problem(path=path, expected="one way to say who we are", found=" and ".join(ways))
    if sink.tls is not None:
        yield from _tls(sink.tls, f"{path}.tls")


def _parquet(sink: ParquetSink, path: str) -> Iterator[Finding]:
    where = f"{path}.s3"
    yield from variables_have_names(sink.s3, where)
    for name in ("access_key_id", "secret_access_key"):
        yield from one_of(sink.s3, where, f"{name}_file", f"{name}_env", needed=False)
    halves = [
        bool(given(sink.s3, f"{name}_file", f"{name}_env"))
        for name in ("access_key_id", "secret_access_key")
    ]
    if halves[0] != halves[1]:
        yield Problem(
            path=where,
            expected="the id of the access key and its secret, or neither",
            found="one of them",
        )
    if sink.s3.endpoint is not None:
        yield from plain_url(
            sink.s3.endpoint,
            f"{where}.endpoint",
            schemes=("http", "https"),
            fix="`secret_access_key_file`",
        )
    if sink.path.startswith(S3):
        if not _BUCKET.fullmatch(sink.path.removeprefix(S3)):
            yield Problem(
                path=f"{path}.path", expected="`s3://bucket/prefix`", found="no such bucket"
            )
        return
    yield from _directory(sink.path, f"{path}.path", others=" or `s3://bucket/prefix`")
    if any(getattr(sink.s3, name) is not None for name in sink.s3.__struct_fields__):
        yield Remark(path=where, text="no effect: `path` does not begin with `s3://`")


def _directory(text: str, path: str, *, others: str = "") -> Iterator[Finding]:
    if not text or "://" in text:
        yield Problem(
            path=path,
            expected=f"a directory{others}",
            found="a URL of another kind" if text else "an empty text",
        )


def _tls(tls: ClientTls, path: str) -> Iterator[Finding]:
    if (tls.cert_file is None) != (tls.key_file is None):
        present, absent = ("cert_file", "key_file") if tls.cert_file else ("key_file", "cert_file")
        yield Problem(
            path=f"{path}.{absent}",
            expected=f"the file that belongs to `{present}`",
            found="nothing",
        )
    if not tls.verify:
        yield Remark(path=f"{path}.verify", text="whoever answers there is believed to be the sink")
