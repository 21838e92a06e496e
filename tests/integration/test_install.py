"""The Dockerfile's build stage, run without an engine: its own steps, in a folder for an image.

`/opt/sidecar` and `/src` become folders of the test; everything else is done as the file says. So
what is shown is that the locks are complete, that the package builds and installs from them alone,
and that the kernels compiled into the image are the ones used at run time.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
INSTALL_S = 300
READY_S = 20.0

pytestmark = pytest.mark.timeout(INSTALL_S + 60)


@dataclass
class Stage:
    """A stage of the Dockerfile: its instructions in order, as (name, argument)."""

    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction):
        return [argument for name, argument in self.steps if name == instruction]

    def variables(self):
        pairs = [shlex.split(argument) for argument in self.all("ENV")]
        return dict(pair.split("=", 1) for words in pairs for pair in words)


def stages():
    """Read the stages; continuation lines are joined, comments dropped, as the reference says."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE)
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        name, _, argument = line.strip().partition(" ")
        if name == "FROM":
            found.append(Stage(argument.partition(" AS ")[2]))
        elif name and found:
            found[-1].steps.append((name, " ".join(argument.split())))
    return found


BUILD, IMAGE = stages()


@dataclass
class Built:
    """The build stage's result, and how a path in the image is found in it."""

    root: Path

    def local(self, text):
        return text.replace("/opt/sidecar", f"{self.root}/opt/sidecar")

    def environ(self, stage):
        base = {name: os.environ[name] for name in os.environ if name.startswith(("PIP_", "SSL_"))}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        variables = {
            name: self.local(value).replace("$PATH", path)
            for name, value in stage.variables().items()
        }
        home = {"HOME": os.environ["HOME"]} if stage is BUILD else {}  # pip's configuration
        return base | home | {"PATH": path} | variables


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    built = Built(tmp_path_factory.mktemp("image"))
    source = built.root / "src"
    (built.root / "opt" / "sidecar").mkdir(parents=True)
    source.mkdir()
    for name, argument in BUILD.steps:
        if name == "COPY":
            *items, _ = argument.split()
            for item in items:
                copy(REPOSITORY / item, source / item)
        elif name == "RUN":
            subprocess.run(
                ["/bin/sh", "-ec", built.local(argument)],
                cwd=source, env=built.environ(BUILD), check=True, timeout=INSTALL_S,
            )  # fmt: skip
    return built


def copy(source, target):
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


@pytest.fixture
def sidecar(built):
    """The command in the image's environment, its file system read-only where we may make it so."""
    program = built.root / "opt" / "sidecar" / "venv" / "bin" / "sidecar"
    command = [str(program)]
    if may_mount():
        remount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
        command = ["unshare", "--mount", "sh", "-ec", remount, "sh", str(built.root), *command]
    return command


def may_mount():
    return subprocess.run(
        ["unshare", "--mount", "true"], capture_output=True, check=False
    ).returncode == 0  # fmt: skip


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_nothing_is_compiled_again_in_the_image(built, sidecar):
    jit = built.root / "opt" / "sidecar" / "jit"
    before = files(jit)
    assert before
    environ = built.environ(IMAGE)
    done = subprocess.run(
        [*sidecar, "warm", "--json"], env=environ, capture_output=True, check=True
    )
    report = json.loads(done.stdout)
    assert report["loaded"]
    assert report["compiled"] == []
    assert report["cache_error"] is None
    assert report["cache_dir"] == str(jit)
    assert files(jit) == before


def test_another_cpu_name_would_be_compiled_again(built, sidecar):
    """The control of the test before: it can tell a recompilation when there is one."""
    environ = built.environ(IMAGE) | {"NUMBA_CPU_NAME": "x86-64-v2"}
    done = subprocess.run(
        [*sidecar, "warm", "--json"], env=environ, capture_output=True, check=False
    )
    assert json.loads(done.stdout)["compiled"]


