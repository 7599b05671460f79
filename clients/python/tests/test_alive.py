"""Clusters in the course of time, on a real registry: leases, twins, fresh starts, watches."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import own_address

import xlreg
from xlreg import AsyncMembership, Change, Client, Membership, Node, Owner, Ticket
from xlreg.errors import (
    ClosedError,
    NewEpochError,
    NoSuchClusterError,
    NotMemberError,
    StrangerError,
    TwinError,
)
from xlreg.testing import RegistryProcess, shared_keys

Form = Callable[..., Membership]


def node(i: int, name: str = "") -> Node:
    return Node(name or f"m{i}", keys=shared_keys(i, "p256"))


@pytest.fixture
def name() -> str:
    return f"alive-{os.urandom(4).hex()}"


@pytest.fixture
def form(xlreg_registry: RegistryProcess, name: str) -> Iterator[Form]:
    """Make a node a member of a cluster; its listener and membership last as long as the test."""
    with contextlib.ExitStack() as stack:

        def formed(i: int, size: int = 2, **more: object) -> Membership:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            arguments: dict[str, object] = {"cluster": name, "size": size, "timeout": 30, **more}
            target = arguments.pop("target", xlreg_registry.url)
            made = xlreg.form(target, node=node(i), listeners=[listener], **arguments)  # type: ignore[arg-type]
            return stack.enter_context(made)

        yield formed


def form_all(form: Form, size: int, **more: object) -> list[Membership]:
    with concurrent.futures.ThreadPoolExecutor(size) as pool:
        return list(pool.map(lambda i: form(i, size, **more), range(size)))


def names(change: Change) -> tuple[list[str], list[str], list[str]]:
    came, went, changed = (
        [m.name for m in members] for members in (change.came, change.went, change.changed)
    )
    return came, went, changed


def test_a_lease_is_kept_and_ends(form: Form, xlreg_registry: RegistryProcess, name: str) -> None:
    first, second = form_all(form, 2, lease=5)
    assert first.lease == second.lease == 5
    time.sleep(6)  # longer than the lease, which only signs of life outlast
    assert len(first.refresh(10).members) == 2
    assert {m.token.lease for m in first.roster.members} == {5}
    assert all(m.token.seen for m in first.roster.members)
    second.close()
    change = next(first.watch(60))
    assert names(change) == ([], ["m1"], [])
    assert first.error is None
    with pytest.raises(NotMemberError):
        second.refresh(10)
    assert isinstance(second.error, NotMemberError)


def test_twin(form: Form) -> None:
    """Whoever finds another process in its seat is told where that is, and since when."""
    first, _ = form_all(form, 2)
    twin = form(0)
    with pytest.raises(TwinError, match="another process runs as this node") as caught:
        for _ in first.watch(20):
            pass
    assert caught.value.endpoints == twin.me.endpoints
    assert caught.value.joined == twin.me.token.joined
    assert isinstance(first.error, TwinError)
    assert (caught.value.code, isinstance(caught.value, xlreg.errors.MemberIDInUseError)) == (3, True)
    with pytest.raises(TwinError):
        form(0, run=first._place.run)  # which was replaced, and never comes back
    assert form(0, run=first._place.run, take_over=True).me.name == "m0"


def test_twin_that_lives(form: Form) -> None:
    """A seat with a lease that is being kept is not taken; one whose process has died is."""
    first, _ = form_all(form, 2, lease=6)
    with pytest.raises(TwinError):
        form(0, lease=6)
    assert first.refresh(10)
    first.close()
    assert form(0, lease=6).me.name == "m0"


def test_fresh_start(form: Form) -> None:
    """A whole cluster that restarts meets members of this start alone, and those of the last are told."""
    before = form_all(form, 3, fresh=True)
    assert {m.roster.state.epoch for m in before} == {before[0].roster.state.epoch}
    assert {m.lease for m in before} == {0}
    ends = {m.endpoints for m in before[0].roster.members}
    after = form_all(form, 3, fresh=True)
    assert not ends & {m.endpoints for m in after[0].roster.members}
    assert {m.roster.state.epoch for m in after} == {before[0].roster.state.epoch + 1}
    with pytest.raises((NewEpochError, TwinError)):
        before[0].refresh(10)


def test_new_epoch(xlreg_registry: RegistryProcess, form: Form, name: str) -> None:
    ticket = Ticket.new(xlreg_registry.target, name, 2)
    first, _ = form_all(form, 2, target=ticket, cluster=None)
    Owner(ticket).reopen()
    with pytest.raises(NewEpochError, match="epoch 2 follows 1"):
        list(first.watch(20))


def test_watch(form: Form, xlreg_registry: RegistryProcess, name: str) -> None:
    """Each change comes once: who came, went and changed."""
    first, second = form_all(form, 2)
    changes = first.watch(30)
    second.leave(10)
    assert names(next(changes)) == ([], ["m1"], [])
    third = form(2)
    assert names(next(changes)) == (["m2"], [], [])
    assert first.roster.by_name("m2") == third.me
    third.node.set_labels({"role": "worker"})
    with Client.connect(xlreg_registry.url, third.node) as client:
        client.register()
        client.join(name, run=third._place.run)
    change = next(changes)
    assert names(change) == ([], [], ["m2"])
    assert change.changed[0].labels == {"role": b"worker"}
    assert "~m2" in str(change)
    first.close()
    with pytest.raises(ClosedError):
        next(changes)
    with pytest.raises(ClosedError):
        next(first.watch())
    assert second.error is None


def test_watch_ends_in_time(form: Form) -> None:
    first, _ = form_all(form, 2)
    assert list(first.watch(0.2)) == []
    assert threading.active_count() < 50


def test_watching_reader(xlreg_registry: RegistryProcess, form: Form, name: str) -> None:
    _, second = form_all(form, 2)
    changes = xlreg.watch(xlreg_registry.url, name, timeout=20)
    assert sorted(names(next(changes))[0]) == ["m0", "m1"]
    second.leave(10)
    assert names(next(changes)) == ([], ["m1"], [])
    changes.close()  # type: ignore[attr-defined]
    (only,) = xlreg.watch(xlreg_registry.url, name, timeout=3)
    assert [m.name for m in only.roster.members] == ["m0"]
    with pytest.raises(NoSuchClusterError):
        next(xlreg.watch(xlreg_registry.url, "nobody"))


def test_watch_survives_restarts(tmp_path: Path) -> None:
    """Nothing that happens meanwhile is missed, and nothing comes twice."""
    with (
        RegistryProcess(tmp_path / "data", listen=own_address()) as registry,
        contextlib.ExitStack() as stack,
    ):

        def formed(i: int) -> Membership:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            made = xlreg.form(
                registry.url, node=node(i), cluster="c", size=2, listeners=[listener], timeout=30, lease=60
            )
            return stack.enter_context(made)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            first, second = pool.map(formed, range(2))
        changes = first.watch(60)
        registry.kill()
        registry.start()
        second.leave(20)
        assert names(next(changes)) == ([], ["m1"], [])
        formed(2)
        assert names(next(changes)) == (["m2"], [], [])
        assert first.error is None


def test_watch_in_asyncio(xlreg_registry: RegistryProcess, name: str) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def formed(i: int) -> asyncio.Future[AsyncMembership]:
                return asyncio.ensure_future(
                    xlreg.aform(
                        xlreg_registry.url,
                        node=node(i),
                        cluster=name,
                        size=2,
                        listeners=[listener],
                        timeout=30,
                        lease=60,
                    )
                )

            first, second = await asyncio.gather(formed(0), formed(1))
            async with first:
                changes = first.watch(20)
                await second.leave()
                assert names(await changes.__anext__()) == ([], ["m1"], [])
                reader = xlreg.awatch(xlreg_registry.url, name, timeout=20)
                assert names(await reader.__anext__()) == (["m0"], [], [])
                async with await formed(2) as third:
                    assert names(await changes.__anext__()) == (["m2"], [], [])
                    assert names(await reader.__anext__()) == (["m2"], [], [])
                    assert [change async for change in third.watch(0.1)] == []
                await reader.aclose()  # type: ignore[attr-defined]
                await changes.aclose()  # type: ignore[attr-defined]
            with pytest.raises(ClosedError):
                await first.watch().__anext__()

    asyncio.run(main())


def greet(server: ssl.SSLContext, member: Membership) -> str:
    """Have a member connect to a server, and return as whom that sees it."""
    here, there = socket.socketpair()
    with here, there, concurrent.futures.ThreadPoolExecutor() as pool:
        accepting = pool.submit(server.wrap_socket, here, server_side=True)
        with member.client_context().wrap_socket(there) as tls:
            try:
                with accepting.result(20) as accepted:
                    accepted.sendall(b"!")
                    tls.recv(1)
                    shown = accepted.getpeercert(binary_form=True)
            except ssl.SSLError as err:
                raise StrangerError(str(err)) from None
    return next(m.name for m in member.roster.members if m.certificate_der == shown)


def test_a_server_context_follows_the_cluster(form: Form) -> None:
    """Whoever has left is refused from the next handshake on, and whoever has come is let in."""
    first, second = form_all(form, 2)
    server, changes = first.server_context(), first.watch(30)
    assert greet(server, second) == "m1"
    second.leave(10)
    next(changes)
    with pytest.raises(StrangerError):
        greet(server, second)
    third = form(2)
    next(changes)
    assert greet(server, third) == "m2"


def test_observed_address(form: Form) -> None:
    """The registry says from where it sees this machine."""
    first, second = form_all(form, 2, advertise=["observed:7001"])
    assert {m.endpoints for m in first.roster.members} == {("127.0.0.1:7001",)}
    with pytest.raises(xlreg.errors.AddressError, match="port"):
        form(0, advertise=["observed:0"])
    assert second.me.endpoints[0].port == 7001


def test_observed_by_a_session(xlreg_registry: RegistryProcess) -> None:
    with Client.connect(xlreg_registry.url) as client:
        assert client.observed().startswith("127.0.0.1:")


def test_large_cluster(xlreg_registry: RegistryProcess, name: str) -> None:
    """With long tokens their roster is more than one answer may hold, and comes in parts."""
    size, ends = 1024, [f"h{n}.{'x' * 60}.{'y' * 60}.{'z' * 60}.example.org:{7000 + n}" for n in range(16)]
    keys = shared_keys(0, "p256")
    with Client.connect(xlreg_registry.url, Node("first", ends, keys=keys)) as client:
        client.register()
        client.create(name, size)
        client.join(name)

    def join(i: int) -> None:
        made = Node(f"m{i}", ends, keys=xlreg.Keys(keys.comms, xlreg.Keys.generate("p256").sig))
        with Client.connect(xlreg_registry.url, made, timeout=60) as client:
            client.register(timeout=60)
            client.join(name, timeout=60)

    count = 900
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(join, range(1, count)))
    with Client.connect(xlreg_registry.url) as client:
        roster = client.members(name, timeout=120)
    assert len(roster.members) == count
    assert roster.missing == size - count
    assert not roster.unverified
