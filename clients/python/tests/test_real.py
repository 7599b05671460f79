"""Both clients against the real registry, on all three carriers, and among Go members."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import open_descriptors

import xlreg
from xlreg import AsyncClient, AsyncMembership, Client, ClusterAttrs, Node, Protocol
from xlreg.errors import (
    BadSignatureError,
    ClusterFullError,
    ClusterSizeError,
    IdentityRequiredError,
    MemberNameInUseError,
    Needs20Error,
    NeedsNodeError,
    NoClusterNamedError,
    NoSuchClusterIDError,
    NoSuchClusterNameError,
    NotMemberError,
    NotRegisteredError,
    OriginalRegistryError,
    SessionEndedError,
    TooFewEndpointsError,
    TooManyRequestsError,
    UnreachableError,
    UntrustedError,
    UnverifiedError,
)
from xlreg.testing import RegistryProcess, TestCluster, shared_keys

MakeNode = Callable[..., Node]
ALL = list(Protocol)


@pytest.mark.parametrize("protocol", ALL, ids=str)
def test_creator_member_and_reader(
    protocol: Protocol, xlreg_registry: RegistryProcess, make_node: MakeNode
) -> None:
    name = f"sync-{protocol}"
    cred = xlreg_registry.cred
    with Client.connect(cred, make_node("creator"), protocol=protocol) as creator:
        creator.register()
        made = creator.create(name, 2)
        assert (made.name, made.size, made.endpoint_count) == (name, 2, 1)
        assert creator.join().id == made.id
    with Client.connect(cred, make_node("member", 1), protocol=protocol) as member:
        node_id = member.register()
        member.join(name)
        assert member.login() == node_id if not protocol.classic else True
        assert [m.name for m in member.members().members] == ["creator", "member"]
    with Client.connect(cred, make_node("reader", 2), protocol=protocol) as reader:
        reader.register()
        roster = reader.wait(made.id, timeout=10)
        assert [m.name for m in roster.members] == ["creator", "member"]
        assert [m.verified for m in roster.members] == [not protocol.classic] * 2
        assert roster.missing == 0
        assert roster.by_name("member") == roster.by_id(node_id) == roster.by_index(1)


@pytest.mark.parametrize("protocol", ALL, ids=str)
def test_the_same_in_asyncio(
    protocol: Protocol, xlreg_registry: RegistryProcess, make_node: MakeNode
) -> None:
    name = f"async-{protocol}"
    cred = xlreg_registry.cred

    async def main() -> None:
        async with await AsyncClient.connect(cred, make_node("creator"), protocol=protocol) as creator:
            await creator.register()
            made = await creator.create(name, 2)
            await creator.join()
            async with await AsyncClient.connect(cred, make_node("reader", 2), protocol=protocol) as reader:
                await reader.register()
                waiting = asyncio.create_task(reader.wait(made.id, timeout=10))
                async with await AsyncClient.connect(
                    cred, make_node("member", 1), protocol=protocol
                ) as member:
                    await member.register()
                    await member.join(name)
                roster = await waiting
            assert [m.name for m in roster.members] == ["creator", "member"]
            assert (await creator.cluster(name)).id == made.id

    before = open_descriptors()
    asyncio.run(main())
    assert open_descriptors() == before


@pytest.mark.parametrize("protocol", ALL, ids=str)
def test_form(
    protocol: Protocol, xlreg_registry: RegistryProcess, xlreg_cluster: Callable[..., TestCluster]
) -> None:
    before = open_descriptors()
    cluster = xlreg_cluster(4, protocol=protocol)
    assert open_descriptors() == before + 4  # the listeners
    rosters = (
        {m.roster for m in cluster.memberships}
        if protocol is Protocol.V20
        else {m.cluster for m in cluster.memberships}
    )
    assert len(rosters) == 1
    for i, membership in enumerate(cluster.memberships):
        assert membership.me.name == f"m{i}"
        host, port = cluster.listeners[i].getsockname()
        assert membership.me.endpoints == (f"{host}:{port}",)
        assert len(membership.others) == 3
        assert membership.me.verified == (protocol is Protocol.V20)


def test_aform(xlreg_registry: RegistryProcess, make_node: MakeNode) -> None:
    """A whole cluster of tasks, whose listeners are those of asyncio's servers."""

    async def one(i: int) -> AsyncMembership:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        async with server:
            return await xlreg.aform(
                xlreg_registry.url,
                node=make_node(f"m{i}", i),
                cluster="tasks",
                size=3,
                listeners=server.sockets,
                timeout=20,
            )

    async def main() -> None:
        memberships = await asyncio.gather(*map(one, range(3)))
        assert len({m.roster for m in memberships}) == 1
        assert await memberships[0].refresh() == memberships[1].roster
        await memberships[2].leave()
        assert (await memberships[0].refresh()).missing == 1
        with pytest.raises(NotMemberError):
            await memberships[2].refresh()

    asyncio.run(main())


