"""Damaged bytes are kept once, for people to look at, and never take more than they may."""

import pytest

from sidecar.journal import Quarantine


def test_bytes_are_kept_once_under_the_place_they_stood_at(tmp_path):
    quarantine = Quarantine(tmp_path)
    assert quarantine.keep(3, 42, 1000, b"damaged")
    assert not quarantine.keep(3, 42, 1000, b"again")
    (kept,) = (tmp_path / "quarantine").iterdir()
    assert (kept.name, kept.read_bytes()) == ("03-0000000042-1000.bytes", b"damaged")
    assert kept.stat().st_mode & 0o077 == 0
    assert quarantine.kept == 1


@pytest.mark.parametrize("most", [0, 10, 25])
def test_there_is_a_bound(tmp_path, most):
    quarantine = Quarantine(tmp_path, most_bytes=most)
    for n in range(5):
        quarantine.keep(0, 1, n, bytes(10))
    kept = list((tmp_path / "quarantine").iterdir())
    assert len(kept) == most // 10
    assert quarantine.kept == len(kept)


def test_a_disk_that_refuses_is_no_error(tmp_path):
    (tmp_path / "quarantine").write_text("not a directory")
    assert not Quarantine(tmp_path).keep(0, 1, 2, b"x")
