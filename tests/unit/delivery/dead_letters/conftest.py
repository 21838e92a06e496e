"""Fixtures: `store`, an open store whose `clock` is moved by hand; it is closed after the test."""

from __future__ import annotations

import pytest
from harness.dead_letters import Clock, new_store


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def store(tmp_path, clock):
    store = new_store(tmp_path, clock=clock)
    await store.open()
    yield store
    await store.close()
