"""Journal, capture and redaction: what is refused, with what to write, and what is remarked on."""

import pytest

from sidecar.config.problems import Severity
from sidecar.config.recording import CaptureSettings, RedactSettings
from sidecar.config.redaction_key import redaction_key
from sidecar.errors import ConfigError
from sidecar.records import How, Redactor, Why

BASE = """
models: {stable: {url: "http://127.0.0.1:9000"}, next: {url: "http://127.0.0.1:9001"}}
routes:
  - name: iris
    primary: stable
    shadows: [{model: next}]
"""
SEGMENT = "segments: [{{name: who, from: {{{}}}}}]"


def route(keys: str) -> str:
    return f"{BASE}    {keys}\n"


@pytest.mark.parametrize(
    ("text", "path", "sentence"),
    [
        (f"{BASE}journal: {{segment: 1KiB}}", "$.journal.segment", "at least 4KiB"),
        (f"{BASE}journal: {{retain: 255MiB}}", "$.journal.retain", "at least 256MiB, 4 times"),
        (
            f"{BASE}workers: 32\njournal: {{segment: 64MiB}}",
            "$.journal.retain",
            "at least 8GiB, 4 times `journal.segment` for each of 32 workers",
        ),
        (
            f"{BASE}workers: 32\njournal: {{segment: 64MiB}}",
            "$.journal.retain",
            "or a `segment` of at most 32MiB",
        ),
        (f"{BASE}journal: {{queue: 65MiB}}", "$.journal.queue", "at most 64MiB"),
        (f"{BASE}journal: {{segment_age: 0s}}", "$.journal.segment_age", "more than 0s"),
        (f"{BASE}journal: {{fsync_interval: 0s}}", "$.journal.fsync_interval", "more than 0s"),
        (f"{BASE}journal: {{retain_age: 0s}}", "$.journal.retain_age", "more than 0s"),
        (f"{BASE}journal: {{fsync: often}}", "$.journal.fsync", "`never` or `interval`"),
        (f"{BASE}dead_letters: {{max_age: 0s}}", "$.dead_letters.max_age", "more than 0s"),
        (route("capture: {bodies: 2}"), "$.routes[0].capture.bodies", "from 0 to 1"),
        (route("capture: {models: {nxt: 1}}"), "$.routes[0].capture.models.nxt", "mean `next`?"),
        (route("capture: {models: {next: 7}}"), "$.routes[0].capture.models.next", "from 0 to 1"),
        (route("capture: {headers: [a b]}"), "$.routes[0].capture.headers[0]", "RFC 9110 token"),
        (f"{BASE}redact: {{headers: ['']}}", "$.redact.headers[0]", "RFC 9110 token"),
        (
            f"{BASE}redact: {{pointers: [{{pointer: user}}]}}",
            "$.redact.pointers[0].pointer",
            "begins with `/`",
        ),
        (
            f"{BASE}redact: {{pointers: [{{pointer: /a}}, {{pointer: /a, how: drop}}]}}",
            "$.redact.pointers[1].pointer",
            "each pointer once, found that of $.redact.pointers[0]",
        ),
        (
            f"{BASE}redact: {{columns: [{{name: a}}, {{name: a}}]}}",
            "$.redact.columns[1].name",
            "each name once",
        ),
        (f"{BASE}redact: {{columns: [{{name: ''}}]}}", "$.redact.columns[0].name", "a name"),
        (f"{BASE}redact: {{query: ['']}}", "$.redact.query[0]", "a name"),
        (f"{BASE}redact: {{how: hash}}", "$.redact", "exactly one of `key_file` and `key_env`"),
        (
            f"{BASE}redact: {{columns: [{{name: a, how: hash}}]}}",
            "$.redact",
            "exactly one of `key_file` and `key_env`",
        ),
        (
            f"{BASE}redact: {{how: hash, key_env: 'se cret'}}",
            "$.redact.key_env",
            "the name of a variable, found something else",
        ),
        (
            f"{route(SEGMENT.format('feature: ssn'))}redact: {{columns: [{{name: ssn}}]}}",
            "$.routes[0].segments[0].from",
            "no secret: segments appear in metrics, found one that `redact.columns` names",
        ),
        (
            f"{route(SEGMENT.format('header: X-User'))}redact: {{headers: [x-user]}}",
            "$.routes[0].segments[0].from",
            "found one that `redact.headers` names",
        ),
        (
            f"{route(SEGMENT.format('pointer: /u'))}redact: {{pointers: [{{pointer: /u}}]}}",
            "$.routes[0].segments[0].from",
            "found one that `redact.pointers` names",
        ),
    ],
)
def test_a_rule_that_is_broken_is_told_with_path_and_fix(problems_of, text, path, sentence):
    (problem,) = problems_of(text)

    assert problem.path == path
    assert sentence in problem.text


