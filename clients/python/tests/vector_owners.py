"""The vectors about clusters with an owner, sets, sums and signed rosters."""

from __future__ import annotations

from typing import Any

from vector_messages import millis
from vectors import Vector, unhex

from xlreg._wire import xlreg_pb2 as pb
from xlreg._wire.inner import (
    decode_admission,
    decode_labels,
    decode_order,
    encode_admission,
    encode_labels,
)
from xlreg._wire.tokens import token_of
from xlreg.errors import BadSignatureError, IllFormedTokenError, XlregError
from xlreg.keys import parse_rsa_key
from xlreg.owning import (
    Admission,
    Invite,
    OrderKind,
    Seed,
    admit_text,
    create_text,
    order_text,
    signed_by,
    verify_create,
)
from xlreg.regcred import RegCred, Target
from xlreg.signed import split, verify_parts
from xlreg.sums import roster_sum, short_sum
from xlreg.ticket import Ticket
from xlreg.version import DecimalVersion, Protocol
from xlreg.vocabulary import (
    Cluster,
    ClusterAttrs,
    ClusterID,
    ClusterKey,
    ClusterState,
    CommsKey,
    NodeID,
    SigKey,
    decode_set,
    encode_set,
    endpoints_of,
    indexes_of,
)


def run_label(vector: Vector) -> None:
    """Labels are these, and encode to the bytes again; or are refused."""
    (data,) = unhex(vector["input"], "bytes")
    labels, want = decode_labels(data), vector["want"]
    assert [{"key": k, "value": v.hex()} for k, v in labels.items()] == (want.get("labels") or [])
    assert (encode_labels(labels) == data) == want.get("canonical", False)


def run_set(vector: Vector) -> None:
    """A set holds these indexes, and encodes to the bytes again; or is refused."""
    want = vector["want"]
    if "bytes" not in vector["input"]:
        assert want["all"]
        return
    (data,) = unhex(vector["input"], "bytes")
    found = decode_set(data)
    assert indexes_of(found) == want["indexes"]
    assert (encode_set(found) == data) == want.get("canonical", False)


def run_admission(vector: Vector) -> None:
    """An Admission has these parts and verifies; or is refused."""
    source, want = vector["input"], vector["want"]
    data, cluster_key, sig_key = unhex(source, "bytes", "cluster_key", "sig_key")
    admission = decode_admission(data)
    admission.verify(source["cluster_name"], cluster_key, SigKey(sig_key))
    invite = admission.invite
    assert [invite.key, invite.sig, admission.sig] == unhex(want, "invite_key", "invite_sig", "sig")
    assert (str(invite.not_after), invite.uses) == (want["not_after_millis"], want["uses"])
    assert (encode_admission(admission) == data) == want.get("canonical", False)


def run_owner(vector: Vector) -> None:
    """What an owner signs verifies, and signing gives it again; or it is refused."""
    source, want = vector["input"], vector["want"]
    seed, signature = unhex(source, "seed", "signature")
    text = CHECKS[source["kind"]](source, want, signature)
    assert text.hex() == want["signed"]
    assert Seed(seed).sign(text) == signature


def check_create(source: dict[str, Any], want: dict[str, Any], signature: bytes) -> bytes:
    (key,) = unhex(source, "cluster_key")
    values = (source["cluster_name"], key, source["max_size"], source["endpoint_count"])
    attrs = int(source["cluster_attrs"])
    verify_create(*values, attrs, signature)
    return create_text(*values, attrs)


def check_admit(source: dict[str, Any], want: dict[str, Any], signature: bytes) -> bytes:
    name = source["cluster_name"]
    key, sig_key, invite = unhex(source, "cluster_key", "sig_key", "invite_key")
    Admission(signature, Invite(ClusterKey(invite))).verify_sig(name, key, SigKey(sig_key))
    return admit_text(name, key, SigKey(sig_key), invite)


def check_invite(source: dict[str, Any], want: dict[str, Any], signature: bytes) -> bytes:
    key, invite_key = unhex(source, "cluster_key", "invite_key")
    end, uses = int(source["not_after_millis"]), source["uses"]
    invite = Invite(ClusterKey(invite_key), end, uses, signature)
    invite.verify(source["cluster_name"], key)
    return invite.text(source["cluster_name"], key)


