"""The journal's bytes, as pure functions: how records are framed, and how a run of them is walked.

Beside `sketch` and `payload`, whose kernels are compiled with the one here (`sidecar.board.jit`):
those who compile need not know who keeps files, nor the other way round.
"""
