"""Which addresses to register for listening sockets, and which to refuse because nobody could reach them."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any
from typing import Protocol as Interface

from . import _local
from ._errors import AddressError, EndpointError
from ._flow import Flow, Resolve
from .vocabulary import Endpoint

_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


class Listener(Interface):
    """A listening socket: ``socket.socket``, ``ssl.SSLSocket``, or one of an asyncio server's ``sockets``."""

    def getsockname(self) -> Any:
        """Return the address that it is bound to."""

    def getsockopt(self, level: int, option: int, /) -> int:
        """Return an option of the socket."""


class UnresolvedError(AddressError):
    """A host name has no address yet, as that of a machine that has just started."""


def addresses(
    listeners: Sequence[Listener], advertise: Sequence[str | None], registry: Sequence[Endpoint]
) -> Flow[tuple[Endpoint, ...]]:
    """Return what to register.

    For each listener that is the address advertised in its place, or else its own;
    then what else is advertised. ``:7001`` stands for this machine's address on the way
    to the registry, and ``eth1:7001`` for that of an interface.

    Raises:
        UnresolvedError: One of them is a host name or an interface without an address, or no way
            leads to the registry.
        AddressError: One of them is not one that others can be sent to.
    """
    endpoints = []
    for i in range(max(len(listeners), len(advertise))):
        wanted = advertise[i] if i < len(advertise) else None
        if wanted:
            endpoints.append((yield from _check_advertised(wanted, registry)))
        elif i < len(listeners):
            endpoints.append(_listener_endpoint(i, listeners[i]))
        else:
            raise AddressError(_bad(f"advertised endpoint {i} is empty and there is no such listener"))
    return tuple(endpoints)


def _bad(why: str) -> str:
    return f"address cannot be registered: {why}"


def _listener_endpoint(i: int, listener: Listener) -> Endpoint:
    """Return the address that a listener is bound to."""
    bound = listener.getsockname()
    try:
        address, port = ipaddress.ip_address(bound[0].partition("%")[0]), int(bound[1])
    except (TypeError, ValueError, IndexError, AttributeError):
        raise AddressError(f"listener {i}: " + _bad(f"{bound!r} is no IP address and port")) from None
    if port == 0:
        raise AddressError(f"listener {i}: " + _bad(f"{bound[0]} has no port"))
    if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 0:
        raise AddressError(
            f"listener {i}: " + _bad(f"nobody listens at {bound[0]} port {port} yet: call listen")
        )
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_unspecified:
        remedy = "listen on one of them, or advertise one"
        raise AddressError(
            f"listener {i}: " + _bad(f"{address} stands for all addresses of this machine: {remedy}")
        )
    if "%" in bound[0] or (len(bound) > 3 and bound[3]):
        remedy = "listen on an address without a zone, or advertise one"
        raise AddressError(f"listener {i}: " + _bad(f"{bound[0]} is good on this machine only: {remedy}"))
    return _endpoint(address, port)


def _check_advertised(text: str, registry: Sequence[Endpoint]) -> Flow[Endpoint]:
    try:
        own = own_address(text)
        endpoint = Endpoint(text) if own is None else (yield from _fill_in(*own, registry))
    except EndpointError as err:
        raise AddressError(_bad(str(err))) from None
    for address in (yield from _found(endpoint)):
        if stands_for := nobody_at(ipaddress.ip_address(address)):
            raise AddressError(_bad(f"{endpoint} {stands_for}"))
    return endpoint


def own_address(text: str) -> tuple[str, str] | None:
    """Return the interface and the port of ``eth1:7001``; of ``:7001`` no interface; None of all else.

    Raises:
        EndpointError: The port is not valid.
    """
    host, colon, port = text.rpartition(":")
    if not colon or (host and not _local.is_interface(host)):
        return None
    Endpoint(f"localhost:{port}")  # which looks at the port
    return host, port


def _fill_in(interface: str, port: str, registry: Sequence[Endpoint]) -> Flow[Endpoint]:
    if not interface:
        return _endpoint((yield from _facing(registry)), port)
    try:
        return _endpoint(_local.of_interface(interface), port)
    except OSError as err:
        raise UnresolvedError(_bad(str(err))) from None


def _endpoint(address: _local.Address, port: int | str) -> Endpoint:
    return Endpoint(f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}")


def _facing(registry: Sequence[Endpoint]) -> Flow[_local.Address]:
    """Return this machine's address on the way to a registry.

    Raises:
        UnresolvedError: There is no way.
    """
    failures = []
    for endpoint in registry:
        try:
            for address in (yield from _found(endpoint)):
                return _local.towards(address, endpoint.port)
        except OSError as err:
            failures.append(f"{endpoint}: {err.strerror or err}")
        except UnresolvedError as err:
            failures.append(str(err))
    raise UnresolvedError(
        f"no way to the registry, so no address of this machine to take: {'; '.join(failures)}"
    )


def concerns(endpoints: Sequence[Endpoint], registry: Sequence[Endpoint]) -> Flow[list[str]]:
    """Return at which of its own endpoints others will not find a node, and why, in a phrase each.

    Loopback is fine as long as the registry is on it too: then everybody else may be.
    """
    found = []
    for endpoint in endpoints:
        address = endpoint.address
        mapped = getattr(address, "ipv4_mapped", None) or address
        loopback = endpoint.host == "localhost" or (mapped is not None and mapped.is_loopback)
        if loopback and (yield from _is_elsewhere(registry)):
            found.append(
                f"{endpoint} is this machine's own loopback, and the registry is elsewhere: members on other "
                f"machines cannot reach it; :{endpoint.port} stands for the address that faces the registry"
            )
        elif mapped is not None and mapped.is_link_local:
            found.append(f"{endpoint} is a link-local address: only machines on the same link can reach it")
    return found


def _is_elsewhere(registry: Sequence[Endpoint]) -> Flow[bool]:
    try:
        return not (yield from _facing(registry)).is_loopback
    except UnresolvedError:
        return False


def nobody_at(address: _local.Address) -> str:
    """Return what an address stands for that is no single machine's; nothing for all others."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    if address.is_unspecified:
        return "stands for all addresses of a machine"
    if address.is_multicast:
        return "is a multicast address, which stands for a group of machines"
    if address == _BROADCAST:
        return "is the broadcast address, which stands for all machines of a network"
    return ""


def _found(endpoint: Endpoint) -> Flow[list[str]]:
    """Return the addresses of an endpoint's host."""
    if endpoint.address is not None:
        return [endpoint.host]
    try:
        found = yield Resolve(endpoint.host)
    except OSError as err:
        raise UnresolvedError(_bad(f"{endpoint} does not resolve: {err.strerror or err}")) from None
    if not found:
        raise UnresolvedError(_bad(f"{endpoint} does not resolve"))
    return [address.partition("%")[0] for address in found]
