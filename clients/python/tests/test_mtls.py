"""Members speak mutual TLS to each other, both ways, and to nobody else."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from xlreg import Member, Membership, Token, _mtls
from xlreg._session import load_pair
from xlreg.certificate import build, check_shown, field_of, new_field
from xlreg.errors import StrangerError
from xlreg.testing import TestCluster, shared_keys

Clusters = Callable[..., TestCluster]


def serve(membership: Membership, listener: socket.socket) -> Member:
    """Accept one connection, say hello, and return who it is."""
    connection, _ = listener.accept()
    with membership.server_context().wrap_socket(connection, server_side=True) as tls:
        peer = membership.peer(tls)
        tls.sendall(f"hello {peer.name}".encode())
        assert tls.recv(100) == b"thanks"
        return peer


def call(context: ssl.SSLContext, listener: socket.socket) -> tuple[bytes, ssl.SSLSocket]:
    """Connect to a listener, and return what is said; the caller closes."""
    connection = socket.create_connection(listener.getsockname(), 10)
    tls = context.wrap_socket(connection)
    try:
        said = tls.recv(100)
        if said:
            tls.sendall(b"thanks")
    except BaseException:
        tls.close()
        raise
    return said, tls


def test_every_pair_both_ways(xlreg_cluster: Clusters) -> None:
    cluster = xlreg_cluster(3)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for here, there in itertools.permutations(range(3), 2):
            caller, server = cluster.memberships[here], cluster.memberships[there]
            serving = pool.submit(serve, server, cluster.listeners[there])
            to = caller.roster.by_name(server.me.name)
            assert to is not None
            said, tls = call(caller.client_context(to), cluster.listeners[there])
            with tls:
                assert said == f"hello {caller.me.name}".encode()
                assert caller.peer(tls) == to
                assert tls.version() == "TLSv1.3"
            assert serving.result(10) == caller.me


def refused(context: ssl.SSLContext, cluster: TestCluster) -> None:
    """Make sure that the first member of a cluster accepts nobody who comes like this."""

    def serve_nobody() -> None:
        connection, _ = cluster.listeners[0].accept()
        with connection, pytest.raises((ssl.SSLError, ConnectionError)):
            cluster.memberships[0].server_context().wrap_socket(connection, server_side=True)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        serving = pool.submit(serve_nobody)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            call(context, cluster.listeners[0])
        serving.result(10)


def trusting(context: ssl.SSLContext) -> ssl.SSLContext:
    """Make a client trust whoever answers, so that only the server's refusal counts."""
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def stranger(token: Token, keys: int) -> ssl.SSLContext:
    """Return the context of a client that shows a certificate for token, with keys of its own."""
    context = trusting(ssl.create_default_context())
    own = shared_keys(keys)
    named = Token(token.name, own.comms_key, own.sig_key, token.endpoints)
    field = new_field(own.sig, named, datetime.now(timezone.utc))
    load_pair(context, build(replace(named, certificate=field)), own.sig)
    return context


def test_strangers_are_refused(xlreg_cluster: Clusters) -> None:
    cluster, other = xlreg_cluster(3), xlreg_cluster(2, name="other")
    member = cluster.memberships[1].me
    refused(trusting(ssl.create_default_context()), cluster)  # who shows nothing
    refused(stranger(member.token, 20), cluster)  # who shows a member's name, under another key
    keys_of_member_1 = 1
    refused(stranger(member.token, keys_of_member_1), cluster)  # the right key, another certificate
    # Members of another cluster, of the same names and keys, have other certificates.
    refused(trusting(other.memberships[1].client_context()), cluster)


def test_oneself_is_refused(xlreg_cluster: Clusters) -> None:
    cluster = xlreg_cluster(2)
    refused(trusting(cluster.memberships[0].client_context()), cluster)


def test_callers_refuse_strangers(xlreg_cluster: Clusters) -> None:
    """A caller reaches the member that it wants, or nobody."""
    cluster, other = xlreg_cluster(3), xlreg_cluster(2, name="other")
    caller = cluster.memberships[0]
    wanted = caller.roster.by_name("m1")
    assert wanted is not None

    def serve_as(membership: Membership, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        context = membership.server_context()
        context.verify_mode = ssl.CERT_NONE
        with connection, pytest.raises((ssl.SSLError, ConnectionError)):
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.recv(1)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for impostor, listener in (
            (cluster.memberships[2], cluster.listeners[2]),
            (other.memberships[1], other.listeners[1]),
        ):
            serving = pool.submit(serve_as, impostor, listener)
            with pytest.raises(ssl.SSLCertVerificationError):
                call(caller.client_context(wanted), listener)
            serving.result(10)
    with pytest.raises(StrangerError):
        caller.client_context(other.memberships[1].me)
    with pytest.raises(StrangerError):
        caller.client_context(caller.me)


def test_peer_knows_strangers(xlreg_cluster: Clusters) -> None:
    cluster, other = xlreg_cluster(2), xlreg_cluster(2, name="other")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        serving = pool.submit(serve, cluster.memberships[1], cluster.listeners[1])
        _, tls = call(cluster.memberships[0].client_context(), cluster.listeners[1])
        with tls, pytest.raises(StrangerError):
            other.memberships[0].peer(tls)
        serving.result(10)


def test_asyncio(xlreg_cluster: Clusters) -> None:
    """The same contexts serve asyncio's streams."""
    cluster = xlreg_cluster(2)
    caller, server = cluster.memberships

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(server.peer(writer.get_extra_info("ssl_object")).name.encode())
        writer.close()

    async def main() -> None:
        listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=server.server_context())
        async with listening:
            host, port = listening.sockets[0].getsockname()
            context = caller.client_context(server.me)
            reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname="")
            assert await reader.read() == caller.me.name.encode()
            assert caller.peer(writer.get_extra_info("ssl_object")) == server.me
            writer.close()
            await writer.wait_closed()

    asyncio.run(main())


def test_an_expired_certificate_is_made_anew(xlreg_cluster: Clusters) -> None:
    """What the others have is shown as long as it is valid; Go members know a renewed one by its key."""
    me = xlreg_cluster(2).memberships[0]
    registered = me.me.certificate_der
    now = datetime.now(timezone.utc)
    assert _mtls._shown(me.node, registered, now + timedelta(days=80)) == registered
    renewed = _mtls._shown(me.node, registered, now + timedelta(days=91))
    assert renewed != registered
    check_shown(replace(me.me.token, certificate=field_of(renewed)), renewed)
