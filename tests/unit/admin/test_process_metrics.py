import os
import subprocess
import sys
import time

import pytest

from sidecar.admin.process_metrics import ProcessMetrics, ProcessReading

TICKS = os.sysconf("SC_CLK_TCK")


def make_process(proc, pid, *, cpu_s=0.0, children_cpu_s=0.0, name="sidecar"):
    """A folder as in /proc, with what proc(5) says stands where."""
    folder = proc / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    fields = ["0"] * 52
    fields[0], fields[1], fields[2] = str(pid), f"({name})", "S"
    fields[13], fields[15] = str(round(cpu_s * TICKS)), str(round(children_cpu_s * TICKS))
    fields[21], fields[23] = str(50 * TICKS), "3"
    (folder / "stat").write_text(" ".join(fields) + "\n")
    (folder / "smaps_rollup").write_text("Rss:  99 kB\nPss:  40 kB\nPss_Dirty:  7 kB\n")
    (folder / "limits").write_text("Limit  Soft  Hard  Units\nMax open files  1024  4096  files\n")
    (folder / "fd").mkdir(exist_ok=True)
    (folder / "fd" / "0").touch()
    return folder


def collected(metrics):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in metrics.collect()
        for sample in family.samples
    }


@pytest.fixture
def proc(tmp_path):
    (tmp_path / "stat").write_text("cpu 1 2 3\nbtime 1700000000\n")
    make_process(tmp_path, 10, cpu_s=1, children_cpu_s=20)
    make_process(tmp_path, 11, cpu_s=2, children_cpu_s=100)
    make_process(tmp_path, 12, cpu_s=4)
    return tmp_path


PIDS = {"launcher": 10, "controller": 11, "worker-0": 12}


def test_cpu_time_includes_the_launchers_dead_children_and_nobody_elses(proc):
    found = collected(ProcessMetrics(lambda: PIDS, proc))
    assert found["process_cpu_seconds_total",] == 1 + 20 + 2 + 4
    assert found["sidecar_process_cpu_seconds_total", "worker-0"] == 4


def test_cpu_time_never_falls_while_a_process_is_replaced(proc):
    pids = dict(PIDS)
    metrics = ProcessMetrics(lambda: pids, proc)
    before = collected(metrics)["process_cpu_seconds_total",]
    del pids["worker-0"]  # dead, and not yet in its parent's account
    assert collected(metrics)["process_cpu_seconds_total",] == before
    make_process(proc, 10, cpu_s=1, children_cpu_s=24)
    pids["worker-0"] = 13
    make_process(proc, 13, cpu_s=0.5)
    assert collected(metrics)["process_cpu_seconds_total",] == before + 0.5


def test_memory_and_descriptors_are_summed_and_the_limit_is_the_least(proc):
    (proc / "12" / "limits").write_text("Max open files  512  4096  files\n")
    found = collected(ProcessMetrics(lambda: PIDS, proc))
    assert found["process_resident_memory_bytes",] == 3 * 3 * os.sysconf("SC_PAGE_SIZE")
    assert found["sidecar_process_pss_bytes", "controller"] == 40 * 1024
    assert found["process_open_fds",] == 3
    assert found["process_max_fds",] == 512


def test_the_start_is_the_launchers(proc):
    found = collected(ProcessMetrics(lambda: PIDS, proc))
    assert found["process_start_time_seconds",] == 1_700_000_050


def test_a_process_that_has_just_ended_is_left_out(proc):
    found = collected(ProcessMetrics(lambda: {**PIDS, "worker-1": 99}, proc))
    assert ("sidecar_process_pss_bytes", "worker-1") not in found
    assert ("sidecar_process_pss_bytes", "worker-0") in found


def test_what_the_kernel_hides_is_left_out_and_the_rest_shown(proc):
    for name in ("smaps_rollup", "limits"):
        for pid in PIDS.values():
            (proc / str(pid) / name).unlink()
    found = collected(ProcessMetrics(lambda: PIDS, proc))
    assert ("sidecar_process_pss_bytes", "worker-0") not in found
    assert ("process_max_fds",) not in found
    assert found["process_open_fds",] == 3


@pytest.mark.parametrize("name", ["my worker", "a) 1 2 3 (b", ")"])
def test_a_name_with_spaces_and_parentheses_does_not_shift_the_fields(tmp_path, name):
    folder = make_process(tmp_path, 5, cpu_s=3, name=name)
    assert ProcessReading.of(folder).cpu_s == 3


BURN_CPU = """
import time
while time.process_time() < 0.2:
    pass
print("done", flush=True)
input()
"""


def test_a_real_process_is_read_as_the_kernel_shows_it():
    child = subprocess.Popen(
        [sys.executable, "-c", BURN_CPU], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        child.stdout.readline()
        found = collected(ProcessMetrics(lambda: {"launcher": child.pid}))
        now_s = time.time()
    finally:
        child.communicate(b"\n")
    assert found["process_cpu_seconds_total",] >= 0.15
    assert found["process_resident_memory_bytes",] > 2**20
    assert (
        0
        < found["sidecar_process_pss_bytes", "launcher"]
        <= found["process_resident_memory_bytes",]
    )
    assert found["process_open_fds",] >= 3
    assert found["process_max_fds",] >= 3
    assert now_s - 60 < found["process_start_time_seconds",] < now_s + 2
