"""File descriptors: what is needed, what fits, and what is refused with the fix."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sidecar.app.descriptors import DEFAULT_CONNECTIONS, RESERVED, fit, need
from sidecar.config.settings import (
    Limits,
    ModelSettings,
    Pool,
    RouteSettings,
    Settings,
    Shadow,
)
from sidecar.errors import ConfigError


def settings(connections: int | None = None) -> Settings:
    """Two endpoints with pools of 10, and a shadow with 5 copies in flight."""
    model = ModelSettings(urls=("http://a:1", "http://b:1"), pool=Pool(connections=10))
    route = RouteSettings(name="r", primary="m", shadows=(Shadow(model="m", concurrency=5),))
    return Settings(models={"m": model}, routes=(route,), limits=Limits(connections=connections))


def test_clients_pools_and_mirrors_are_counted():
    assert need(settings(100)).total == 100 + 2 * 10 + 5 + RESERVED
    assert need(settings()).connections == DEFAULT_CONNECTIONS


def test_the_default_shrinks_to_what_is_granted():
    assert fit(settings(), 1000).limits.connections == 1000 - 25 - RESERVED
    assert fit(settings(), 1_000_000).limits.connections == DEFAULT_CONNECTIONS


def test_an_explicit_number_that_fits_is_kept():
    assert fit(settings(100), 100 + 25 + RESERVED).limits.connections == 100


def test_an_explicit_number_that_does_not_fit_is_refused_with_the_fix():
    with pytest.raises(ConfigError, match=f"ulimit -Hn {100 + 25 + RESERVED}") as refused:
        fit(settings(100), 100 + 25 + RESERVED - 1)
    assert refused.value.path == "$.limits.connections"


def test_a_system_that_grants_next_to_nothing_is_refused_also_without_a_number():
    with pytest.raises(ConfigError):
        fit(settings(), RESERVED + 30)


@pytest.mark.parametrize(("wanted", "granted"), [(300, 300), (200, 256), (400, 400)])
def test_the_soft_limit_is_raised_as_far_as_needed_and_never_lowered(wanted, granted):
    program = f"""
import resource
from sidecar.app.descriptors import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 400))
print(raise_limit({wanted}), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(granted), str(granted)]


def test_beyond_the_hard_limit_an_ordinary_user_gets_the_hard_limit():
    program = """
import os, resource
from sidecar.app.descriptors import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 400))
if os.getuid() == 0:
    os.setresuid(65534, 65534, 65534)
print(raise_limit(100_000), resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "400 (400, 400)\n"
