"""The JSON Schema: a schema by its own standard, complete, and of one mind with `sidecar check`."""

import json

import jsonschema
import pytest
import yaml

from sidecar.config.convert import find_problems
from sidecar.config.keys import keys, sections_below
from sidecar.config.problems import ROOT
from sidecar.config.reference import EXAMPLE
from sidecar.config.schema import json_schema
from sidecar.config.settings import Settings
from sidecar.payload import Protocol

MODELS = {"stable": {"url": "http://127.0.0.1:9000"}}
ROUTES = [{"name": "iris", "primary": "stable"}]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    """A validator of the schema as it leaves the process: through JSON."""
    return jsonschema.Draft202012Validator(json.loads(json.dumps(json_schema())))


def test_the_schema_is_valid_by_its_own_standard():
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_example_is_valid(validator):
    validator.validate(yaml.safe_load(EXAMPLE))


def test_every_key_is_described_and_has_its_default():
    schema = json_schema()
    definitions = {Settings: schema} | {
        section: schema["$defs"][section.__name__] for section in sections_below(Settings)
    }

    for section, definition in definitions.items():
        assert definition["description"]
        assert set(definition["properties"]) == {key.name for key in keys(section)}
        for key in keys(section):
            described = definition["properties"][key.name]
            assert described["description"], f"{section.__name__}.{key.name}"
            assert ("default" in described) is not key.required


def test_every_default_satisfies_the_schema(validator):
    schema = json_schema()
    for definition in (schema, *schema["$defs"].values()):
        for name, described in definition.get("properties", {}).items():
            if "default" in described:
                part = validator.evolve(schema={**described, "$defs": schema["$defs"]})
                assert part.is_valid(described["default"]), name


def test_closed_sets_are_enumerated():
    level = json_schema()["$defs"]["LogSettings"]["properties"]["level"]

    codec = json_schema()["$defs"]["PayloadSettings"]["properties"]["codec"]

    assert level["enum"] == ["debug", "info", "warning", "error"]
    assert codec["enum"] == [protocol.value for protocol in Protocol]
    assert type(codec["default"]) is str


def test_open_bounds_stay_open():
    drift = json_schema()["$defs"]["Thresholds"]["properties"]["significance"]

    assert (drift["exclusiveMinimum"], drift["exclusiveMaximum"]) == (0, 1)


def test_quantities_in_lists_are_written_as_a_file_has_them():
    windows = json_schema()["$defs"]["DriftSettings"]["properties"]["windows"]

    assert windows["default"] == ["5m", "1h", "1d"]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"workers": 0},
        {"workers": 64},
        {"workers": 65},
        {"workers": "1"},
        {"listen": ["a:1"]},
        {"listen": 1},
        {"listen": [1]},
        {"limits": {"buffer": "64KiB"}},
        {"limits": {"buffer": " 1.5 MB "}},
        {"limits": {"buffer": "64kib"}},
        {"limits": {"buffer": 64}},
        {"limits": {"linger": "500ms"}},
        {"limits": {"linger": "5 parsecs"}},
        {"limits": {"connections": None}},
        {"limits": {"connections": 0}},
        {"limits": None},
        {"tls": None},
        {"tls": {}},
        {"log": {"level": "loud"}},
        {"unknown": 1},
        {"models": {}},
        {"models": {"a b": {}}},
        {"models": {"a\n": {}}},
        {"models": {"stable": {"pool": {"connections": 1}}}},
        {"routes": []},
        {"routes": [{"name": "iris"}]},
        {"routes": [{**ROUTES[0], "canaries": [{"model": "next", "percent": 100}]}]},
        {"routes": [{**ROUTES[0], "canaries": [{"model": "next", "percent": 100.1}]}]},
        {"routes": [{**ROUTES[0], "shadows": [{"model": "next", "sample": -0.1}]}]},
        {"routes": [{**ROUTES[0], "match": {"path_prefix": "x"}}]},
        {"routes": [{**ROUTES[0], "match": {"headers": {"x": 1}}}]},
        {"routes": [{**ROUTES[0], "payload": {"codec": [1]}}]},
        {"routes": [{**ROUTES[0], "payload": {"codec": "mlflow"}}]},
        {"routes": [{**ROUTES[0], "payload": {"codec": "MLflow"}}]},
        {"routes": [{**ROUTES[0], "segments": [{"name": "a", "from": {"header": "x"}}]}]},
        {"routes": [{**ROUTES[0], "segments": [{"name": "a b", "from": {"header": "x"}}]}]},
        {"routes": [{**ROUTES[0], "segments": [{"name": "a", "source": {"header": "x"}}]}]},
        {"drift": {"windows": ["5m"]}},
        {"drift": {"windows": [300]}},
        {"drift": {"thresholds": {"drift": 0}}},
        {"drift": {"thresholds": {"significance": 1}}},
        {"drift": {"features": {"age": {"ignore": True, "major": None}}}},
        {"drift": {"entity": {"from": {"feature": "user"}, "per": "1h"}}},
        {"sinks": [{"type": "jsonl"}]},
        {"sinks": ["jsonl"]},
    ],
)
def test_schema_and_check_agree_on_every_key(validator, change):
    document = {"models": MODELS, "routes": ROUTES, **change}

    assert validator.is_valid(document) is not any(find_problems(document, Settings, ROOT))
