"""The model-serving sidecar: it splits, mirrors and measures HTTP traffic beside model servers."""

__version__ = "0.1.0"

__all__ = ["__version__"]
