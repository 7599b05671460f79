"""What to register for a listening socket, and what not: nobody could reach the node there."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any
from typing import Protocol as Interface

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


def addresses(listeners: Sequence[Listener], advertise: Sequence[str | None]) -> Flow[tuple[Endpoint, ...]]:
    """Return what to register.

    For each listener that is the address advertised in its place, or else its own;
    then what else is advertised.

    Raises:
        UnresolvedError: One of them is a host name without an address.
        AddressError: One of them is not one that others can be sent to.
    """
    endpoints = []
    for i in range(max(len(listeners), len(advertise))):
        wanted = advertise[i] if i < len(advertise) else None
        if wanted:
            endpoints.append((yield from _check_advertised(wanted)))
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
    host = f"[{address}]" if address.version == 6 else str(address)
    return Endpoint(f"{host}:{port}")


def _check_advertised(text: str) -> Flow[Endpoint]:
    try:
        endpoint = Endpoint(text)
    except EndpointError as err:
        raise AddressError(_bad(str(err))) from None
    found = [str(endpoint.address)] if endpoint.address else (yield from _resolve(endpoint))
    for address in map(ipaddress.ip_address, found):
        if stands_for := nobody_at(address):
            raise AddressError(_bad(f"{endpoint} {stands_for}"))
    return endpoint


def nobody_at(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
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


def _resolve(endpoint: Endpoint) -> Flow[list[str]]:
    try:
        found = yield Resolve(endpoint.host)
    except OSError as err:
        raise UnresolvedError(_bad(f"{endpoint} does not resolve: {err.strerror or err}")) from None
    if not found:
        raise UnresolvedError(_bad(f"{endpoint} does not resolve"))
    return [address.partition("%")[0] for address in found]