def test_the_sidecar_becomes_ready_on_a_read_only_file_system(built, sidecar, tmp_path):
    ports = [free_port(), free_port()]
    configuration = {
        "listen": f"127.0.0.1:{ports[0]}",
        "admin": {"listen": f"127.0.0.1:{ports[1]}"},
        "models": {"m": {"url": "http://127.0.0.1:9"}},
        "routes": [{"name": "all", "primary": "m"}],
    }
    (tmp_path / "sidecar.yaml").write_text(json.dumps(configuration))
    environ = built.environ(IMAGE) | {"SIDECAR__STATE_DIR": str(tmp_path / "state")}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*sidecar, "run", "--config", str(tmp_path / "sidecar.yaml")],
            env=environ, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + READY_S
        while not ready(ports[1]):
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.05)
        health = healthcheck(str(tmp_path / "sidecar.yaml"))
        assert subprocess.run([*sidecar, *health], env=environ, check=False).returncode == 0
        process.terminate()
        assert process.wait(READY_S) == 0
        assert subprocess.run([*sidecar, *health], env=environ, check=False).returncode == 1
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def healthcheck(configuration):
    """The image's own health check, for a configuration elsewhere."""
    (argument,) = IMAGE.all("HEALTHCHECK")
    program, *words = json.loads(argument[argument.index("[") :])
    assert program == "sidecar"
    return [configuration if word == "/etc/sidecar/sidecar.yaml" else word for word in words]


def ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_image_has_neither_pip_nor_what_built_it(built):
    packages = {
        path.name.partition("-")[0].lower()
        for path in (built.root / "opt" / "sidecar" / "venv").rglob("*.dist-info")
    }
    assert "model_sidecar" in packages
    assert not packages & {"pip", "setuptools", "wheel", "hatchling"}
    assert {
        f"--from=build {path} {path}" for path in ("/opt/sidecar/venv", "/opt/sidecar/jit")
    } == set(IMAGE.all("COPY"))


def test_the_image_runs_as_a_number_drains_on_sigterm_and_uses_the_cache_it_was_built_with():
    (user,) = IMAGE.all("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert IMAGE.all("STOPSIGNAL") == ["SIGTERM"]
    assert json.loads(IMAGE.all("ENTRYPOINT")[0]) == ["sidecar"]
    cache = {"NUMBA_CACHE_DIR", "NUMBA_CPU_NAME"}
    assert cache <= BUILD.variables().keys()
    assert all(IMAGE.variables()[name] == BUILD.variables()[name] for name in cache)


@pytest.mark.parametrize(
    "lock", sorted((REPOSITORY / "requirements").glob("*.lock")), ids=lambda p: p.stem
)
def test_a_lock_pins_every_package_by_version_and_hash_and_names_no_index(lock):
    text = lock.read_text()
    requirements = re.findall(r"^[a-z0-9].*", text.replace("\\\n", ""), flags=re.MULTILINE)
    assert requirements
    assert all(re.match(r"[a-z0-9.-]+==\S+", requirement) for requirement in requirements)
    assert all("--hash=sha256:" in requirement for requirement in requirements)
    assert "://" not in text


def test_the_locks_agree_on_every_version():
    versions = {}
    for lock in (REPOSITORY / "requirements").glob("*.lock"):
        for line in lock.read_text().splitlines():
            name, found, pin = line.rstrip(" \\").partition("==")
            if found:
                version, _, marker = pin.partition(" ; ")
                versions.setdefault((name, marker), set()).add(version)
    assert len(versions) > 50
    assert [key for key, found in versions.items() if len(found) > 1] == []


def test_the_builder_gets_every_file_that_is_copied_and_no_more():
    patterns = (REPOSITORY / ".dockerignore").read_text().splitlines()
    allowed = {pattern[1:].partition("/")[0] for pattern in patterns if pattern.startswith("!")}
    copied = {item.strip("/") for argument in BUILD.all("COPY") for item in argument.split()[:-1]}
    assert "*" in patterns
    assert copied == allowed
