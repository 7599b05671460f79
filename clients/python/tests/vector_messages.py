"""The vectors about messages: what they hold, what is refused, and what a registry keeps of a token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message as RawMessage
from vectors import Vector, key, unhex

from xlreg._verify import Verifier
from xlreg._wire import messages as m
from xlreg._wire import requests as q
from xlreg._wire import xlreg_pb2 as pb
from xlreg._wire.inner import decode_order
from xlreg._wire.tokens import token_of
from xlreg.certificate import check_shown
from xlreg.errors import BadTagError, IllFormedTokenError, XlregError
from xlreg.keys import parse_public_key, public_der
from xlreg.roster import Member, Roster
from xlreg.signatures import sign_classic, verify_classic, verify_token
from xlreg.version import Protocol
from xlreg.vocabulary import (
    ClusterID,
    ClusterKey,
    ClusterRef,
    NodeAttrs,
    NodeID,
    Token,
    check_cluster_key,
    decode_set,
)


def run_message(vector: Vector) -> None:
    """A message parses to its fields, and they encode to it again."""
    (plain,) = unhex(vector["input"], "plain")
    message = m.decode(plain)
    again = rebuild(message)
    assert describe(message.raw) == vector["want"]["fields"]
    assert again.op == message.op
    if vector["want"].get("canonical"):
        assert message.encode() == plain
        assert again.encode() == plain


def describe(raw: RawMessage) -> dict[str, Any]:
    """Return the known fields of a message as the vectors write them."""
    return {field.name: describe_field(field, value) for field, value in raw.ListFields()}


def describe_field(field: FieldDescriptor, value: Any) -> Any:
    if field.type == FieldDescriptor.TYPE_UINT64:
        return str(value)
    if isinstance(value, (str, int)):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, RawMessage):
        return describe(value)
    return [describe_field(field, one) for one in value]


def protocol_of(message: m.Message) -> Protocol:
    """Return by whose rules a message is read: the classic ones have a Which, or a reply without Epoch."""
    raw = message.raw
    replies = (m.Op.CREATE_REPLY, m.Op.JOIN_REPLY)
    classic = raw.HasField("Which") or (message.op in replies and not raw.HasField("Epoch"))
    return Protocol.V19 if classic else Protocol.V20


def rebuild(message: m.Message) -> m.Message:
    """Read a message as its receiver does, and make it anew from that.

    What only a registry sends this package cannot make; that is read and returned.
    """
    raw = message.raw
    if not 1 <= message.op <= 17:
        raise BadTagError
    if message.op == m.Op.MEMBER:
        return rebuild_member(message)
    if message.op in READERS:
        READERS[m.Op(message.op)](message)
        return message
    if message.op == m.Op.CREATE:
        return q.new_create(
            raw.ClusterName,
            raw.ClusterMaxSize,
            raw.EndPointCount,
            raw.ClusterAttrs,
            raw.ClusterKey if not raw.HasField("ClusterKey") else check_cluster_key(raw.ClusterKey),
            raw.OwnerSig,
        )
    if message.op == m.Op.ORDER:
        decode_order(raw.OwnerOrder)
        return q.new_order(raw.OwnerOrder, raw.OwnerSig)
    if message.op in ABOUT:
        cluster = ClusterID(raw.ClusterID) if raw.ClusterID else None
        return ABOUT[m.Op(message.op)](raw, ClusterRef(cluster, raw.ClusterName, ClusterKey(raw.ClusterKey)))
    return BARE[m.Op(message.op)]()


def rebuild_get(raw: pb.XLRegMsg, ref: ClusterRef) -> m.Message:
    def given(name: str) -> int | None:
        return getattr(raw, name) if raw.HasField(name) else None

    which = given("Which")
    protocol = Protocol.V20 if which is None else Protocol.V19
    if raw.HasField("WhichSet"):
        which = decode_set(raw.WhichSet)
    waiting = q.Waiting(*map(given, ("WaitSize", "WaitMillis", "SinceRevision", "WaitEpoch")))
    return q.new_get(protocol, ref, which, waiting, raw.Sign)


def rebuild_join(raw: pb.XLRegMsg, ref: ClusterRef) -> m.Message:
    return q.new_join(ref, q.Seat(raw.Admission, raw.Run, raw.Fresh, raw.LeaseMillis))


ABOUT: dict[m.Op, Callable[[pb.XLRegMsg, ClusterRef], m.Message]] = {
    m.Op.GET_CLUSTER: rebuild_get,
    m.Op.JOIN: rebuild_join,
    m.Op.LEAVE: lambda raw, ref: q.new_leave(ref),
}
BARE = {m.Op.BYE: q.new_bye, m.Op.REG_CRED_REQUEST: q.new_reg_cred_request}


def read_cluster(message: m.Message) -> object:
    protocol = protocol_of(message)
    return message.cluster(protocol), message.state(protocol)


# How this package reads what a registry sends.
READERS: dict[m.Op, Callable[[m.Message], object]] = {
    m.Op.REG_CRED_REPLY: m.Message.registry,
    m.Op.MEMBER_OK: m.Message.member_ok,
    m.Op.CREATE_REPLY: read_cluster,
    m.Op.JOIN_REPLY: read_cluster,
    m.Op.ORDER_REPLY: read_cluster,
    m.Op.CLUSTER_MEMBERS: lambda message: message.part(protocol_of(message)),
    m.Op.LEAVE_REPLY: read_cluster,
    m.Op.ERROR: m.Message.error,
    m.Op.ACK: m.Message.error,
}


def rebuild_member(message: m.Message) -> m.Message:
    raw = message.raw
    if not raw.HasField("MemberSpecs"):
        if not raw.HasField("MemberID"):
            raise IllFormedTokenError("neither MemberSpecs nor MemberID")
        return q.new_login(NodeID(raw.MemberID), raw.DigSig if raw.HasField("DigSig") else None)
    protocol = Protocol.V20 if raw.MemberSpecs.DigSig2 else Protocol.V19
    return q.new_member(read_token(raw.MemberSpecs, protocol))


def read_token(raw: pb.Token, protocol: Protocol) -> Token:
    """Read a token as a registry does, keys and all."""
    token = token_of(raw, protocol)
    try:
        for public in (token.comms_key, token.sig_key):
            parse_public_key(public, protocol.key_bounds)
    except XlregError as err:
        raise IllFormedTokenError(str(err)) from None
    return token


def run_token(vector: Vector) -> None:
    """A registry keeps of a token what the vector says, or refuses it."""
    source, want = vector["input"], vector["want"]
    wire, shown = unhex(source, "message", "certificate")
    protocol = Protocol.of(source["protocol"])
    message = m.decode(wire)
    token = read_token(message.raw.MemberSpecs, protocol)
    kept = admit(token, protocol, shown)
    assert (kept.name, str(int(kept.attrs))) == (want["name"], want["attrs"])
    assert list(kept.endpoints) == want["endpoints"]
    assert [kept.comms_key, kept.sig_key] == unhex(want, "comms_key", "sig_key")
    assert kept.labels.hex() == want.get("labels", "")
    if "id" in want:
        assert (kept.id or b"").hex() == want["id"]
    if protocol.classic:
        assert sign_classic(key(want["signer"]), token) == token.digsig
    else:
        assert public_der(key(want["signer"]).public_key()) == token.sig_key
    more = vector["vector"].endswith(("filled-in", "labels-empty"))  # than this package sends
    assert (q.new_member(token).encode() == wire) != more


def admit(token: Token, protocol: Protocol, shown: bytes) -> Token:
    """Hold a token against the rules for registering, and return what is kept."""
    known = NodeAttrs(int(token.attrs) & 7)
    if protocol.classic:
        verify_classic(token)
        return replace(token, attrs=known, digsig=None)
    if known != token.attrs:
        raise IllFormedTokenError("unknown attributes")
    try:
        check_shown(token, shown)
    except XlregError as err:
        raise IllFormedTokenError(str(err)) from None
    verify_token(token)
    return token


def run_roster(vector: Vector) -> None:
    """A roster has these members; or its reader says that one of them is wrong."""
    source, want = vector["input"], vector["want"]
    wire, pinned = unhex(source, "message", "cluster_key")
    protocol = Protocol.of(source["protocol"])
    try:
        part = m.decode(wire).part(protocol)
    except XlregError:
        assert vector["layer"] == "message"
        raise
    roster = Roster(part.cluster, part.members, part.state, part.sum)
    verified = Verifier(protocol).verify(roster, ClusterKey(pinned))
    assert verified.pinned == bool(pinned)
    assert [describe_member(member) for member in verified.members] == want["members"]


def describe_member(member: Member) -> dict[str, Any]:
    token = member.token
    shown = {
        "index": member.index,
        "name": member.name,
        "id": member.id.hex(),
        "attrs": str(int(token.attrs)),
        "endpoints": list(member.endpoints),
        "joined_millis": str(millis(token.joined)),
        "verified": member.verified,
    }
    if token.lease:
        shown["lease_millis"] = round(token.lease * 1000)
    if token.seen:
        shown["seen_millis"] = str(millis(token.seen))
    more = {"run": token.run.hex(), "labels": token.labels.hex()}
    return shown | {name: value for name, value in more.items() if value}


def millis(time: datetime | None) -> int:
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    return round((time - epoch).total_seconds() * 1000) if time else 0


def verify_recorded(message: m.Message) -> None:
    """Verify the signature in a Member that an original client sent."""
    verify_classic(read_token(message.raw.MemberSpecs, Protocol.V18))
