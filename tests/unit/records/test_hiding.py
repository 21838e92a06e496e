"""Masks, hashes, and nothing at all."""

import hashlib

import pytest

from sidecar.errors import ConfigError
from sidecar.records.hiding import Hider, How

KEY = b"0123456789abcdef"


def test_a_hash_is_keyed_blake2b_of_128_bits():
    expected = hashlib.blake2b(b"ann", key=KEY, digest_size=16).hexdigest()

    assert Hider(KEY).text("ann", How.HASH) == expected
    assert len(expected) == 32


def test_another_key_gives_another_hash():
    assert Hider(KEY).text("ann", How.HASH) != Hider(KEY[::-1]).text("ann", How.HASH)


def test_a_long_key_counts_to_its_last_byte():
    long = bytes(range(200))

    assert Hider(long).text("ann", How.HASH) != Hider(long[:-1]).text("ann", How.HASH)
    assert Hider(long).text("ann", How.HASH) == Hider(long).text("ann", How.HASH)


def test_a_short_key_is_refused_and_not_quoted():
    with pytest.raises(ConfigError, match="at least 16 bytes, got 5") as refused:
        Hider(b"guess")

    assert "guess" not in str(refused.value)


def test_the_key_is_in_no_repr():
    assert KEY.decode() not in repr(Hider(KEY))


@pytest.mark.parametrize("value", ["ann", 5, {"a": 1}])
def test_without_a_key_a_hash_is_a_mask(value):
    assert Hider(None).value(value, How.HASH) == "***"


@pytest.mark.parametrize(("one", "other"), [(3, 3.0), (True, "true"), ("3", 3), (2.5, "2.5")])
def test_equal_values_have_equal_hashes_however_they_are_written(one, other):
    hider = Hider(KEY)

    assert hider.value(one, How.HASH) == hider.value(other, How.HASH)


def test_mappings_are_hashed_whatever_their_order():
    hider = Hider(KEY)

    assert hider.value({"a": 1, "b": 2}, How.HASH) == hider.value({"b": 2, "a": 1}, How.HASH)
    assert hider.value({"a": 1}, How.HASH) != hider.value({"a": 2}, How.HASH)


@pytest.mark.parametrize(
    ("how", "hidden"), [(How.DROP, [None, [None]]), (How.MASK, ["***", ["***"]])]
)
def test_lists_keep_their_shape(how, hidden):
    assert Hider(None).value(["ann", [5]], how) == hidden


def test_a_missing_value_stays_missing_under_a_hash():
    assert Hider(KEY).value([None, 1], How.HASH)[0] is None


def test_half_a_surrogate_pair_is_hashed_as_it_is():
    assert Hider(KEY).text("\ud800", How.HASH) != Hider(KEY).text("\ud801", How.HASH)
