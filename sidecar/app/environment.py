"""Process environment that must be settled before NumPy and Numba are imported.

A fork copies only the calling thread: a launcher with BLAS or Numba worker threads would hand its
children locks that nobody will ever release. One thread each is also all this product can use,
since its kernels run between two requests and are sequential.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Final

SINGLE_THREADED: Final = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}


def forbid_threads(environ: MutableMapping[str, str]) -> None:
    """Keep numerical libraries from starting threads; effective only before their import."""
    environ.update(SINGLE_THREADED)
