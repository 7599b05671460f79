"""The registry is killed and started again, on the same data, while clients wait."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import socket
import threading
from pathlib import Path

import pytest
from conftest import own_address

import xlreg
from xlreg import AsyncMembership, Client, Membership, Node, Progress, Protocol, Roster
from xlreg.errors import IncompleteError, SessionEndedError, TooManyRequestsError, TryLaterError
from xlreg.testing import RegistryProcess, shared_keys

PROTOCOLS = [Protocol.V20, Protocol.V19, Protocol.V18]


def join(registry: RegistryProcess, i: int, protocol: Protocol, joined: queue.Queue[Progress]) -> Membership:
    """Join a cluster of four, and tell each step."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return xlreg.form(
            registry.reg_cred,
            node=Node(f"m{i}", keys=shared_keys(i)),
            cluster="lasting",
            size=4,
            listeners=[listener],
            timeout=60,
            protocol=protocol,
            allow_unverified=True,
            progress=joined.put,
        )


async def ajoin(registry: RegistryProcess, i: int) -> AsyncMembership:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return await xlreg.aform(
            registry.reg_cred,
            node=Node(f"m{i}", keys=shared_keys(i)),
            cluster="lasting",
            size=4,
            listeners=[listener],
            timeout=60,
            allow_unverified=True,
        )


@pytest.mark.parametrize("how", ["killed", "stopped", "killed, memory lost"])
def test_registry_goes_away_while_clients_wait(how: str, tmp_path: Path) -> None:
    """Three wait over three carriers; the registry goes and comes back; the fourth completes the cluster."""
    data = None if "lost" in how else tmp_path / "data"
    registry = RegistryProcess(data, listen=own_address())
    registry.start()
    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            told: list[queue.Queue[Progress]] = [queue.Queue() for _ in PROTOCOLS]
            waiting = [pool.submit(join, registry, i, p, told[i]) for i, p in enumerate(PROTOCOLS)]
            for steps in told:
                assert steps.get(timeout=30).roster is not None  # it has joined, and waits
            (registry.stop if how == "stopped" else registry.kill)()
            for steps in told:
                while (step := steps.get(timeout=30)).error is None:
                    pass
                assert isinstance(step.error, SessionEndedError | TryLaterError)
            registry.start()
            last = asyncio.run(ajoin(registry, 3))
            memberships: list[Membership | AsyncMembership] = [done.result(60) for done in waiting]
        rosters = [{m.name for m in membership.roster.members} for membership in [*memberships, last]]
        assert rosters == [{"m0", "m1", "m2", "m3"}] * 4
        assert {m.name: m.verified for m in last.roster.members} == {
            "m0": True,
            "m1": False,
            "m2": False,
            "m3": True,
        }
    finally:
        registry.close()


def test_form_begins_before_the_registry_does(tmp_path: Path) -> None:
    registry = RegistryProcess(tmp_path / "data", listen=own_address())
    with registry:
        told: queue.Queue[Progress] = queue.Queue()
        registry.kill()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = pool.submit(join, registry, 0, Protocol.V20, told)
            others = [pool.submit(join, registry, i, Protocol.V20, queue.Queue()) for i in (1, 2, 3)]
            registry.start()
            assert all(done.result(60).roster.missing == 0 for done in [waiting, *others])


def test_time_is_up_while_the_registry_is_away(tmp_path: Path) -> None:
    with (
        RegistryProcess(tmp_path / "data", listen=own_address()) as registry,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        seen = threading.Event()

        def tell(now: Progress) -> None:
            if now.roster is not None and not seen.is_set():
                seen.set()
                registry.kill()

        with pytest.raises(IncompleteError) as caught:
            xlreg.form(
                registry.reg_cred,
                node=Node("m", keys=shared_keys(0)),
                cluster="c",
                size=2,
                listeners=[listener],
                timeout=5,
                progress=tell,
            )
        assert caught.value.cause is not None
        assert "1 of 2 members joined, 1 missing (index 1): time is up; this node joined" in str(caught.value)
        assert "joined: m at" in str(caught.value)


def test_registry_that_says_come_back(tmp_path: Path) -> None:
    """A limit of new nodes is one to wait for; outside of form it is an error that says how long."""
    with RegistryProcess(
        tmp_path / "data", listen=own_address(), arguments=["--new-per-minute-loopback", "1"]
    ) as registry:
        with Client.connect(registry.url, Node("a", keys=shared_keys(0))) as client:
            client.register()
        with Client.connect(registry.url, Node("b", keys=shared_keys(1))) as client:
            with pytest.raises(TooManyRequestsError) as caught:
                client.register()
        assert 0 < caught.value.retry <= 60
        with pytest.raises(IncompleteError) as late:
            xlreg.form(
                registry.url,
                node=Node("b", ["127.0.0.1:1"], keys=shared_keys(1)),
                cluster="c",
                size=2,
                timeout=3,
            )
        assert isinstance(late.value.cause, TooManyRequestsError)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["wait_members", "await_members"])
def test_reader_waits_through_a_restart(asynchronous: bool, tmp_path: Path) -> None:
    """It is no member, and needs no node; over a classic carrier it needs one, which joins nothing."""
    told: queue.Queue[Progress] = queue.Queue()
    node = None if asynchronous else Node("reader", keys=shared_keys(3))
    protocol = Protocol.V20 if asynchronous else Protocol.V19

    def read() -> Roster:
        arguments = {"node": node, "protocol": protocol, "timeout": 60, "progress": told.put}
        if asynchronous:
            return asyncio.run(xlreg.await_members(registry.reg_cred, "read", **arguments))  # type: ignore[arg-type]
        return xlreg.wait_members(registry.reg_cred, "read", **arguments)  # type: ignore[arg-type]

    with (
        RegistryProcess(tmp_path / "data", listen=own_address()) as registry,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        nodes = [Node(f"m{i}", ["127.0.0.1:1"], keys=shared_keys(i)) for i in range(2)]
        with Client.connect(registry.url, nodes[0]) as client:
            client.register()
            client.create("read", 2)
            client.join()
        reading = pool.submit(read)
        assert told.get(timeout=30).size == 2
        registry.kill()
        while (step := told.get(timeout=30)).error is None:
            pass
        assert isinstance(step.error, SessionEndedError)
        registry.start()
        with Client.connect(registry.url, nodes[1]) as client:
            client.register()
            client.join("read")
        assert [m.name for m in reading.result(60).members] == ["m0", "m1"]


def test_reader_gives_up_in_time(xlreg_registry: RegistryProcess) -> None:
    with pytest.raises(xlreg.errors.NoSuchClusterNameError, match=r'^wait for cluster "absent": '):
        xlreg.wait_members(xlreg_registry.url, "absent", timeout=5)
    with Client.connect(xlreg_registry.url, Node("m", keys=shared_keys(0))) as client:
        client.register()
        client.create("never", 2)
    with pytest.raises(IncompleteError, match='wait for cluster "never": 0 of 2 members joined') as caught:
        xlreg.wait_members(xlreg_registry.url, "never", timeout=3)
    assert caught.value.roster is not None
