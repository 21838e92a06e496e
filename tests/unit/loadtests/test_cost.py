"""Whose cost a sample is."""

from __future__ import annotations

import pytest

from loadtests.cost import LLHTTP, LOOP, REST, part_of
from loadtests.rig.samples import Stack, by_function

# Outermost first, as py-spy writes them; the beginning is common to all.
LOOP_RUNS = (
    "run (uvloop/__init__.py:92)",
    "Runner.run (asyncio/runners.py:118)",
    "uv_run (core.c:464)",
)
RECEIVED = (*LOOP_RUNS, "uv__read (stream.c:1154)", "loop_run_in_context1 (loop.c:14713)")
READS_HEAD = (*RECEIVED, "ClientConnection.data_received (sidecar/proxy/client.py:98)")


def a_stack(*frames: str, count: int = 1) -> Stack:
    return Stack(frames, count)


@pytest.mark.parametrize(
    ("frames", "part"),
    [
        ((*LOOP_RUNS, "uv__io_poll (linux.c:1546)"), LOOP),
        ((*READS_HEAD, "write (sidecar/proxy/client.py:297)", "UVStream_write (loop.c:107)"), LOOP),
        (
            (*READS_HEAD, "parse (sidecar/proxy/head.py:234)", "llhttp__run (llhttp.c:88)"),
            LLHTTP,
        ),
        ((*READS_HEAD, "parse (sidecar/proxy/head.py:227)", "sre_ucs1_match (libpython3.so)"),
         "heads: read"),
        (READS_HEAD, "connections of clients"),
        ((*READS_HEAD, "Router.decide (sidecar/routing/router.py:99)"), "routing"),
        ((*READS_HEAD, "fullmatch (re.py:1)"), REST),
    ],
)  # fmt: skip
def test_a_sample_belongs_to_the_innermost_code_that_is_anybodys(
    frames: tuple[str, ...], part: str
) -> None:
    assert part_of(a_stack(*frames)) == part


def test_time_in_a_system_call_is_not_user_time() -> None:
    assert a_stack(*READS_HEAD, "UVStream_write (loop.c:107)", "write (libc.so.6)").in_kernel
    assert not a_stack(*READS_HEAD, "malloc (libc.so.6)").in_kernel
    assert not a_stack(*READS_HEAD, "write (sidecar/proxy/client.py:297)").in_kernel


def test_lines_of_a_function_are_added_up() -> None:
    stacks = [
        a_stack("parse (sidecar/proxy/head.py:227)", count=3),
        a_stack("parse (sidecar/proxy/head.py:234)", "malloc (libc.so.6)", count=4),
    ]
    assert by_function(stacks) == {"parse (sidecar/proxy/head.py)": 7}
