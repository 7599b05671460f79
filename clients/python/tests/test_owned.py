"""Clusters with an owner on a real registry: tickets, admissions and orders."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import xlreg
from xlreg import AsyncOwner, Client, Membership, Node, Owner, Target, Ticket, TicketKind
from xlreg.errors import (
    AdmissionRefusedError,
    BadSignatureError,
    ClusterFullError,
    NoSuchClusterError,
    NotMemberError,
    NotOwnerError,
    RegCredError,
    TicketError,
)
from xlreg.testing import RegistryProcess, shared_keys


@pytest.fixture
def ticket(xlreg_registry: RegistryProcess) -> Ticket:
    """The ticket of the owner of a cluster of three that nobody has created yet."""
    return Ticket.new(xlreg_registry.target, f"owned-{os.urandom(4).hex()}", 3)


def node(i: int) -> Node:
    return Node(f"m{i}", keys=shared_keys(i, "p256"))


@pytest.fixture
def form() -> Iterator[Callable[..., Membership]]:
    """Make a node a member, with a listener that lasts as long as the test."""
    listeners: list[socket.socket] = []

    def formed(ticket: Ticket | str, i: int, **more: object) -> Membership:
        listeners.append(socket.create_server(("127.0.0.1", 0)))
        arguments: dict[str, object] = {"timeout": 30, **more}
        return xlreg.form(ticket, node=node(i), listeners=[listeners[-1]], **arguments)  # type: ignore[arg-type]

    yield formed
    for listener in listeners:
        listener.close()


def form_all(form: Callable[..., Membership], tickets: list[Ticket], **more: object) -> list[Membership]:
    with concurrent.futures.ThreadPoolExecutor(len(tickets)) as pool:
        return list(pool.map(lambda i: form(tickets[i], i, **more), range(len(tickets))))


def test_three_kinds_of_members(ticket: Ticket, form: Callable[..., Membership]) -> None:
    """Whoever has an invite and comes before the owner waits for the cluster."""
    waits, said = threading.Event(), []

    def tell(now: xlreg.Progress) -> None:
        said.append(now.error)
        waits.set()

    with concurrent.futures.ThreadPoolExecutor() as pool:
        early = pool.submit(form, ticket.invite(uses=1, not_after=timedelta(hours=1)), 1, progress=tell)
        assert waits.wait(30)
        assert isinstance(said[0], NoSuchClusterError)
        others = [pool.submit(form, t, i) for t, i in ((ticket, 0), (ticket.admit(node(2)).text(), 2))]
        memberships = [done.result(30) for done in (others[0], early, others[1])]
    assert {m.name for m in memberships[0].roster.members} == {"m0", "m1", "m2"}
    for membership in memberships:
        assert membership.roster.pinned
        assert membership.cluster.key == ticket.key
        assert not membership.roster.unverified
        assert membership.roster.short_sum == memberships[0].roster.short_sum
    assert xlreg.wait_members(ticket.reader(), timeout=20).pinned
    assert memberships[1].me.invite is not None
    assert memberships[0].me.invite is memberships[2].me.invite is None


def test_who_is_not_admitted(ticket: Ticket, form: Callable[..., Membership]) -> None:
    once = ticket.invite(uses=1)
    with pytest.raises(xlreg.errors.IncompleteError):
        form(ticket, 0, timeout=3)
    with pytest.raises(xlreg.errors.IncompleteError):
        form(once, 1, timeout=3)
    with pytest.raises(AdmissionRefusedError, match="admission refused"):
        form(once, 2)
    with pytest.raises(TicketError, match="another node"):
        form(ticket.admit(node(3)), 2)
    with pytest.raises(TicketError, match="looking"):
        form(ticket.reader(), 2)
    with Client.connect(ticket.registry, node(4)) as client:
        client.register()
        with pytest.raises(NoSuchClusterError):
            client.join(ticket.cluster)  # the open cluster of this name is another
        with pytest.raises(AdmissionRefusedError):
            client.join(ticket.ref)


def test_orders(ticket: Ticket, form: Callable[..., Membership]) -> None:
    invite = ticket.invite()
    memberships = form_all(form, [ticket, invite, invite])
    owner = Owner(ticket.text())
    owner.evict(memberships[2].me)
    with pytest.raises(NotMemberError):
        owner.evict(memberships[2].me)
    with pytest.raises(NotMemberError):
        memberships[2].refresh(20)
    assert {m.name for m in owner.members().members} == {"m0", "m1"}
    assert form(invite, 2).me.name == "m2"
    member = owner.members().by_name("m1")
    assert member is not None
    owner.ban(member)  # which revokes the invite as well
    with pytest.raises(AdmissionRefusedError, match="banned"):
        form(invite, 1)
    with pytest.raises(AdmissionRefusedError, match="revoked"):
        form(invite, 3)
    with pytest.raises(ValueError, match="invite"):
        owner.revoke(ticket)
    another = ticket.invite()
    asyncio.run(AsyncOwner(ticket).revoke(another))
    with pytest.raises(AdmissionRefusedError, match="revoked"):
        form(another, 3)
    asyncio.run(AsyncOwner(ticket).reopen())
    assert owner.members().members == ()
    assert owner.members().state.epoch == 2
    owner.delete()
    with pytest.raises(NoSuchClusterError):
        owner.members()
    with pytest.raises(AdmissionRefusedError, match="deleted"):
        form(ticket, 0)


def test_orders_at_the_same_time(ticket: Ticket) -> None:
    """Each is done once, whoever comes first: error 22 says how many are done."""
    with Client.connect(ticket, node(0)) as client:
        client.register()
        cluster = client.create()
    assert (cluster.size, cluster.key) == (3, ticket.key)
    keys = [shared_keys(i, "p256").sig_key for i in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(Owner(ticket).ban, keys))
    assert Owner(ticket).members().state.orders == 8


def test_a_full_cluster_stays_full(ticket: Ticket, form: Callable[..., Membership]) -> None:
    form_all(form, [ticket] * 3)
    with pytest.raises(ClusterFullError):
        form(ticket, 5)


def test_asyncio(ticket: Ticket) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            forming = (xlreg.aform(ticket, node=node(i), listeners=[listener], timeout=30) for i in range(3))
            memberships = await asyncio.gather(*forming)
        assert all(m.roster.pinned for m in memberships)
        assert len((await AsyncOwner(ticket).members()).members) == 3

    asyncio.run(main())


def test_ticket_of_another_cluster_key(ticket: Ticket, form: Callable[..., Membership]) -> None:
    """A name that somebody else's key has is another cluster: nobody can squat it."""
    form_all(form, [ticket] * 3)
    other = Ticket.new(ticket.registry, ticket.cluster, 3)
    assert len(form_all(form, [other] * 3)[0].roster.members) == 3
    with Client.connect(ticket.registry) as client:
        found = xlreg.wait_members(ticket, timeout=20).cluster
        with pytest.raises((BadSignatureError, NoSuchClusterError)):
            client.members(xlreg.ClusterRef(found.id, key=other.key))


