"""Sinks: told apart by type, refused with what to write, and never with a secret in the message."""

import msgspec
import pytest

from sidecar.config.sinks import HttpSink, JsonlSink, KafkaSink, ParquetSink
from sidecar.config.units import Duration, Size
from sidecar.config.wire import decode, encode

BASE = """
models: {stable: {url: "http://127.0.0.1:9000"}}
routes: [{name: iris, primary: stable}]
"""
HTTP = "type: http, name: s, url: 'http://h/p'"
KAFKA = "type: kafka, name: s, brokers: ['h:9092'], topic: t"
NATS = "type: nats, name: s, url: 'nats://h:4222', subject: a.b"
PARQUET = "type: parquet, name: s, path: out"


def sinks(*keys: str) -> str:
    return BASE + "sinks: [" + ", ".join(f"{{{one}}}" for one in keys) + "]\n"


def test_each_type_has_its_own_keys_and_defaults(load_text):
    loaded = load_text(
        sinks(
            "type: jsonl, name: files, path: ./log",
            "type: stdout, name: out, batch_age: 100ms",
            HTTP.replace("name: s", "name: web"),
            KAFKA.replace("name: s", "name: topic"),
            NATS.replace("name: s", "name: stream"),
            PARQUET.replace("name: s", "name: lake"),
        )
    ).settings.sinks

    assert [sink.type for sink in loaded] == [
        "jsonl", "stdout", "http", "kafka", "nats", "parquet",
    ]  # fmt: skip
    assert (loaded[0].batch_records, loaded[0].retry.longest) == (500, 30)
    assert loaded[1].batch_age == 0.1
    assert (loaded[5].batch_records, loaded[5].batch_age) == (10_000, 60)


def test_relative_places_stand_beside_the_file(load_text, directory):
    (directory / "token").write_text("s3cret")
    (directory / "password").write_text("s3cret")

    files, lake, bucket, web, topic = load_text(
        sinks(
            "type: jsonl, name: a, path: log",
            "type: parquet, name: b, path: lake",
            "type: parquet, name: c, path: 's3://bucket/x'",
            "type: http, name: d, url: 'http://h', token_file: token",
            "type: kafka, name: e, brokers: ['h:1'], topic: t, tls: {}, "
            "sasl: {username: u, password_file: password}",
        )
    ).settings.sinks

    assert files.path == str(directory / "log")
    assert lake.path == str(directory / "lake")
    assert bucket.path == "s3://bucket/x"
    assert web.token_file == str(directory / "token")
    assert topic.sasl.password_file == str(directory / "password")


def test_they_survive_the_wire(load_text):
    settings = load_text(sinks("type: jsonl, name: files, path: log", HTTP)).settings

    received = decode(encode(settings.sinks), tuple[JsonlSink | HttpSink, ...])

    assert received == settings.sinks
    assert type(received[0].rotate) is Size
    assert type(received[0].batch_age) is Duration


def test_a_key_of_a_sink_can_be_overridden_by_the_environment(load_text):
    loaded = load_text(sinks(KAFKA), SIDECAR__SINKS__0__TOPIC="other")

    assert isinstance(loaded.settings.sinks[0], KafkaSink)
    assert loaded.settings.sinks[0].topic == "other"


