"""Messages of the protocol (section 4): how they are made and read.

Reading has two steps, since they fail differently. ``decode`` decides whether
some bytes are a message at all. The readers of a Message then check its content.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from google.protobuf.message import DecodeError

from .. import limits
from ..errors import (
    KINDS,
    OrdersChangedError,
    ProtocolError,
    RegistryError,
    XlregError,
)
from ..keys import parse_rsa_key
from ..regcred import RegCred
from ..roster import Member, Roster
from ..sums import LENGTH as SUM_LENGTH
from ..sums import roster_sum
from ..version import DecimalVersion, Protocol
from ..vocabulary import (
    Cluster,
    ClusterAttrs,
    ClusterID,
    ClusterKey,
    ClusterState,
    NodeAttrs,
    NodeID,
    Token,
    check_cluster_key,
    check_name,
    decode_set,
    indexes_of,
)
from . import xlreg_pb2 as pb
from .scan import GroupError, count_tokens
from .tokens import text_of, token_of

_T = TypeVar("_T")

# What a registry adds to a token that may have been as large as a client's can be.
_ADDED = 1024
_MAX_DETAIL = 1024


class Op(enum.IntEnum):
    """What a message is. Peers may send any value. Each request is followed by its reply."""

    REG_CRED_REQUEST = 1
    REG_CRED_REPLY = 2
    MEMBER = 3
    MEMBER_OK = 4
    CREATE = 5
    CREATE_REPLY = 6
    JOIN = 7
    JOIN_REPLY = 8
    GET_CLUSTER = 9
    CLUSTER_MEMBERS = 10
    BYE = 11
    ACK = 12
    ERROR = 13
    LEAVE = 14
    LEAVE_REPLY = 15
    ORDER = 16
    ORDER_REPLY = 17


_OP_NAMES = (
    "RegCredRequest",
    "RegCredReply",
    "Member",
    "MemberOK",
    "Create",
    "CreateReply",
    "Join",
    "JoinReply",
    "GetCluster",
    "ClusterMembers",
    "Bye",
    "Ack",
    "Error",
    "Leave",
    "LeaveReply",
    "Order",
    "OrderReply",
)


def op_name(op: int) -> str:
    """Return the protocol's name of an operation."""
    return _OP_NAMES[op - 1] if 1 <= op <= len(_OP_NAMES) else f"Op({op})"


class Message:
    """One message of the protocol, on its way in or out."""

    def __init__(self, raw: pb.XLRegMsg) -> None:
        """Wrap a decoded message."""
        self.raw = raw

    @property
    def op(self) -> int:
        """What the message is."""
        return self.raw.Op

    @property
    def name(self) -> str:
        """The name of its operation."""
        return op_name(self.op)

    def encode(self) -> bytes:
        """Return the bytes of the message."""
        return self.raw.SerializeToString(deterministic=True)

    def size(self) -> int:
        """Return how many bytes encode returns."""
        return self.raw.ByteSize()

    # Reading.

    def error(self) -> RegistryError | None:
        """Return the error that an Error stands for; None if it is another message.

        Original servers send a text alone, from which the kind is then taken.
        """
        if self.op != Op.ERROR:
            return None
        kind, detail = _kind_of(_printable(text_of(self.raw.ErrDesc)))
        kind = KINDS.get(self.raw.ErrCode, kind)
        err = kind(detail, self.raw.RetryMillis / 1000)
        if isinstance(err, OrdersChangedError):
            err.orders = self.raw.Orders
        return err

    def member_ok(self) -> tuple[NodeID, NodeAttrs]:
        """Read the ID and the attributes that the registry bound to the node."""
        return _well_formed(lambda: (NodeID(self.raw.MemberID), NodeAttrs(self.raw.MemberAttrs)), "MemberID")

    @property
    def observed(self) -> str:
        """The address from which the registry sees this client; empty if it does not say."""
        return text_of(self.raw.Observed)

    def cluster(self, protocol: Protocol) -> Cluster:
        """Read the cluster of a CreateReply, JoinReply, OrderReply or ClusterMembers.

        Original servers leave fields out; those are empty or zero.
        """
        raw = self.raw
        cluster_id = _well_formed(lambda: ClusterID(raw.ClusterID), "ClusterID")
        name = text_of(raw.ClusterName)
        if name:
            _well_formed(lambda: check_name(name), "ClusterName")
        most = limits.MAX_CLASSIC_CLUSTER if protocol.classic else limits.MAX_CLUSTER
        if raw.ClusterMaxSize > most or raw.EndPointCount > limits.MAX_ENDPOINTS:
            raise ProtocolError(f"cluster of {raw.ClusterMaxSize} members with {raw.EndPointCount} endpoints")
        key = ClusterKey(b"")
        if not protocol.classic:
            key = _well_formed(lambda: check_cluster_key(raw.ClusterKey), "ClusterKey")
        attrs = ClusterAttrs(raw.ClusterAttrs & 7)
        return Cluster(cluster_id, name, attrs, raw.ClusterMaxSize, raw.EndPointCount, key)

    def state(self, protocol: Protocol) -> ClusterState:
        """Read what changes of the cluster."""
        if protocol.classic:
            return ClusterState()
        return ClusterState(self.raw.Epoch, self.raw.Revision, self.raw.Orders)

    def part(self, protocol: Protocol) -> Part:
        """Read a ClusterMembers.

        Names and endpoints are within the limits; keys, signatures and
        certificates are as they came, and nobody is verified.
        """
        raw = self.raw
        if self.op != Op.CLUSTER_MEMBERS:
            raise ProtocolError(f"{self.name} instead of ClusterMembers")
        cluster, state = self.cluster(protocol), self.state(protocol)
        if protocol.classic:
            return Part(cluster, state, _members(raw, raw.Which, protocol), raw.Which, raw.Which)
        for name in ("SeatSet", "WhichSet", "Sum"):
            if not raw.HasField(name):
                raise ProtocolError(f"ClusterMembers without {name}")
        seats, which = decode_set(raw.SeatSet), decode_set(raw.WhichSet)
        if seats >> cluster.size or which & ~seats:
            raise ProtocolError("ClusterMembers with seats that the cluster has not")
        if len(raw.Sum) != SUM_LENGTH:
            raise ProtocolError(f"sum of {len(raw.Sum)} bytes")
        since = raw.SinceRevision if raw.HasField("SinceRevision") else None
        part = Part(cluster, state, _members(raw, which, protocol), seats, which, raw.Sum, since)
        if part.whole:
            part.check_sum()
        return part

    def registry(self) -> RegCred:
        """Read a RegCredReply."""
        if not self.raw.HasField("MemberSpecs"):
            raise ProtocolError("RegCredReply without MemberSpecs")
        token = _well_formed(lambda: token_of(self.raw.MemberSpecs, Protocol.V20, _ADDED), "RegCredReply")
        if token.id is None:
            raise ProtocolError("RegCredReply without the registry's ID")
        for key in (token.comms_key, token.sig_key):
            _well_formed(lambda key=key: parse_rsa_key(key), "RegCredReply")  # type: ignore[misc]
        if not token.endpoints:
            raise ProtocolError("RegCredReply without an endpoint")
        version = DecimalVersion.from_value(self.raw.Version)
        return RegCred(token.name, token.id, token.comms_key, token.sig_key, token.endpoints, version)


