"""What must hold between keys: each rule broken once, with the path and the sentence it gives."""

import pytest

VALID = """\
models:
  stable: {url: "http://127.0.0.1:9000"}
  next: {url: "http://127.0.0.1:9001"}
  trial: {url: "http://127.0.0.1:9002"}
routes:
  - name: iris
    primary: stable
    canaries: [{model: next, percent: 5}]
    shadows: [{model: trial}]
"""
MODELS = VALID.partition("routes:")[0]


def routes(text: str) -> str:
    """The valid models under other routes."""
    return f"{MODELS}routes: {text}\n"


def route(keys: str) -> str:
    """The valid models under one route with these keys."""
    return routes(f"[{{name: a, primary: stable, {keys}}}]")


def edits(keys: str) -> str:
    """One route with one shadow, whose header edits are these."""
    return route(f"shadows: [{{model: next, headers: {{{keys}}}}}]")


def model(keys: str) -> str:
    """One valid route over one model with these keys."""
    return f"models: {{stable: {{{keys}}}}}\nroutes: [{{name: iris, primary: stable}}]\n"


def test_a_valid_configuration_has_nothing_to_remark(load_text):
    assert load_text(VALID).remarks == ()


@pytest.mark.parametrize(
    ("text", "path", "sentence"),
    [
        # listeners
        (VALID + "listen: []", "$.listen", "expected at least one address, found an empty list"),
        (VALID + "listen: ':8080'", "$.listen", 'found ":8080": no host'),
        (
            VALID + "listen: [a:1, a:1]",
            "$.listen[1]",
            "an address of its own, found that of $.listen[0]",
        ),
        (VALID + "listen: [a:1, b]", "$.listen[1]", 'found "b": no port'),
        (VALID + "admin: {listen: 127.0.0.1:8080}", "$.admin.listen", "found that of $.listen"),
        (
            VALID + "admin: {listen: 0.0.0.0:9090}",
            "$.admin.listen",
            "which others can reach, and no token",
        ),
        (
            VALID + "admin: {listen: 'unix:/a'}",
            "$.admin.listen",
            "expected `host:port` or `[ipv6]:port`",
        ),
        # models
        (model(""), "$.models.stable", "expected `url` or `urls`, found neither"),
        (
            model("url: 'http://a/b'"),
            "$.models.stable.url",
            "found a path: requests keep their own",
        ),
        (model("urls: ['http://a', 'b']"), "$.models.stable.urls[1]", "found no such scheme"),
        (
            model("url: 'http://a', urls: ['http://a:80']"),
            "$.models.stable.urls[0]",
            "each endpoint once",
        ),
        (
            model("url: 'https://a', tls: {cert_file: x}"),
            "$.models.stable.tls.key_file",
            "expected the file that belongs to `cert_file`",
        ),
        (
            model("url: 'https://a', tls: {key_file: x}"),
            "$.models.stable.tls.cert_file",
            "expected the file that belongs to `key_file`",
        ),
        (
            model("url: 'http://a', timeouts: {total: 0s}"),
            "$.models.stable.timeouts.total",
            "expected more than 0s, found 0s",
        ),
        # routes
        (
            routes("[{name: a, primary: stabel}]"),
            "$.routes[0].primary",
            "expected a model of `models`, found `stabel`; did you mean `stable`?",
        ),
        (
            route("canaries: [{model: zzz}]"),
            "$.routes[0].canaries[0].model",
            "found `zzz`; known: `stable`, `next`, `trial`",
        ),
        (route("shadows: [{model: zzz}]"), "$.routes[0].shadows[0].model", "found `zzz`"),
        (
            route("canaries: [{model: stable}]"),
            "$.routes[0].canaries[0].model",
            "expected a model of its own, found `stable`, as in $.routes[0].primary",
        ),
        (
            route("canaries: [{model: next}, {model: next}]"),
            "$.routes[0].canaries[1].model",
            "found `next`, as in $.routes[0].canaries[0].model",
        ),
        (
            route("shadows: [{model: next}, {model: next}]"),
            "$.routes[0].shadows[1].model",
            "found `next`, as in $.routes[0].shadows[0].model",
        ),
        (
            route("canaries: [{model: next, percent: 60}, {model: trial, percent: 40.1}]"),
            "$.routes[0].canaries",
            "expected percentages that sum to at most 100, found 100.1",
        ),
        (
            routes(
                "[{name: a, primary: stable, match: {path_prefix: /a}}, {name: a, primary: next}]"
            ),
            "$.routes[1].name",
            "found `a`, the name of $.routes[0]",
        ),
        (route("sticky: {}"), "$.routes[0].sticky", "found none"),
        (
            route("sticky: {header: x, cookie: y}"),
            "$.routes[0].sticky",
            "found `header` and `cookie`",
        ),
        (route("sticky: {header: 'a b'}"), "$.routes[0].sticky.header", "an RFC 9110 token"),
        (route("sticky: {header: TE}"), "$.routes[0].sticky.header", "not of the connection"),
        (
            route("match: {headers: {Connection: close}}"),
            "$.routes[0].match.headers.Connection",
            "a field of the request, not of the connection, found `Connection`",
        ),
        (route("sticky: {cookie: 'a=b'}"), "$.routes[0].sticky.cookie", "an RFC 9110 token"),
        (route("match: {host: 'a.com:80'}"), "$.routes[0].match.host", "a host without port"),
        (route("match: {host: 'a.*.com'}"), "$.routes[0].match.host", "a host without port"),
        (route("match: {path_prefix: '/a?b'}"), "$.routes[0].match.path_prefix", "without query"),
        (route("match: {path_prefix: /ä}"), "$.routes[0].match.path_prefix", "percent-encoded"),
        (
            route("match: {headers: {host: x}}"),
            "$.routes[0].match.headers.host",
            "use `match.host`",
        ),
        (route("match: {headers: {x: ''}}"), "$.routes[0].match.headers.x", "found an empty one"),
        (
            route("match: {headers: {x: 'a', X: 'b'}}"),
            "$.routes[0].match.headers.X",
            "found it again, in another case",
        ),
        # header edits of a shadow
        (
            edits("set: {'a b': x}"),
            '$.routes[0].shadows[0].headers.set["a b"]',
            "an RFC 9110 token",
        ),
        (
            edits(r'set: {a: "x\r\ny: z"}'),
            "$.routes[0].shadows[0].headers.set.a",
            "a value without line breaks",
        ),
        (edits("remove: ['a:']"), "$.routes[0].shadows[0].headers.remove[0]", "an RFC 9110 token"),
        (
            edits("remove: [Content-Length]"),
            "$.routes[0].shadows[0].headers.remove[0]",
            "not the proxy's own, found `Content-Length`",
        ),
        (
            edits("set: {transfer-encoding: x}"),
            "$.routes[0].shadows[0].headers.set.transfer-encoding",
            "not the proxy's own",
        ),
        (
            edits("set: {A: x}, remove: [a]"),
            "$.routes[0].shadows[0].headers.set.A",
            "found one in `remove`",
        ),
        (
            route("shadows: [{model: next, deadline: 0s}]"),
            "$.routes[0].shadows[0].deadline",
            "expected more than 0s",
        ),
        # limits and metrics
        (
            VALID + "limits: {header_timeout: 0s}",
            "$.limits.header_timeout",
            "expected more than 0s",
        ),
        (VALID + "limits: {buffer: 0B}", "$.limits.buffer", "expected more than 0B"),
        (
            VALID + "limits: {header_bytes: 4KiB}",
            "$.limits.header_bytes",
            "at least `request_line` (8KiB)",
        ),
        (VALID + "metrics: {buckets: []}", "$.metrics.buckets", "expected at least one bound"),
        (
            VALID + "metrics: {buckets: [0, 1]}",
            "$.metrics.buckets[0]",
            "expected 0.000010 to 1000 seconds, found 0",
        ),
        (
            VALID + "metrics: {buckets: [1, .inf]}",
            "$.metrics.buckets[1]",
            "expected 0.000010 to 1000 seconds, found inf",
        ),
        (
            VALID + "metrics: {buckets: [0.000009, 1]}",
            "$.metrics.buckets[0]",
            "expected 0.000010 to 1000 seconds, found 9e-06",
        ),
        (
            VALID + "metrics: {buckets: [1, 1001]}",
            "$.metrics.buckets[1]",
            "expected 0.000010 to 1000 seconds, found 1001",
        ),
        (
            VALID + "metrics: {buckets: [1, 1]}",
            "$.metrics.buckets[1]",
            "expected more than 1, found 1",
        ),
    ],
)
def test_a_broken_rule_names_its_key(problems_of, text, path, sentence):
    found = {problem.path: problem.text for problem in problems_of(text)}

    assert sentence in found[path]
    assert all("No such file" in other for place, other in found.items() if place != path)


