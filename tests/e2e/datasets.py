"""Real data in time order, from the wheel of nannyml 0.13.1 (Apache-2.0), which carries them.

The wheel is fetched once into the cache of `make e2e`, by version and hash, and never installed:
only its data files are taken out. What is Parquet there is rewritten as CSV, by an environment of
its own.
"""

from __future__ import annotations

import csv
import fcntl
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

WHEEL = "nannyml==0.13.1"
WHEEL_SHA256 = "cf5f4a33489834ae6773cb1baa33a0f98c0a3ee6ed9b43049478b25ce22fe869"
INSIDE = "nannyml/datasets/data/"
DOWNLOAD_S = 300.0

UNREACHABLE = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ProxyError")
"""What pip says when there is no registry to ask; every other failure to fetch is a failure."""

TO_CSV = """\
import sys
from pyarrow import csv, parquet
csv.write_csv(parquet.read_table(sys.argv[1]), sys.argv[2])
"""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A labelled set in time order: what a model was accepted on, and what it met later."""

    reference: Path
    analysis: Path


def datasets(cache: Path) -> Path:
    """The folder of the data files. Skips the test when there is no registry to ask."""
    folder = cache / WHEEL.replace("==", "-")
    with (cache / "nannyml.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _fetch(folder)
            (folder / "complete").touch()
    return folder


def car_loan(folder: Path) -> Dataset:
    """Loans for used cars: 50,000 rows before and after; car prices rise in the middle of it."""
    return Dataset(
        reference=folder / "synthetic_car_loan_reference.csv",
        analysis=folder / "synthetic_car_loan_analysis.csv",
    )


def employment(folder: Path, environment: Callable[[str], Path]) -> Dataset:
    """Census of Massachusetts, 2014 and 2015-2018: 68,785 and 208,892 people, 16 features."""
    written = []
    for part in ("reference", "analysis"):
        target = folder / f"employment_MA_{part}.csv"
        if not target.exists():
            unfinished = target.with_suffix(".part")
            source = folder / f"employment_MA_{part}.pq"
            python = environment("parquet") / "python"
            subprocess.run([python, "-c", TO_CSV, source, unfinished], check=True)
            unfinished.rename(target)
        written.append(target)
    return Dataset(reference=written[0], analysis=written[1])


def rows(file: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV file, as texts by column."""
    with file.open(newline="", encoding="utf-8") as text:
        yield from csv.DictReader(text)


def _fetch(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command = [*pip, "--only-binary=:all:", "--dest", folder, "-r", wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_S, check=False)
    if done.returncode and any(word in done.stderr for word in UNREACHABLE):
        pytest.skip("the package registry cannot be reached")
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("nannyml-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if member.filename.startswith(INSIDE) and member.filename.endswith((".csv", ".pq")):
                member.filename = Path(member.filename).name
                archive.extract(member, folder)
    wheel.unlink()
