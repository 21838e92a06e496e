"""`sidecar dlq replay`, `jobs`, `cancel`: sending letters again.

The controller does it; the command only orders and watches. It may be ended at any moment, and the
replay goes on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer

from sidecar.cli import output, target
from sidecar.cli.admin_client import AdminClient
from sidecar.cli.dlq_filters import FilterWords
from sidecar.cli.options import AdminOption, ConfigOption, JsonOption, TokenOption

PATH: Final = "/api/v1/dlq"
LOOK_S: Final = 0.25
"""How often it is asked how far a replay is."""

NOT_DONE: Final = ("failed_again", "refused", "unreached", "skipped")

Watch = Callable[[dict[str, Any]], None]


def replay(
    *,
    which: FilterWords,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="MODEL", help="Send failed predictions to this model, not to their own."
        ),
    ] = None,
    rate: Annotated[float, typer.Option(min=0, help="Most letters a second; 0 is no bound.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Letters under way at once.")] = 4,
    timeout: Annotated[str, typer.Option(help="For each letter.")] = "60s",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent where, and do not.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Watch until it is over.")] = True,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send letters again: requests to their model, records to their sink.

    Without --state, those that wait or failed again. Requests go straight to the model, marked by
    `X-Sidecar-Replay`, and count as no live traffic. Exits with 1 when a letter was not replayed.
    """
    client = target.find(config, admin, token_file)
    order = {
        "filter": which,
        "to": to,
        "rate_per_s": rate,
        "concurrency": concurrency,
        "timeout": timeout,
        "dry_run": dry_run,
    }
    answer = client.post(f"{PATH}/replay", order)
    if dry_run:
        _show_preview(answer["dry_run"], as_json=as_json)
        return
    job = answer["job"]
    if wait:
        job = _watched(client, job)
    _show_job(job, as_json=as_json, ordered_only=not wait)
    if wait and (job["state"] != "done" or any(job["counts"][fate] for fate in NOT_DONE)):
        raise typer.Exit(1)


def jobs(
    *,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show replays, the newest first."""
    found = target.find(config, admin, token_file).get(f"{PATH}/jobs")["jobs"]
    if as_json:
        output.data({"jobs": found})
        return
    output.table(
        ["id", "state", "created", "letters", "done", "replayed", *NOT_DONE, "to", "why"],
        [
            [
                one["id"],
                one["state"],
                one["created"],
                one["total"],
                one["done"],
                one["counts"]["replayed"],
                *(one["counts"][fate] for fate in NOT_DONE),
                one["to"],
                one["reason"],
            ]
            for one in found
        ],
    )


def cancel(
    job: Annotated[str, typer.Argument(metavar="ID", help="Of `sidecar dlq jobs`.")],
    *,
    config: ConfigOption = None,
    admin: AdminOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a replay; letters under way are finished, the rest stays as it is."""
    client = target.find(config, admin, token_file)
    ended = client.delete(f"{PATH}/jobs/{job}", {})["job"]
    if as_json:
        output.data({"job": ended})
    else:
        output.say(f"{ended['state']}: {ended['done']} of {ended['total']} letters were dealt with")


def _watched(client: AdminClient, job: dict[str, Any]) -> dict[str, Any]:
    """Ask how far it is until it is over."""
    try:
        with _progress(job) as show:
            while not job["over"]:
                time.sleep(LOOK_S)
                job = client.get(f"{PATH}/jobs/{job['id']}")["job"]
                show(job)
    except KeyboardInterrupt:
        output.say(
            f"The replay goes on; `sidecar dlq jobs` shows it, `sidecar dlq cancel {job['id']}` "
            "ends it"
        )
        raise
    return job


@contextmanager
def _progress(job: dict[str, Any]) -> Iterator[Watch]:
    """A bar on stderr when that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - 60 ms that a pipe does not need
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("replaying"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        task = progress.add_task("", total=job["total"], completed=job["done"])
        yield lambda now: progress.update(
            task, completed=now["done"], description=_figures(now["counts"])
        )


def _show_preview(preview: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.data({"dry_run": preview})
        return
    output.say(f"{preview['total']} letters are meant; nothing was sent")
    output.table(
        ["letters", "would be sent to", "cannot be sent"],
        [
            *([letters, name, None] for name, letters in preview["sent"].items()),
            *([letters, None, why] for why, letters in preview["refused"].items()),
        ],
    )


def _show_job(job: dict[str, Any], *, as_json: bool, ordered_only: bool) -> None:
    if as_json:
        output.data({"job": job})
        return
    if ordered_only:
        output.say(f"Ordered: {job['total']} letters; `sidecar dlq jobs` shows how far it is")
    else:
        output.say(f"{job['state']}: {_figures(job['counts'])}, of {job['total']} letters")
        if job["reason"]:
            output.say(f"  {job['reason']}")
    output.table(["id"], [[job["id"]]])


def _figures(counts: dict[str, int]) -> str:
    shown = [f"{counts['replayed']} replayed"]
    shown += [f"{counts[fate]} {fate.replace('_', ' ')}" for fate in NOT_DONE if counts[fate]]
    return ", ".join(shown)
