"""What all tests share."""

from __future__ import annotations

import gc
import io
import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from xlreg import Node, Ticket, cli
from xlreg.testing import RegistryProcess, find_program, shared_keys

pytest_plugins = ["pytester"]

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session", autouse=True)
def _program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Build the Go program once, unless XLREG_BIN names one, and have a place for scratch files."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("program")
        patch.setenv("XLREG_TEST_SCRATCH", str(folder))
        if not os.environ.get("XLREG_BIN"):
            program = folder / "xlreg"
            subprocess.run(["go", "build", "-o", str(program), "./cmd/xlreg"], cwd=REPOSITORY, check=True)
            patch.setenv("XLREG_BIN", str(program))
        yield


@pytest.fixture
def program() -> str:
    """Where the Go program is."""
    return find_program()


@pytest.fixture
def make_node() -> Callable[..., Node]:
    """Make nodes in memory, whose keys are made once for all tests."""

    def make(name: str, keys: int = 0, *endpoints: str) -> Node:
        return Node(name, endpoints or ("127.0.0.1:7001",), keys=shared_keys(keys))

    return make


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Return a listening socket on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def own_address() -> str:
    """Return an address to listen on for a registry that is started again.

    Another program on the machine can be given a port as soon as nobody listens on it, be it only
    for an outgoing connection. Nobody else uses this address of loopback, where the system has more
    than one, so the port stays free.
    """
    if not sys.platform.startswith("linux"):
        return "127.0.0.1:0"
    return f"127.79.{random.randrange(256)}.{random.randrange(1, 255)}:0"


def open_descriptors() -> int:
    """Return how many file descriptors this process has open."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


@pytest.fixture
def _nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, xlreg_registry: RegistryProcess) -> None:
    """Nodes a, b and c with keys, and the registry in the environment."""
    for i, name in enumerate("abc"):
        Node.init(tmp_path / name, name=name, keys=shared_keys(i)).close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XLREG_REGISTRY", str(xlreg_registry.reg_cred))


Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line where nodes a, b and c are, and return what it prints on either stream."""
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate("abc"):
        Node.init(tmp_path / name, name=name, keys=shared_keys(i, "p256")).close()

    def ran(line: str | list[str], code: int = cli.DONE, stdin: str = "") -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        found = cli.run(line.split() if isinstance(line, str) else line)
        said = capsys.readouterr()
        assert found == code, said.err
        return said.out + said.err

    return ran


@pytest.fixture
def ticket(xlreg_registry: RegistryProcess) -> Ticket:
    """Make the owner's ticket of a cluster of two that nobody has created yet."""
    return Ticket.new(xlreg_registry.target, f"cli-{os.urandom(4).hex()}", 2)


@pytest.fixture
def owner(run: Run, ticket: Ticket) -> Path:
    """Return the file with the owner's ticket, where the command lines run."""
    file = Path("owner.ticket")
    file.touch(mode=0o600)
    file.write_text(ticket.text() + "\n")
    return file
