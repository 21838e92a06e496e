"""The requests that are sent, and the wrk scripts that send them.

The usual one is what a client of a tabular model sends through a service mesh: an Open Inference
Protocol request with one row of 30 features (the first of scikit-learn's breast cancer data) and 12
header fields, two of them (Host, Content-Length) wrk's own. `population` are rows like it, so that
what counts values meets different ones.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PATH: Final = "/v2/models/m/infer"
HEADERS: Final = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": "python-client/2.31",
    "X-Request-Id": "0197f3c2-7d1e-7c55-b3a1-0f6a4c2d9e10",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "X-User-Id": "user-48213",
    "X-Region": "eu-west-1",
    "Authorization": "Bearer 0123456789abcdef0123456789abcdef",
    "Cache-Control": "no-cache",
}
FEATURES: Final = (
    17.99, 10.38, 122.8, 1001.0, 0.1184, 0.2776, 0.3001, 0.1471, 0.2419, 0.07871,
    1.095, 0.9053, 8.589, 153.4, 0.006399, 0.04904, 0.05373, 0.01587, 0.03003, 0.006193,
    25.38, 17.33, 184.6, 2019.0, 0.1622, 0.6656, 0.7119, 0.2654, 0.4601, 0.1189,
)  # fmt: skip
SPREAD: Final = 0.2  # of the population: standard deviation over mean, of each feature


def inference(features: Sequence[float]) -> bytes:
    """The body of a request with this row."""
    tensor = {"name": "x", "shape": [1, len(features)], "datatype": "FP64", "data": features}
    return json.dumps({"id": "r1", "inputs": [tensor]}).encode()


def population(rows: int, *, seed: int = 1) -> list[list[float]]:
    """Rows of features that vary around the usual one; the same for the same seed."""
    rng = random.Random(seed)
    return [
        [float(f"{mean * (1 + SPREAD * rng.gauss(0, 1)):.5g}") for mean in FEATURES]
        for _ in range(rows)
    ]


INFERENCE: Final = inference(FEATURES)
PREDICTION: Final = json.dumps(
    {
        "model_name": "m",
        "id": "r1",
        "outputs": [
            {"name": "predict_proba", "shape": [1, 2], "datatype": "FP64", "data": [0.13, 0.87]}
        ],
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What every connection sends again and again; several paths and bodies take turns."""

    bodies: Sequence[bytes] = (INFERENCE,)
    paths: Sequence[str] = (PATH,)
    method: str = "POST"

    def script(self, home: Path, name: str) -> Path:
        """Write the Lua script that makes wrk send this; returns its path."""
        lines = [f'wrk.method = "{self.method}"']
        lines += [f'wrk.headers["{field}"] = "{value}"' for field, value in HEADERS.items()]
        lines += ["local bodies, made, turn = {}, {}, 0"]
        if self.method == "POST":
            for number, content in enumerate(self.bodies):
                body = home / f"{name}.{number}.body"
                body.write_bytes(content)
                lines += [
                    f'local file = io.open("{body}", "rb")',
                    'bodies[#bodies + 1] = file:read("*a")',
                    "file:close()",
                ]
        # Made once per thread: formatting inside request() would measure wrk.
        lines += ["function init()"]
        for path in self.paths:
            if self.method == "POST":
                lines += ["  for _, body in ipairs(bodies) do"]
                lines += [f'    made[#made + 1] = wrk.format(nil, "{path}", nil, body)', "  end"]
            else:
                lines += [f'  made[#made + 1] = wrk.format(nil, "{path}")']
        lines += ["end", "function request()", "  turn = turn % #made + 1"]
        lines += ["  return made[turn]", "end"]
        script = home / f"{name}.lua"
        script.write_text("\n".join(lines) + "\n")
        return script
