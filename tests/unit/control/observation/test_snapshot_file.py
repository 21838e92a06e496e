"""Snapshots as bytes: they come back to the bit, or are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sidecar.control.observation import snapshot_file
from sidecar.control.observation.snapshot_file import HEAD_AT, Damaged

WORDS = {
    "a": np.array([0, 1, -1, 2**63 - 1, -(2**63)], dtype=np.int64),
    "b": np.arange(1000, dtype=np.int64),
    "c": np.zeros(0, dtype=np.int64),
}


def read(content):
    """Everything in a snapshot, as a store reads it."""
    head = snapshot_file.decode_head(content)
    body_at = HEAD_AT + snapshot_file.head_bytes(content)
    return head.taken_ns, {
        one.owner: snapshot_file.decode_body(
            content[body_at + one.at : body_at + one.at + one.size_bytes], one
        )
        for one in head.series
    }


def test_series_come_back_each_on_its_own():
    taken_ns, series = read(snapshot_file.encode(17, WORDS))
    assert taken_ns == 17
    assert {owner: words.tolist() for owner, words in series.items()} == {
        owner: words.tolist() for owner, words in WORDS.items()
    }
    assert not series["b"].flags.writeable


@given(arrays(np.int64, st.integers(0, 300)))
def test_words_come_back_to_the_bit_whatever_they_are(words):
    assert np.array_equal(snapshot_file.unpack(snapshot_file.pack(words), len(words)), words)


def test_floats_among_the_words_come_back_to_the_bit():
    sums = np.array([0.1, -1e300, 5e-324, np.inf]).view(np.int64)
    assert np.array_equal(snapshot_file.unpack(snapshot_file.pack(sums), 4), sums)


def test_a_byte_that_changed_anywhere_is_noticed():
    content = snapshot_file.encode(17, WORDS)
    for place in range(len(content)):
        altered = bytearray(content)
        altered[place] ^= 0x10
        with pytest.raises(Damaged):
            read(bytes(altered))


@pytest.mark.parametrize("length", [0, 3, HEAD_AT, HEAD_AT + 5])
def test_a_file_that_was_cut_off_is_noticed(length):
    content = snapshot_file.encode(17, WORDS)[:length]
    with pytest.raises(Damaged):
        snapshot_file.decode_head(content)


def test_what_claims_more_words_than_it_has_or_could_have_is_refused_without_the_memory():
    packed = snapshot_file.pack(np.arange(10))
    for claimed in (9, 11, -1, 2**40):
        with pytest.raises(Damaged):
            snapshot_file.unpack(packed, claimed)


def test_a_watch_of_thirty_features_takes_a_few_kilobytes():
    """Counts as of a million rows: 30 columns of 340 cells, and as many failures per bin."""
    rng = np.random.default_rng(1)
    counts = rng.multinomial(1_000_000, rng.dirichlet(np.full(340, 3.0)), size=30).ravel()
    sums = rng.normal(0, 1e6, 30 * 60).view(np.int64)
    bins = rng.integers(0, 2000, 30 * 24)
    words = np.concatenate([counts, sums, bins]).astype(np.int64)
    content = snapshot_file.encode(1, {"a": words})
    assert len(content) < 0.36 * words.nbytes
    assert len(snapshot_file.encode(1, {"a": np.zeros_like(words)})) < 1000
