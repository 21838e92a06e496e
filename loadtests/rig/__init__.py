"""What the measurements share: processes, load, a running sidecar, tables.

Each module says one thing and none knows what is being measured.
"""
