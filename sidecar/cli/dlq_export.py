"""`sidecar dlq export`: letters with all that is kept of them, as JSON Lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from sidecar.cli import output, target
from sidecar.cli.dlq_filters import FilterWords, query
from sidecar.cli.exporting import STDOUT, ToArgument, progress, write_lines
from sidecar.cli.options import AdminOption, ConfigOption, JsonOption, TokenOption

PATH: Final = "/api/v1/dlq"


def export(
    to: ToArgument,
    *,
    which: FilterWords,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write letters as JSON Lines: each with its record, the request and the answer of a replay.

    The file is there whole or not at all. It holds what clients sent: only you can read it.
    """
    client = target.find(config, admin, token_file)
    total = client.get(f"{PATH}{query(which, limit=1)}")["total"]
    lines = client.lines(f"{PATH}/export{query(which)}")
    with progress(total) as advance:
        written = write_lines(to, _counted(lines, advance))
    if as_json and to != STDOUT:
        output.data({"file": str(to), "letters": written})
    else:
        output.say(f"Wrote {written} letters" + ("" if to == STDOUT else f" to {to}"))


def _counted(lines: Iterable[bytes], advance: Callable[[int], None]) -> Iterator[bytes]:
    for line in lines:
        yield line
        advance(1)
