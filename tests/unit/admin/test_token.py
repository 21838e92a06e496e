"""The token file."""

from __future__ import annotations

import pytest

from sidecar.admin.token import TokenFile


def test_white_space_around_the_token_does_not_count(tmp_path):
    path = tmp_path / "token"
    path.write_text(" 0123456789abcdef\n", encoding="ascii")
    assert TokenFile(path)() == b"0123456789abcdef"


def test_a_rotated_token_counts_at_once(tmp_path):
    path = tmp_path / "token"
    token = TokenFile(path)
    for content in (b"first-first-first", b"second-second-second"):
        path.write_bytes(content)
        assert token() == content


@pytest.mark.parametrize("content", [None, b"", b" \n"])
def test_a_missing_or_empty_file_never_means_that_no_token_is_needed(tmp_path, content):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OSError, match="token"):
        TokenFile(path)()
