"""A small world to observe."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.observed_world import World, wanted


@pytest.fixture
async def world(tmp_path: Path) -> World:
    """Route `iris` with its primary `stable`; the controller has begun."""
    made = World(tmp_path, wanted())
    await made.controller()
    return made
