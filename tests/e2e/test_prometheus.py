"""Prometheus and its linter read the sidecar's metrics under real traffic."""

import json
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest
import yaml

INFER = "/v2/models/iris/infer"
BODY = json.dumps(
    {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}]}
).encode()


@pytest.fixture
def busy(ask, mlserver, sidecar_before):
    """A sidecar under steady traffic: answers, and refusals of the model and of its own."""
    sidecar, over = sidecar_before(mlserver), threading.Event()

    def traffic():
        while not over.wait(0.02):
            ask(sidecar.address, "POST", INFER, BODY, content_type="application/json")
            ask(sidecar.address, "GET", "/nowhere")
            ask(sidecar.address, "GET", "/", x_sidecar_model="nobody")

    client = threading.Thread(target=traffic)
    client.start()
    yield sidecar
    over.set()
    client.join()


def test_promtool_finds_nothing_to_criticise(busy, tool):
    deadline = time.monotonic() + 20
    while b"sidecar_shadow_total{" not in busy.metrics():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    done = subprocess.run(
        [tool("promtool"), "check", "metrics"],
        input=busy.metrics(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.fixture
def prometheus(busy, tool, start, free_port, tmp_path):
    """A Prometheus that scrapes the sidecar twice a second: a function that asks it."""
    configuration = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
        "scrape_configs": [{"job_name": "sidecar", "static_configs": [{"targets": [busy.admin]}]}],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    address = f"127.0.0.1:{free_port}"
    command = [
        tool("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data",
        f"--web.listen-address={address}",
    ]  # fmt: skip

    def query(expression):
        url = f"http://{address}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(url, timeout=10) as response:
            return [float(series["value"][1]) for series in json.load(response)["data"]["result"]]

    with start(command, ready=f"http://{address}/-/ready", folder=tmp_path):
        yield query


QUERIES = {
    "it is up": 'up{job="sidecar"} == 1',
    "traffic passes": 'sum(rate(sidecar_requests_total{status="2xx"}[5s])) > 0',
    "both models answer": "count(count by (model) (sidecar_requests_total > 0)) >= 2",
    "mirrors are answered": 'sum(sidecar_shadow_total{outcome="answered"}) > 0',
    "the 99th percentile of a request": (
        "histogram_quantile(0.99, sum by (le) (sidecar_request_duration_seconds_bucket)) > 0"
    ),
    "the overhead is below the whole": (
        "sum(sidecar_overhead_seconds_sum) < sum(sidecar_request_duration_seconds_sum)"
    ),
}


def test_prometheus_scrapes_it_and_finds_the_series(prometheus):
    deadline = time.monotonic() + 30
    missing = dict(QUERIES)
    while missing and time.monotonic() < deadline:
        missing = {name: query for name, query in missing.items() if not prometheus(query)}
        time.sleep(0.3)
    assert not missing
