"""The vectors about messages: what they hold, what is refused, and what a registry keeps of a token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message as RawMessage
from vectors import Vector, key, unhex

from xlreg._verify import verify_member
from xlreg._wire import messages as m
from xlreg._wire import xlreg_pb2 as pb
from xlreg.certificate import check_certificate, check_self_signed
from xlreg.errors import BadSignatureError, BadTagError, IllFormedTokenError, XlregError
from xlreg.keys import parse_public_key
from xlreg.roster import Member
from xlreg.signatures import sign_classic, verify_classic, verify_token
from xlreg.version import Protocol
from xlreg.vocabulary import ClusterID, ClusterRef, NodeAttrs, NodeID, Token


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


def rebuild(message: m.Message) -> m.Message:
    """Read a message as its receiver does, and make it anew from that.

    What only a registry sends this package cannot make; that is read and returned.
    """
    raw = message.raw
    if not 1 <= message.op <= 15:
        raise BadTagError
    if message.op == m.Op.MEMBER:
        return rebuild_member(message)
    if message.op in READERS:
        READERS[m.Op(message.op)](message)
        return message
    ref = ClusterRef(ClusterID(raw.ClusterID) if raw.ClusterID else None, raw.ClusterName)
    if message.op == m.Op.CREATE:
        return m.new_create(raw.ClusterName, raw.ClusterMaxSize, raw.EndPointCount, raw.ClusterAttrs)
    if message.op == m.Op.GET_CLUSTER:
        return m.new_get(
            ref,
            raw.Which if raw.HasField("Which") else None,
            m.Waiting(
                raw.WaitSize if raw.HasField("WaitSize") else None,
                raw.WaitMillis if raw.HasField("WaitMillis") else None,
            ),
        )
    if message.op in ABOUT:
        return ABOUT[m.Op(message.op)](ref)
    return BARE[m.Op(message.op)]()


ABOUT = {m.Op.JOIN: m.new_join, m.Op.LEAVE: m.new_leave}
BARE = {m.Op.BYE: m.new_bye, m.Op.REG_CRED_REQUEST: m.new_reg_cred_request}

# How this package reads what a registry sends.
READERS: dict[m.Op, Callable[[m.Message], object]] = {
    m.Op.REG_CRED_REPLY: m.Message.registry,
    m.Op.MEMBER_OK: m.Message.member_ok,
    m.Op.CREATE_REPLY: m.Message.cluster,
    m.Op.JOIN_REPLY: m.Message.cluster,
    m.Op.CLUSTER_MEMBERS: m.Message.members,
    m.Op.LEAVE_REPLY: m.Message.cluster,
    m.Op.ERROR: m.Message.error,
    m.Op.ACK: m.Message.error,
}


def rebuild_member(message: m.Message) -> m.Message:
    raw = message.raw
    if not raw.HasField("MemberSpecs"):
        if not raw.HasField("MemberID"):
            raise IllFormedTokenError("neither MemberSpecs nor MemberID")
        return m.new_login(NodeID(raw.MemberID), raw.DigSig if raw.HasField("DigSig") else None)
    protocol = Protocol.V20 if raw.MemberSpecs.DigSig2 else Protocol.V19
    return m.new_member(read_token(raw.MemberSpecs, protocol))


def read_token(raw: pb.Token, protocol: Protocol) -> Token:
    """Read a token as a registry does, keys and all."""
    token = m.token_of(raw)
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
    if "id" in want:
        assert (kept.id or b"").hex() == want["id"]
    if "handed_out" in want:
        assert (kept.certificate is not None) == want["handed_out"]
    if protocol.classic:
        assert sign_classic(key(want["signer"]), token) == token.digsig
    assert m.new_member(token).encode() == wire


def admit(token: Token, protocol: Protocol, shown: bytes) -> Token:
    """Hold a token against the rules for registering, and return what is kept."""
    known = NodeAttrs(int(token.attrs) & 7)
    if protocol.classic:
        verify_classic(token)
        return replace(token, attrs=known, digsig=None)
    if known != token.attrs:
        raise IllFormedTokenError("unknown attributes")
    if check_self_signed(shown) != token.sig_key:
        raise BadSignatureError("the key is not that of the certificate shown")
    verify_token(token, shown)
    try:
        check_certificate(shown, token)
    except XlregError:
        return token
    return replace(token, certificate=shown)


def run_roster(vector: Vector) -> None:
    """A roster has these members; or its reader says that one of them is wrong."""
    source, want = vector["input"], vector["want"]
    (wire,) = unhex(source, "message")
    protocol = Protocol.of(source["protocol"])
    members = [verify_member(member, protocol) for member in m.decode(wire).members()]
    assert [describe_member(member) for member in members] == want["members"]


def describe_member(member: Member) -> dict[str, Any]:
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    joined = member.token.joined
    return {
        "index": member.index,
        "name": member.name,
        "id": member.id.hex(),
        "attrs": str(int(member.token.attrs)),
        "endpoints": list(member.endpoints),
        "joined_millis": str(round((joined - epoch).total_seconds() * 1000) if joined else 0),
        "verified": member.verified,
    }


def verify_recorded(message: m.Message) -> None:
    """Verify the signature in a Member that an original client sent."""
    verify_classic(read_token(message.raw.MemberSpecs, Protocol.V18))