def go_join(
    program: str, registry: RegistryProcess, folder: Path, cluster: str, port: int, protocol: str
) -> str:
    """Join with the Go program, and return its output."""
    flags = {
        "--size": "5",
        "--node": str(folder),
        "--output": "json",
        "--endpoint": f"127.0.0.1:{port}",
        "--wait": "30s",
        "--protocol": protocol,
        "--registry": str(registry.reg_cred),
    }
    words = [word for flag in flags.items() for word in flag]
    command = [program, "join", cluster, "--create", "--allow-unverified", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_mixed_with_go(
    program: str, xlreg_registry: RegistryProcess, make_node: MakeNode, tmp_path: Path
) -> None:
    """Two members in Go and three in Python, over all generations, see the same cluster."""
    for i, name in enumerate(("g0", "g1")):
        Node.init(tmp_path / name, name=name, keys=shared_keys(10 + i)).close()

    def python(i: int, protocol: str) -> xlreg.Membership:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return xlreg.form(
                xlreg_registry.cred,
                node=make_node(f"p{i}", i),
                cluster="mixed",
                size=5,
                listeners=[listener],
                timeout=30,
                protocol=protocol,
                allow_unverified=True,
            )

    with concurrent.futures.ThreadPoolExecutor() as pool:
        gos = [
            pool.submit(go_join, program, xlreg_registry, tmp_path / f"g{i}", "mixed", 7100 + i, protocol)
            for i, protocol in enumerate(("2.0", "1.9"))
        ]
        pythons = [pool.submit(python, i, protocol) for i, protocol in enumerate(("2.0", "1.9", "1.8"))]
        seen = [json.loads(done.result()) for done in gos]
        memberships = [done.result() for done in pythons]
    roster = memberships[0].roster
    assert {m.name: m.verified for m in roster.members} == {
        "g0": True,
        "g1": False,
        "p0": True,
        "p1": False,
        "p2": False,
    }
    assert [m.name for m in roster.unverified] == [
        m.name for m in roster.members if m.name not in ("g0", "p0")
    ]
    by_python = {m.name: (m.index, str(m.id), list(m.endpoints)) for m in roster.members}
    for by_go in seen:
        assert {m["name"]: (m["index"], m["id"], m["endpoints"]) for m in by_go["members"]} == by_python


def test_unverified_members_are_an_error(xlreg_registry: RegistryProcess, make_node: MakeNode) -> None:
    """Unless they are asked for: whoever has learnt of a cluster could take a seat over a classic carrier."""

    async def aform(**more: Any) -> AsyncMembership:
        return await xlreg.aform(xlreg_registry.cred, node=make_node("m0"), cluster="open", size=2, **more)

    def form(protocol: str, i: int, **more: Any) -> xlreg.Membership:
        cred, node = xlreg_registry.cred, make_node(f"m{i}", i)
        return xlreg.form(cred, node=node, cluster="open", size=2, protocol=protocol, timeout=30, **more)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        classic = pool.submit(form, "1.9", 1)
        with pytest.raises(
            UnverifiedError, match=r'^form cluster "open": 1 of 2 members are not .*: m1; allow'
        ):
            form("2.0", 0)
        assert classic.result().me.name == "m1"  # over a classic carrier nobody ever is, which was chosen
    with pytest.raises(UnverifiedError, match="m1"):
        asyncio.run(aform())
    assert [m.name for m in form("2.0", 0, allow_unverified=True).roster.unverified] == ["m1"]
    assert len(asyncio.run(aform(allow_unverified=True)).roster.members) == 2


def test_rules_reach_the_caller(xlreg_registry: RegistryProcess, make_node: MakeNode) -> None:
    url = xlreg_registry.url
    with Client.connect(url, make_node("a")) as client:
        with pytest.raises(IdentityRequiredError):
            client.create("rules", 2)
        with pytest.raises(NotRegisteredError):
            client.login()
        with pytest.raises(NoClusterNamedError):
            client.join() if client.register() else None
        client.create("rules", 2)
        with pytest.raises(ClusterSizeError) as sized:
            client.create("rules", 3)
        assert sized.value.cluster is not None
        assert sized.value.cluster.size == 2
        with pytest.raises(NotMemberError):
            client.leave("rules")
        client.join("rules")
        with pytest.raises(NoSuchClusterNameError):
            client.members("none")
        with pytest.raises(NoSuchClusterIDError):
            client.members(xlreg.ClusterID(bytes(20)))
        with pytest.raises(ClusterSizeError):
            client.wait("rules", 3, timeout=30)
        unique = client.create("rules", 2, attrs=ClusterAttrs.UNIQUE)
        assert unique.name.startswith("rules-")
    with Client.connect(url, make_node("a", 1)) as other:
        other.register()
        with pytest.raises(MemberNameInUseError):
            other.join("rules")
    bare = Node("b", keys=shared_keys(1))
    with Client.connect(url, bare) as other:
        other.register()
        with pytest.raises(TooFewEndpointsError):
            other.join("rules")
        bare.set_endpoints(["127.0.0.1:1"])
        with pytest.raises(SessionEndedError, match="certificate of the node was renewed"):
            other.register()
    with Client.connect(url, bare) as other:
        other.register()
        other.join("rules")
    with Client.connect(url, make_node("c", 2)) as other:
        other.register()
        with pytest.raises(ClusterFullError):
            other.join("rules")


def test_what_a_reader_can_do(xlreg_registry: RegistryProcess) -> None:
    with Client.connect(xlreg_registry.reg_cred) as reader:
        assert reader.registry().id == xlreg_registry.cred.id
        assert reader.fingerprint == xlreg_registry.cred.fingerprint
        with pytest.raises(NeedsNodeError):
            reader.register()
        with pytest.raises(IdentityRequiredError):
            reader.join("any")
    reader.close()
    with pytest.raises(SessionEndedError):
        reader.registry()
    with pytest.raises(NeedsNodeError):
        Client.connect(xlreg_registry.reg_cred, protocol="1.9")


def test_what_classic_carriers_cannot_do(xlreg_registry: RegistryProcess, make_node: MakeNode) -> None:
    with pytest.raises(ValueError, match="a URL has no comms key"):
        Client.connect(xlreg_registry.url, make_node("a"), protocol="1.9")
    with Client.connect(xlreg_registry.cred, make_node("a"), protocol="1.8") as client:
        client.register()
        with pytest.raises(Needs20Error):
            client.create("x", 2, attrs=ClusterAttrs.UNIQUE)
        with pytest.raises(Needs20Error):
            client.leave("x")


def test_never_a_silent_fall_back(xlreg_registry: RegistryProcess) -> None:
    old = str(xlreg_registry.cred).replace("Version: 2.0", "Version: 1.9.24")
    with pytest.raises(OriginalRegistryError, match=r"choose protocol 1\.9, or 2\.0"):
        Client.connect(xlreg.parse_reg_cred(old))
    with Client.connect(xlreg.parse_reg_cred(old), protocol="2.0") as client:
        assert client.protocol is Protocol.V20


def test_another_registry_is_not_trusted(xlreg_registry: RegistryProcess) -> None:
    target = xlreg.Target(xlreg_registry.target.endpoints, xlreg.fingerprint(shared_keys(5).sig_key))
    with pytest.raises(UntrustedError):
        Client.connect(target)


def test_endpoints_are_tried_in_turn(xlreg_registry: RegistryProcess) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = xlreg.Endpoint(f"127.0.0.1:{nobody.getsockname()[1]}")
        right = xlreg_registry.target
        with Client.connect(xlreg.Target((closed, *right.endpoints), right.fingerprint)) as client:
            assert client.protocol is Protocol.V20
        with pytest.raises(UnreachableError) as caught:
            Client.connect(xlreg.Target((closed,), right.fingerprint), timeout=2)
        assert len(caught.value.failures) == 1
        assert "refused" in str(caught.value)


def test_a_classic_log_in(xlreg_registry: RegistryProcess, make_node: MakeNode) -> None:
    for protocol in (Protocol.V18, Protocol.V19):
        node = make_node("m", 3)
        with Client.connect(xlreg_registry.cred, node, protocol=protocol) as client:
            node_id = client.register()
        with Client.connect(xlreg_registry.cred, node, protocol=protocol) as client:
            assert client.login() == node_id
        impostor = make_node("m", 4)
        impostor.set_registration(node.registrations[0])
        with Client.connect(xlreg_registry.cred, impostor, protocol=protocol) as client:
            with pytest.raises(BadSignatureError):
                client.login()


def test_a_node_comes_back_to_its_seat(xlreg_registry: RegistryProcess, make_node: MakeNode) -> None:
    """Over 2.0 a node is its key: it gets the ID that it had, though it has lost all else."""
    with Client.connect(xlreg_registry.url, make_node("m")) as client:
        first = client.register()
        client.create("seats", 2)
        client.join()
    with Client.connect(xlreg_registry.url, make_node("m")) as client:
        second = client.register()
        client.join("seats")
        assert [m.id for m in client.members().members] == [second] == [first]


def test_unverified_members_have_no_certificate(xlreg_cluster: Callable[..., TestCluster]) -> None:
    cluster = xlreg_cluster(2, protocol="1.9")
    with pytest.raises(UnverifiedError):
        _ = cluster.memberships[0].others[0].certificate
    with pytest.raises(UnverifiedError):
        cluster.memberships[0].server_context()
    with pytest.raises(Needs20Error):
        cluster.memberships[0].leave()
    assert cluster.memberships[0].refresh().missing == 0


def test_64_members_over_a_classic_carrier(xlreg_registry: RegistryProcess) -> None:
    """One classic reply cannot hold them all; the client asks for the rest."""
    for protocol, name in ((Protocol.V19, "many"), (Protocol.V18, "many18")):
        for i in range(40):
            ends = [f"host{n}.{'x' * 50}.example.org:{7000 + n}" for n in range(4)]
            with Client.connect(
                xlreg_registry.cred, Node(f"m{i}", ends, keys=shared_keys(0)), protocol=protocol
            ) as c:
                c.register()
                c.create(name, 40)
                c.join()
        for reading in Protocol:
            node = Node("reader", keys=shared_keys(1))
            with Client.connect(xlreg_registry.cred, node, protocol=reading) as client:
                client.register()
                roster = client.wait(name, 40, timeout=10)
                assert [m.name for m in roster.members] == [f"m{i}" for i in range(40)]


def test_one_connection_too_many(make_node: MakeNode) -> None:
    """The registry says so and hangs up, in one go: what it said is not lost."""
    with (
        RegistryProcess(arguments=["--max-connections-loopback", "1"]) as registry,
        Client.connect(registry.cred, make_node("first")) as first,
    ):
        first.register()
        for _ in range(10):
            with Client.connect(registry.cred, make_node("second", 1)) as second:
                with pytest.raises(TooManyRequestsError) as refused:
                    second.register()
                assert refused.value.retry
        first.create("still-here", 2)