# Without a registry.

REGISTRY = Target.parse("xlreg://reg.example.org/?sig=" + 43 * "A")


def test_what_a_ticket_shows() -> None:
    owner = Ticket.new(REGISTRY, "web", 3, 2)
    invite = owner.invite(5, timedelta(minutes=1))
    for shown in (owner, invite):
        secret = shown.text().partition("owner=" if shown is owner else "invite=")[2][:43]
        assert len(secret) == 43
        for text in (str(shown), repr(shown), f"{shown!r:>5}", repr(vars(shown)), repr([shown])):
            assert secret not in text
        with pytest.raises(TypeError):
            pickle.dumps(shown)
    assert str(owner) == "owner ticket of cluster web (3 members)"
    assert owner.reader() == Ticket.parse(owner.reader().text())
    assert {t.kind for t in (owner, invite, owner.reader(), owner.admit(node(0)))} == set(TicketKind)
    assert owner.ref == invite.ref


def test_what_only_the_owner_can_do() -> None:
    owner = Ticket.new(REGISTRY, "web", 3)
    for ticket in (owner.invite(), owner.reader(), owner.admit(node(0))):
        for ask in (ticket.invite, lambda t=ticket: t.admit(node(1)), lambda t=ticket: Owner(t)):
            with pytest.raises(NotOwnerError, match="owner"):
                ask()


def test_bad_tickets() -> None:
    for cluster, size, count in (("a b", 3, 1), ("web", 1, 1), ("web", 1025, 1), ("web", 3, 17)):
        with pytest.raises(TicketError):
            Ticket.new(REGISTRY, cluster, size, count)
    owner = Ticket.new(REGISTRY, "web", 3)
    for uses, end in ((1001, None), (-1, None), (1, datetime(2020, 1, 1, tzinfo=timezone.utc))):
        with pytest.raises(TicketError):
            owner.invite(uses, end)


def test_where_tickets_come_from(tmp_path: Path) -> None:
    """Lines as people paste them, and files; what looks like a part of one is shown to nobody."""
    line = Ticket.new(REGISTRY, "web", 3).text()
    secret = line.partition("owner=")[2]
    wrapped = line[:60] + "\n  " + line[60:]
    for text in (f"'{line}'\n", f"export XLREG_TICKET={line}", wrapped):
        assert Ticket.load(text).text() == line
        (tmp_path / "ticket").write_text(text)
        assert Ticket.load(tmp_path / "ticket").text() == line
    (tmp_path / "bad").write_text(line + "A")
    lines = (
        line[3:],
        line.replace("cluster=web&", ""),
        line + "A",
        line.replace("3", "1"),
        str(tmp_path / "bad"),
    )
    for bad in lines:
        for read in (Ticket.load, Target.load):
            with pytest.raises((TicketError, RegCredError)) as caught:
                read(bad)
            assert secret[:20] not in str(caught.value) + repr(caught.value)
    with pytest.raises(OSError, match="nowhere"):
        Ticket.load("nowhere.ticket")
