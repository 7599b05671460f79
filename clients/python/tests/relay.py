"""Something between a client and a registry that does to connections what networks do."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from types import TracebackType

from xlreg import RegCred
from xlreg.vocabulary import Endpoint

_TICK = 0.02  # seconds from one piece to the next on a slow line


@dataclass
class Line:
    """What a connection does to the bytes of the registry."""

    cut: int | None = None
    """After how many of them it ends."""
    flip: int | None = None
    """Which of them it changes."""
    rate: float | None = None
    """How many of them it lets through in a second."""


class Relay:
    """Listens on loopback and passes bytes on to a registry, on each connection as the next line says."""

    def __init__(self, registry: RegCred, *lines: Line) -> None:
        self._registry = registry
        self._lines = list(lines)
        self._open: list[socket.socket] = []  # guarded by the lock, as are the frozen
        self._frozen: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.served = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._address = self._listener.getsockname()
        self._start(self._accept, self._listener)

    @property
    def cred(self) -> RegCred:
        """The registry's credentials, with the address of this relay."""
        r = self._registry
        ends = (Endpoint(f"127.0.0.1:{self._address[1]}"),)
        return RegCred(r.name, r.id, r.comms_key, r.sig_key, ends, r.version)

    def freeze(self) -> None:
        """Keep open what is there, pass nothing more of it on, and serve new connections."""
        with self._lock:
            self._frozen.update(self._open)

    def vanish(self) -> None:
        """Refuse all connections, as an address does at which nobody listens."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._hang_up()

    def return_(self) -> None:
        """Be there again."""
        self._listener = socket.create_server(self._address)
        self._start(self._accept, self._listener)

    def _start(self, run: object, *args: object) -> None:
        thread = threading.Thread(target=run, args=args, daemon=True)  # type: ignore[arg-type]
        thread.start()
        self._threads.append(thread)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.served += 1
            line = self._lines.pop(0) if self._lines else Line()
            end = self._registry.endpoints[0]
            try:
                registry = socket.create_connection((end.host, end.port))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open += [client, registry]
            self._start(self._pump, client, registry, Line())
            self._start(self._pump, registry, client, line)

    def _pump(self, source: socket.socket, sink: socket.socket, line: Line) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(4096 if line.rate is None else max(1, round(line.rate * _TICK))):
                if line.rate is not None:
                    time.sleep(_TICK)
                if line.flip is not None and passed <= line.flip < passed + len(data):
                    at = line.flip - passed
                    data = data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]
                if line.cut is not None:
                    data = data[: line.cut - passed]
                with self._lock:
                    if source in self._frozen:
                        continue
                sink.sendall(data)
                passed += len(data)
                if line.cut is not None and passed >= line.cut:
                    break
        with self._lock:
            if source in self._frozen:
                return  # what is frozen does not even end
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _hang_up(self) -> None:
        with self._lock:
            open_now, self._open = self._open, []
            self._frozen.clear()
        for connection in open_now:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for connection in open_now:
            connection.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._hang_up()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def __enter__(self) -> Relay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
