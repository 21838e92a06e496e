"""A real sidecar: `python -m sidecar run` in a process group of its own, ended whatever happens."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from harness.waiting import free_port, wait_until

READY_S = 20.0  # two busy cores, kernels perhaps to be compiled


class SidecarProcess:
    """Started by `with`; `stop()` drains it and gives the exit code.

    `config` is the configuration as a mapping; `listen`, `admin` and `state_dir` are filled in
    where they are missing (admin settings are merged). `wait=False` does not wait for readiness.
    """

    def __init__(
        self,
        directory: Path,
        config: Mapping[str, Any],
        *,
        environ: Mapping[str, str] | None = None,
        wait: bool = True,
        wrapper: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.port = free_port()
        self.admin_port = free_port()
        self.config_file = directory / "sidecar.yaml"
        self.stderr_file = directory / "stderr.log"
        self.config: dict[str, Any] = {
            "listen": f"127.0.0.1:{self.port}",
            "state_dir": str(directory / "state"),
            "drain": {"timeout": "5s"},
            **config,
            "admin": {"listen": f"127.0.0.1:{self.admin_port}", **config.get("admin", {})},
        }
        self._environ = {**os.environ, **(environ or {})}
        self._wait = wait
        self._wrapper = list(wrapper)
        self._process: subprocess.Popen[bytes] | None = None
        self.write_config(self.config)

    # -- life ----------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        if kind is not None:
            sys.stderr.write(f"--- stderr of the sidecar ---\n{self.stderr}\n")

    def start(self) -> None:
        """Start it (again)."""
        with self.stderr_file.open("ab") as stderr:
            self._process = subprocess.Popen(
                [
                    *self._wrapper,
                    *(sys.executable, "-m", "sidecar", "run", "-c", str(self.config_file)),
                ],
                stdin=subprocess.DEVNULL,
                stderr=stderr,
                env=self._environ,
                start_new_session=True,
            )
        if self._wait:
            self.wait_ready()

    def stop(self, number: signal.Signals = signal.SIGTERM, *, timeout_s: float = 20.0) -> int:
        """Tell the launcher to end, and give its exit code."""
        self.signal(number)
        return self.wait(timeout_s=timeout_s)

    def wait(self, *, timeout_s: float = 20.0) -> int:
        """Wait for its end, and give the exit code."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        """End the whole process group at once; nothing is left behind."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    # -- processes -----------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The launcher's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the launcher still runs."""
        return self._process is not None and self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the launcher alone."""
        os.kill(self.pid, number)

    def children(self) -> dict[str, int]:
        """Process ids of the launcher's children by name (`control`, `work-0`, ...)."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        found = {}
        for pid in map(int, listed.split()):
            try:
                name = Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()
            except OSError:
                continue
            found[name.removeprefix("sidecar-")] = pid
        return found

    # -- talking to it -------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where clients send requests."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def stderr(self) -> str:
        """Everything it has said so far."""
        return self.stderr_file.read_text(encoding="utf-8")

    def write_config(self, config: Mapping[str, Any] | str) -> None:
        """Replace the configuration file (JSON is YAML)."""
        text = config if isinstance(config, str) else json.dumps(config, indent=1)
        self.config_file.write_text(text, encoding="utf-8")

    def request(
        self,
        method: str = "GET",
        path: str = "/",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float = 10.0,
    ) -> tuple[int, dict[str, str], bytes]:
        """One request through the data plane on a fresh connection: status, headers, body."""
        return _call(self.port, method, path, body, headers, timeout_s)

    def admin(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float = 10.0,
    ) -> tuple[int, Any]:
        """One admin call: status, and the JSON answer."""
        sent = dict(headers or {})
        content = None
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
            content = msgspec.json.encode(body)
        status, _, answered = _call(self.admin_port, method, path, content, sent, timeout_s)
        return status, json.loads(answered)

    def metrics(self) -> str:
        """The Prometheus exposition."""
        status, _, body = _call(self.admin_port, "GET", "/metrics", None, None, 10.0)
        assert status == 200, body
        return body.decode()

    def ready(self) -> bool:
        """Whether /readyz says yes; False while it does not answer."""
        try:
            return self.admin("GET", "/readyz", timeout_s=2.0)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait_ready(self) -> None:
        """Wait for /readyz; fail with what it said when it ends before."""

        def ready_or_dead() -> bool:
            if not self.running:
                raise AssertionError(f"the sidecar ended early:\n{self.stderr}")
            return self.ready()

        wait_until(ready_or_dead, "the sidecar is ready", timeout_s=READY_S)

    def wait_observing(self) -> None:
        """Wait until every worker observes by the newest plan: from then on every row counts."""

        def everywhere() -> bool:
            status = self.admin("GET", "/api/v1/status")[1]
            plan = status["observation"]["version"]
            return plan > 0 and all(one["observing"] == plan for one in status["workers"])

        wait_until(everywhere, "every worker observes by the newest plan", timeout_s=READY_S)


def _call(
    port: int,
    method: str,
    path: str,
    body: bytes | None,
    headers: Mapping[str, str] | None,
    timeout_s: float,
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        content = response.read()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, content
    finally:
        connection.close()
