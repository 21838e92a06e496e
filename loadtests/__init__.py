"""Measurements of a running sidecar beside its peers, each a command of its own.

    python -m loadtests.compare    CPU per request beside nginx, HAProxy and Envoy
    python -m loadtests.growth     what body size, connections, models and workers cost
    python -m loadtests.cost       where the microseconds of a request go
    python -m loadtests.rollback   how long until every worker has confirmed a rollback
    python -m loadtests.startup    how long until ready, with and without compiled kernels
    python -m loadtests.kernel     what counting the values of payloads costs, beside NumPy
    python -m loadtests            all of them, one after the other

All but the last import nothing of the product: the sidecar is started by its command, loaded
through its sockets and judged by what the kernel counts for its processes. docs/performance.md
tells the method.
"""
