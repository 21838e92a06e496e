"""`sidecar baseline`, run as a person would."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from typer.testing import CliRunner

from sidecar.baseline import decode, encode, learn
from sidecar.cli.application import build
from sidecar.errors import ConfigError

N = 300
AGES = np.random.default_rng(0).normal(40, 10, N).round(1)
ROWS = [
    f"{age},{['Bonn', 'Köln'][row % 2]},{row % 2},{row % 3 % 2},{row / N:.3f}"
    for row, age in enumerate(AGES)
]
ROLES = ["--prediction", "said", "--target", "truth", "--score", "chance", "--segment", "city"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command in a directory with data in it."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "d.csv", ROWS)
    write(tmp_path / "later.csv", [row.replace("Bonn", "Ulm") for row in ROWS])

    def run(*arguments):
        done = CliRunner().invoke(build(["baseline"]), ["baseline", *map(str, arguments)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run


def write(file, rows):
    file.write_text("age,city,said,truth,chance\n" + "\n".join(rows) + "\n", encoding="utf-8")


def test_a_baseline_is_built_where_the_model_expects_it_and_said_on_stderr(run, tmp_path):
    done = run("build", "--data", "d.csv", "--model", "stable", *ROLES)

    assert (done.exit_code, done.stdout) == (0, "")
    assert "Wrote baselines/stable.json: 300 rows, 2 features" in done.stderr
    made = decode((tmp_path / "baselines" / "stable.json").read_text(encoding="utf-8"))
    assert (made.model, made.rows, made.features) == ("stable", N, ("age", "city"))
    assert made.performance.figures["accuracy"].n == N
    assert [path.name for path in (tmp_path / "baselines").iterdir()] == ["stable.json"]


def test_the_same_data_make_the_same_file_and_a_time_is_only_written_if_given(run, tmp_path):
    texts = []
    for name in ("a.json", "b.json"):
        run("build", "-d", "d.csv", "-m", "m", *ROLES, "-o", name)
        texts.append((tmp_path / name).read_bytes())
    assert texts[0] == texts[1]

    run("build", "-d", "d.csv", "-m", "m", "-o", "c.json", "--created", "2024-01-01")
    assert b'"created": "2024-01-01"' in (tmp_path / "c.json").read_bytes()


def test_several_files_are_one_data_set(run):
    done = run("build", "-m", "m", "-o", "-", "--data", "d.csv", "later.csv")
    made = decode(done.stdout)

    assert made.rows == 2 * N
    assert [source.name for source in made.provenance.sources] == ["d.csv", "later.csv"]


def test_the_file_is_shown_as_a_table_of_its_columns(run):
    run("build", "-d", "d.csv", "-m", "m", *ROLES, "-o", "m.json")
    done = run("show", "m.json")
    lines = [line.split("\t") for line in done.stdout.splitlines()]

    assert lines[0][:4] == ["column", "part", "kind", "n"]
    shown = {line[0]: dict(zip(lines[0], line, strict=True)) for line in lines[1:]}
    assert list(shown) == ["age", "city", "prediction", "score", "confidence"]
    assert float(shown["age"]["p50"]) == pytest.approx(np.median(AGES), abs=0.5)
    assert shown["city"]["p50"] == "Bonn"
    assert "accuracy 0." in done.stderr
    assert "by city: Bonn 150, Köln 150, other 0" in done.stderr


def test_the_machine_form_has_everything_but_the_counts(run):
    run("build", "-d", "d.csv", "-m", "m", *ROLES, "-o", "m.json")
    shown = json.loads(run("show", "m.json", "--json").stdout)

    assert (shown["model"], shown["rows"], shown["positive"]) == ("m", N, "1")
    assert shown["columns"][0]["column"] == "age"
    assert shown["segments"] == {"city": {"Bonn": 150, "Köln": 150, "other": 0}}
    assert shown["performance"]["figures"]["auc"]["method"] == "bootstrap"


def test_baselines_that_are_counted_alike_are_compared_by_statistics(run):
    run("build", "-d", "d.csv", "-m", "m", *ROLES, "-o", "a.json")
    run("build", "-d", "later.csv", "-m", "m", *ROLES, "--like", "a.json", "-o", "b.json")
    done = run("diff", "a.json", "b.json", "--json")
    found = {one["column"]: one for one in json.loads(done.stdout)["columns"]}

    assert found["age"]["evidence"]["psi"] == 0
    assert found["city"]["evidence"]["psi"] > 1
    assert found["city"]["evidence"]["current"]["new_category"] == 0.5
    lines = run("diff", "a.json", "b.json").stdout.splitlines()
    assert len(lines) == 6


def test_baselines_that_are_not_say_what_changed(run):
    run("build", "-d", "d.csv", "-m", "m", *ROLES, "-o", "a.json")
    run("build", "-d", "later.csv", "-m", "m", "--ignore", "said", "-o", "b.json")
    done = run("diff", "a.json", "b.json")

    assert "without Bonn; new: Ulm" in done.stdout
    assert "only in A: prediction, score, confidence" in done.stderr
    assert "only in B: truth, chance" in done.stderr


def test_one_data_set_as_baseline_and_as_evaluation_is_warned_of(run):
    run("build", "-d", "d.csv", "-m", "m", "-o", "a.json")
    built = run("build", "-d", "d.csv", "-m", "m", "--like", "a.json", "-o", "b.json")
    compared = run("diff", "a.json", "b.json")

    for done in (built, compared):
        assert "warning: d.csv has the same content as d.csv" in done.stderr
    later = run("build", "-d", "later.csv", "-m", "m", "--like", "a.json", "-o", "c.json")
    assert "warning" not in later.stderr


def test_what_is_strange_about_data_is_warned_of(run, tmp_path):
    write(tmp_path / "gaps.csv", [f",{row.partition(',')[2]}" for row in ROWS])
    done = run("build", "-d", "gaps.csv", "-m", "m")
    assert "warning: age: no row has a value; the column is left out" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-m", "m"], "give either --data FILE or --from-live"),
        (["-m", "m", "-d", "d.csv", "--from-live"], "give either --data FILE or --from-live"),
        (["-m", "m", "--from-live", "--target", "truth"], "--target: has no effect"),
        (["-m", "m", "-d", "d.csv", "--window", "1h"], "--window: has no effect"),
        (["-m", "m", "-d", "d.csv", "--created", "yesterday"], "expected a time"),
        (["-m", "m", "-d", "nowhere.csv"], "there is no such file"),
        (["-m", "m", "-d", "d.csv", "--target", "truht"], "did you mean `truth`"),
        (["-m", "m", "-d", "d.csv", "--time", "city"], "which is no time"),
        (["-m", "m", "-d", "d.csv", "--like", "d.csv"], "not a baseline file"),
        (["-m", "m", "-d", "d.csv", "-o", "d.csv/m.json"], "cannot be written"),
    ],
)
def test_what_cannot_be_built_is_refused_with_what_helps(run, arguments, reason):
    with pytest.raises(ConfigError, match=reason):
        run("build", *arguments)


def test_a_file_that_is_no_baseline_is_not_shown(run):
    with pytest.raises(ConfigError, match=r"d\.csv.*not a baseline file"):
        run("show", "d.csv")


@pytest.fixture
def admin():
    """An admin API that answers with a baseline and remembers what it was asked."""
    asked = []
    text = encode(learn("stable", {"age": AGES}))

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", asked, text
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_live_baseline_is_asked_of_the_sidecar_and_written_bit_for_bit(run, tmp_path, admin):
    address, asked, text = admin
    run(
        *("build", "--from-live", "-m", "stable", "--route", "iris", "--window", "1h"),
        *("--snapshot", "before", "--admin", address, "-o", "live.json"),
    )

    assert asked == ["/api/v1/baselines/live?model=stable&route=iris&window=1h&snapshot=before"]
    assert (tmp_path / "live.json").read_text(encoding="utf-8") == text
