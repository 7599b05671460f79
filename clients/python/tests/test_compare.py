"""Members compare what they see, over mutual TLS and without their registry."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

import xlreg
from xlreg import Membership, Node
from xlreg._wire import messages as m
from xlreg._wire import requests as q
from xlreg.comparison import ALPN, Seen, answer
from xlreg.errors import HandshakeError, OtherRosterError, ProtocolError
from xlreg.testing import RegistryProcess, TestCluster, shared_keys


class Server:
    """Takes a member's connections: those that compare, and others, which it greets."""

    def __init__(self, me: Membership, listener: socket.socket) -> None:
        self._me, self._listener, self._context = me, listener, me.server_context(["greet"])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with contextlib.suppress(OSError):
                    tls = self._context.wrap_socket(connection, server_side=True)
                    if not self._me.serve_sum(tls, 5):
                        tls.sendall(b"hello")
                        tls.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)


@pytest.fixture
def cluster(xlreg_registry: RegistryProcess) -> Iterator[TestCluster]:
    """A cluster of three that all serve comparisons."""
    with TestCluster.form(xlreg_registry.reg_cred, 3) as made:
        servers = [Server(me, ear) for me, ear in zip(made.memberships, made.listeners, strict=True)]
        yield made
        for server in servers:
            server.close()


def test_all_see_the_same(cluster: TestCluster) -> None:
    for me in cluster.memberships:
        found = me.compare()
        assert {member.name for member in found.same} == {member.name for member in me.others}
        assert found.unknown == ()
        assert found.roster.short_sum == me.roster.short_sum


def test_a_registry_that_shows_another_cluster(cluster: TestCluster) -> None:
    """Whoever sees something else at the same revision is named."""
    first, second, _ = cluster.memberships
    lie = replace(second.roster, sum=os.urandom(32))
    second._roster = lie
    second._sums = {lie.state.revision: Seen.of(lie)}
    with pytest.raises(OtherRosterError, match=f'"m1" sees another cluster.*{lie.short_sum}') as caught:
        first.compare()
    assert caught.value.name == "m1"


def test_of_another_revision_nothing_can_be_said(cluster: TestCluster) -> None:
    """Who has heard more answers for the older revision, too, as long as that is known."""
    first, second, third = cluster.memberships
    third.leave(10)
    second.refresh(10)
    assert {member.name for member in first.compare().same} == {"m1", "m2"}
    (behind,) = second.compare().unknown
    assert (behind.member.name, behind.error) == ("m0", None)
    assert behind.revision == first.roster.state.revision < second.roster.state.revision
    second._sums.clear()
    found = first.compare()  # which makes it ask the registry for news
    assert first.roster.sum == second.roster.sum
    assert [member.name for member in found.same] == ["m1"]


def test_who_cannot_be_asked(xlreg_registry: RegistryProcess, cluster: TestCluster) -> None:
    first, second, third = cluster.memberships
    cluster.listeners[2].shutdown(socket.SHUT_RDWR)
    found = first.compare(2)
    assert [member.name for member in found.same] == ["m1"]
    assert [other.member.name for other in found.unknown] == ["m2"]
    assert isinstance(found.unknown[0].error, HandshakeError)
    assert second.me.name == "m1"
    assert third.me.name == "m2"


def test_other_connections_go_on(cluster: TestCluster) -> None:
    first, second, _ = cluster.memberships
    for alpn in ([], ["greet"]):
        context = first.client_context(second.me)
        if alpn:
            context.set_alpn_protocols(alpn)
        end = second.me.endpoints[0]
        with (
            socket.create_connection((end.host, end.port)) as plain,
            context.wrap_socket(plain) as tls,
        ):
            assert tls.recv(5) == b"hello"


def test_what_is_answered(cluster: TestCluster) -> None:
    me = cluster.memberships[0]
    question = q.new_get(xlreg.Protocol.V20, xlreg.ClusterRef(xlreg.ClusterID(bytes(20))))
    unknown = me._answer(question).error()
    assert isinstance(unknown, xlreg.errors.NoSuchClusterIDError)
    seen = Seen.of(me.roster)
    for revision in (0, seen.revision, 7):  # one that is not known is answered with the last
        question = q.new_get(xlreg.Protocol.V20, xlreg.ClusterRef(me.cluster.id))
        question.raw.Revision = revision
        raw = me._answer(m.decode(question.encode())).raw
        assert (raw.Epoch, raw.Revision, raw.Sum) == (seen.epoch, seen.revision, seen.sum)
        assert raw.HasField("WhichSet")
        assert not raw.WhichSet
    with pytest.raises(ProtocolError):
        answer(q.new_bye(), me.cluster.id, {}, seen)


def test_nonsense_is_no_question(cluster: TestCluster) -> None:
    first, second, _ = cluster.memberships
    for said in (b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x02\x08\x0b", b"\xff\xff\xff\xff"):
        context = first.client_context(second.me)
        context.set_alpn_protocols([ALPN])
        end = second.me.endpoints[0]
        with socket.create_connection((end.host, end.port), 10) as plain:
            with context.wrap_socket(plain) as tls:
                tls.sendall(said)
                with contextlib.suppress(ssl.SSLError, ConnectionError):
                    assert tls.recv(1) == b""
    assert len(first.compare().same) == 2


def test_in_asyncio(xlreg_registry: RegistryProcess) -> None:
    async def main() -> None:
        memberships: list[xlreg.AsyncMembership] = []
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        forming = (
            xlreg.aform(
                xlreg_registry.url,
                node=Node(f"m{i}", keys=shared_keys(i, "p256")),
                cluster="compared-async",
                size=2,
                listeners=[listeners[i]],
                timeout=30,
            )
            for i in range(2)
        )
        memberships += await asyncio.gather(*forming)

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await memberships[1].serve_sum(reader, writer, 5)

        context = memberships[1].server_context()
        async with await asyncio.start_server(take, sock=listeners[1], ssl=context):
            found = await memberships[0].compare(5)
        assert [member.name for member in found.same] == ["m1"]
        listeners[0].close()
        assert [other.member.name for other in (await memberships[1].compare(2)).unknown] == ["m0"]

    asyncio.run(main())


def test_many_at_a_time(cluster: TestCluster) -> None:
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        found = pool.map(lambda me: me.compare(), cluster.memberships)
        assert all(len(comparison.same) == 2 for comparison in found)
