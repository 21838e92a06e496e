import resource

import pytest

from sidecar.board.memory import allocate_shared, available_bytes
from sidecar.errors import LocalError


def meminfo(folder, available_kb):
    folder.mkdir()
    (folder / "meminfo").write_text(f"MemTotal: 9999 kB\nMemAvailable:   {available_kb} kB\n")
    return folder


def test_memory_comes_zeroed_and_writable():
    memory = allocate_shared("test-board", 8192)
    assert memory[:] == bytes(8192)
    memory[8191] = 7
    assert memory[8191] == 7


def test_more_than_the_machine_has_is_refused_in_words_before_anything_is_allocated():
    with pytest.raises(LocalError, match=r"cannot allocate 1152921504606846976 bytes.*available"):
        allocate_shared("test-board", 2**60)


def test_a_size_the_kernel_refuses_is_an_error_at_start_and_not_a_signal_later():
    found = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, found[1]))
    try:
        with pytest.raises(LocalError, match="File too large") as caught:
            allocate_shared("test-board", 8192)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, found)
    assert caught.value.code == "no_memory"


def test_available_memory_is_what_the_machine_says_without_a_cgroup(tmp_path):
    assert available_bytes(meminfo(tmp_path / "proc", 100), tmp_path / "none") == 100 * 1024


@pytest.mark.parametrize(("most", "expected"), [("max", 100 * 1024), ("50000", 20_000)])
def test_a_cgroup_may_allow_less_than_the_machine_has(tmp_path, most, expected):
    cgroup = tmp_path / "cgroup"
    cgroup.mkdir()
    (cgroup / "memory.max").write_text(most + "\n")
    (cgroup / "memory.current").write_text("30000\n")
    assert available_bytes(meminfo(tmp_path / "proc", 100), cgroup) == expected
