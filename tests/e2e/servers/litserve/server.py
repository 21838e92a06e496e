"""LitServe's OpenAI-compatible server with a model that has no weights: it counts, slowly.

python server.py PORT
"""

import sys
import time

import litserve

WORDS = 20
PAUSE_S = 0.05


class Counter(litserve.LitAPI):
    def setup(self, device):
        pass

    def predict(self, prompt):
        for number in range(WORDS):
            time.sleep(PAUSE_S)
            yield f"{number} "


if __name__ == "__main__":
    server = litserve.LitServer(Counter(spec=litserve.OpenAISpec()), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
