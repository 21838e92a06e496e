"""How every measurement is run from a shell: its options, its outputs, its exit codes.

0 measured (and every bar met, with --bars), 1 a bar was missed, 2 it could not be measured.
Markdown goes to stdout, progress to stderr.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from loadtests.rig.processes import Fleet, ProcessFailedError
from loadtests.rig.progress import say
from loadtests.rig.report import Report
from loadtests.rig.tools import MissingToolError

Measure = Callable[[argparse.Namespace], Report]


def options(
    module: str, text: str, *, rounds: int | None, seconds: int | None
) -> argparse.ArgumentParser:
    """The parser with what all measurements take; `text` is the module's own.

    Without `seconds` a round lasts as long as it does; without `rounds` there are none.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if rounds is not None:
        parser.add_argument("--rounds", type=positive, default=rounds, help=f"default {rounds}")
    if seconds is not None:
        parser.add_argument(
            "--seconds", type=positive, default=seconds, help=f"of each round; default {seconds}"
        )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round as JSON")
    parser.add_argument(
        "--into", type=Path, metavar="FILE", help="put the result between the marks of a document"
    )
    parser.add_argument("--bars", action="store_true", help="exit with 1 when a bar is missed")
    return parser


def run(parser: argparse.ArgumentParser, measure: Measure, arguments: Sequence[str] | None) -> int:
    """Measure, print, write; returns the exit code."""
    chosen = parser.parse_args(arguments)
    # `with` ends what was started on SIGTERM too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        report = measure(chosen)
        if chosen.into is not None:
            report.write_into(chosen.into)
    except (MissingToolError, ProcessFailedError, OSError, ValueError) as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(report.markdown(), flush=True)
    if chosen.json is not None:
        chosen.json.write_text(report.json(), encoding="utf-8")
    return 1 if chosen.bars and not report.met else 0


@contextmanager
def stage() -> Iterator[Fleet]:
    """A fleet in a temporary home; both are gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="loadtest-") as home,
        Fleet(Path(home)) as fleet,
    ):
        yield fleet


def positive(text: str) -> int:
    """The type of an option that counts something."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected 1 or more")
    return number
