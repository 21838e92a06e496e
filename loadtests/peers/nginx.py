"""nginx: the upstream of every measurement, a plain proxy, and a proxy that mirrors.

Its mirror is the nearest it has to a shadow: the copy is a subrequest, and a slow shadow holds the
client's next request on the connection back.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from loadtests.rig.addresses import HOST, await_listener, free_ports
from loadtests.rig.load import Subject
from loadtests.rig.processes import Fleet
from loadtests.rig.tools import require
from loadtests.rig.traffic import PREDICTION

PLAIN: Final = "nginx"
MIRROR: Final = "nginx, mirror"

# Beyond any number of requests here: a peer is not measured reconnecting.
KEEP: Final = "keepalive_requests 1000000000;"
FORWARD: Final = 'proxy_http_version 1.1; proxy_set_header Connection "";'


def start_upstream(fleet: Fleet) -> Subject:
    """Serve a small prediction to every request, and files below /files/.

    nginx answers without waiting for a body. Below /whole/ it waits, as a model does: the body is
    read before a second request, without it, is sent to itself.
    """
    (port,) = free_ports(1)
    files = fleet.home / "files"
    files.mkdir(exist_ok=True)
    pid = _start(
        fleet,
        "upstream",
        f"""upstream self {{ server {HOST}:{port}; keepalive 64; {KEEP} }}
 server {{ listen {HOST}:{port} backlog=4096; default_type application/json;
  location / {{ return 200 '{PREDICTION}'; }}
  location /whole/ {{ proxy_pass http://self/; {FORWARD}
   proxy_pass_request_body off; proxy_set_header Content-Length ""; }}
  location /files/ {{ root {fleet.home}; }} }}""",
        [port],
    )
    return Subject("upstream", f"http://{HOST}:{port}", pid)


def start(fleet: Fleet, upstream: int) -> list[Subject]:
    """A plain and a mirroring proxy in one nginx."""
    plain, mirror = free_ports(2)
    pid = _start(
        fleet,
        "nginx",
        f"""upstream u {{ server {HOST}:{upstream}; keepalive 1024; {KEEP} }}
 server {{ listen {HOST}:{plain} backlog=4096; location / {{ proxy_pass http://u; {FORWARD} }} }}
 server {{ listen {HOST}:{mirror} backlog=4096;
  location / {{ mirror /shadow; proxy_pass http://u; {FORWARD} }}
  location = /shadow {{ internal; proxy_pass http://u$request_uri; {FORWARD} }} }}""",
        [plain, mirror],
    )
    return [
        Subject(PLAIN, f"http://{HOST}:{plain}", pid),
        Subject(MIRROR, f"http://{HOST}:{mirror}", pid),
    ]


def _start(fleet: Fleet, name: str, servers: str, ports: list[int]) -> int:
    config = fleet.home / f"{name}.conf"
    config.write_text(_config(fleet.home, name, servers))
    started = fleet.start(name, [require("nginx"), "-c", str(config), "-g", "daemon off;"])
    for port in ports:
        await_listener(started, port)
    return started.pid


def _config(home: Path, name: str, servers: str) -> str:
    # Paths of its own, so that it runs for any user; bodies of 10 MB stay in memory, as elsewhere.
    temporary = " ".join(
        f"{kind}_temp_path {home / name}-{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # A worker that root starts runs as nobody otherwise, and could not read the files it serves.
    user = "user root; " if os.geteuid() == 0 else ""
    return f"""{user}worker_processes 1; pid {home / name}.pid; error_log {home / name}.error crit;
events {{ worker_connections 16384; }}
http {{ access_log off; {KEEP} client_max_body_size 0; client_body_buffer_size 16m; {temporary}
 {servers} }}
"""
