"""The data plane: how one worker carries requests to models and answers back.

The files follow a request: `worker` accepts, `client` reads, `head` and `chunked` parse, `exchange`
decides and carries, `pool` and `upstream` reach the model, `forwarding` and `answers` write heads,
`mirror` copies to shadows, `tunnel` hands over upgraded connections.
"""

from sidecar.proxy.acceptor import Listener
from sidecar.proxy.worker import Worker

__all__ = ["Listener", "Worker"]