@pytest.mark.parametrize(
    ("text", "path", "sentence"),
    [
        (
            f"{BASE}journal: {{queue: 1MiB}}",
            "$.journal.queue",
            "less than one record can need (1088KiB",
        ),
        (
            f"{BASE}journal: {{enabled: false}}\nsinks: [{{type: stdout, name: out}}]",
            "$.sinks",
            "no effect: `journal.enabled` is false",
        ),
        (
            f"{route('capture: {bodies: 0.5}')}journal: {{enabled: false}}",
            "$.routes[0].capture",
            "no effect: `journal.enabled` is false",
        ),
        (
            f"{BASE}redact: {{columns: [{{name: a}}]}}\ndead_letters: {{full_body: 2MiB}}",
            "$.dead_letters.full_body",
            "bodies of more than 1MiB are not parsed",
        ),
        (
            f"{route('capture: {headers: [Cookie]}')}redact: {{headers: [x-user]}}",
            "$.routes[0].capture.headers[0]",
            "`Cookie` usually holds credentials, and `redact.headers` does not name it",
        ),
        (f"{BASE}redact: {{key_env: KEY}}", "$.redact", "no effect of the key: nothing is hashed"),
    ],
)
def test_what_is_likely_a_slip_is_remarked_on(load_text, text, path, sentence):
    found = [remark for remark in load_text(text).remarks if sentence in remark.text]

    assert [remark.path for remark in found] == [path]


def test_who_keeps_bodies_and_sends_them_nowhere_is_told(load_text):
    keeps = route("capture: {bodies: 0.1}")

    (note,) = load_text(keeps).remarks

    assert (note.path, note.severity) == ("$.routes[0].capture", Severity.NOTE)
    assert "there is no sink: bodies stay in the journal, for 7d" in note.text
    assert load_text(f"{keeps}sinks: [{{type: stdout, name: out}}]").remarks == ()


def test_the_defaults_give_no_cause_for_remarks(load_text):
    assert load_text(BASE).remarks == ()


def test_the_journal_stands_in_the_state_directory_or_where_it_is_told(load_text, directory):
    assert load_text(BASE).settings.journal_directory == str(directory / "state" / "journal")
    told = load_text(f"{BASE}journal: {{path: spool}}").settings
    assert told.journal_directory == str(directory / "spool")


def test_capture_makes_a_policy():
    policy = CaptureSettings(bodies=1.0, failures=False, unusual=0.0).policy()

    assert policy.why("m", failed=True, unusual=None, draw=0.5) is Why.SAMPLED


def test_redaction_makes_rules(load_text):
    settings = load_text(
        f"{BASE}redact: {{columns: [{{name: ssn, how: drop}}], headers: [x-user], query: [who]}}"
    ).settings.redact

    redactor = Redactor(settings.rules)

    assert redactor.headers([("X-User", "ann")]) == (("X-User", "***"),)
    assert redactor.query("who=ann&a=1") == "who=***&a=1"
    assert redactor.names_columns
    assert settings.rules.columns[0].how is How.DROP


class TestKey:
    KEY = "0123456789abcdef0123456789abcdef"

    def test_it_is_read_from_a_file_without_its_line_end(self, load_text, directory):
        (directory / "key").write_text(f"{self.KEY}\n")

        redact = load_text(f"{BASE}redact: {{how: hash, key_file: key}}").settings.redact

        assert redact.key_file == str(directory / "key")
        assert redaction_key(redact, {}) == self.KEY.encode()

    def test_it_is_read_from_the_environment(self):
        redact = RedactSettings(how=How.HASH, key_env="REDACTION_KEY")

        assert redaction_key(redact, {"REDACTION_KEY": self.KEY}) == self.KEY.encode()

    def test_nobody_needs_one_to_mask(self):
        assert redaction_key(RedactSettings(), {}) is None

    @pytest.mark.parametrize(
        ("settings", "sentence"),
        [
            (RedactSettings(how=How.HASH), "`key_file` or `key_env`"),
            (RedactSettings(key_env="ABSENT"), "ABSENT, it is not set"),
            (RedactSettings(key_env="SHORT"), "at least 16 bytes, found 6 in SHORT"),
            (RedactSettings(key_file="/nowhere/key"), "No such file"),
        ],
    )
    def test_without_one_that_serves_nothing_starts(self, settings, sentence):
        with pytest.raises(ConfigError, match=sentence) as refused:
            redaction_key(settings, {"SHORT": "s3cret"})

        assert "s3cret" not in str(refused.value)

    @pytest.mark.parametrize(
        ("content", "sentence"), [("short", "found 5"), (None, "No such file")]
    )
    def test_a_file_that_does_not_serve_is_found_with_the_configuration(
        self, problems_of, directory, content, sentence
    ):
        if content is not None:
            (directory / "key").write_text(content)

        (problem,) = problems_of(f"{BASE}redact: {{how: hash, key_file: key}}")

        assert problem.path == "$.redact.key_file"
        assert sentence in problem.found
