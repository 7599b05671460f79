"""The nouns of the protocol: IDs, names, endpoints, clusters, tokens. Nothing here does I/O."""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NewType, TypeVar

from . import limits
from ._errors import (
    EndpointError,
    IDError,
    IllFormedNameError,
    IllFormedTokenError,
    ProtocolError,
    XlregError,
    quote,
)

_ID = TypeVar("_ID", bound="_Identifier")

CommsKey = NewType("CommsKey", bytes)
"""A public key to encrypt to: PKIX SubjectPublicKeyInfo in DER, as it came."""
SigKey = NewType("SigKey", bytes)
"""A public key for signatures, in the form of a CommsKey."""
ClusterKey = NewType("ClusterKey", bytes)
"""The public half of a cluster's own key, Ed25519 in 32 bytes; empty for an open cluster."""
NO_KEY: Final = ClusterKey(b"")
"""That of an open cluster."""


class _Identifier(bytes):
    """20 or 32 random bytes; as text, hex."""

    def __new__(cls: type[_ID], raw: bytes) -> _ID:
        if len(raw) not in (20, 32):
            raise IDError(f"ill-formed ID: {len(raw)} bytes, want 20 or 32")
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls: type[_ID], text: str) -> _ID:
        """Read an ID from 40 or 64 hex digits of either case.

        Raises:
            IDError: It is not an ID.
        """
        if not re.fullmatch(r"(?:[0-9a-fA-F]{40}|[0-9a-fA-F]{64})", text, re.ASCII):
            raise IDError(f"ill-formed ID: {quote(text)} is not 40 or 64 hex digits")
        return cls(bytes.fromhex(text))

    def __str__(self) -> str:
        """Return the ID in lower-case hex."""
        return self.hex()

    def __repr__(self) -> str:
        return f"{type(self).__name__}.parse('{self}')"


class NodeID(_Identifier):
    """Names a node for as long as its registry lives: 20 or 32 bytes.

    Raises:
        IDError: There are not 20 or 32 bytes.

    Example:
        >>> NodeID.parse("00" * 20)
        NodeID.parse('0000000000000000000000000000000000000000')
    """


class ClusterID(_Identifier):
    """Names a cluster; has the form of a NodeID.

    Raises:
        IDError: There are not 20 or 32 bytes.
    """


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)


def check_name(name: str) -> str:
    """Return name if it is one: a letter or '_', then letters, digits, '_', '-' and '.'; at most 128.

    Raises:
        IllFormedNameError: It is not valid; the text says why.

    Example:
        >>> check_name("web-1")
        'web-1'
    """
    if not name:
        raise IllFormedNameError("a name cannot be empty")
    if len(name) > limits.MAX_NAME:
        raise IllFormedNameError(f"{len(name)} characters, at most {limits.MAX_NAME} allowed")
    if not _NAME.fullmatch(name):
        raise IllFormedNameError(
            f"{quote(name)}: want a letter or '_', then letters, digits, '_', '-' and '.'"
        )
    return name


_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)


class Endpoint(str):
    """A TCP address as it travels: host:port; the host IPv4, [IPv6] without a zone, or a DNS name.

    Raises:
        EndpointError: The text is not an endpoint; the error says why.

    Example:
        >>> Endpoint("[::1]:7001").host
        '::1'
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Endpoint:
        """Return text as an endpoint, unchanged."""
        _check_endpoint(text)
        return super().__new__(cls, text)

    @property
    def host(self) -> str:
        """The host, without brackets."""
        return self.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port, 1 to 65535."""
        return int(self.rpartition(":")[2])

    @property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The host as an IP address; None if it is a DNS name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


def _check_endpoint(text: str) -> None:
    if len(text) > limits.MAX_ENDPOINT:
        raise EndpointError(f"endpoint of {len(text)} bytes: at most {limits.MAX_ENDPOINT} allowed")
    host, colon, port = text.rpartition(":")
    if not colon or not text.isascii():
        raise EndpointError(
            f"endpoint {quote(text)}: want host:port with an IPv4 address, [IPv6] or a DNS name"
        )
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise EndpointError(f"endpoint {quote(text)}: port: want 1 to 65535 without leading zeros")
    if not _is_host(host):
        raise EndpointError(
            f"endpoint {quote(text)}: want an IPv4 address, [IPv6] or a DNS name before the port"
        )


def _is_host(host: str) -> bool:
    if host.startswith("["):
        return host.endswith("]") and "%" not in host and _parses(ipaddress.IPv6Address, host[1:-1])
    if _parses(ipaddress.IPv4Address, host):
        return True
    if host.startswith("-"):
        return False  # another program would take it for an option
    labels = host.split(".")
    # All digits and dots is a broken IPv4 address, never a host.
    return all(_LABEL.fullmatch(label) for label in labels) and not all(label.isdigit() for label in labels)


