"""Makes records of finished exchanges, in the worker."""
