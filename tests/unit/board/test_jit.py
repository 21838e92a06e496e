import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from sidecar.board.jit import KernelCacheLocator, cache_directory, warm
from sidecar.sketch import ROW_WIDTH, latency_edges

compiles = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="nothing is compiled in this run"
)
KERNELS = ("record_rows", "scan_bodies", "nearest_doubles", "walk_records", "count_values")
EDGES = latency_edges()


@pytest.fixture(scope="module")
def filled_cache(tmp_path_factory):
    directory = tmp_path_factory.mktemp("kernels")
    report = warm({"NUMBA_CACHE_DIR": str(directory)}).report
    assert report.compiled == KERNELS
    assert report.cache_error is None
    return directory


@pytest.fixture
def own_cache(filled_cache, tmp_path):
    return Path(shutil.copytree(filled_cache, tmp_path / "kernels"))


def counts_one(record_rows, dtype=np.int64):
    rows = np.zeros((1, ROW_WIDTH), dtype)
    counters = np.zeros((1, 1), np.int64)
    latency, sums = np.zeros((1, 4, EDGES.bucket_count), np.int64), np.zeros((1, 4), np.int64)
    record_rows(rows, counters, latency, sums, EDGES.values)
    return counters[0, 0] == 1


@compiles
def test_what_was_compiled_once_is_loaded_from_then_on(filled_cache):
    kernels = warm({"NUMBA_CACHE_DIR": str(filled_cache)})
    assert kernels.report.loaded == KERNELS
    assert kernels.report.compiled == ()
    assert kernels.report.cache_dir == str(filled_cache)
    assert kernels.report.elapsed_s > 0
    assert counts_one(kernels.record_rows)


@compiles
def test_another_process_loads_it_too(filled_cache):
    code = (
        "import os, json; from sidecar.board import warm;"
        "print(json.dumps(warm(os.environ).report.loaded))"
    )
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(filled_cache)}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=environ, capture_output=True, text=True, timeout=25, check=True,
    )  # fmt: skip
    assert tuple(json.loads(ran.stdout)) == KERNELS


@compiles
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is no second core")
def test_an_empty_cache_is_filled_by_two_processes_and_a_filled_one_by_none(tmp_path):
    code = (
        "import os, json, sys; from sidecar.board import warm; seen = []\n"
        "sys.addaudithook(lambda event, _: event == 'os.fork' and seen.append(event))\n"
        "reports = [warm(os.environ).report for _ in range(2)]\n"
        "print(json.dumps([reports[0].compiled, reports[1].loaded, seen]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True, text=True, timeout=25, check=True,
    )  # fmt: skip
    compiled, loaded, forks = json.loads(ran.stdout)
    assert (tuple(compiled), tuple(loaded)) == (KERNELS, KERNELS)
    assert forks == ["os.fork"]


@compiles
def test_children_that_nobody_may_wait_for_are_no_reason_to_stop(tmp_path):
    """SIGCHLD may be ignored by whoever started us; then there is no child to wait for."""
    code = (
        "import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
        "from sidecar.board import warm; print(len(warm(os.environ).report.compiled))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True, text=True, timeout=25, check=True,
    )  # fmt: skip
    assert ran.stdout.strip() == str(len(KERNELS))


@compiles
def test_a_filled_cache_is_only_read(own_cache):
    for path in own_cache.iterdir():
        path.chmod(0o444)
    own_cache.chmod(0o555)
    before = {path.name: path.stat().st_mtime_ns for path in own_cache.iterdir()}
    folder_before = own_cache.stat().st_mtime_ns  # changes if so much as a trial file is made
    report = warm({"NUMBA_CACHE_DIR": str(own_cache)}).report
    own_cache.chmod(0o755)
    assert report.loaded == KERNELS
    assert {path.name: path.stat().st_mtime_ns for path in own_cache.iterdir()} == before
    assert own_cache.stat().st_mtime_ns == folder_before


@compiles
@pytest.mark.parametrize("directory", ["/dev/null/kernels", "/proc/none/kernels"])
def test_a_cache_that_cannot_be_written_costs_the_compilation_and_not_the_start(directory):
    kernels = warm({"NUMBA_CACHE_DIR": directory})
    assert kernels.report.compiled == KERNELS
    assert kernels.report.cache_error is not None
    assert counts_one(kernels.record_rows)


@compiles
@pytest.mark.parametrize("damage", [b"", b"not a pickle", bytes(4096)])
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_damaged_cache_costs_the_compilation_and_not_the_start(own_cache, suffix, damage):
    for path in own_cache.glob(f"*record_rows*.{suffix}"):
        path.write_bytes(damage)
    kernels = warm({"NUMBA_CACHE_DIR": str(own_cache)})
    assert kernels.report.compiled == ("record_rows",)
    assert kernels.report.cache_error is not None
    assert counts_one(kernels.record_rows)


@compiles
def test_without_any_place_for_a_cache_kernels_are_compiled():
    kernels = warm({})
    assert kernels.report.compiled == KERNELS
    assert kernels.report.cache_dir is None
    assert "HOME" in kernels.report.cache_error


@compiles
def test_a_call_with_other_types_is_an_error_and_not_a_pause_for_compiling(kernels):
    with pytest.raises(TypeError):
        counts_one(kernels.record_rows, dtype=np.int32)


@compiles
def test_the_settings_of_numba_are_left_as_they_were_found(filled_cache):
    names = ("CPU_NAME", "CPU_FEATURES", "CACHE_DIR", "CACHE_LOCATOR_CLASSES")
    before = [getattr(numba.config, name) for name in names]
    warm({"NUMBA_CACHE_DIR": str(filled_cache)})
    assert [getattr(numba.config, name) for name in names] == before


def test_kernels_are_made_for_any_cpu_unless_one_is_named():
    assert warm({}).report.cpu == "generic"


def test_without_compilation_kernels_are_plain_python_and_count_the_same():
    code = (
        "import os, json; from sidecar.board import warm; from sidecar.sketch import record_rows;"
        "k = warm(os.environ); print(json.dumps([k.record_rows is record_rows,"
        "k.report.loaded, k.report.compiled]))"
    )
    environ = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=environ, capture_output=True, text=True, timeout=25, check=True,
    )  # fmt: skip
    assert json.loads(ran.stdout) == [True, [], []]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"NUMBA_CACHE_DIR": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/model-sidecar/kernels"),
        ({"NUMBA_CACHE_DIR": "", "HOME": "/c"}, "/c/.cache/model-sidecar/kernels"),
    ],
)
def test_the_cache_is_where_the_environment_says(environ, expected):
    assert cache_directory(environ) == Path(expected)


def test_cached_code_belongs_to_the_content_of_its_source_and_not_to_its_date(tmp_path):
    source = tmp_path / "kernels.py"
    source.write_text("def f(): ...\n")
    stamp = KernelCacheLocator(tmp_path, source).get_source_stamp()
    os.utime(source, (1, 1))
    assert KernelCacheLocator(tmp_path, source).get_source_stamp() == stamp
    source.write_text("def f(): pass\n")
    assert KernelCacheLocator(tmp_path, source).get_source_stamp() != stamp
