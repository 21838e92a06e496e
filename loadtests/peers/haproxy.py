"""HAProxy: the cheapest plain forwarding there is. It has no mirror without an agent beside it."""

from __future__ import annotations

from typing import Final

from loadtests.rig.addresses import HOST, await_listener, free_ports
from loadtests.rig.load import Subject
from loadtests.rig.processes import Fleet
from loadtests.rig.tools import require

PLAIN: Final = "HAProxy"


def start(fleet: Fleet, upstream: int) -> list[Subject]:
    """A plain proxy."""
    (port,) = free_ports(1)
    config = fleet.home / "haproxy.cfg"
    config.write_text(f"""global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  http-reuse always
frontend clients
  bind {HOST}:{port}
  default_backend models
backend models
  server one {HOST}:{upstream}
""")
    started = fleet.start("haproxy", [require("haproxy"), "-db", "-f", str(config)])
    await_listener(started, port)
    return [Subject(PLAIN, f"http://{HOST}:{port}", started.pid)]
