"""Overrides by environment variables: where they reach, and that none is lost in silence."""

import pytest

from sidecar.config.environment import apply_overrides
from sidecar.config.problems import InvalidConfig

FILE = {
    "workers": 1,
    "models": {"stable": {"url": "http://a:1"}, "next-2": {"url": "http://b:1"}},
    "routes": [{"name": "iris", "primary": "stable", "match": {"headers": {"x-env": "blue"}}}],
}


def problems_of(**environ: str) -> list[str]:
    """The sentences that variables are refused with."""
    with pytest.raises(InvalidConfig) as refused:
        apply_overrides(FILE, environ)
    return [str(problem) for problem in refused.value.problems]


def test_a_variable_replaces_the_key_it_names_and_says_so():
    value, variables = apply_overrides(FILE, {"SIDECAR__WORKERS": "4"})

    assert value == {**FILE, "workers": 4}
    assert variables == {"$.workers": "SIDECAR__WORKERS"}


def test_the_file_value_is_left_as_it_was():
    apply_overrides(FILE, {"SIDECAR__MODELS__STABLE__URL": "http://c:1"})

    assert FILE["models"]["stable"]["url"] == "http://a:1"


def test_a_section_that_the_file_does_not_have_is_begun():
    value, variables = apply_overrides(FILE, {"SIDECAR__ADMIN__LISTEN": "127.0.0.1:1"})

    assert value["admin"] == {"listen": "127.0.0.1:1"}
    assert variables == {"$.admin.listen": "SIDECAR__ADMIN__LISTEN"}


def test_models_are_named_in_any_case_and_routes_by_their_index():
    value, variables = apply_overrides(
        FILE,
        {
            "SIDECAR__MODELS__STABLE__TIMEOUTS__CONNECT": "1s",
            "SIDECAR__MODELS__NEXT-2__URL": "http://c:1",
            "SIDECAR__ROUTES__0__FALLBACK": "false",
            "SIDECAR__ROUTES__0__MATCH__HEADERS__X-ENV": "green",
        },
    )

    assert value["models"]["stable"]["timeouts"] == {"connect": "1s"}
    assert value["models"]["next-2"]["url"] == "http://c:1"
    assert value["routes"][0]["fallback"] is False
    assert value["routes"][0]["match"]["headers"] == {"x-env": "green"}
    assert variables["$.models.next-2.url"] == "SIDECAR__MODELS__NEXT-2__URL"


def test_a_value_is_yaml():
    value, _ = apply_overrides(
        FILE, {"SIDECAR__LISTEN": "[a:1, 'unix:/x']", "SIDECAR__LOG": "{level: debug}"}
    )

    assert value["listen"] == ["a:1", "unix:/x"]
    assert value["log"] == {"level": "debug"}


def test_a_section_is_replaced_before_a_key_inside_of_it():
    value, _ = apply_overrides(
        FILE, {"SIDECAR__LOG__FORMAT": "json", "SIDECAR__LOG": "{level: debug}"}
    )

    assert value["log"] == {"level": "debug", "format": "json"}


def test_other_variables_are_not_ours():
    assert apply_overrides(FILE, {"SIDECAR_TOKEN_FILE": "x", "PATH": "y"}) == (FILE, {})


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        (
            "SIDECAR__WORKRES",
            "$ (SIDECAR__WORKRES): expected a known key, found `workres`; did you mean `workers`?",
        ),
        (
            "SIDECAR__MODELS__STABEL__URL",
            (
                "$.models (SIDECAR__MODELS__STABEL__URL): expected a name that the file has, found "
                "`STABEL`; did you mean `stable`?"
            ),
        ),
        (
            "SIDECAR__ROUTES__1__FORCE",
            (
                "$.routes (SIDECAR__ROUTES__1__FORCE): expected an index of this list, "
                "found `1`; the file has 1"
            ),
        ),
        (
            "SIDECAR__ROUTES__IRIS__FORCE",
            (
                "$.routes (SIDECAR__ROUTES__IRIS__FORCE): expected an index of this list, "
                "found `IRIS`; the file has 1"
            ),
        ),
        (
            "SIDECAR__WORKERS__X",
            (
                "$.workers (SIDECAR__WORKERS__X): expected the variable to end here, found "
                "`X`; this key has no keys below"
            ),
        ),
    ],
)
def test_a_variable_that_names_no_key_is_a_problem(variable, sentence):
    assert problems_of(**{variable: "1"}) == [sentence]


def test_a_value_that_is_no_yaml_is_a_problem_of_its_variable():
    (sentence,) = problems_of(SIDECAR__LISTEN="[")

    assert sentence.startswith("$.listen (SIDECAR__LISTEN): expected valid YAML")


def test_every_wrong_variable_is_reported():
    assert len(problems_of(SIDECAR__A="1", SIDECAR__B="1", SIDECAR__WORKERS="2")) == 2


def test_a_file_that_is_no_mapping_can_still_be_overridden_in_whole():
    value, _ = apply_overrides(None, {"SIDECAR__WORKERS": "2"})

    assert value == {"workers": 2}
