import json
import os
import re
import shutil
import subprocess

import pytest
from harness.documented import documented, queries, shown
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sidecar.admin.exposition import Exposition
from sidecar.board import CellCounter, ModelGauge, WorkerGauge
from sidecar.errors import ConfigError

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
OK, MS = CellCounter.STATUS_2XX, 1_000_000
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed"
)


@pytest.fixture
def exposition(board, routing):
    return Exposition(
        snapshot=board.snapshot,
        routing=lambda: routing,
        processes=dict,
        buckets_s=(0.001, 0.01, 0.1),
        version="1.2.3",
    )


@pytest.fixture
def samples(exposition):
    """Reads the exposition as a scraper does: a function of a name and labels."""

    def value_of(name, **labels):
        body, _ = exposition.render()
        found = [
            sample.value
            for family in parse_text(body.decode())
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        ]
        assert len(found) <= 1
        return found[0] if found else None

    return value_of


def test_exchanges_are_counted_by_route_model_role_and_status(board, samples):
    for worker in (0, 1):
        recorder = board.recorder(worker)
        recorder.record(0, OK, 4 * MS, 3 * MS, 3 * MS, MS)
        recorder.count(1, CellCounter.FALLBACK)
        recorder.flush()
    canary = {"route": "iris", "model": "next", "role": "canary"}
    primary = {"route": "iris", "model": "stable", "role": "primary"}
    assert samples("sidecar_requests_total", **primary, status="2xx") == 2
    assert samples("sidecar_requests_total", **primary, status="error") == 0
    assert samples("sidecar_requests_total", **canary, status="fallback") == 2
    assert samples("sidecar_fallbacks_total", route="iris", model="next") == 2
    assert samples("sidecar_fallbacks_total", route="iris", model="stable") is None


def test_durations_are_cumulative_histograms_in_seconds_with_exact_sums(board, samples):
    recorder = board.recorder(0)
    for total_ns in (500_000, MS, 7 * MS, 50 * MS, 3_000 * MS):
        recorder.record(0, OK, total_ns, total_ns - 1000, -1, 1000)
    recorder.flush()
    key = {"route": "iris", "model": "stable", "role": "primary"}
    name = "sidecar_request_duration_seconds"
    assert [samples(f"{name}_bucket", **key, le=le) for le in ("0.001", "0.01", "0.1", "+Inf")] == [
        1, 3, 4, 5,
    ]  # fmt: skip
    assert samples(f"{name}_count", **key) == 5
    assert samples(f"{name}_sum", **key) == 3.0585
    assert samples("sidecar_upstream_duration_seconds_sum", **key) == 3.058495
    assert samples("sidecar_overhead_seconds_sum", **key) == 5e-06
    assert samples("sidecar_time_to_first_byte_seconds_count", **key) == 0


def test_mirrors_are_counted_by_outcome_and_have_durations_of_their_own(board, samples):
    recorder = board.recorder(0)
    recorder.record(3, OK, 9 * MS, 9 * MS, 2 * MS, -1)
    recorder.flush()
    recorder.count(3, CellCounter.SHADOW_ANSWERED)
    recorder.count(3, CellCounter.SHADOW_SKIPPED_BUSY, 4)
    shadow = {"route": "iris", "model": "trial"}
    assert samples("sidecar_shadow_total", **shadow, outcome="answered") == 1
    assert samples("sidecar_shadow_total", **shadow, outcome="skipped_busy") == 4
    assert samples("sidecar_upstream_duration_seconds_count", **shadow, role="shadow") == 1
    assert samples("sidecar_request_duration_seconds_count", **shadow, role="shadow") is None


def test_retries_of_a_model_are_one_number_per_route(board, samples):
    board.recorder(0).count(1, CellCounter.RETRIES, 3)
    assert samples("sidecar_retries_total", route="iris", model="next") == 3
    assert samples("sidecar_retries_total", route="iris", model="stable") == 0


def test_what_workers_do_now_is_summed_over_them(board, samples):
    for worker in (0, 1):
        recorder = board.recorder(worker)
        recorder.add_worker(WorkerGauge.IN_FLIGHT, 2)
        recorder.add_worker(WorkerGauge.rejected(413))
        recorder.set_worker(WorkerGauge.ROUTING_VERSION, 6 + worker)
    assert samples("sidecar_inflight_requests") == 4
    assert samples("sidecar_originated_answers_total", status="413") == 2
    assert samples("sidecar_originated_answers_total", status="other") == 0
    assert samples("sidecar_workers") == 2
    assert samples("sidecar_routing_version") == 7
    assert [samples("sidecar_worker_routing_version", worker=n) for n in ("0", "1")] == [6, 7]


