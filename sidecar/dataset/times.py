"""Times of rows: ISO 8601, years, or seconds (ms, us, ns) since 1970; without zone in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import numpy as np

from sidecar.baseline.counting import Value, Values
from sidecar.baseline.records import TimeSpan
from sidecar.errors import ConfigError

_YEARS: Final = range(1000, 3000)
# Seconds of the year 5138 are milliseconds of March 1973: nothing else in between.
_SECONDS_BELOW: Final = 1e11


class SpanOfTime:
    """The first and the last time of the rows seen so far."""

    def __init__(self, column: str) -> None:
        self.column = column
        self._first: datetime | None = None
        self._last: datetime | None = None

    def add(self, values: Values, first_row: int) -> None:
        """Times of the next rows. Raises ConfigError for one that is none; missing ones are not."""
        plain = values.tolist() if isinstance(values, np.ndarray) else values
        for row, value in enumerate(plain, start=first_row):
            if value is None or value != value:  # noqa: PLR0124 - NaN differs from itself
                continue
            time = self._time(value, row)
            if self._first is None or time < self._first:
                self._first = time
            if self._last is None or time > self._last:
                self._last = time

    def span(self) -> TimeSpan:
        """From the first to the last. Raises ConfigError when there is no time, or only one."""
        if self._first is None or self._last is None:
            raise ConfigError("no row has a time", path=self.column)
        if self._first == self._last:
            raise ConfigError(
                f"all rows are of one instant, {_text(self._first)}: a baseline needs a span of "
                "time; choose another column, or leave --time out",
                path=self.column,
            )
        return TimeSpan(start=_text(self._first), end=_text(self._last))

    def _time(self, value: Value, row: int) -> datetime:
        try:
            if isinstance(value, str):
                time = datetime.fromisoformat(value.strip())
                return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
            return _of_number(float(value))  # type: ignore[arg-type]  # None was left out
        except (ValueError, OverflowError, OSError) as error:
            raise ConfigError(
                f"row {row} has {str(value)[:40]!r}, which is no time (ISO 8601, a year, or "
                "seconds since 1970)",
                path=self.column,
            ) from error


def _of_number(value: float) -> datetime:
    if value in _YEARS:
        return datetime(int(value), 1, 1, tzinfo=UTC)
    for scale in (1.0, 1e3, 1e6, 1e9):
        if abs(value) < _SECONDS_BELOW * scale:
            return datetime.fromtimestamp(value / scale, UTC)
    raise ValueError(value)


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
