"""The demo's processes: three model servers and the sidecar before them, from start to end.

Each child leads a process group of its own, so that a Ctrl-C in the terminal reaches only the demo,
which then ends them in order: the sidecar drains first, the models go last. Their words are kept in
the demo's scratch folder and quoted when one of them dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from sidecar.errors import LocalError

MODEL_NAME = "car-loan"
"""The name under which all three serve: the sidecar, not the client, says which one answers."""

CANARY_PERCENT = 10.0
SHADOW_SAMPLE = 1.0
WINDOW = "10s"
"""What is judged: the requests of so long, anew every second."""

_START_S = 30.0
_STOP_S = 10.0
_POLL_S = 0.05
_PREFERRED_LISTEN = 8080
_PREFERRED_ADMIN = 9090
_LAST_WORDS = 12

_CONFIGURATION = """\
listen: {listen}
admin: {{listen: {admin}}}
state_dir: {state_dir}
models:
  stable: {{url: "{stable}", baseline: "{baselines}/stable.json"}}
  next:   {{url: "{next}", baseline: "{baselines}/next.json"}}
  trial:  {{url: "{trial}", baseline: "{baselines}/trial.json"}}
routes:
  - name: car-loan
    primary: stable
    canaries: [{{model: next, percent: {canary_percent:g}}}]
    shadows: [{{model: trial, sample: {shadow_sample:g}}}]
    sticky: {{header: x-user-id}}
drift: {{interval: 1s, windows: [{window}], references: [baseline]}}
alerts:
  interval: 1s
  rules:
    - name: drift-major          # the house's own holds for ten minutes more; a lap takes one
      signal: drift
      tiers: [{{severity: warning, above: 1, keep_firing_for: {window}}}]
      summary: "{{labels.feature}} of {{labels.model}} has drifted (major)"
drain: {{timeout: 5s}}
log: {{level: warning}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the running sidecar is reached."""

    traffic: str
    admin: str
    configuration: Path

    @property
    def infer(self) -> str:
        """The URL that clients ask."""
        return f"{self.traffic}/v2/models/{MODEL_NAME}/infer"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Child:
    name: str
    process: asyncio.subprocess.Process
    log: Path

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_WORDS:]
        return "\n".join(f"  {line}" for line in lines) or "  (it said nothing)"

    async def died(self) -> LocalError:
        status = await self.process.wait()
        return LocalError(
            f"{self.name} ended with status {status}; its last words:\n{self.last_words()}",
            code="demo_child",
        )

    async def mourn(self) -> None:
        raise await self.died()

    async def end(self) -> None:
        """Ask it to stop, wait, and leave no process of its group behind."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), _STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()


class World:
    """The children, in the order they were started."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._children: list[_Child] = []

    async def start_model(self, name: str, version: str, model: Path) -> str:
        """Start a server of a saved model and return its base URL once it answers."""
        command = ("-m", "sidecar.demo.model_server", "--name", MODEL_NAME, "--version", version)
        # One thread per model: on a laptop's few cores more would only fight over them.
        child = await self._start(
            name, *command, "--model", str(model), environment={"OMP_NUM_THREADS": "1"}
        )
        if child.process.stdout is None:
            raise AssertionError("started with a pipe")
        try:
            words = await asyncio.wait_for(child.process.stdout.readline(), _START_S)
        except TimeoutError:
            raise LocalError(
                f"{name} is not ready after {_START_S:.0f} s", code="demo_child"
            ) from None
        if not words.startswith(b"ready "):
            raise await child.died()
        return f"http://127.0.0.1:{int(words.split()[1])}"

    async def start_sidecar(self, models: Mapping[str, str], baselines: Path) -> Addresses:
        """Start the sidecar before the models (name → base URL) and return once it is ready.

        `baselines` is the folder with the baseline of each.
        """
        listen, admin = _free_address(_PREFERRED_LISTEN), _free_address(_PREFERRED_ADMIN)
        configuration = self._scratch / "sidecar.yaml"
        text = _CONFIGURATION.format(
            listen=listen,
            admin=admin,
            state_dir=self._scratch / "state",
            canary_percent=CANARY_PERCENT,
            shadow_sample=SHADOW_SAMPLE,
            baselines=baselines,
            window=WINDOW,
            **models,
        )
        configuration.write_text(text, encoding="utf-8")
        child = await self._start("the sidecar", "-m", "sidecar", "run", "-c", str(configuration))
        await self._until_ready(child, f"http://{admin}/readyz")
        return Addresses(
            traffic=f"http://{listen}", admin=f"http://{admin}", configuration=configuration
        )

    async def watch(self) -> None:
        """Return never; raise LocalError, in a group, when a child dies."""
        async with asyncio.TaskGroup() as watches:
            for child in self._children:
                watches.create_task(child.mourn(), name=f"watch {child.name}")

    async def end(self) -> None:
        """End every child, the latest first."""
        while self._children:
            await self._children.pop().end()

    async def _start(
        self, name: str, *command: str, environment: Mapping[str, str] | None = None
    ) -> _Child:
        log = self._scratch / f"{name.replace(' ', '-')}.log"
        with log.open("wb") as words:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=words,
                env=os.environ | dict(environment or {}),
                start_new_session=True,
            )
        child = _Child(name=name, process=process, log=log)
        self._children.append(child)
        return child

    async def _until_ready(self, child: _Child, url: str) -> None:
        deadline = asyncio.get_running_loop().time() + _START_S
        async with aiohttp.ClientSession() as session:
            while asyncio.get_running_loop().time() < deadline:
                if child.process.returncode is not None:
                    raise await child.died()
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(url) as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(_POLL_S)
        raise LocalError(
            f"{child.name} is not ready after {_START_S:.0f} s; its last words:\n"
            f"{child.last_words()}",
            code="demo_child",
        )


@contextlib.asynccontextmanager
async def a_world(scratch: Path) -> AsyncIterator[World]:
    """A world whose children are gone when the block is left, however it is left."""
    world = World(scratch)
    try:
        yield world
    finally:
        await asyncio.shield(world.end())


def _free_address(preferred_port: int) -> str:
    """Return the preferred loopback address if it is free, else one that is."""
    for port in (preferred_port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return f"127.0.0.1:{probe.getsockname()[1]}"
    raise LocalError("no free port on 127.0.0.1", code="demo_port")
