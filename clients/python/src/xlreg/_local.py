"""Addresses of this machine: those of an interface, and the one from which somebody is reached."""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import os
import socket
import sys
from collections.abc import Iterator
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# Where an address stands in the system's structure for it, and how long it is.
_PLACES = {socket.AF_INET: (4, 4), socket.AF_INET6: (8, 16)}
_FAMILY_ALONE = sys.platform == "linux"  # elsewhere a byte of length comes before the family, which has one


class _Entry(ctypes.Structure):
    """The head of what getifaddrs returns for each address, which is the same on all systems."""


_Entry._fields_ = [
    ("next", ctypes.POINTER(_Entry)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
]


def is_interface(name: str) -> bool:
    """Report whether this machine has an interface of that name."""
    with contextlib.suppress(OSError, UnicodeError, ValueError):
        return bool(name) and socket.if_nametoindex(name) > 0
    return False


def of_interface(name: str) -> Address:
    """Return the address of an interface that others can use best.

    IPv4 comes before IPv6, and a link-local one is taken only if there is no other.

    Raises:
        OSError: It has none.
    """
    found = sorted(_addresses(name), key=lambda address: (address.is_link_local, address.version))
    if not found:
        raise OSError(f"interface {name} has no address")
    return found[0]


def _addresses(name: str) -> Iterator[Address]:
    system = ctypes.CDLL(None, use_errno=True)
    first = ctypes.POINTER(_Entry)()
    if system.getifaddrs(ctypes.byref(first)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        entry = first
        while entry:
            one = entry.contents
            if one.name == os.fsencode(name) and one.address:
                yield from _address_at(one.address)
            entry = one.next
    finally:
        system.freeifaddrs(first)


def _address_at(place: int) -> Iterator[Address]:
    head = ctypes.string_at(place, 2)
    family = int.from_bytes(head, sys.byteorder) if _FAMILY_ALONE else head[1]
    if family in _PLACES:
        offset, length = _PLACES[socket.AddressFamily(family)]
        yield ipaddress.ip_address(ctypes.string_at(place + offset, length))


def towards(address: str, port: int) -> Address:
    """Return this machine's address on the way to another.

    Nothing is sent: a UDP socket has its address as soon as the system knows the route.

    Raises:
        OSError: There is no way.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address, port))
        own = ipaddress.ip_address(probe.getsockname()[0].partition("%")[0])
    return getattr(own, "ipv4_mapped", None) or own
