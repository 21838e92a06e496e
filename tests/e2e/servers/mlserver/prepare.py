"""Writes into a folder what MLServer serves there: a classifier of irises, and its settings.

    python prepare.py FOLDER PORT

Run by the interpreter of MLServer's environment, so that its scikit-learn can read the model back.
"""

import json
import socket
import sys
from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


folder, port = Path(sys.argv[1]), int(sys.argv[2])
features, labels = load_iris(return_X_y=True)
joblib.dump(LogisticRegression(max_iter=500).fit(features, labels), folder / "model.joblib")
settings = {
    "host": "127.0.0.1",
    "http_port": port,
    "grpc_port": free_port(),
    "metrics_port": free_port(),
    "parallel_workers": 0,
    "debug": False,
}
(folder / "settings.json").write_text(json.dumps(settings))
model = {
    "name": "iris",
    "implementation": "mlserver_sklearn.SKLearnModel",
    "parameters": {"uri": "./model.joblib", "version": "v1"},
}
(folder / "model-settings.json").write_text(json.dumps(model))
