"""The process log: one line per event on stderr, a sentence and keys, as text or JSON.

    2026-03-01T12:00:00.000Z info worker: took over routing version=7 worker=0

Keys are given as `extra={...}`, so every package logs through the standard library alone. Secrets,
header values and payloads never get here: whoever logs names things, it does not quote them.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from typing import Final

from sidecar.config.settings import LogSettings

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PREFIX: Final = "sidecar."


def configure(settings: LogSettings) -> None:
    """Send everything to stderr in the configured form; once per program, before forking."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.format == "json" else TextLines())
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    # A log that cannot be written (closed pipe, full disk) is no reason to print a second error.
    logging.raiseExceptions = False


class TextLines(logging.Formatter):
    """`time level source: sentence key=value ...`, with a traceback below when there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; line breaks inside the sentence or a value are escaped."""
        keys = "".join(f" {name}={_plain(value)}" for name, value in _keys(record).items())
        sentence = record.getMessage().replace("\n", "\\n")
        line = f"{_time(record)} {record.levelname.lower()} {_source(record)}: {sentence}{keys}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One JSON object per line; a traceback is one of its values."""

    def format(self, record: logging.LogRecord) -> str:
        """The facts of the text form, under `time`, `level`, `source`, `event` and the keys."""
        fields: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "source": _source(record),
            "event": record.getMessage(),
            **_keys(record),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str, ensure_ascii=False)


def _keys(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}


def _plain(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return json.dumps(text, ensure_ascii=False) if set(text) & set(' "\n=') or not text else text


def _source(record: logging.LogRecord) -> str:
    return record.name.removeprefix(_PREFIX)


def _time(record: logging.LogRecord) -> str:
    moment = dt.datetime.fromtimestamp(record.created, tz=dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