def _parses(kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def endpoints_of(texts: Iterable[str]) -> tuple[Endpoint, ...]:
    """Return texts as endpoints, at most as many as a token may have.

    Raises:
        EndpointError: One of them is not valid, or there are too many.
    """
    endpoints = tuple(Endpoint(text) for text in texts)
    if len(endpoints) > limits.MAX_ENDPOINTS:
        raise EndpointError(f"{len(endpoints)} endpoints, at most {limits.MAX_ENDPOINTS} allowed")
    return endpoints


class NodeAttrs(enum.IntFlag):
    """The attribute bits of a node."""

    NONE = 0
    EPHEMERAL = 1
    ADMIN = 2
    SOLO = 4


class ClusterAttrs(enum.IntFlag):
    """The attribute bits of a cluster. The second has no effect."""

    NONE = 0
    EPHEMERAL = 1
    """It goes with its last member."""
    DELETED = 2
    UNIQUE = 4
    """The registry makes the name new by appending to it."""


def check_cluster_key(key: bytes) -> ClusterKey:
    """Return the key of a cluster, if it is one or none.

    Raises:
        IllFormedNameError: It has another length than 32 bytes.
    """
    if len(key) not in (0, 32):
        raise IllFormedNameError(f"cluster key of {len(key)} bytes, want 32")
    return ClusterKey(key)


@dataclass(frozen=True)
class Cluster:
    """What is fixed about a cluster when it is created.

    A size or count of 0 is one that an original server did not tell.

    Attributes:
        id: Its ID.
        name: Its name.
        attrs: Its attributes.
        size: How many members it is made for.
        endpoint_count: How many endpoints each of them must have.
        key: The public half of its own key; empty if it is open to all who know its name.
    """

    id: ClusterID
    name: str = ""
    attrs: ClusterAttrs = ClusterAttrs.NONE
    size: int = 0
    endpoint_count: int = 0
    key: ClusterKey = field(default=NO_KEY, repr=False)

    def __str__(self) -> str:
        """Return how errors name it."""
        return f"cluster {quote(self.name)}" if self.name else f"cluster {self.id}"


@dataclass(frozen=True)
class ClusterState:
    """What of a cluster changes in the course of time; all zero over a classic carrier.

    Attributes:
        epoch: Which of its starts it is in, from 1.
        revision: Grows with each change of its members, its epoch or its orders.
        orders: How many orders its owner has given.
    """

    epoch: int = 0
    revision: int = 0
    orders: int = 0


NO_STATE: Final = ClusterState()
"""That of a cluster over a classic carrier."""


@dataclass(frozen=True)
class ClusterRef:
    """Names a cluster by ID or by name. The ID counts if both are given; none names none.

    With a key it is the one that has that key, and what others say of it is held against that.
    """

    id: ClusterID | None = None
    name: str = ""
    key: ClusterKey = field(default=NO_KEY, repr=False)

    def __post_init__(self) -> None:
        """Check the key."""
        check_cluster_key(self.key)

    @classmethod
    def of(cls, what: ClusterRef | Cluster | ClusterID | str | None) -> ClusterRef:
        """Return a reference to what: a cluster, its ID, its name, or None for none."""
        if what is None:
            return cls()
        if isinstance(what, ClusterRef):
            return what
        if isinstance(what, Cluster):
            return cls(what.id, what.name, what.key)
        if isinstance(what, ClusterID):
            return cls(what)
        return cls(name=what)

    def __bool__(self) -> bool:
        return self.id is not None or self.name != ""

    def __str__(self) -> str:
        """Return how errors name it."""
        if self.name:
            return f"cluster {quote(self.name)}"
        return f"cluster {self.id}" if self.id else "cluster"


@dataclass(frozen=True)
class Token:
    """What a node says of itself, with the proof, and the ID that the registry gave it.

    Attributes:
        name: The name.
        comms_key: Others encrypt to it.
        sig_key: It is what the node is known by.
        endpoints: The first is for the other members, the second for their clients.
        attrs: The attributes.
        id: The ID; None in a token that has not been registered.
        digsig: The classic signature; from client to registry only.
        digsig2: The 2.0 signature; None in a node that registered over a classic carrier.
        certificate: What its certificate is built from; absent as digsig2 is.
        joined: When the node last joined the cluster, by the registry's clock; None outside a roster.
        comms_sig: The signature by the comms key; absent as digsig2 is.
        labels: What it tells the others besides, as it travels; see Member.labels.
        admission: By what leave it is in a cluster that has a key, as it travels.
        lease: For how many seconds it is a member without being heard of; 0 is for good.
        seen: When the registry last heard of it; that may lag.
        run: Which start of the program it is.
    """

    name: str
    comms_key: CommsKey = field(repr=False)
    sig_key: SigKey = field(repr=False)
    endpoints: tuple[Endpoint, ...] = ()
    attrs: NodeAttrs = NodeAttrs.NONE
    id: NodeID | None = None
    digsig: bytes | None = field(default=None, repr=False)
    digsig2: bytes | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    joined: datetime | None = None
    comms_sig: bytes | None = field(default=None, repr=False)
    labels: bytes = field(default=b"", repr=False)
    admission: bytes = field(default=b"", repr=False)
    lease: float = 0.0
    seen: datetime | None = None
    run: bytes = field(default=b"", repr=False)

    @property
    def proofs(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """The three proofs of 2.0; a token has all of them or none."""
        return self.digsig2, self.certificate, self.comms_sig


def check_token_form(name: str, endpoints: Iterable[str]) -> tuple[Endpoint, ...]:
    """Hold a token's name and endpoints against their limits, and return the endpoints.

    Raises:
        IllFormedTokenError: One of them breaks a limit; the text says which.
    """
    try:
        check_name(name)
        return endpoints_of(endpoints)
    except XlregError as err:
        raise IllFormedTokenError(str(err)) from None


def encode_set(indexes: int) -> bytes:
    """Return a set of indexes, given as a number with their bits, as it travels (section 4.2)."""
    return indexes.to_bytes((indexes.bit_length() + 7) // 8, "little")


def decode_set(data: bytes) -> int:
    """Return the number whose bits are the indexes in a set.

    Raises:
        ProtocolError: The set has more bytes than there may be.
    """
    if len(data) > limits.MAX_SET:
        raise ProtocolError(f"set of {len(data)} bytes, at most {limits.MAX_SET} allowed")
    return int.from_bytes(data, "little")


def indexes_of(bits: int) -> list[int]:
    """Return the indexes in a set, the lowest first."""
    return [n for n in range(bits.bit_length()) if bits >> n & 1]