@pytest.mark.parametrize(
    ("keys", "path", "sentence"),
    [
        ("name: s", "$.sinks[0].type", "expected `jsonl` or `stdout` or `http`"),
        ("type: kafak, name: s", "$.sinks[0].type", "did you mean `kafka`?"),
        ("type: 5, name: s", "$.sinks[0].type", "found 5"),
        ("type: stdout", "$.sinks[0].name", "a name"),
        ("type: stdout, name: a b", "$.sinks[0].name", "a name"),
        ("type: jsonl, name: s", "$.sinks[0].path", "found nothing"),
        ("type: jsonl, name: s, path: ''", "$.sinks[0].path", "a directory"),
        ("type: jsonl, name: s, path: 's3://b/p'", "$.sinks[0].path", "a URL of another kind"),
        ("type: jsonl, name: s, topic: t", "$.sinks[0].topic", "a known key"),
        ("type: stdout, name: s, batch_records: 0", "$.sinks[0].batch_records", "from 1"),
        ("type: stdout, name: s, batch_bytes: 0B", "$.sinks[0].batch_bytes", "more than 0B"),
        ("type: stdout, name: s, batch_age: 0s", "$.sinks[0].batch_age", "more than 0s"),
        ("type: stdout, name: s, timeout: 0s", "$.sinks[0].timeout", "more than 0s"),
        (
            "type: stdout, name: s, retry: {first: 1m}",
            "$.sinks[0].retry.longest",
            "at least `first` (1m)",
        ),
        (
            "type: stdout, name: s, retry: {first: 1s, deadline: 500ms}",
            "$.sinks[0].retry.deadline",
            "at least `first` (1s)",
        ),
        ("type: http, name: s", "$.sinks[0]", "exactly one of `url`, `url_file` and `url_env`"),
        (f"{HTTP}, url_env: U", "$.sinks[0]", "found `url` and `url_env`"),
        ("type: http, name: s, url: 'ftp://h'", "$.sinks[0].url", "`http://...` or `https://...`"),
        ("type: http, name: s, url: 'http://'", "$.sinks[0].url", "no such URL"),
        ("type: http, name: s, url: 'http://h:x'", "$.sinks[0].url", "no such URL"),
        (f"{HTTP}, events: kserve", "$.sinks[0].mode", "`binary` with `events: kserve`"),
        (f"{HTTP}, headers: {{a b: c}}", '$.sinks[0].headers["a b"]', "RFC 9110 token"),
        (f"{HTTP}, token_file: t, token_env: T", "$.sinks[0]", "at most one of `token_file`"),
        (f"{HTTP}, token_env: T, username: u, password_env: P", "$.sinks[0]", "a token or"),
        (f"{HTTP}, username: u", "$.sinks[0]", "`password_file` or `password_env`"),
        (f"{HTTP}, password_env: P", "$.sinks[0].username", "the user of `password_env`"),
        (f"{HTTP}, tls: {{cert_file: c}}", "$.sinks[0].tls.key_file", "belongs to `cert_file`"),
        (f"{HTTP}, concurrency: 0", "$.sinks[0].concurrency", "from 1 to 256"),
        (KAFKA.replace("['h:9092']", "[]"), "$.sinks[0].brokers", "at least one entry"),
        (KAFKA.replace("h:9092", "h"), "$.sinks[0].brokers[0]", "`host:port`"),
        (KAFKA.replace("h:9092", "h:99999"), "$.sinks[0].brokers[0]", "`host:port`"),
        (KAFKA.replace("topic: t", "topic: a/b"), "$.sinks[0].topic", "249 letters"),
        (KAFKA.replace("topic: t", "topic: '..'"), "$.sinks[0].topic", "249 letters"),
        (
            f"{KAFKA}, sasl: {{username: u, mechanism: SCRAM-SHA-256}}",
            "$.sinks[0].sasl",
            "exactly one of `password_file` and `password_env`",
        ),
        (NATS.replace("nats://", "http://"), "$.sinks[0].url", "`nats://...` or `tls://...`"),
        (NATS.replace("a.b", "a.*"), "$.sinks[0].subject", "without spaces and wildcards"),
        (NATS.replace("a.b", "a..b"), "$.sinks[0].subject", "tokens between dots"),
        (f"{NATS}, stream: a.b", "$.sinks[0].stream", "the name of a stream"),
        (f"{NATS}, create: true", "$.sinks[0].stream", "the name of the stream to `create`"),
        (f"{NATS}, token_env: T, credentials_file: c", "$.sinks[0]", "one way to say who we are"),
        (PARQUET.replace("out", "'gs://b/p'"), "$.sinks[0].path", "or `s3://bucket/prefix`"),
        (PARQUET.replace("out", "'s3://B_/p'"), "$.sinks[0].path", "no such bucket"),
        (
            f"{PARQUET}, s3: {{access_key_id_env: A}}",
            "$.sinks[0].s3",
            "the id of the access key and its secret, or neither",
        ),
        (
            f"{PARQUET}, s3: {{endpoint: minio}}",
            "$.sinks[0].s3.endpoint",
            "`http://...` or `https://...`",
        ),
    ],
)
def test_a_rule_that_is_broken_is_told_with_path_and_fix(problems_of, keys, path, sentence):
    found = [problem for problem in problems_of(sinks(keys)) if sentence in problem.text]

    assert [problem.path for problem in found] == [path]


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ("type: http, name: s, url: 'https://me:S3CRET@h/'", "$.sinks[0].url"),
        ("type: http, name: s, url: 'https://h/?token=S3CRET'", "$.sinks[0].url"),
        (f"{HTTP}, headers: {{Authorization: S3CRET}}", "$.sinks[0].headers.Authorization"),
        (f"{HTTP}, token_env: S3CRET-value", "$.sinks[0].token_env"),
        (KAFKA.replace("h:9092", "me:S3CRET@h:9092"), "$.sinks[0].brokers[0]"),
        (
            f"{KAFKA}, tls: {{}}, sasl: {{username: u, password_env: 'S3CRET!'}}",
            "$.sinks[0].sasl.password_env",
        ),
        (NATS.replace("//h", "//me:S3CRET@h"), "$.sinks[0].url"),
        (
            f"{PARQUET}, s3: {{endpoint: 'https://me:S3CRET@h'}}",
            "$.sinks[0].s3.endpoint",
        ),
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_quoted(problems_of, keys, path):
    problems = problems_of(sinks(keys))

    assert path in [problem.path for problem in problems]
    assert not any("S3CRET" in str(problem) for problem in problems)


