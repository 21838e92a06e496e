"""Fixtures: `sidecar(config)` starts a real one, `upstream(*scripts)` a scripted model.

Both may be called several times in a test; everything they start is ended when the test is over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
from harness.sidecar_process import SidecarProcess
from harness.upstream import Script, Upstream


class StartSidecar(Protocol):
    def __call__(self, config: Mapping[str, Any], **options: Any) -> SidecarProcess: ...


class StartUpstream(Protocol):
    def __call__(self, *scripts: Script, **options: Any) -> Upstream: ...


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[StartSidecar]:
    """Start a sidecar with a configuration (a mapping), each in a directory of its own."""
    with contextlib.ExitStack() as started:
        count = 0

        def start(config: Mapping[str, Any], **options: Any) -> SidecarProcess:
            nonlocal count
            directory = tmp_path / f"sidecar-{count}"
            directory.mkdir()
            count += 1
            return started.enter_context(SidecarProcess(directory, config, **options))

        yield start


@pytest.fixture
def upstream() -> Iterator[StartUpstream]:
    """Start a model that behaves on its connections as scripted (by default: answers `ok`)."""
    with contextlib.ExitStack() as started:

        def start(*scripts: Script, **options: Any) -> Upstream:
            return started.enter_context(Upstream(*scripts, **options))

        yield start
