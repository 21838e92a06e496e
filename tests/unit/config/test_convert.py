"""Each key on its own: every problem with its path, what was expected, what was found, the fix."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.config.convert import convert, find_problems
from sidecar.config.keys import from_text
from sidecar.config.problems import ROOT, InvalidConfig
from sidecar.config.settings import Settings

MODELS = {"stable": {"url": "http://127.0.0.1:9000"}}
ROUTES = [{"name": "iris", "primary": "stable"}]
NAME = "a name: up to 63 letters, digits, `.`, `_` and `-`"
LEFT_OUT = "give it a value, or leave the key out"


def sentences(**keys) -> list[str]:
    """The problems of a valid configuration with some keys changed."""
    return [
        str(problem)
        for problem in find_problems({"models": MODELS, "routes": ROUTES, **keys}, Settings, ROOT)
    ]


def test_the_least_configuration_gets_every_default():
    converted = convert({"models": MODELS, "routes": ROUTES})

    assert converted.listeners == ("127.0.0.1:8080",)
    assert converted.models["stable"].pool.idle_timeout == 4.0
    assert converted.routes[0].match.path_prefix == "/"


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            {"models": {"stable": {"timeouts": {"connect": 5}}}},
            (
                "$.models.stable.timeouts.connect: expected a duration such as `500ms`, "
                "`30s` or `5m`, found 5; write `5s` if it means seconds"
            ),
        ),
        (
            {"models": {"v1.2": {"retry": {"body_bytes": 1024}}}},
            (
                '$.models["v1.2"].retry.body_bytes: expected a size such as `64KiB` or '
                "`1MB`, found 1024; write `1024B` if it means bytes"
            ),
        ),
        (
            {"models": {"a b": {}}},
            f'$.models["a b"]: expected {NAME}, found "a b"',
        ),
        (
            {"models": {"a\n": {}}},
            f'$.models["a\\n"]: expected {NAME}, found "a\\n"',
        ),
        (
            {"models": {}},
            "$.models: expected a mapping with at least one entry, found an empty mapping",
        ),
        ({"models": [1]}, "$.models: expected a mapping with at least one entry, found a list"),
        ({"routes": []}, "$.routes: expected a list with at least one entry, found an empty list"),
        (
            {"routes": {"a": 1}},
            "$.routes: expected a list with at least one entry, found a mapping",
        ),
        (
            {"routes": [{"name": "iris"}]},
            f"$.routes[0].primary: expected {NAME}, found nothing",
        ),
        (
            {"routes": [{"name": "iris", "primary": "stable", "canarys": []}]},
            "$.routes[0].canarys: expected a known key, found `canarys`; did you mean `canaries`?",
        ),
        (
            {"routes": [{**ROUTES[0], "match": {"headers": {"x-version": 1}}}]},
            '$.routes[0].match.headers.x-version: expected text, found 1; quote it: "1"',
        ),
        (
            {"routes": [{**ROUTES[0], "match": {"path_prefix": "v2"}}]},
            '$.routes[0].match.path_prefix: expected a path that begins with `/`, found "v2"',
        ),
        (
            {"routes": [{**ROUTES[0], "canaries": [{"model": "next", "percent": 101}]}]},
            "$.routes[0].canaries[0].percent: expected a number from 0 to 100, found 101",
        ),
        (
            {"routes": [{**ROUTES[0], "shadows": [{"model": "next", "sample": "1"}]}]},
            (
                '$.routes[0].shadows[0].sample: expected a number from 0 to 1, found "1"; '
                "write it without quotes"
            ),
        ),
        (
            {"routes": [{**ROUTES[0], "sticky": True}]},
            "$.routes[0].sticky: expected a mapping, found true",
        ),
        (
            {"workers": "2"},
            '$.workers: expected an integer from 1 to 64, found "2"; write it without quotes',
        ),
        ({"workers": True}, "$.workers: expected an integer from 1 to 64, found true"),
        ({"workers": 0}, "$.workers: expected an integer from 1 to 64, found 0"),
        (
            {"workers": None},
            (
                "$.workers: expected an integer from 1 to 64, found nothing; give it a value, "
                "or leave the key out"
            ),
        ),
        (
            {"admin": None},
            "$.admin: expected a mapping, found nothing; give it a value, or leave the key out",
        ),
        (
            {"log": {"level": "trace"}},
            '$.log.level: expected `debug` or `info` or `warning` or `error`, found "trace"',
        ),
        ({"listen": 8080}, '$.listen: expected text or a list, found 8080; quote it: "8080"'),
        ({"listen": ["a:1", 8080]}, '$.listen[1]: expected text, found 8080; quote it: "8080"'),
        ({"metrics": {"buckets": [1, "x"]}}, '$.metrics.buckets[1]: expected a number, found "x"'),
        (
            {"limits": {"header_count": 0}},
            "$.limits.header_count: expected an integer from 1 to 65535, found 0",
        ),
        (
            {"limits": {"connections": 0}},
            "$.limits.connections: expected an integer of at least 1, found 0",
        ),
        ({"drift": 1}, "$.drift: expected a mapping, found 1"),
        (
            {"drift": {"thresholds": {"significance": 1}}},
            (
                "$.drift.thresholds.significance: expected a number of more than 0 and "
                "less than 1, found 1"
            ),
        ),
        (
            {"routes": [{**ROUTES[0], "payload": {"codec": "OpenAI"}}]},
            (
                "$.routes[0].payload.codec: expected `auto` or `open-inference` or `kserve-v1` or "
                '`mlflow` or `openai` or `json` or `csv` or `none`, found "OpenAI"'
            ),
        ),
        (
            {"routes": [{**ROUTES[0], "segments": [{"name": "region"}]}]},
            "$.routes[0].segments[0].from: expected a mapping, found nothing",
        ),
        (
            {"routes": [{**ROUTES[0], "segments": [{"name": "region", "source": {}, "from": {}}]}]},
            (
                "$.routes[0].segments[0].source: expected a known key, found `source`; known: "
                "`name`, `from`, `values`, `top`"
            ),
        ),
        ({"sinks": [1]}, "$.sinks[0]: expected a mapping, found 1"),
        (
            {"zzz": 1},
            (
                "$.zzz: expected a known key, found `zzz`; known: `listen`, `tls`, `admin`, "
                "`workers`, `state_dir`, `models`, `routes`, `limits`, `metrics`, `drain`, `log`, "
                "`monitor`, `drift`, `alerts`, `journal`, `redact`, "
                "`sinks`, `dead_letters`"
            ),
        ),
    ],
)
def test_a_problem_names_the_key_and_what_helps(keys, sentence):
    assert sentences(**keys) == [sentence]


def test_null_is_accepted_where_a_key_may_be_absent():
    assert (
        sentences(tls=None, routes=[{**ROUTES[0], "sticky": None}], limits={"connections": None})
        == []
    )


def test_all_problems_are_reported_in_the_order_of_the_value():
    found = sentences(
        workers=0, limits={"body_bytes": 1, "idle_timeout": 2}, models={"stable": {"urls": [1, 2]}}
    )

    assert [sentence.partition(":")[0] for sentence in found] == [
        "$.models.stable.urls[0]",
        "$.models.stable.urls[1]",
        "$.workers",
        "$.limits.body_bytes",
        "$.limits.idle_timeout",
    ]


@pytest.mark.parametrize("value", [None, 1, "text", []])
def test_a_document_that_is_no_mapping_is_refused(value):
    with pytest.raises(InvalidConfig, match=r"^\$: expected a mapping, found"):
        convert(value)


def test_a_long_value_is_cut_in_the_message():
    (sentence,) = sentences(workers="9" * 1000)

    assert len(sentence) < 150


scalars = st.sampled_from(["5s", "1KiB", "stable", "/", "info"])
scalars |= st.none() | st.booleans() | st.integers(-1, 70_000) | st.floats()
names = st.sampled_from(["url", "connect", "stable", "name"])
yaml_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)
PLACES = [
    ("listen",), ("tls",), ("admin", "listen"), ("workers",), ("models",), ("models", "stable"),
    ("models", "stable", "url"), ("models", "stable", "urls"), ("models", "stable", "timeouts"),
    ("models", "stable", "timeouts", "connect"), ("models", "stable", "pool", "connections"),
    ("routes",), ("limits", "buffer"), ("limits", "connections"), ("log", "level"),
    ("metrics", "buckets"), ("drift",), ("drift", "windows"), ("drift", "thresholds", "drift"),
    ("drift", "features", "stable"), ("monitor", "max_cpu_share"), ("sinks",), ("unknown",),
]  # fmt: skip


@given(place=st.sampled_from(PLACES), value=yaml_values)
@settings(max_examples=400)
def test_the_walk_finds_a_problem_exactly_where_msgspec_refuses(place, value):
    document = {"models": {"stable": {"url": "http://127.0.0.1:9000"}}, "routes": list(ROUTES)}
    section = document
    for key in place[:-1]:
        section = section.setdefault(key, {})
    section[place[-1]] = value

    problems = list(find_problems(document, Settings, ROOT))

    try:
        msgspec.convert(document, Settings, dec_hook=from_text)
    except msgspec.ValidationError:
        assert problems
    else:
        assert not problems
