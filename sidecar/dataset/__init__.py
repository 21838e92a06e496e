"""Data in files, read in chunks: CSV, JSON Lines and Parquet. Blocking; of bounded memory."""

from sidecar.dataset.files import Dataset, open_dataset
from sidecar.dataset.reader import Advance, Reader

__all__ = ["Advance", "Dataset", "Reader", "open_dataset"]
