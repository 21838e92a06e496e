"""Real data through the running proxy: what drifts is found, when it does, and nothing else.

A model server that answers as recorded stands behind a sidecar; rows are sent in time order, many
per request, and a snapshot is named between each two stretches. What drifted is then asked of the
command line. The expected figures are those of the raw data, computed elsewhere.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import yaml
from e2e import datasets
from harness.recorded_model import RecordedModel
from harness.sidecar_process import SidecarProcess
from harness.waiting import wait_until

CHUNKS = 5
COUNTED_S = 30.0


@dataclass(frozen=True)
class Table:
    """A data set as tensors: datatype and values of each feature, and what the model answered."""

    features: dict[str, tuple[str, list]]
    predictions: list[int]
    scores: list[float]

    def body(self, first: int, last: int) -> bytes:
        inputs = [
            {"name": name, "datatype": kind, "shape": [last - first], "data": values[first:last]}
            for name, (kind, values) in self.features.items()
        ]
        return orjson.dumps({"id": str(first), "inputs": inputs})


def table(file: Path, kinds: dict[str, str], prediction: str, score: str) -> Table:
    read = {"FP64": float, "BOOL": "True".__eq__, "BYTES": str}
    rows = list(datasets.rows(file))
    return Table(
        features={
            name: (kind, [read[kind](row[name]) for row in rows]) for name, kind in kinds.items()
        },
        predictions=[int(float(row[prediction])) for row in rows],
        scores=[float(row[score]) for row in rows],
    )


def command(*words: object) -> subprocess.CompletedProcess:
    arguments = [sys.executable, "-m", "sidecar", *map(str, words)]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)


def baseline(data: Path, output: Path, *roles: str) -> Path:
    done = command("baseline", "build", "--data", data, "--model", "stable", "-o", output, *roles)
    assert done.returncode == 0, done.stderr
    return output


@dataclass
class Replay:
    """A sidecar, and the rows that pass through it."""

    sidecar: SidecarProcess
    rows: Table
    batch: int

    def send(self, first: int, last: int) -> None:
        """Rows from `first` to before `last`, over one connection."""
        client = http.client.HTTPConnection("127.0.0.1", self.sidecar.port, timeout=30)
        for at in range(first, last, self.batch):
            body = self.rows.body(at, min(at + self.batch, last))
            client.request("POST", "/v2/models/m/infer", body, {"Content-Type": "application/json"})
            response = client.getresponse()
            assert response.status == 200, response.read()
            response.read()
        client.close()

    def name(self, snapshot: str, *, rows: int = 0) -> None:
        """Name a snapshot when so many rows were counted, all in all.

        Once: each call takes one, and one inside of a chunk would cut it into two parts in which
        prices differ, which is what phi looks for.
        """

        def counted() -> bool:
            observation = self.sidecar.admin("GET", "/api/v1/status")[1]["observation"]
            return [one["rows"] for one in observation["watches"]] == [rows]

        wait_until(counted, f"{rows} rows are counted", timeout_s=COUNTED_S)
        status, answer = self.sidecar.admin("POST", "/api/v1/snapshots", {"name": snapshot})
        assert status == 201, answer

    def ask(self, *words: str) -> subprocess.CompletedProcess:
        """Run `sidecar drift` about it."""
        return command("drift", *words, "--admin", f"127.0.0.1:{self.sidecar.admin_port}")

    def verdicts(self, first: str, last: str) -> dict[str, dict]:
        """By feature, as the command line gives them."""
        done = self.ask("--from", first, "--to", last, "--reference", "baseline", "--json")
        assert done.returncode == 0, done.stderr
        (watch,) = json.loads(done.stdout)["watches"]
        (comparison,) = watch["comparisons"]
        return {verdict["feature"]: verdict for verdict in comparison["verdicts"]}


def configuration(url: str, file: Path, **drift: object) -> dict:
    return {
        "models": {"stable": {"url": url, "baseline": str(file)}},
        "routes": [
            {"name": "all", "primary": "stable", "payload": {"codec": "open-inference"}},
        ],
        "monitor": {"max_cpu_share": 1},
        "drift": {"interval": "60s", "windows": ["5m"], **drift},
    }


# --- loans for used cars -------------------------------------------------------------------------

CAR_LOAN = {
    "car_value": "FP64",
    "salary_range": "BYTES",
    "debt_to_income_ratio": "FP64",
    "loan_length": "FP64",
    "repaid_loan_on_prev_car": "BOOL",
    "size_of_downpayment": "BYTES",
    "driver_tenure": "FP64",
}
CONTROLS = ("debt_to_income_ratio", "driver_tenure", "size_of_downpayment")


@pytest.fixture(scope="module")
def loans(cache) -> datasets.Dataset:
    return datasets.car_loan(datasets.datasets(cache))


@pytest.fixture(scope="module")
def loan_rows(loans) -> Table:
    return table(loans.analysis, CAR_LOAN, "y_pred", "y_pred_proba")


@pytest.fixture(scope="module")
def loan_baseline(loans, tmp_path_factory) -> Path:
    return baseline(
        loans.reference,
        tmp_path_factory.mktemp("baselines") / "stable.json",
        *("--prediction", "y_pred", "--score", "y_pred_proba", "--target", "repaid"),
        *("--time", "timestamp", "--ignore", "id"),
    )


@pytest.fixture(scope="module")
def replayed(loan_rows, loan_baseline, tmp_path_factory):
    """All five chunks have passed; snapshots `start`, `chunk-1`, ... stand between them."""
    with (
        RecordedModel(loan_rows.predictions, loan_rows.scores) as model,
        SidecarProcess(
            tmp_path_factory.mktemp("sidecar"), configuration(model.url, loan_baseline)
        ) as sidecar,
    ):
        sidecar.wait_observing()
        replay = Replay(sidecar, loan_rows, batch=50)
        replay.name("start")
        size = len(loan_rows.predictions) // CHUNKS
        for chunk in range(CHUNKS):
            replay.send(chunk * size, (chunk + 1) * size)
            replay.name(f"chunk-{chunk + 1}", rows=(chunk + 1) * size)
        yield replay


@pytest.fixture(scope="module")
def chunks(replayed) -> list[dict[str, dict]]:
    names = ["start", *(f"chunk-{chunk}" for chunk in range(1, CHUNKS + 1))]
    return [replayed.verdicts(names[at], names[at + 1]) for at in range(CHUNKS)]


def test_every_row_was_read(replayed):
    lines = replayed.sidecar.metrics().splitlines()
    left = {
        line.partition(" ")[0]: float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("sidecar_monitor_exchanges_total") and 'outcome="read"' not in line
    }
    assert left
    assert set(left.values()) == {0}


def test_prices_of_cars_drift_when_they_do_and_as_much(chunks):
    found = [chunk["car_value"] for chunk in chunks]
    assert [verdict["status"] for verdict in found] == ["ok", "ok", "drift", "major", "major"]
    expected = [0.001, 0.001, 0.229, 1.80, 1.88]
    assert [verdict["psi"] for verdict in found] == pytest.approx(expected, abs=0.02)
    assert {(verdict["n"], verdict["reference_n"]) for verdict in found} == {(10_000, 50_000)}


@pytest.mark.parametrize("feature", CONTROLS)
def test_what_is_steady_never_alarms(chunks, feature):
    assert [chunk[feature]["status"] for chunk in chunks] == ["ok"] * CHUNKS


def test_what_goes_with_the_prices_is_found_too(chunks):
    last = chunks[-1]
    assert last["loan_length"]["psi"] == pytest.approx(0.32, abs=0.02)
    assert last["loan_length"]["status"] == "major"
    for feature in ("salary_range", "repaid_loan_on_prev_car", "score"):
        assert last[feature]["status"] in {"drift", "major"}, last[feature]["why"]


def test_people_see_the_worst_first_and_a_pipeline_can_stop_on_it(replayed):
    done = replayed.ask("--from", "chunk-4", "--to", "chunk-5", "--reference", "baseline")
    assert done.returncode == 0
    _, first, *_ = done.stdout.splitlines()
    assert first.split("\t")[:4] == ["major", "all", "stable", "car_value"]
    early = ("--from", "start", "--to", "chunk-1", "--reference", "baseline")
    late = ("--from", "chunk-4", "--to", "chunk-5", "--reference", "baseline")
    assert replayed.ask(*early, "--fail-on", "drift").returncode == 0
    assert replayed.ask(*late, "--fail-on", "major").returncode == 1


def test_one_feature_is_shown_bin_by_bin(replayed):
    done = replayed.ask(
        *("--from", "chunk-4", "--to", "chunk-5", "--reference", "baseline"),
        *("--feature", "car_value"),
    )
    assert done.returncode == 0, done.stderr
    assert "10,000 rows against 50,000" in done.stderr
    assert sum("█" in line for line in done.stdout.splitlines()) >= 2


# --- census: categories --------------------------------------------------------------------------

CODES = (
    "SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "ANC", "NATIVITY", "DEAR", "DEYE",
    "DREM", "SEX", "RAC1P",
)  # fmt: skip
EMPLOYMENT = {"AGEP": "FP64", **dict.fromkeys(CODES, "BYTES")}


def test_relationships_in_households_are_categories_and_drift(cache, environment, tmp_path_factory):
    people = datasets.employment(datasets.datasets(cache), environment)
    file = baseline(
        people.reference,
        tmp_path_factory.mktemp("baselines") / "stable.json",
        *("--prediction", "prediction", "--score", "predicted_probability"),
        *("--target", "employed", "--ignore", "id", "--ignore", "year"),
    )
    rows = table(people.analysis, EMPLOYMENT, "prediction", "predicted_probability")
    size = len(rows.predictions) // CHUNKS
    with (
        RecordedModel(rows.predictions, rows.scores) as model,
        SidecarProcess(tmp_path_factory.mktemp("sidecar"), configuration(model.url, file)) as one,
    ):
        one.wait_observing()
        replay = Replay(one, rows, batch=100)
        replay.name("start")
        replay.send(0, size)
        replay.name("first", rows=size)
        replay.send((CHUNKS - 1) * size, CHUNKS * size)
        replay.name("last", rows=2 * size)
        early = replay.verdicts("start", "first")["RELP"]
        late = replay.verdicts("first", "last")["RELP"]
    assert (early["kind"], early["status"]) == ("categorical", "ok")
    assert (late["status"], late["psi"]) == ("major", pytest.approx(0.455, abs=0.02))


# --- Prometheus ----------------------------------------------------------------------------------


@pytest.fixture
def drifting(loan_rows, loan_baseline, tmp_path):
    """A sidecar through which cars pass whose prices have risen, again and again."""
    over = threading.Event()
    with (
        RecordedModel(loan_rows.predictions, loan_rows.scores) as model,
        SidecarProcess(
            tmp_path,
            configuration(model.url, loan_baseline, interval="1s", windows=["4s"]),
        ) as sidecar,
    ):
        replay = Replay(sidecar, loan_rows, batch=50)

        def traffic():
            while not over.is_set():
                replay.send(45_000, 46_000)
                over.wait(0.2)

        client = threading.Thread(target=traffic)
        client.start()
        yield sidecar
        over.set()
        client.join()


QUERIES = {
    "prices are judged": 'sidecar_drift_verdict{feature="car_value", reference="baseline"} == 2',
    "with their PSI": 'sidecar_drift_psi{feature="car_value", reference="baseline"} > 1',
    "a control is in order": (
        'sidecar_drift_verdict{feature="driver_tenure", reference="baseline"} == 0'
    ),
    "of last week nothing is known": (
        'sidecar_drift_verdict{feature="car_value", reference="week"} == -1'
    ),
    "rows of the window": 'sidecar_drift_window_rows{window="4s"} > 500',
    "positive predictions": "sidecar_positive_rate > 0.1",
    "judging goes on": "time() - sidecar_drift_judged_timestamp_seconds < 10",
}


def test_prometheus_scrapes_drift(drifting, tool, start, free_port, tmp_path):
    admin = f"127.0.0.1:{drifting.admin_port}"
    settings = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "sidecar", "static_configs": [{"targets": [admin]}]}],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(settings))
    address = f"127.0.0.1:{free_port}"
    running = [
        tool("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data",
        f"--web.listen-address={address}",
    ]  # fmt: skip

    def ask(expression):
        url = f"http://{address}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(url, timeout=10) as response:
            return json.load(response)["data"]["result"]

    with start(running, ready=f"http://{address}/-/ready", folder=tmp_path):
        missing, deadline = dict(QUERIES), time.monotonic() + 45
        while missing and time.monotonic() < deadline:
            missing = {name: query for name, query in missing.items() if not ask(query)}
            time.sleep(0.5)
        assert not missing


def test_promtool_accepts_the_metrics_of_a_drifting_model(drifting, tool):
    wait_until(
        lambda: "sidecar_drift_verdict{" in drifting.metrics(), "drift is judged", timeout_s=20
    )
    done = subprocess.run(
        [tool("promtool"), "check", "metrics"],
        input=drifting.metrics().encode(), capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
