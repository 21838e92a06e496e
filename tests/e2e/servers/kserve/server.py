"""A classifier of irises behind KServe: its protocols v1 and v2, JSON and binary tensors.

python server.py PORT
"""

import sys

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


class Iris(Model):
    def __init__(self):
        super().__init__("iris")
        features, labels = load_iris(return_X_y=True)
        self.classifier = LogisticRegression(max_iter=500).fit(features, labels)
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        if not isinstance(payload, InferRequest):  # protocol v1
            return {"predictions": self.classifier.predict(payload["instances"]).tolist()}
        rows = payload.inputs[0].as_numpy()
        wanted = payload.request_outputs
        binary = wanted[0].binary_data if wanted else payload.use_binary_outputs
        output = InferOutput(name="predict_proba", shape=[len(rows), 3], datatype="FP64")
        output.set_data_from_numpy(self.classifier.predict_proba(rows), binary_data=bool(binary))
        return InferResponse(
            response_id=payload.id,
            model_name="iris",
            infer_outputs=[output],
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=wanted,
        )


ModelServer(http_port=int(sys.argv[1]), enable_grpc=False, workers=1).start([Iris()])
