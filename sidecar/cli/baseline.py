"""`sidecar baseline`: make a baseline of data or of live traffic, look at it, compare two."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlencode

import typer

from sidecar.baseline import Baseline, decode, encode
from sidecar.baseline.comparison import compare, same_data
from sidecar.baseline.roles import Roles
from sidecar.cli import baseline_views, output, target
from sidecar.cli.options import AdminOption, ConfigOption, JsonOption, TokenOption
from sidecar.config.baselines import read_baseline
from sidecar.dataset.reader import Advance
from sidecar.errors import ConfigError
from sidecar.model import ColumnKind

FOLDER: Final = Path("baselines")
STDOUT: Final = Path("-")

Columns = list[str] | None
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A baseline file.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    commands = typer.Typer(
        no_args_is_help=True,
        help="Make a baseline of data or of live traffic, look at it, compare two.",
    )
    commands.command("build")(build)
    commands.command("show")(show)
    commands.command("diff")(diff)
    app.add_typer(commands, name="baseline")


def build(
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Further files of data.")
    ] = None,
    *,
    model: Annotated[str, typer.Option("--model", "-m", help="The model it is a baseline of.")],
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data", "-d", help="CSV, JSON Lines or Parquet; several are read one by one."
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The file to write; `-` is stdout.",
            show_default="baselines/MODEL.json",
        ),
    ] = None,
    prediction: Annotated[str | None, typer.Option(help="Column of predictions.")] = None,
    score: Annotated[
        str | None,
        typer.Option(help="Column of scores: the probability of the positive, or highest, class."),
    ] = None,
    target_column: Annotated[
        str | None, typer.Option("--target", help="Column of the truth, for performance.")
    ] = None,
    segment: Annotated[
        Columns, typer.Option(help="Column whose values are also kept apart; repeatable.")
    ] = None,
    segment_values: Annotated[
        int, typer.Option(min=1, max=200, help="How many values of a segment are kept apart.")
    ] = 10,
    time: Annotated[str | None, typer.Option(help="Column of times, for the span.")] = None,
    business: Annotated[
        Columns, typer.Option(help="Column of revenue, conversion and the like; repeatable.")
    ] = None,
    ignore: Annotated[Columns, typer.Option(help="Column that is no feature; repeatable.")] = None,
    categorical: Annotated[
        Columns, typer.Option(help="Column of names, whatever it looks like; repeatable.")
    ] = None,
    numeric: Annotated[
        Columns, typer.Option(help="Column of amounts, whatever it looks like; repeatable.")
    ] = None,
    positive: Annotated[str | None, typer.Option(help="Label of the positive class.")] = None,
    like: Annotated[
        Path | None,
        typer.Option(help="Count into the columns of this baseline, to compare the two exactly."),
    ] = None,
    created: Annotated[
        str | None,
        typer.Option(help="A time (ISO 8601) to write into the file; none is, unless given."),
    ] = None,
    from_live: Annotated[
        bool, typer.Option("--from-live", help="Of live traffic that a sidecar has seen.")
    ] = False,
    route: Annotated[
        str | None, typer.Option(help="With --from-live: the route, if there are several.")
    ] = None,
    window: Annotated[
        str | None, typer.Option(help="With --from-live: how far back.", show_default="1h")
    ] = None,
    snapshot: Annotated[
        str | None, typer.Option(help="With --from-live: up to this pinned snapshot, not to now.")
    ] = None,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
) -> None:
    """Make a baseline: what the inputs and answers of a model look like when all is well.

    Every column of the data that is not named as something else is a feature. Files are read in
    chunks, twice; memory does not grow with them. The same data give the same file.
    """
    files = [*(data or []), *(more or [])]
    if from_live == bool(files):
        raise ConfigError("give either --data FILE or --from-live", path="--data")
    of_data = {
        "--prediction": prediction,
        "--score": score,
        "--target": target_column,
        "--segment": segment,
        "--time": time,
        "--business": business,
        "--ignore": ignore,
        "--categorical": categorical,
        "--numeric": numeric,
        "--positive": positive,
        "--like": like,
        "--created": created,
    }
    of_live = {"--route": route, "--window": window, "--snapshot": snapshot}
    _require_none(of_data if from_live else of_live, "--from-live" if from_live else "--data")
    if from_live:
        query = {"model": model, "route": route, "window": window, "snapshot": snapshot}
        asked = urlencode({name: value for name, value in query.items() if value})
        client = target.find(config, admin, token_file)
        baseline = decode(json.dumps(client.get(f"/api/v1/baselines/live?{asked}")))
    else:
        roles = Roles(
            prediction=prediction,
            score=score,
            target=target_column,
            time=time,
            segments=tuple(segment or ()),
            segment_values=dict.fromkeys(segment or (), segment_values),
            business=tuple(business or ()),
            ignore=tuple(ignore or ()),
            categorical=tuple(categorical or ()),
            numeric=tuple(numeric or ()),
            positive=positive,
        )
        baseline = _of_files(files, model, roles, like, created)
    _write(baseline, to if to is not None else FOLDER / f"{model}.json")


def show(file: FileArgument, *, as_json: JsonOption = False) -> None:
    """Show a baseline: its columns with their quantiles, the performance, where it is from."""
    baseline = read_baseline(file)
    if as_json:
        output.data(baseline_views.machine_form(baseline))
    else:
        baseline_views.show(baseline)


def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="The reference.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="What is compared with it.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what is different between two baselines.

    Columns that are counted alike (build B with `--like A`) are compared by the statistics of
    drift. Of others it is shown what changed, and some quantiles.
    """
    difference = compare(read_baseline(first), read_baseline(second))
    if as_json:
        output.data(baseline_views.machine_form(difference))
    else:
        baseline_views.show_difference(difference)
    for remark in difference.remarks:
        output.say(f"warning: {remark}")


