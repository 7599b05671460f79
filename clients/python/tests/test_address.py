"""Where a node says that it is: addresses that it finds out itself, and those of which it is warned."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Callable
from dataclasses import replace

import pytest

import xlreg
from xlreg import Cluster, ClusterID, Endpoint, Member, Node, NodeID, Roster, Token, _address, _local, _sync
from xlreg._flow import Request
from xlreg.errors import AddressError, IncompleteError
from xlreg.testing import RegistryProcess, shared_keys

MakeNode = Callable[..., Node]
HERE = (Endpoint("127.0.0.1:56789"),)
ELSEWHERE = (Endpoint("192.0.2.200:56789"),)


def own(*advertise: str, registry: tuple[Endpoint, ...] = HERE) -> tuple[Endpoint, ...]:
    flow = Request(lambda limit: _address.addresses((), advertise, registry))
    return _sync.perform(flow)


@pytest.fixture
def _abroad(monkeypatch: pytest.MonkeyPatch) -> None:
    """A way to registries elsewhere, which the machine of a test need not have."""
    real = _local.towards

    def towards(address: str, port: int) -> _local.Address:
        return ipaddress.ip_address("192.0.2.7") if address == ELSEWHERE[0].host else real(address, port)

    monkeypatch.setattr(_local, "towards", towards)


@pytest.mark.usefixtures("_abroad")
def test_address_that_faces_the_registry() -> None:
    assert own(":7001") == ("127.0.0.1:7001",)
    assert own(":7001", registry=ELSEWHERE) == ("192.0.2.7:7001",)
    assert own(":7001", registry=(Endpoint("nobody.invalid:1"), *HERE)) == ("127.0.0.1:7001",)


def test_address_of_an_interface() -> None:
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    assert own(f"{loopback}:7001", ":7002", "127.0.0.1:7003") == tuple(
        f"127.0.0.1:{port}" for port in (7001, 7002, 7003)
    )


def test_best_address_of_an_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    there = ["fe80::1", "2001:db8::1", "169.254.0.1", "192.0.2.7"]
    while there:
        monkeypatch.setattr(_local, "_addresses", lambda name: map(ipaddress.ip_address, there))
        best = ["192.0.2.7", "2001:db8::1", "169.254.0.1", "fe80::1"][4 - len(there)]
        assert str(_local.of_interface("any")) == best
        there.remove(best)
    with pytest.raises(OSError, match="interface any has no address"):
        _local.of_interface("any")


@pytest.mark.parametrize("text", [":", ":0", ":seven", ":65536", "lo:0", "lo:", "nowhere"])
def test_no_address(text: str) -> None:
    with pytest.raises(AddressError):
        own(text)


def test_no_way_to_the_registry() -> None:
    with pytest.raises(AddressError, match=r"no way to the registry.* nobody\.invalid:1 does not resolve"):
        own(":7001", registry=(Endpoint("nobody.invalid:1"),))


def test_form_with_an_address_of_its_own(xlreg_registry: RegistryProcess, make_node: MakeNode) -> None:
    node = make_node("m")
    with socket.create_server(("0.0.0.0", 0)) as everywhere:
        port = everywhere.getsockname()[1]
        with pytest.raises(IncompleteError):
            xlreg.form(
                xlreg_registry.url,
                node=node,
                cluster="own",
                size=2,
                listeners=[everywhere],
                advertise=[f":{port}"],
                timeout=0.3,
            )
    assert node.endpoints == (f"127.0.0.1:{port}",)


# Warnings.


def concerns(*endpoints: str, registry: tuple[Endpoint, ...]) -> list[str]:
    return _sync.perform(Request(lambda limit: _address.concerns([*map(Endpoint, endpoints)], registry)))


@pytest.mark.usefixtures("_abroad")
@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "[::1]", "[::ffff:127.0.0.1]", "localhost"])
def test_loopback_is_warned_of_where_the_registry_is_elsewhere(host: str) -> None:
    assert concerns(f"{host}:7001", registry=HERE) == []
    assert concerns(f"{host}:7001", registry=(Endpoint("nobody.invalid:1"),)) == []
    (said,) = concerns("192.0.2.7:7001", f"{host}:7001", registry=ELSEWHERE)
    assert said.startswith(f"{host}:7001 is this machine's own loopback, and the registry is elsewhere")
    assert ":7001 stands for the address that faces the registry" in said


@pytest.mark.parametrize("host", ["169.254.7.7", "[fe80::7]"])
def test_link_local_is_warned_of(host: str) -> None:
    assert concerns(f"{host}:1", "192.0.2.7:1", registry=HERE) == [
        f"{host}:1 is a link-local address: only machines on the same link can reach it"
    ]


def test_form_tells_of_it(
    xlreg_registry: RegistryProcess, make_node: MakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        with pytest.raises(IncompleteError):
            xlreg.form(
                xlreg_registry.url,
                node=make_node("m"),
                cluster="link",
                size=2,
                advertise=["169.254.7.7:1"],
                timeout=0.3,
            )
    assert [r.levelno for r in caplog.records if "link-local" in r.getMessage()] == [logging.WARNING] * 2


SHARED = "m0 and m1 both say that they are at 127.0.0.1:7001: give each an address of its own"


def test_two_members_with_one_address(make_node: MakeNode) -> None:
    def member(i: int, *endpoints: str) -> Member:
        keys = shared_keys(i)
        ends = tuple(map(Endpoint, endpoints))
        return Member(
            i, Token(f"m{i}", keys.comms_key, keys.sig_key, ends, id=NodeID(bytes([i]) * 20)), False
        )

    cluster = Cluster(ClusterID(bytes(20)), "web", size=2)
    first = member(0, "127.0.0.1:7001", "127.0.0.1:7001")
    assert Roster(cluster, (first, member(1, "127.0.0.1:7002"))).warnings() == ()
    shared = Roster(cluster, (first, member(1, "127.0.0.1:7002", "127.0.0.1:7001")))
    assert shared.warnings() == (SHARED,)
    assert replace(shared, members=shared.members[:1]).warnings() == ()


def test_two_members_with_one_address_are_told_of_once(
    xlreg_registry: RegistryProcess, make_node: MakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    for i in range(2):
        with xlreg.Client.connect(xlreg_registry.url, make_node(f"m{i}", i)) as client:
            client.register()
            client.create("shared", 2)
            client.join()
    with xlreg.Client.connect(xlreg_registry.url) as client:
        for _ in range(2):
            assert client.wait("shared").warnings() == (SHARED,)
    assert [record.getMessage() for record in caplog.records].count(SHARED) == 1