def test_a_breaker_is_shown_as_it_stands_in_the_worker_where_it_is_worst(board, samples):
    board.recorder(0).set_model(2, ModelGauge.BREAKER, 2)
    board.recorder(1).set_model(2, ModelGauge.BREAKER, 1)
    assert samples("sidecar_breaker_state", model="next") == 2
    assert samples("sidecar_breaker_state", model="stable") == 0


def test_connections_to_a_model_are_active_or_idle(board, samples):
    for worker in (0, 1):
        recorder = board.recorder(worker)
        recorder.set_model(0, ModelGauge.CONNECTIONS, 5)
        recorder.set_model(0, ModelGauge.IDLE, 2)
    assert samples("sidecar_upstream_connections", model="stable", state="active") == 6
    assert samples("sidecar_upstream_connections", model="stable", state="idle") == 4


def test_cells_and_rows_that_are_nobodys_are_not_shown(board, exposition):
    recorder = board.recorder(0)
    recorder.record(2, OK, MS, MS, MS, MS)
    recorder.flush()
    recorder.set_model(1, ModelGauge.CONNECTS, 9)
    families = parse_text(exposition.render()[0].decode())
    labels = [sample.labels for family in families for sample in family.samples]
    assert {found["model"] for found in labels if "model" in found} == {"stable", "next", "trial"}


def test_rollbacks_are_timed_by_whoever_orders_them(exposition, samples):
    exposition.observe_rollback(0.004)
    exposition.observe_rollback(0.05)
    exposition.observe_rollback(60)
    name = "sidecar_rollback_duration_seconds"
    assert [samples(f"{name}_bucket", le=le) for le in ("0.005", "0.05", "5.0", "+Inf")] == [
        1, 2, 2, 3,
    ]  # fmt: skip
    assert samples(f"{name}_sum") == pytest.approx(60.054)


def test_the_running_version_is_shown(exposition):
    assert b'version="1.2.3"' in exposition.render()[0]


def test_the_format_is_what_the_scraper_accepts(exposition):
    text, text_type = exposition.render("text/plain")
    openmetrics, openmetrics_type = exposition.render(OPENMETRICS)
    assert text_type.startswith("text/plain")
    assert openmetrics_type.startswith("application/openmetrics-text")
    names = {family.name for family in parse_openmetrics(openmetrics.decode())}
    assert openmetrics.endswith(b"# EOF\n")
    assert len(names) == len(list(parse_text(text.decode())))


def test_unusable_buckets_are_a_configuration_error_at_start(board, routing):
    with pytest.raises(ConfigError, match=r"metrics\.buckets"):
        Exposition(
            snapshot=board.snapshot,
            routing=lambda: routing,
            processes=dict,
            buckets_s=(1.0, 0.5),
            version="1.2.3",
        )


@pytest.fixture
def everything(board, routing):
    """An exposition with every family in it; this process stands for all of the sidecar's."""
    return Exposition(
        snapshot=board.snapshot,
        routing=lambda: routing,
        processes=lambda: {"launcher": os.getppid(), "worker-0": os.getpid()},
        buckets_s=(0.001, 0.01),
        version="1.2.3",
    )


@needs_promtool
def test_promtool_finds_nothing_to_complain_about(board, everything):
    recorder = board.recorder(0)
    recorder.record(0, OK, MS, MS, MS, MS)
    recorder.flush()
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=everything.render()[0], capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_the_documentation_names_every_metric_with_its_type_and_labels(everything):
    families = parse_text(everything.render()[0].decode())
    assert documented("Requests", "Connections", "Control", "Processes") == shown(families)


@needs_promtool
def test_the_queries_in_the_documentation_are_promql_over_metrics_that_exist(everything, tmp_path):
    written = queries("Queries")
    rules = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(written)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "docs", "rules": rules}]}))
    checked = subprocess.run(
        ["promtool", "check", "rules", tmp_path / "rules.yml"],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    assert f"{len(written)} rules found" in checked.stdout
    there = {s.name for f in parse_text(everything.render()[0].decode()) for s in f.samples}
    assert set(re.findall(r"\bsidecar_\w+", " ".join(written))) <= there
