"""Messages of the protocol (section 4): how they are made and read.

Reading has two steps, since they fail differently. ``decode`` decides whether
some bytes are a message at all. The readers of a Message then check its content.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TypeVar

from google.protobuf.message import DecodeError

from .. import limits
from ..errors import (
    KINDS,
    FormatError,
    IllFormedTokenError,
    ProtocolError,
    RegistryError,
    XlregError,
)
from ..keys import parse_public_key
from ..regcred import RegCred
from ..roster import Member
from ..version import DecimalVersion
from ..vocabulary import (
    Cluster,
    ClusterAttrs,
    ClusterID,
    ClusterRef,
    CommsKey,
    NodeAttrs,
    NodeID,
    SigKey,
    Token,
    check_name,
    check_token_form,
)
from . import xlreg_pb2 as pb
from .scan import scan_all

_T = TypeVar("_T")

ALL_SEATS = (1 << 64) - 1
# A registry adds ID, JoinedMillis and a missing Attrs to a token that may have
# been as large as a client's can be.
_MAX_REPLY_TOKEN = limits.MAX_TOKEN + 64
_MAX_DETAIL = 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


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
        kind, detail = _kind_of(_printable(_text(self.raw.ErrDesc)))
        kind = KINDS.get(self.raw.ErrCode, kind)
        return kind(detail, self.raw.RetryMillis / 1000)

    def member_ok(self) -> tuple[NodeID, NodeAttrs]:
        """Read the ID and the attributes that the registry bound to the node."""
        return _well_formed(lambda: (NodeID(self.raw.MemberID), NodeAttrs(self.raw.MemberAttrs)), "MemberID")

    def cluster(self) -> Cluster:
        """Read the cluster of a CreateReply, JoinReply or ClusterMembers.

        Original servers leave fields out; those are empty or zero.
        """
        raw = self.raw
        cluster_id = _well_formed(lambda: ClusterID(raw.ClusterID), "ClusterID")
        name = _text(raw.ClusterName)
        if name:
            _well_formed(lambda: check_name(name), "ClusterName")
        if raw.ClusterMaxSize > limits.MAX_CLUSTER or raw.EndPointCount > limits.MAX_ENDPOINTS:
            raise ProtocolError(f"cluster of {raw.ClusterMaxSize} members with {raw.EndPointCount} endpoints")
        attrs = ClusterAttrs(raw.ClusterAttrs & 7)
        return Cluster(cluster_id, name, attrs, raw.ClusterMaxSize, raw.EndPointCount)

    def members(self) -> list[Member]:
        """Read the tokens of a ClusterMembers, each with its index.

        Names and endpoints are within the limits; keys, signatures and
        certificates are as they came, and nobody is verified.
        """
        if self.op != Op.CLUSTER_MEMBERS:
            raise ProtocolError(f"{self.name} instead of ClusterMembers")
        which = self.raw.Which
        indexes = [n for n in range(64) if which >> n & 1]
        if len(indexes) != len(self.raw.Tokens):
            raise ProtocolError(
                f"ClusterMembers with {len(indexes)} bits set and {len(self.raw.Tokens)} tokens"
            )
        return [Member(n, _roster_token(raw)) for n, raw in zip(indexes, self.raw.Tokens, strict=True)]

    def registry(self) -> RegCred:
        """Read a RegCredReply."""
        if not self.raw.HasField("MemberSpecs"):
            raise ProtocolError("RegCredReply without MemberSpecs")
        token = _well_formed(lambda: token_of(self.raw.MemberSpecs, _MAX_REPLY_TOKEN), "RegCredReply")
        if token.id is None:
            raise ProtocolError("RegCredReply without the registry's ID")
        for key in (token.comms_key, token.sig_key):
            _well_formed(lambda key=key: parse_public_key(key), "RegCredReply")  # type: ignore[misc]
        if not token.endpoints:
            raise ProtocolError("RegCredReply without an endpoint")
        version = DecimalVersion.from_value(self.raw.Version)
        return RegCred(token.name, token.id, token.comms_key, token.sig_key, token.endpoints, version)


def decode(data: bytes) -> Message:
    """Read one message.

    Raises:
        ProtocolError: It does not parse, or has no Op. Every other fault is for the readers to find.
    """
    # Decoded, an empty token takes a hundred times its three bytes.
    scan = scan_all(data)
    if scan.tokens > limits.MAX_CLUSTER:
        raise ProtocolError(f"more than {limits.MAX_CLUSTER} tokens")
    if scan.broken:
        raise ProtocolError("not an XLRegMsg")
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


def _text(value: str | bytes) -> str:
    """Return a string field. One that is not UTF-8 comes as bytes, or not at all."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:_MAX_DETAIL])


