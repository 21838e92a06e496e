"""A configuration to change one thing in."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from sidecar.config.load import Loaded, load
from sidecar.config.problems import InvalidConfig, Problem


@pytest.fixture
def load_text(tmp_path) -> Callable[..., Loaded]:
    """Load YAML text, as a file in a directory of its own, under an environment."""

    def load_text(text: str, **environ: str) -> Loaded:
        file = tmp_path / "sidecar.yaml"
        file.write_text(dedent(text), encoding="utf-8")
        return load(file, environ)

    return load_text


@pytest.fixture
def problems_of(load_text) -> Callable[..., list[Problem]]:
    """The problems of YAML text; there must be some."""

    def problems_of(text: str, **environ: str) -> list[Problem]:
        with pytest.raises(InvalidConfig) as refused:
            load_text(text, **environ)
        return list(refused.value.problems)

    return problems_of


@pytest.fixture
def directory(tmp_path) -> Path:
    """Where the file of `load_text` stands."""
    return tmp_path
