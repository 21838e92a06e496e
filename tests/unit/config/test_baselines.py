"""Baseline files that models name: read whole, and refused with the place that is wrong."""

import numpy as np
import pytest

from sidecar.baseline import encode, learn
from sidecar.config.baselines import LARGEST_FILE_BYTES, read_baseline
from sidecar.errors import ConfigError

CONFIG = """\
models: {stable: {url: "http://127.0.0.1:9000", baseline: stable.json}}
routes: [{name: iris, primary: stable}]
"""


@pytest.fixture
def baseline():
    return learn("stable", {"age": np.arange(200.0)})


def test_a_baseline_file_is_read_as_it_was_written(tmp_path, baseline):
    file = tmp_path / "stable.json"
    file.write_text(encode(baseline), encoding="utf-8")

    assert read_baseline(file) == baseline


def test_a_configuration_with_a_sound_baseline_has_no_remarks(load_text, tmp_path, baseline):
    (tmp_path / "stable.json").write_text(encode(baseline), encoding="utf-8")

    assert load_text(CONFIG).remarks == ()


def test_a_baseline_that_is_not_there_is_a_warning_with_what_helps(load_text, tmp_path):
    (remark,) = load_text(CONFIG).remarks

    assert remark.path == "$.models.stable.baseline"
    assert str(tmp_path / "stable.json") in remark.text
    assert "sidecar baseline build" in remark.text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not a baseline file"),
        ("{}", "missing required field `schema`"),
        ('{"schema": "sidecar.baseline/99"}', "upgrade it, or build the baseline again"),
        ('{"schema": "openapi"}', "this is no baseline file"),
    ],
)
def test_a_baseline_that_cannot_serve_refuses_the_configuration(load_text, tmp_path, text, reason):
    (tmp_path / "stable.json").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError) as refused:
        load_text(CONFIG)

    assert refused.value.path == "$.models.stable.baseline"
    assert reason in refused.value.reason


def test_a_message_names_the_file_and_the_place_in_it(tmp_path, baseline):
    file = tmp_path / "stable.json"
    file.write_text(encode(baseline).replace('"rows": 200', '"rows": "many"'), encoding="utf-8")

    with pytest.raises(ConfigError, match=r"stable\.json \$\.rows: .*Expected `int`"):
        read_baseline(file)


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_baseline(tmp_path)


def test_a_file_without_end_is_not_read_to_its_end(tmp_path):
    file = tmp_path / "huge.json"
    with file.open("wb") as stream:
        stream.truncate(LARGEST_FILE_BYTES + 1)  # sparse: it takes no space

    with pytest.raises(ConfigError, match="larger than 128 MiB"):
        read_baseline(file)
