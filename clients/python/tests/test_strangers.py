"""Somebody else answers at the address of a registry: another registry, or a server of something else."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from conftest import own_address
from test_connection import quicken

import xlreg
from xlreg import Membership, Node, _follow, _strangers
from xlreg._dial import Dialing, Options
from xlreg._flow import Limit, Sleep
from xlreg._session import _handshake_error
from xlreg._strangers import Strangers, stranger_in
from xlreg._times import Times
from xlreg.errors import (
    ClockError,
    HandshakeError,
    NotARegistryError,
    NotMemberError,
    SessionEndedError,
    UnreachableError,
    UntrustedError,
    XlregError,
)
from xlreg.testing import RegistryProcess, shared_keys

_MET, _BACK = "somebody else answers", "the registry answers at its address again"

Calls = Callable[[], object]
Stranger = Callable[[str, Path], AbstractContextManager[Calls]]


@contextlib.contextmanager
def another_registry(listen: str, folder: Path) -> Iterator[Calls]:
    """Have another registry at the address."""
    with RegistryProcess(folder / "other", listen=listen):
        yield lambda: None


@contextlib.contextmanager
def plain_text(listen: str, _: Path) -> Iterator[Calls]:
    """Have a server at the address that speaks no TLS; what it yields waits for its next call."""
    host, port = listen.rsplit(":", 1)
    called: queue.Queue[bool] = queue.Queue()

    def serve(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(1024)
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    called.put(True)

    with socket.create_server((host, int(port))) as server:
        serving = threading.Thread(target=serve, args=(server,))
        serving.start()
        try:
            yield lambda: called.get(timeout=60)
        finally:
            server.shutdown(socket.SHUT_RDWR)
            serving.join()


STRANGERS = pytest.mark.parametrize("stranger", [another_registry, plain_text])


class Told(logging.Handler):
    """What a log is told of strangers, to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: queue.Queue[str] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        """Take what is about strangers."""
        text = record.getMessage()
        if _MET in text or _BACK in text or "no member any more" in text:
            self.lines.put(text)

    def next(self) -> str:
        """Wait for the next line."""
        return self.lines.get(timeout=60)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """Have clients look for their registry often, and take note of what they tell."""
    quicken(monkeypatch, Times(stranger=0.05))
    handler = Told()
    logging.getLogger("xlreg").addHandler(handler)
    yield handler
    logging.getLogger("xlreg").removeHandler(handler)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryProcess]:
    """A registry that can be stopped, and started again on the same data and port."""
    with RegistryProcess(tmp_path / "data", listen=own_address()) as running:
        yield running


def node(i: int) -> Node:
    """Return a node in memory."""
    return Node(f"m{i}", [f"127.0.0.1:{7001 + i}"], keys=shared_keys(i, "p256"))


def form(registry: RegistryProcess, lease: float) -> list[Membership]:
    """Form a cluster of two, of which only the first follows it with a lease."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        forming = [
            pool.submit(
                xlreg.form,
                registry.url,
                node=node(i),
                cluster="web",
                size=2,
                lease=0.0 if i else lease,
                timeout=60,
            )
            for i in range(2)
        ]
        return [done.result(60) for done in forming]


def outlast(registry: RegistryProcess, stranger: Stranger, folder: Path, told: Told) -> None:
    """Have somebody else in the registry's place for a while."""
    listen = str(registry.target.endpoints[0])
    registry.stop()
    with stranger(listen, folder) as called:
        assert _MET in told.next()
        for _ in range(9):
            called()
        assert told.lines.empty()
    registry.start()
    assert _BACK in told.next()


@STRANGERS
@pytest.mark.parametrize("lease", [0.0, 20.0])
def test_a_member_outlasts_them(
    stranger: Stranger, lease: float, registry: RegistryProcess, tmp_path: Path, told: Told
) -> None:
    """It tells of them once, and goes on when the registry is back."""
    first, second = form(registry, lease)
    changes: queue.Queue[list[str]] = queue.Queue()

    def watch() -> None:
        for change in first.watch():
            changes.put([member.name for member in change.went])

    with concurrent.futures.ThreadPoolExecutor() as pool:
        watching = pool.submit(watch)
        try:
            outlast(registry, stranger, tmp_path, told)
            second.leave(timeout=60)
            assert changes.get(timeout=60) == ["m1"]
            assert first.error is None
        finally:
            first.close()
        with pytest.raises(xlreg.errors.ClosedError):
            watching.result(60)
    assert told.lines.empty()