def test_a_board_without_room_for_every_route_model_and_role_is_a_problem(problems_of):
    names = [f"{{name: r{i}, primary: stable, match: {{path_prefix: /{i}.}}}}" for i in range(9)]

    (problem,) = problems_of(routes(f"[{', '.join(names)}]") + "metrics: {cells: 8}")

    assert problem.path == "$.metrics.cells"
    assert problem.expected == "at least 9, one per route, model and role"


def test_a_split_has_room_for_255_canaries(problems_of):
    names = [f"m{index}" for index in range(256)]
    listed = ", ".join(f"{name}: {{url: 'http://a'}}" for name in ["stable", *names])
    canaries = ", ".join(f"{{model: {name}}}" for name in names)
    text = f"models: {{{listed}}}\nroutes: [{{name: a, primary: stable, canaries: [{canaries}]}}]\n"

    (problem,) = problems_of(text + "metrics: {cells: 4096}")

    assert problem.path == "$.routes[0].canaries"
    assert problem.text == "expected fewer than 256, found 256"


def test_a_header_value_is_never_quoted(problems_of):
    text = route(r'match: {headers: {authorization: "s3cret\n"}}')

    (problem,) = problems_of(text)

    assert "s3cret" not in str(problem)


@pytest.mark.parametrize(
    ("text", "path", "sentence"),
    [
        (VALID.replace("trial}]", "next}]"), "$.models.trial", "no route names this model"),
        (
            VALID + "  - {name: late, primary: stable, match: {path_prefix: /late}}",
            "$.routes[1]",
            "never reached: $.routes[0] comes first",
        ),
        (
            VALID.replace("percent: 5", "percent: 0.001"),
            "$.routes[0].canaries[0].percent",
            "less than one slot",
        ),
        (
            VALID.replace('9000"}', '9000", tls: {verify: true, server_name: a}}'),
            "$.models.stable.tls",
            "no URL of this model begins with `https`",
        ),
        (
            VALID.replace('9000"}', '9000", pool: {idle_timeout: 30s}}'),
            "$.models.stable.pool.idle_timeout",
            "close idle connections after 5 s",
        ),
        (
            VALID.replace('http://127.0.0.1:9000"}', 'https://a", tls: {verify: false}}'),
            "$.models.stable.tls.verify",
            "believed to be the model",
        ),
    ],
)
def test_a_likely_mistake_is_a_warning(load_text, text, path, sentence):
    (remark,) = load_text(text).remarks

    assert (remark.path, remark.severity) == (path, "warning")
    assert sentence in remark.text
    assert remark.where.startswith("line ")


@pytest.mark.usefixtures("pem_files")
def test_tls_without_a_tcp_listener_is_a_warning(load_text):
    (remark,) = load_text(
        VALID + "listen: 'unix:/run/s.sock'\ntls: {cert_file: cert.pem, key_file: key.pem}"
    ).remarks

    assert remark.path == "$.tls"


def test_a_narrow_route_before_a_wide_one_is_reached(load_text):
    text = routes(
        "[{name: a, primary: stable, match: {path_prefix: /a}},"
        " {name: b, primary: next, match: {host: b.com}}, {name: c, primary: trial}]"
    )

    assert load_text(text).remarks == ()


def test_port_0_may_be_used_many_times(load_text):
    text = VALID + "listen: ['127.0.0.1:0', '127.0.0.1:0']\nadmin: {listen: '127.0.0.1:0'}"

    assert load_text(text).remarks == ()
