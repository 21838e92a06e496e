"""Small configurations, as mappings."""

from __future__ import annotations

from typing import Any


def one_route(url: str, *, canary_percent: float = 5, **more: Any) -> dict[str, Any]:
    """Route `iris`: `stable` answers, `next` is its canary; both are the same upstream."""
    return {
        "models": {"stable": {"url": url}, "next": {"url": url}},
        "routes": [
            {
                "name": "iris",
                "primary": "stable",
                "canaries": [{"model": "next", "percent": canary_percent}],
            }
        ],
        **more,
    }