def _kind_of(text: str) -> tuple[type[RegistryError], str]:
    """Return the kind that a description begins with, and what follows its colon."""
    for kind in KINDS.values():
        rest = text.removeprefix(kind.kind_text)
        if text.startswith(kind.kind_text) and (not rest or rest.startswith(": ")):
            return kind, rest.removeprefix(": ")
    return ProtocolError, text


def token_of(raw: pb.Token, max_size: int = limits.MAX_TOKEN) -> Token:
    """Convert a token as it came, and hold it against every limit but those on keys.

    Raises:
        IllFormedTokenError: It breaks one.
    """
    certificate = raw.Certificate
    if len(certificate) > limits.MAX_CERTIFICATE:
        raise IllFormedTokenError(
            f"certificate of {len(certificate)} bytes, at most {limits.MAX_CERTIFICATE} allowed"
        )
    alone = pb.Token(Certificate=certificate) if raw.HasField("Certificate") else pb.Token()
    size = raw.ByteSize() - alone.ByteSize()
    if size > max_size:
        raise IllFormedTokenError(f"{size} bytes, at most {max_size} allowed")
    name = _text(raw.Name)
    endpoints = check_token_form(name, map(_text, raw.MyEnds))
    try:
        node_id = NodeID(raw.ID) if raw.ID else None
    except FormatError as err:
        raise IllFormedTokenError(str(err)) from None
    return Token(
        name=name,
        comms_key=CommsKey(raw.CommsKey),
        sig_key=SigKey(raw.SigKey),
        endpoints=endpoints,
        attrs=NodeAttrs(raw.Attrs),
        id=node_id,
        digsig=raw.DigSig or None,
        digsig2=raw.DigSig2 or None,
        certificate=certificate or None,
        joined=_time_of(raw.JoinedMillis),
    )


def _time_of(millis: int) -> datetime | None:
    try:
        return _EPOCH + timedelta(milliseconds=millis) if millis else None
    except OverflowError:
        return None


def _roster_token(raw: pb.Token) -> Token:
    token = _well_formed(lambda: token_of(raw, _MAX_REPLY_TOKEN), "member's token")
    if token.id is None:
        raise ProtocolError("member's token without ID")
    return token


# Making.


def token_message(token: Token) -> pb.Token:
    """Return a token as a client sends it, without what only a registry says."""
    raw = pb.Token(Name=token.name, Attrs=token.attrs, CommsKey=token.comms_key, SigKey=token.sig_key)
    raw.MyEnds.extend(token.endpoints)
    if token.id is not None:
        raw.ID = token.id
    if token.digsig is not None:
        raw.DigSig = token.digsig
    if token.digsig2 is not None:
        raw.DigSig2 = token.digsig2
    return raw


def new_member(token: Token) -> Message:
    """Return a Member that registers token, with its signatures as they are."""
    return Message(pb.XLRegMsg(Op=Op.MEMBER, MemberSpecs=token_message(token)))


def new_login(node_id: NodeID, digsig: bytes | None) -> Message:
    """Return a Member that logs in as node_id. Over 2.0 there is no digsig."""
    return Message(pb.XLRegMsg(Op=Op.MEMBER, MemberID=node_id, DigSig=digsig))


def new_create(name: str, size: int, endpoint_count: int, attrs: int) -> Message:
    """Return a Create."""
    return Message(
        pb.XLRegMsg(
            Op=Op.CREATE,
            ClusterName=name,
            ClusterMaxSize=size,
            ClusterAttrs=attrs,
            EndPointCount=endpoint_count,
        )
    )


def _new_about(op: Op, ref: ClusterRef) -> Message:
    return Message(pb.XLRegMsg(Op=op, ClusterID=ref.id, ClusterName=ref.name or None))


def new_join(ref: ClusterRef) -> Message:
    """Return a Join."""
    return _new_about(Op.JOIN, ref)


def new_leave(ref: ClusterRef) -> Message:
    """Return a Leave."""
    return _new_about(Op.LEAVE, ref)


def new_get(
    ref: ClusterRef,
    which: int = ALL_SEATS,
    wait_size: int | None = None,
    wait_millis: int | None = None,
) -> Message:
    """Return a GetCluster; with one of the last two, one that waits."""
    message = _new_about(Op.GET_CLUSTER, ref)
    if which != ALL_SEATS:
        message.raw.Which = which
    if wait_size is not None:
        message.raw.WaitSize = wait_size
    if wait_millis is not None:
        message.raw.WaitMillis = wait_millis
    return message


def new_bye() -> Message:
    """Return a Bye."""
    return Message(pb.XLRegMsg(Op=Op.BYE))


def new_reg_cred_request() -> Message:
    """Return a RegCredRequest."""
    return Message(pb.XLRegMsg(Op=Op.REG_CRED_REQUEST))