@dataclass(frozen=True)
class Part:
    """What one ClusterMembers says: some of the members, and over 2.0 whose seats are taken.

    Attributes:
        cluster: The cluster.
        state: What changes of it.
        members: Those members whose tokens are here.
        seats: The indexes of all members, as bits; over a classic carrier those of members.
        which: The indexes of members, as bits.
        sum: The sum of the whole roster.
        since: If only what changed after that revision is here, the revision.
    """

    cluster: Cluster
    state: ClusterState
    members: tuple[Member, ...]
    seats: int
    which: int
    sum: bytes = b""
    since: int | None = None

    @property
    def whole(self) -> bool:
        """Whether every member is here."""
        return self.which == self.seats

    def merge(self, later: Part) -> Part:
        """Return what this and a later answer of the same revision hold; nobody if it is of another."""
        if (later.state, later.seats, later.sum) != (self.state, self.seats, self.sum):
            return replace(later, members=(), which=0)
        if self.which & later.which or not later.which:
            raise ProtocolError("other members than those that were asked for")
        members = sorted((*self.members, *later.members), key=lambda member: member.index)
        merged = replace(self, members=tuple(members), which=self.which | later.which)
        if merged.whole:
            merged.check_sum()
        return merged

    def after(self, last: Roster) -> Roster | None:
        """Return the roster that this makes of the last; None if its sum is not that of the result."""
        members = {member.index: member for member in last.members if self.seats >> member.index & 1}
        members |= {member.index: member for member in self.members}
        ordered = [members[index] for index in sorted(members)]
        pairs = ((member.index, member.token) for member in ordered)
        if roster_sum(self.cluster, self.state, pairs) != self.sum:
            return None
        return Roster(self.cluster, tuple(ordered), self.state, self.sum)

    def check_sum(self) -> None:
        """Hold the sum against the members, all of whom are here.

        Raises:
            ProtocolError: It is another.
        """
        members = ((member.index, member.token) for member in self.members)
        if roster_sum(self.cluster, self.state, members) != self.sum:
            raise ProtocolError("the sum of the roster is not that of its members")


def _members(raw: pb.XLRegMsg, which: int, protocol: Protocol) -> tuple[Member, ...]:
    indexes = indexes_of(which)
    if len(indexes) != len(raw.Tokens):
        raise ProtocolError(f"ClusterMembers with {len(indexes)} bits set and {len(raw.Tokens)} tokens")
    tokens = (_roster_token(token, protocol) for token in raw.Tokens)
    return tuple(Member(n, token) for n, token in zip(indexes, tokens, strict=True))


def decode(data: bytes) -> Message:
    """Read one message.

    Raises:
        ProtocolError: It does not parse, or has no Op. Every other fault is for the readers to find.
    """
    # Decoded, an empty token takes a hundred times its three bytes.
    try:
        count = count_tokens(data)
    except GroupError:
        raise ProtocolError("message with a group") from None
    if count > limits.MAX_CLUSTER:
        raise ProtocolError(f"more than {limits.MAX_CLUSTER} tokens")
    raw = pb.XLRegMsg()
    try:
        raw.ParseFromString(data)
    except (DecodeError, ValueError):
        raise ProtocolError("not an XLRegMsg") from None
    if not raw.HasField("Op"):
        raise ProtocolError("message without Op")
    return Message(raw)


def _well_formed(read: Callable[[], _T], what: str) -> _T:
    try:
        return read()
    except XlregError as err:
        raise ProtocolError(f"{what}: {err}") from None


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:_MAX_DETAIL])


def _kind_of(text: str) -> tuple[type[RegistryError], str]:
    """Return the kind that a description begins with, and what follows its colon."""
    for kind in KINDS.values():
        rest = text.removeprefix(kind.kind_text)
        if text.startswith(kind.kind_text) and (not rest or rest.startswith(": ")):
            return kind, rest.removeprefix(": ")
    return ProtocolError, text


def _roster_token(raw: pb.Token, protocol: Protocol) -> Token:
    token = _well_formed(lambda: token_of(raw, protocol, _ADDED), "member's token")
    if token.id is None:
        raise ProtocolError("member's token without ID")
    return token