def _require_none(options: Mapping[str, object], beside: str) -> None:
    """Refuse options that would say nothing."""
    for option, value in options.items():
        if value:
            raise ConfigError(f"has no effect beside {beside}: leave it out", path=option)


def _require_time(text: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"expected a time such as 2026-03-01T12:00:00Z, found {text!r}", path="--created"
        ) from error


def _of_files(
    files: list[Path], model: str, roles: Roles, like: Path | None, created: str | None
) -> Baseline:
    # Reading data takes modules that `show`, `diff` and --from-live need not wait for.
    from sidecar.dataset import open_dataset  # noqa: PLC0415
    from sidecar.dataset.learning import PASSES, learn_from  # noqa: PLC0415
    from sidecar.dataset.provenance import provenance  # noqa: PLC0415

    if created is not None:
        _require_time(created)
    reference = read_baseline(like) if like is not None else None
    dataset = open_dataset(files)
    with _progress(PASSES * dataset.bytes) as advance:
        learned = learn_from(
            dataset, model, roles, like=reference, provenance=provenance(created), advance=advance
        )
    for remark in learned.remarks:
        output.say(f"warning: {remark}")
    if reference is not None:
        for remark in same_data(reference, learned.baseline):
            output.say(f"warning: {remark}")
    return learned.baseline


@contextmanager
def _progress(total: int) -> Iterator[Advance]:
    """A bar on stderr when that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - 60 ms that a pipe does not need
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=total)
        yield lambda more: progress.advance(task, more)


def _write(baseline: Baseline, to: Path) -> None:
    """Write the file whole or not at all, and say so."""
    text = encode(baseline)
    if to == STDOUT:
        sys.stdout.write(text)
        return
    unfinished = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(to)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", path=str(to)) from error
    numeric = sum(one.kind is ColumnKind.NUMERIC for one in baseline.columns)
    output.say(
        f"Wrote {to}: {baseline.rows} rows, {len(baseline.features)} features "
        f"({numeric} numeric and {len(baseline.columns) - numeric} categorical columns), "
        f"{len(text) / 1024:.0f} KiB"
    )
