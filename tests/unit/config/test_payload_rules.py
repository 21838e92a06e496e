"""What must hold of payloads and segments: each rule broken once, and where it must not bite."""

import pytest

MODELS = 'models: {stable: {url: "http://127.0.0.1:9000"}}\n'


def route(keys: str) -> str:
    """One route with these keys."""
    return f"{MODELS}routes: [{{name: a, primary: stable, {keys}}}]\n"


def payload(keys: str) -> str:
    """One route whose payload has these keys."""
    return route(f"payload: {{{keys}}}")


def segment(keys: str, codec: str = "auto") -> str:
    """One route with one segment of these keys."""
    return route(f"payload: {{codec: {codec}}}, segments: [{{name: region, {keys}}}]")


@pytest.mark.parametrize(
    ("text", "path", "sentence"),
    [
        (
            payload("features: [age, income, age]"),
            "$.routes[0].payload.features[2]",
            'expected each once, found "age", as in $.routes[0].payload.features[0]',
        ),
        (payload('features: [""]'), "$.routes[0].payload.features[0]", 'a name, found ""'),
        (
            payload(f"features: [{', '.join(f'f{i}' for i in range(4097))}]"),
            "$.routes[0].payload.features",
            "expected at most 4096, found 4097",
        ),
        (payload("labels: [a, a]"), "$.routes[0].payload.labels[1]", "expected each once"),
        (
            payload("labels: [no, maybe], positive: yes"),
            "$.routes[0].payload.positive",
            'expected one of `labels`, found "yes"',
        ),
        (
            payload("prediction: y, score: y"),
            "$.routes[0].payload.score",
            'expected another output than `prediction`, found "y"',
        ),
        (
            payload("instances: /rows"),
            "$.routes[0].payload.instances",
            "expected `codec: json` beside it, found `codec: auto`",
        ),
        (
            payload("codec: json, instances: rows"),
            "$.routes[0].payload.instances",
            'found "rows": a JSON Pointer is empty or begins with `/`',
        ),
        (
            payload("codec: json, prediction: /a~b"),
            "$.routes[0].payload.prediction",
            "`~` is written `~0`",
        ),
        (payload("codec: json, score: /a~"), "$.routes[0].payload.score", "`~` is written `~0`"),
        (
            route("segments: [{name: a, from: {header: x}}, {name: a, from: {header: y}}]"),
            "$.routes[0].segments[1].name",
            'expected each once, found "a", as in $.routes[0].segments[0].name',
        ),
        (
            segment("from: {}"),
            "$.routes[0].segments[0].from",
            "expected exactly one of `header`, `feature` and `pointer`, found none",
        ),
        (
            segment("from: {header: x, feature: y}"),
            "$.routes[0].segments[0].from",
            "found `header` and `feature`",
        ),
        (
            segment("from: {header: 'x y'}"),
            "$.routes[0].segments[0].from.header",
            "an RFC 9110 token",
        ),
        (
            segment("from: {header: Connection}"),
            "$.routes[0].segments[0].from.header",
            "a field of the request, not of the connection",
        ),
        (
            segment("from: {header: Authorization}"),
            "$.routes[0].segments[0].from.header",
            "a field without secrets",
        ),
        (segment("from: {feature: ''}"), "$.routes[0].segments[0].from.feature", "a feature"),
        (
            segment("from: {pointer: region}"),
            "$.routes[0].segments[0].from.pointer",
            'a JSON Pointer (RFC 6901) such as `/rows/0/region`, found "region"',
        ),
        (
            segment("from: {header: x}, values: [eu, us, eu]"),
            "$.routes[0].segments[0].values[2]",
            "expected each once",
        ),
        (
            segment("from: {header: x}, values: [eu, other]"),
            "$.routes[0].segments[0].values[1]",
            "which stands for all that are not listed",
        ),
        (
            segment(f"from: {{header: x}}, values: [{', '.join(f'v{i}' for i in range(201))}]"),
            "$.routes[0].segments[0].values",
            "expected at most 200, found 201",
        ),
        (
            segment("from: {feature: age}", codec="none"),
            "$.routes[0].segments[0].from",
            "with `codec: none` bodies are not looked at, found `feature`",
        ),
        (
            segment("from: {pointer: /a}", codec="csv"),
            "$.routes[0].segments[0].from",
            "finds nothing in CSV",
        ),
        (
            f"{route('')}drift: {{entity: {{from: {{}}}}}}\n",
            "$.drift.entity.from",
            "exactly one of",
        ),
        (
            f"{route('')}drift: {{entity: {{from: {{pointer: user}}}}}}\n",
            "$.drift.entity.from.pointer",
            "begins with `/`",
        ),
    ],
)
def test_a_rule_that_is_broken_is_told_with_path_and_fix(problems_of, text, path, sentence):
    (problem,) = problems_of(text)

    assert problem.path == path
    assert sentence in problem.text


@pytest.mark.parametrize(
    "text",
    [
        payload("codec: open-inference, features: [age, income]"),
        payload("codec: open-inference, prediction: /model/label, score: /model/a~b"),
        payload("codec: json, instances: '', prediction: /label, score: /a~0b"),
        payload("codec: json, prediction: label"),
        payload("labels: [no, yes], positive: yes"),
        payload("positive: '1'"),
        payload("codec: csv, csv_header: true"),
        payload("csv_header: true"),
        segment("from: {pointer: ''}"),
        segment("from: {header: x-region}, values: [eu, us]"),
        segment("from: {header: x-region}", codec="none"),
        segment("from: {feature: region}", codec="csv"),
        f"{route('')}drift: {{entity: {{from: {{header: authorization}}}}}}\n",
    ],
)
def test_what_is_right_gives_no_cause_for_remarks(load_text, text):
    assert [remark for remark in load_text(text).remarks if remark.severity == "warning"] == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (payload("codec: none, features: [age]"), "$.routes[0].payload"),
        (payload("codec: openai, csv_header: true"), "$.routes[0].payload.csv_header"),
    ],
)
def test_what_has_no_effect_is_remarked(load_text, text, path):
    assert path in [remark.path for remark in load_text(text).remarks]
