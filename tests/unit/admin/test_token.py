"""The token file."""

from __future__ import annotations

import pytest

from sidecar.admin.token import TokenFile
from sidecar.errors import ConfigError


def test_white_space_around_the_token_does_not_count(tmp_path):
    path = tmp_path / "token"
    path.write_text(" 0123456789abcdef\n", encoding="ascii")
    TokenFile(path).check()
    assert TokenFile(path)() == b"0123456789abcdef"


def test_a_rotated_token_counts_at_once(tmp_path):
    path = tmp_path / "token"
    token = TokenFile(path)
    for content in (b"first-first-first", b"second-second-second"):
        path.write_bytes(content)
        assert token() == content


@pytest.mark.parametrize("content", [b"", b" \n", b"short"])
def test_an_empty_or_short_token_is_refused_at_start(tmp_path, content):
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"\$\.admin\.token_file"):
        TokenFile(path).check()


def test_a_missing_file_is_refused_at_start_and_never_means_no_token(tmp_path):
    token = TokenFile(tmp_path / "absent")
    with pytest.raises(ConfigError, match="cannot be read"):
        token.check()
    with pytest.raises(OSError, match="absent"):
        token()