def test_names_and_places_are_of_one_sink_each(problems_of):
    problems = problems_of(
        sinks(
            "type: stdout, name: a",
            "type: stdout, name: b",
            "type: jsonl, name: a, path: log",
            "type: parquet, name: c, path: log/",
        )
    )

    assert [(problem.path, problem.found) for problem in problems] == [
        ("$.sinks[1]", "that of $.sinks[0]"),
        ("$.sinks[2].name", "`a`, the name of $.sinks[0]"),
        ("$.sinks[3]", "that of $.sinks[2]"),
    ]


@pytest.mark.parametrize(
    ("keys", "path", "sentence"),
    [
        (f"{HTTP}, tls: {{verify: false}}", "$.sinks[0].tls", "no effect: `url` begins with"),
        (f"{HTTP}, tls: {{verify: false}}", "$.sinks[0].tls.verify", "believed to be the sink"),
        (
            f"{KAFKA}, sasl: {{username: u, password_env: P}}",
            "$.sinks[0].sasl",
            "without `tls` the password crosses the network as it is",
        ),
        (f"{PARQUET}, s3: {{region: eu}}", "$.sinks[0].s3", "does not begin with `s3://`"),
    ],
)
def test_what_is_likely_a_slip_is_remarked_on(load_text, keys, path, sentence):
    found = [remark for remark in load_text(sinks(keys)).remarks if sentence in remark.text]

    assert [remark.path for remark in found] == [path]


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [("token", None, "No such file"), ("token", "  \n", "empty")],
)
def test_files_with_secrets_must_serve(problems_of, directory, file, content, sentence):
    if content is not None:
        (directory / file).write_text(content)

    (problem,) = problems_of(sinks(f"{HTTP}, token_file: {file}"))

    assert problem.path == "$.sinks[0].token_file"
    assert sentence in problem.found


def test_certificates_must_serve(problems_of, pem_files):
    (problem,) = problems_of(sinks(f"{KAFKA}, tls: {{ca_file: text.pem}}"))

    assert problem.path == "$.sinks[0].tls.ca_file"


def test_no_sink_has_a_key_for_a_secret_itself():
    for sink in (HttpSink, KafkaSink, ParquetSink):
        names = {field.name for field in msgspec.structs.fields(sink)}
        assert not names & {"password", "token", "secret", "access_key"}
