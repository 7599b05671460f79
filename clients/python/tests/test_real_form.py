"""What `form` is told, what it refuses, and what it says when time is up, at a real registry."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

import xlreg
from xlreg import Client, ClusterAttrs, Node, Progress
from xlreg.errors import (
    AddressError,
    IncompleteError,
    Needs20Error,
    NoClusterNamedError,
    NoSuchClusterNameError,
    TooFewEndpointsError,
)
from xlreg.testing import RegistryProcess

MakeNode = Callable[..., Node]


def test_incomplete_says_who_is_there(
    xlreg_registry: RegistryProcess, make_node: MakeNode, listener: socket.socket
) -> None:
    told: list[Progress] = []
    with pytest.raises(IncompleteError) as caught:
        xlreg.form(
            xlreg_registry.url,
            node=make_node("early"),
            cluster="late",
            size=3,
            listeners=[listener],
            timeout=3,  # within which it has joined, on a busy machine too
            progress=told.append,
        )
    err = caught.value
    assert isinstance(err, TimeoutError)
    assert (err.size, err.missing) == (3, 2)
    assert err.roster is not None
    assert [m.name for m in err.roster.members] == ["early"]
    port = listener.getsockname()[1]
    assert "1 of 3 members joined, 2 missing (index 1-2): time is up; this node joined with index 0; " in str(
        err
    )
    assert f"; joined: early at 127.0.0.1:{port} since 2" in str(err)
    assert told[0].roster is not None
    assert (told[0].size, told[0].error) == (3, None)


def test_a_name_is_made_up(
    xlreg_registry: RegistryProcess, make_node: MakeNode, listener: socket.socket
) -> None:
    names: list[str] = []

    def tell(now: Progress) -> None:
        assert now.cluster is not None
        names.append(now.cluster.name)

    with pytest.raises(IncompleteError):
        xlreg.form(
            xlreg_registry.url, node=make_node("m"), size=2, listeners=[listener], timeout=3, progress=tell
        )
    assert names[0].startswith("c-")


def test_addresses_that_nobody_could_reach(xlreg_registry: RegistryProcess, make_node: MakeNode) -> None:
    node = make_node("m")

    def form(**arguments: object) -> None:
        xlreg.form(xlreg_registry.url, node=node, cluster="unreachable", size=2, timeout=5, **arguments)  # type: ignore[arg-type]

    with (
        socket.create_server(("0.0.0.0", 0)) as everywhere,
        pytest.raises(AddressError, match="all addresses"),
    ):
        form(listeners=[everywhere])
    with socket.socket() as unbound, pytest.raises(AddressError, match="no port"):
        form(listeners=[unbound])
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(AddressError, match="call listen"):
            form(listeners=[bound])
    bad = {
        "0.0.0.0:1": "all addresses",
        "127.0.0.1:0": "port",
        "224.0.0.1:1": "multicast",
        "[ff02::1]:1": "multicast",
        "255.255.255.255:1": "broadcast",
        "nonsense": "host:port",
    }
    for endpoint, why in bad.items():
        with pytest.raises(AddressError, match=why):
            form(advertise=[endpoint])
    with pytest.raises(TooFewEndpointsError):
        form(advertise=["127.0.0.1:1"], endpoint_count=2)
    with pytest.raises(IncompleteError, match=r"; this node has not joined; .* does not resolve"):
        xlreg.form(
            xlreg_registry.url, node=node, cluster="x", size=2, advertise=["nobody.invalid:1"], timeout=0.3
        )
    with Client.connect(xlreg_registry.url) as reader, pytest.raises(NoSuchClusterNameError):
        reader.cluster("unreachable")
    assert node.endpoints == ("127.0.0.1:7001",)
    assert node.registrations == ()


def test_name_that_comes_to_be_known(
    xlreg_registry: RegistryProcess, make_node: MakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that has just started may not be known to the servers of names yet."""
    told: list[Progress] = []
    real = socket.getaddrinfo

    def lookup(host: str, *args: Any, **kwargs: Any) -> Any:
        known = host != "new.invalid" or len(told) > 2
        return real("127.0.0.1" if known else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    node = make_node("m")
    with pytest.raises(IncompleteError, match="this node joined with index 0"):
        xlreg.form(
            xlreg_registry.cred,
            node=node,
            cluster="known-late",
            size=2,
            advertise=["new.invalid:1"],
            timeout=5,
            progress=told.append,
        )
    assert [isinstance(step.error, AddressError) for step in told[:3]] == [True] * 3
    assert node.endpoints == ("new.invalid:1",)


def test_advertised_addresses(
    xlreg_registry: RegistryProcess, make_node: MakeNode, listener: socket.socket
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as everywhere:
        node = make_node("m")
        with pytest.raises(IncompleteError):
            xlreg.form(
                xlreg_registry.url,
                node=node,
                cluster="advertised",
                size=2,
                listeners=[listener, everywhere],
                advertise=[None, "localhost:7002", "[::1]:7003"],
                timeout=0.3,
            )
    assert node.endpoints == (f"127.0.0.1:{listener.getsockname()[1]}", "localhost:7002", "[::1]:7003")


def test_arguments_that_make_no_sense(
    xlreg_registry: RegistryProcess, make_node: MakeNode, listener: socket.socket
) -> None:
    node = make_node("m")
    for arguments in (
        {"cluster": "x"},
        {"cluster": "x", "size": 1025},
        {"cluster": "x", "size": 2, "endpoint_count": 17},
    ):
        with pytest.raises(ValueError, match=r"."):
            xlreg.form(xlreg_registry.url, node=node, listeners=[listener], **arguments)
    with pytest.raises(NoClusterNamedError):
        xlreg.form(xlreg_registry.url, node=node, join_only=True)
    with pytest.raises(NoSuchClusterNameError):
        xlreg.form(xlreg_registry.url, node=node, cluster="absent", join_only=True, timeout=5)
    with pytest.raises(Needs20Error):
        xlreg.form(xlreg_registry.cred, node=node, size=2, attrs=ClusterAttrs.UNIQUE, protocol="1.9")
