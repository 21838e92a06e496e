"""Both ways to walk take the records that `layout.take` takes, as far as those are a run."""

from __future__ import annotations

import os

import numpy as np
import pytest
from harness.journals import compiled_walk
from hypothesis import given
from hypothesis import strategies as st

from sidecar.frames.layout import (
    FAILURE,
    FLAGS_SHIFT,
    Kind,
    encode_frame,
    mark_of,
    take,
)
from sidecar.frames.walk import CompiledWalk, checksum_tables, walk_plainly, walk_records

MARK = mark_of(0xA5B6C7D8)
ALL = {"most": 10**6, "most_bytes": 10**9}

COMPILED = compiled_walk()
WAYS = {"plain": walk_plainly, "compiled": COMPILED}
INTERPRETED = CompiledWalk(walk_records)
every_way = pytest.mark.parametrize("walk", WAYS.values(), ids=WAYS)


def as_lists(walked):
    return walked.starts.tolist(), walked.subjects.tolist()


def expected(data, at, number, most=10**6, most_bytes=10**9):
    """What a walk finds, as `take` sees it."""
    starts, subjects = [at], []
    found, end = take(data, at, MARK, most, most_bytes)
    ends = [*[at for at, *_ in found[1:]], end]
    for (_, kind, subject, flags, seen, _), until in zip(found, ends, strict=False):
        if kind != Kind.RECORD or seen != number + len(subjects):
            break
        starts.append(until)
        subjects.append(subject | flags << FLAGS_SHIFT)
    return starts, subjects


def frames(payloads, number=1):
    return b"".join(
        encode_frame(MARK, Kind.RECORD, n % 3 | FAILURE * (n % 2), number + n, payload)
        for n, payload in enumerate(payloads)
    )


pieces = st.one_of(
    st.builds(
        encode_frame,
        st.just(MARK),
        st.sampled_from([*[Kind.RECORD] * 5, *Kind]),
        st.sampled_from([0, 1, 65_535, 7 | FAILURE, 65_535 | FAILURE]),
        st.integers(1, 5) | st.integers(0, 2**63 - 1),
        st.binary(max_size=60),
    ),
    st.binary(max_size=40),
)


@given(
    pieces=st.lists(pieces, max_size=4),
    run=st.lists(st.binary(max_size=60), max_size=8),
    before=st.binary(max_size=9),
    number=st.integers(1, 4) | st.integers(0, 2**63 - 100),
    most=st.integers(1, 9),
    most_bytes=st.integers(1, 700),
)
def test_every_way_takes_what_the_layout_takes(pieces, run, before, number, most, most_bytes):
    data = before + frames(run, number) + b"".join(pieces)
    at, bounds = len(before), {"most": most, "most_bytes": most_bytes}
    for walk in (*WAYS.values(), INTERPRETED):
        walked = as_lists(walk(data, at, MARK, number, **bounds))
        assert walked == expected(data, at, number, **bounds)


@every_way
def test_damage_at_any_byte_ends_the_run_before_it(walk):
    whole = frames([b"", b"payload", b"12345678", bytes(31)])
    for at in range(len(whole)):
        for change in (0x01, 0x80, 0xFF):
            damaged = bytearray(whole)
            damaged[at] ^= change
            walked = as_lists(walk(bytes(damaged), 0, MARK, 1, **ALL))
            assert walked == expected(bytes(damaged), 0, 1), (at, change)
            assert walked[0][-1] <= at


@every_way
def test_a_window_may_end_anywhere(walk):
    whole = frames([b"", b"payload", b"12345678", bytes(31)])
    for size in range(len(whole) + 1):
        walked = as_lists(walk(whole[:size], 0, MARK, 1, **ALL))
        assert walked == expected(whole[:size], 0, 1)
        for at in (size, size + 1):
            assert as_lists(walk(whole[:size], at, MARK, 1, **ALL))[1] == []


@every_way
def test_a_length_that_cannot_be_is_not_followed(walk):
    damaged = bytearray(frames([b"payload"]))
    for length in (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 8):
        damaged[8:12] = length.to_bytes(4, "little")
        assert as_lists(walk(bytes(damaged), 0, MARK, 1, **ALL)) == ([0], [])


@every_way
def test_a_run_of_another_number_or_segment_is_none(walk):
    whole = frames([b"payload"], number=9)
    assert as_lists(walk(whole, 0, MARK, 9, **ALL)) == ([0, len(whole)], [0])
    assert as_lists(walk(whole, 0, MARK, 8, **ALL)) == ([0], [])
    assert as_lists(walk(whole, 0, mark_of(1), 9, **ALL)) == ([0], [])


def test_a_checksum_is_that_of_zlib_whatever_its_length():
    payloads = [os.urandom(size) for size in range(300)]
    whole = frames(payloads)
    starts, subjects = as_lists(COMPILED(whole, 0, MARK, 1, **ALL))
    assert len(subjects) == 300
    assert np.diff(starts).tolist() == [24 + size for size in range(300)]


def test_the_tables_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        checksum_tables()[0, 0] = 1