def check_order(source: dict[str, Any], want: dict[str, Any], signature: bytes) -> bytes:
    key, encoded = unhex(source, "cluster_key", "order")
    order = decode_order(encoded)
    if not signed_by(key, signature, order_text(encoded)):
        raise BadSignatureError("order")
    if order.kind not in list(OrderKind):
        raise IllFormedTokenError("no such kind")  # as the registry says of it
    assert [order.cluster, order.sig_key_sum, order.invite_key] == unhex(
        want, "cluster_id", "sig_key_sum", "invite_key"
    )
    assert (str(order.serial), order.kind) == (want["serial"], want["order_kind"])
    return order_text(encoded)


CHECKS = {"create": check_create, "admit": check_admit, "invite": check_invite, "order": check_order}


def run_ticket(vector: Vector) -> None:
    """A ticket says all this, and is written again; or is refused, and its error shows no secret."""
    line, want = vector["input"]["text"], vector.get("want") or {}
    try:
        ticket = Ticket.parse(line)
    except XlregError as err:
        hide(line, str(err), repr(err))
        raise
    hide(line, str(ticket), repr(ticket), repr(vars(ticket)))
    assert ticket.kind.value == want["kind"]
    assert list(ticket.registry.endpoints) == want["registry_endpoints"]
    assert ticket.registry.fingerprint == want["fingerprint"]
    assert (ticket.cluster, ticket.size) == (want["cluster_name"], want["size"])
    assert (ticket.endpoint_count, ticket.key.hex()) == (want["endpoint_count"], want["cluster_key"])
    if "seed" in want:
        assert ticket._seed is not None
        assert ticket._seed.reveal().hex() == want["seed"]
    invite = ticket.invite_of
    assert (invite is None) == ("invite_key" not in want)
    if invite is not None:
        assert [invite.key, invite.sig] == unhex(want, "invite_key", "invite_sig")
        assert (str(invite.not_after), invite.uses) == (want["not_after_millis"], want["uses"])
    assert ticket._admit.hex() == want.get("sig", "")
    assert (ticket.text() == line) == want.get("canonical", False)
    assert Ticket.parse(ticket.text()).text() == ticket.text()


def hide(line: str, *shown: str) -> None:
    """Make sure that nothing of what may be secret in a line is shown."""
    for parameter in line.replace(";", "&").split("&"):
        name, _, value = parameter.partition("=")
        if name.lower() in ("owner", "invite") and len(value) > 3:
            assert not any(value[:8] in text for text in shown)


def run_sum(vector: Vector) -> None:
    """A roster has that sum."""
    source, want = vector["input"], vector["want"]
    cluster_id, key = unhex(source, "cluster_id", "cluster_key")
    cluster = Cluster(
        ClusterID(cluster_id),
        source["cluster_name"],
        ClusterAttrs(int(source["cluster_attrs"])),
        source["max_size"],
        source["endpoint_count"],
        ClusterKey(key),
    )
    state = ClusterState(int(source["epoch"]), int(source["revision"]), int(source["orders"]))
    raw = [(s["index"], pb.Token.FromString(bytes.fromhex(s["token"]))) for s in source["seats"]]
    found = roster_sum(cluster, state, [(i, token_of(token, Protocol.V20)) for i, token in raw])
    assert (found.hex(), short_sum(found)) == (want["sum"], want["short"])


def run_signed(vector: Vector) -> None:
    """Documents are a signed roster of that content, or are refused."""
    source, want = vector["input"], vector["want"]
    documents = [bytes.fromhex(document) for document in source["documents"]]
    sig_key, cluster_key = unhex(source, "sig_key", "cluster_key")
    signed = verify_parts(documents, known(sig_key, source.get("fingerprint", "")), cluster_key)
    assert split(signed.document) == documents
    roster = signed.roster
    assert (roster.cluster.id.hex(), roster.cluster.name) == (want["cluster_id"], want["cluster_name"])
    assert (roster.cluster.key.hex(), str(roster.state.epoch)) == (want["cluster_key"], want["epoch"])
    assert (str(roster.state.revision), roster.sum.hex()) == (want["revision"], want["sum"])
    assert (str(millis(signed.signed)), roster.short_sum) == (want["signed_millis"], want["short"])
    assert [
        {"index": m.index, "name": m.name, "sig_key": m.token.sig_key.hex(), "verified": m.verified}
        for m in roster.members
    ] == want["members"]


def known(sig_key: bytes, fingerprint: str) -> Target:
    """Return what a reader knows of a registry: its key or the fingerprint of that."""
    ends = endpoints_of(["registry.example.org:56789"])
    if not sig_key:
        return Target(ends, fingerprint)
    parse_rsa_key(sig_key)
    version = DecimalVersion(2)
    return RegCred("r", NodeID(bytes(20)), CommsKey(sig_key), SigKey(sig_key), ends, version).target
