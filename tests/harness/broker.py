"""A broker that runs as a process of its own: paused, killed and brought back by a test."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from harness.waiting import wait_until

READY_S = 20.0
STOP_S = 5.0


class Broker:
    """A command that listens on `port` of loopback; leads a process group, ended as a whole."""

    def __init__(self, command: Sequence[object], port: int, folder: Path) -> None:
        self.port = port
        self._command = [str(word) for word in command]
        self._log = folder / f"broker-{port}.log"
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.kill()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with self._log.open("ab") as words:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                cwd=self._log.parent,
                start_new_session=True,
            )
        wait_until(self._listens, f"{self._command[0]} listens", timeout_s=READY_S)

    def pause(self) -> None:
        """It accepts and never answers: the kernel goes on, the process does not."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it without a word, also when it is paused."""
        if self._process is None:
            return
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_S)
        self._process = None

    def _listens(self) -> bool:
        assert self._process.poll() is None, self._log.read_text(errors="replace")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
            return False
        return True
