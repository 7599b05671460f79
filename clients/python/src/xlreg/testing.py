"""A real registry, and ready-made clusters, for tests. The pytest fixtures stand on this.

The registry is the program ``xlreg``, found by the environment variable XLREG_BIN,
and else on the PATH. Keys are made once and used again, since they take time.

Example:
    >>> with RegistryProcess() as registry:                   # doctest: +SKIP
    ...     with TestCluster.form(registry.url, size=3) as cluster:
    ...         print([m.me.name for m in cluster.memberships])
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ._requests import AnyTarget
from .client import form
from .errors import XlregError
from .keys import Keys
from .membership import Membership
from .node import Node
from .regcred import RegCred, Target
from .version import Protocol
from .vocabulary import ClusterAttrs, NodeAttrs

_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_OPEN = "registry is open"  # what its log says when it is


class NoRegistryError(XlregError):
    """There is no program ``xlreg`` to run, or it does not open a registry."""


def find_program() -> str:
    """Return where the program ``xlreg`` is: XLREG_BIN, or on the PATH.

    Raises:
        NoRegistryError: It is in neither.
    """
    given = os.environ.get("XLREG_BIN")
    if given:
        if not os.access(given, os.X_OK) or Path(given).is_dir():
            raise NoRegistryError(f"XLREG_BIN is {given}, and there is no program there")
        return given
    found = shutil.which("xlreg")
    if found is None:
        remedy = "set XLREG_BIN to where it is (go build -o xlreg ./cmd/xlreg makes it)"
        raise NoRegistryError(f"there is no program xlreg on the PATH: {remedy}")
    return found


class RegistryProcess:
    """A registry that runs until close, or until this process ends in whatever way.

    Without ``data`` it is ``xlreg serve --dev``: on loopback, on a free port,
    forgotten when it ends. It is a context manager, which starts and closes it.

    Args:
        data: The directory to keep keys and data in; by default a temporary one, in memory.
        listen: The address to listen on; by default a free port on loopback.
        arguments: More arguments for ``xlreg serve``.

    Example:
        >>> with RegistryProcess() as registry:   # doctest: +SKIP
        ...     client = Client.connect(registry.url)
    """

    def __init__(
        self,
        data: str | os.PathLike[str] | None = None,
        *,
        listen: str = "127.0.0.1:0",
        arguments: Sequence[str] = (),
    ) -> None:
        self._own = tempfile.mkdtemp(prefix="xlreg-") if data is None else None
        self._data = Path(data) if data is not None else Path(str(self._own), "data")
        self._arguments = [*(["--dev"] if data is None else []), *arguments]
        self._listen = listen
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._log: deque[str] = deque(maxlen=50)

    def start(self) -> None:
        """Start it, and return when it is open. Started again, it listens where it did.

        Raises:
            NoRegistryError: There is no program, or it ended; the error says what it said last.
        """
        serve = [
            find_program(),
            "serve",
            "--data",
            str(self._data),
            "--listen",
            self._listen,
            *self._arguments,
        ]
        command = [sys.executable, "-m", "xlreg._supervise", *serve]
        plain = {name: value for name, value in os.environ.items() if not name.startswith("XLREG_")}
        self._process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=plain,
        )
        late = threading.Timer(_START_SECONDS, self._process.kill)
        late.start()
        try:
            opened = self._await_open(self._process)
        except BaseException:
            self.stop()
            raise
        finally:
            late.cancel()
        self._listen = str(opened["endpoints"][0])
        self._reader = threading.Thread(target=self._drain, args=(self._process,), daemon=True)
        self._reader.start()

    def _await_open(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        for line in _lines(process):
            self._log.append(line)
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and entry.get("msg") == _OPEN:
                    return entry
        raise NoRegistryError("the registry did not open: " + " ".join(self._log))

    def _drain(self, process: subprocess.Popen[str]) -> None:
        self._log.extend(_lines(process))

    @property
    def reg_cred(self) -> Path:
        """The file with its credentials, which 1.8 and 1.9 need."""
        return self._data / "regCred.dat"

    @property
    def cred(self) -> RegCred:
        """Its credentials."""
        return RegCred.read(self.reg_cred)

    @property
    def target(self) -> Target:
        """How to find it and to tell it from others."""
        return self.cred.target

    @property
    def url(self) -> str:
        """Its ``xlreg://`` line."""
        return self.cred.url

    @property
    def log(self) -> str:
        """The last lines of its log."""
        return "\n".join(self._log)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        process = self._process
        if process is not None:
            for child in _children(process.pid):
                os.kill(child, signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        """End it in order. It can be started again."""
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
        self._wait()

    def _wait(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join()
        for stream in (process.stdin, process.stderr):
            if stream is not None:
                stream.close()

    def close(self) -> None:
        """End it, and remove what was its own. May be called again."""
        self.stop()
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)

    def __enter__(self) -> RegistryProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    if process.stderr is None:
        return
    for line in process.stderr:  # noqa: UP028  # yield from would close it with the generator
        yield line


def _children(pid: int) -> list[int]:
    """Return the processes that a process started."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if listed.exists():
        return [int(child) for child in listed.read_text().split()]
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return [int(child) for child in found.stdout.split()]


@functools.cache
def shared_keys(index: int, kind: str = "rsa2048") -> Keys:  # noqa: ARG001  # what tells them apart
    """Return the index-th keys of a kind of this process: made when they are first asked for, and kept."""
    return Keys.generate(kind)


class TestCluster:
    """A cluster whose members all live in this process. It is a context manager, which closes it.

    Attributes:
        memberships: Each member's place in the cluster, in the order of their names m0, m1, …
        listeners: Each member's listening socket, in the same order.
    """

    __test__ = False  # its name is no test's

    def __init__(self, memberships: Sequence[Membership], listeners: Sequence[socket.socket]) -> None:
        self.memberships = tuple(memberships)
        self.listeners = tuple(listeners)

    @classmethod
    def form(
        cls,
        target: AnyTarget,
        size: int,
        *,
        name: str = "test",
        protocol: Protocol | str | None = None,
        timeout: float = 30.0,
    ) -> TestCluster:
        """Form a cluster of size members with a name that is new.

        Args:
            target: The registry.
            size: How many members, 2 to 1024; over a classic carrier to 64.
            name: What the name begins with.
            protocol: What the members speak with the registry. Over 2.0 their keys are on P-256.
            timeout: Seconds for all of it.

        Raises:
            XlregError: It cannot be formed; see xlreg.form.
        """
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(size)]
        classic = protocol is not None and Protocol.of(protocol).classic
        kind = "rsa2048" if classic else "p256"
        nodes = [Node(f"m{i}", keys=shared_keys(i, kind), attrs=NodeAttrs.EPHEMERAL) for i in range(size)]
        full_name = f"{name}-{os.urandom(8).hex()}"

        def join(i: int) -> Membership:
            return form(
                target,
                node=nodes[i],
                cluster=full_name,
                size=size,
                listeners=[listeners[i]],
                timeout=timeout,
                protocol=protocol,
                attrs=ClusterAttrs.EPHEMERAL,
            )

        try:
            with concurrent.futures.ThreadPoolExecutor(size) as pool:
                return cls(list(pool.map(join, range(size))), listeners)
        except BaseException:
            for listener in listeners:
                listener.close()
            raise

    def close(self) -> None:
        """Close the listening sockets."""
        for listener in self.listeners:
            listener.close()

    def __enter__(self) -> TestCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
