"""Envoy: its mirror and weighted clusters do what the sidecar's shadow and canary do."""

from __future__ import annotations

import json
from typing import Any, Final

from loadtests.rig.addresses import HOST, await_listener, free_ports
from loadtests.rig.load import Subject
from loadtests.rig.processes import Fleet
from loadtests.rig.tools import require

PLAIN: Final = "Envoy"
SPLIT: Final = "Envoy, mirror + canary"
CLUSTERS: Final = ("stable", "canary", "shadow")

_FILTERS: Final = "type.googleapis.com/envoy.extensions.filters"
_MANY: Final = 16384  # its default of 1,024 connections and requests would refuse the growth curves


def start(fleet: Fleet, upstream: int) -> list[Subject]:
    """A plain listener, and one with 5 % canary and 100 % mirror, in one Envoy of one thread."""
    plain, split = free_ports(2)
    both: dict[str, Any] = {
        "weighted_clusters": {
            "clusters": [{"name": "stable", "weight": 95}, {"name": "canary", "weight": 5}]
        },
        "request_mirror_policies": [{"cluster": "shadow"}],
    }
    config = fleet.home / "envoy.json"
    config.write_text(
        json.dumps(
            {
                "static_resources": {
                    "listeners": [
                        _listener("plain", plain, {"cluster": "stable"}),
                        _listener("split", split, both),
                    ],
                    "clusters": [_cluster(name, upstream) for name in CLUSTERS],
                }
            }
        )
    )
    started = fleet.start(
        "envoy",
        [require("envoy"), "-c", str(config), "--concurrency", "1", "-l", "off",
         "--use-dynamic-base-id"],
    )  # fmt: skip
    await_listener(started, plain)
    await_listener(started, split)
    return [
        Subject(PLAIN, f"http://{HOST}:{plain}", started.pid),
        Subject(SPLIT, f"http://{HOST}:{split}", started.pid),
    ]


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": HOST, "port_value": port}}


def _cluster(name: str, upstream: int) -> dict[str, Any]:
    return {
        "name": name,
        "type": "STATIC",
        "circuit_breakers": {
            "thresholds": [
                {"max_connections": _MANY, "max_pending_requests": _MANY, "max_requests": _MANY}
            ]
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(upstream)}}]}],
        },
    }


def _listener(name: str, port: int, route: dict[str, Any]) -> dict[str, Any]:
    manager = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"},
            }
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": route}],
                }
            ]
        },
    }
    return {
        "name": name,
        "address": _address(port),
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ]
            }
        ],
    }