@STRANGERS
def test_a_task_outlasts_them(
    stranger: Stranger, registry: RegistryProcess, tmp_path: Path, told: Told
) -> None:
    """The same in a task."""

    async def run() -> None:
        others = form(registry, 0.0)
        saved = xlreg.load_roster(others[0].save(), others[0].node, registry.url)
        async with await xlreg.aresume(saved, node=others[0].node, lease=20.0) as member:
            await asyncio.to_thread(outlast, registry, stranger, tmp_path, told)
            await asyncio.to_thread(others[1].leave, 60)
            async for change in member.watch(60):
                if change.went:
                    break
            assert member.error is None

    asyncio.run(run())


@STRANGERS
def test_who_resumes_outlasts_them(
    stranger: Stranger, registry: RegistryProcess, tmp_path: Path, told: Told
) -> None:
    """It was with the registry in an earlier start."""
    first, second = form(registry, 0.0)
    saved = xlreg.load_roster(first.save(), first.node, registry.url)
    listen = str(registry.target.endpoints[0])
    registry.stop()
    with stranger(listen, tmp_path) as called:
        again = xlreg.resume(saved, node=first.node, lease=20.0)
        assert _MET in told.next()
        called()
    with again:
        registry.start()
        assert _BACK in told.next()
        second.leave(timeout=60)
        for change in again.watch(60):
            if change.went:
                break
        assert again.lease == 20.0
        assert again.error is None
    assert told.lines.empty()


def test_they_do_not_learn_who_asks(
    registry: RegistryProcess, tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python shows a certificate before the other end is judged, but only the first time."""
    shown: queue.Queue[bool] = queue.Queue()

    class Noted(Dialing):
        def __init__(self, options: Options) -> None:
            super().__init__(options)
            shown.put(self.shown is not None)

    first, _ = form(registry, 20.0)
    listen = str(registry.target.endpoints[0])
    with first:
        for module in (_follow, _strangers):
            monkeypatch.setattr(module, "Dialing", Noted)
        registry.stop()
        with another_registry(listen, tmp_path):
            assert _MET in told.next()
            while not shown.empty():
                shown.get()
            assert [shown.get(timeout=60) for _ in range(3)] == [False] * 3
        registry.start()
        assert _BACK in told.next()
        assert True in [shown.get(timeout=60) for _ in range(shown.qsize())]


def test_at_first(registry: RegistryProcess, tmp_path: Path, told: Told) -> None:
    """Whoever comes to a stranger first is told at once, and so is a member that waits for others."""
    joined = threading.Event()
    listen = str(registry.target.endpoints[0])
    with concurrent.futures.ThreadPoolExecutor() as pool:
        forming = pool.submit(
            xlreg.form,
            registry.url,
            node=node(0),
            cluster="web",
            size=2,
            timeout=60,
            progress=lambda now: joined.set() if now.roster else None,
        )
        assert joined.wait(60)
        url = registry.url
        registry.stop()
        with another_registry(listen, tmp_path):
            with pytest.raises(UntrustedError):
                forming.result(60)
            with pytest.raises(UntrustedError):
                next(xlreg.watch(url, "web"))
    assert told.lines.empty()


@pytest.mark.parametrize(("lease", "longest"), [(0.0, 30.0), (3600.0, 30.0), (30.0, 10.0), (2.0, 1.0)])
def test_pauses(lease: float, longest: float) -> None:
    """The longest leaves time for a whole term of the lease, which a registry gives that is started again."""
    strangers = Strangers("web", 30.0, lease)
    assert strangers.meet(UntrustedError())
    pauses = []
    for _ in range(12):
        effect = next(strangers.pause(Limit(None)))
        assert isinstance(effect, Sleep)
        pauses.append(effect.seconds)
    assert 0.5 <= pauses[0] <= 1.0
    assert longest / 2 <= pauses[-1] <= longest


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (UntrustedError(), True),
        (NotARegistryError(), True),
        (UnreachableError([HandshakeError(), NotARegistryError()]), True),
        (UnreachableError([ClockError()]), False),
        (ClockError(), False),
        (HandshakeError(), False),
        (SessionEndedError(), False),
        (NotMemberError(), False),
    ],
)
def test_who_is_one(error: XlregError, is_one: bool) -> None:
    assert (stranger_in(error) is not None) == is_one


@pytest.mark.parametrize("hello", [b"HTTP/1.1 200 OK\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"-ERR\r\n\0\0\0"])
def test_plain_text_is_no_registry(hello: bytes) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(incoming, outgoing, server_hostname="x")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    incoming.write(hello)
    with pytest.raises(ssl.SSLError) as caught:
        client.do_handshake()
    assert isinstance(_handshake_error(caught.value), NotARegistryError)
