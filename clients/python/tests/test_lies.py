"""A registry that lies about a cluster, in every way that a client can find out by itself."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from fake import NODE_ID, OTHER_ID, FakeRegistry, cluster_reply, roster_reply, seal

import xlreg
from xlreg import Client, Cluster, ClusterID, ClusterKey, Node, NodeID, Protocol, Ticket, Token
from xlreg._calls import follower
from xlreg._flow import Limit
from xlreg._sync import Wire
from xlreg._wire import xlreg_pb2 as pb
from xlreg._wire.messages import Message, Op
from xlreg.errors import BadSignatureError, ProtocolError, XlregError
from xlreg.testing import shared_keys


def node(i: int, name: str = "") -> Node:
    return Node(name or f"m{i}", [f"127.0.0.1:{7000 + i}"], keys=shared_keys(i, "p256"))


def token(of: Node, node_id: NodeID, admission: bytes = b"") -> Token:
    made, _ = of.token(Protocol.V20, node_id, datetime.now(timezone.utc))
    return replace(made, admission=admission)


class Liar(FakeRegistry):
    """A registry with a keyed cluster of two, which shows it as it is until it is told to lie."""

    def __init__(self, change: Callable[[Message], None] = lambda message: None) -> None:
        super().__init__(Protocol.V20)
        self.ticket = Ticket.new(self.cred.target, "web", 2)
        self.cluster = Cluster(ClusterID(b"k" * 32), "web", size=2, endpoint_count=1, key=self.ticket.key)
        other = node(1)
        self.tokens[OTHER_ID] = token(other, OTHER_ID, self.ticket.admission(other.keys.sig_key))
        self.change = change
        self.script[Op.CREATE] = lambda message: self.about(Op.CREATE_REPLY)
        self.script[Op.JOIN] = self.join_keyed
        self.script[Op.GET_CLUSTER] = lambda message: self.lie()

    def about(self, op: Op) -> Message:
        message = cluster_reply(op, self.cluster)
        message.raw.ClusterKey = self.cluster.key
        return message

    def join_keyed(self, message: Message) -> Message:
        raw = message.raw
        self.tokens[NODE_ID] = replace(self.tokens[NODE_ID], run=raw.Run, admission=raw.Admission)
        return self.about(Op.JOIN_REPLY)

    def honest(self) -> Message:
        message = roster_reply(self.tokens.values(), Protocol.V20, self.cluster)
        message.raw.ClusterKey = self.cluster.key
        seal(message)
        return message

    def lie(self) -> Message:
        """Say what was changed, with the sum that belongs to it."""
        message = self.honest()
        before = message.encode()
        self.change(message)
        if message.encode() != before and message.raw.Sum == self.honest().raw.Sum and message.raw.WhichSet:
            seal(message)
        return message


def other(message: Message) -> pb.Token:
    return next(raw for raw in message.raw.Tokens if raw.Name == "m1")


def clear(*fields: str) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        for field in fields:
            other(message).ClearField(field)

    return change


def stranger(message: Message) -> None:
    """Put somebody in the other's place whom the owner has not admitted, with proofs that are right."""
    raw = other(message)
    made = roster_reply([token(node(5, "m1"), OTHER_ID)], Protocol.V20).raw.Tokens[0]
    made.Admission = raw.Admission
    raw.CopyFrom(made)


def self_invited(message: Message) -> None:
    """The same, with an admission by somebody else's cluster key."""
    own = node(5, "m1")
    elsewhere = Ticket.new(xlreg.Target.parse("xlreg://a:1/?sig=" + 43 * "A"), "web", 2)
    made = token(own, OTHER_ID, elsewhere.admission(own.keys.sig_key))
    other(message).CopyFrom(roster_reply([made], Protocol.V20).raw.Tokens[0])


def set_key(key: bytes) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        message.raw.ClusterKey = ClusterKey(key)

    return change


def set_sum(message: Message) -> None:
    message.raw.Sum = os.urandom(32)


def more_seats(message: Message) -> None:
    message.raw.SeatSet = b"\x07"


def which_past_the_seats(message: Message) -> None:
    message.raw.SeatSet, message.raw.WhichSet = b"\x01", b"\x03"


def fewer_than_it_says(message: Message) -> None:
    del message.raw.Tokens[1:]


def more_than_it_says(message: Message) -> None:
    message.raw.WhichSet = b"\x01"


def without(field: str) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        message.raw.ClearField(field)

    return change


LIES: dict[str, tuple[Callable[[Message], None], type[XlregError], str]] = {
    "a stranger": (stranger, BadSignatureError, '"m1".*not admitted'),
    "one who admits itself": (self_invited, BadSignatureError, '"m1".*not admitted'),
    "no admission": (clear("Admission"), BadSignatureError, '"m1".*not admitted'),
    "no proofs": (clear("DigSig2", "Certificate", "CommsSig"), BadSignatureError, '"m1".*proves nothing'),
    "no DigSig2": (clear("DigSig2"), BadSignatureError, '"m1".*missing'),
    "no certificate": (clear("Certificate"), BadSignatureError, '"m1".*missing'),
    "no CommsSig": (clear("CommsSig"), BadSignatureError, '"m1".*missing'),
    "another cluster key": (set_key(bytes(32)), BadSignatureError, "another key"),
    "no cluster key": (set_key(b""), BadSignatureError, "another key"),
    "another sum": (set_sum, ProtocolError, "sum"),
    "a seat that the cluster has not": (more_seats, ProtocolError, "seats"),
    "a member whose seat is free": (which_past_the_seats, ProtocolError, "seats"),
    "fewer members than it says": (fewer_than_it_says, ProtocolError, "2 bits set and 1 tokens"),
    "more members than it says": (more_than_it_says, ProtocolError, "1 bits set and 2 tokens"),
    "no seats": (without("SeatSet"), ProtocolError, "SeatSet"),
    "no set of members": (without("WhichSet"), ProtocolError, "WhichSet"),
    "no sum": (without("Sum"), ProtocolError, "Sum"),
}


@pytest.mark.parametrize("name", LIES)
def test_lies_about_a_cluster_with_an_owner(name: str) -> None:
    """Members and readers find each of them out, and say of whom it is."""
    change, kind, text = LIES[name]
    with Liar(change) as fake, socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(kind, match=text):
            xlreg.form(fake.ticket, node=node(0), listeners=[listener], timeout=10)
        with pytest.raises(kind, match=text):
            xlreg.wait_members(fake.ticket.reader(), timeout=10)


def test_the_truth() -> None:
    with Liar() as fake, socket.create_server(("127.0.0.1", 0)) as listener:
        assert len(xlreg.form(fake.ticket, node=node(0), listeners=[listener], timeout=10).others) == 1
        assert xlreg.wait_members(fake.ticket.reader(), timeout=10).pinned


def test_going_back() -> None:
    """Within a session nothing that is past is shown again."""
    revision = 7
    with Liar() as fake:

        def answer(message: Message) -> Message:
            whole = fake.honest()
            whole.raw.Revision = revision
            seal(whole)
            return whole

        fake.script[Op.GET_CLUSTER] = answer
        with Client.connect(fake.ticket.reader()) as client:
            assert client.members().state.revision == 7
            revision = 6
            with pytest.raises(ProtocolError, match="revision 6"):
                client.members()


def test_news_that_do_not_add_up() -> None:
    """If what has changed makes another sum than the registry says, the whole roster is asked for."""
    asked: list[bool] = []
    with Liar() as fake:
        first = token(node(0), NODE_ID, fake.ticket.admission(node(0).keys.sig_key))
        second = fake.tokens[OTHER_ID]
        fake.tokens = {NODE_ID: first}

        def answer(message: Message) -> Message:
            asked.append(message.raw.HasField("SinceRevision"))
            if len(asked) == 1:
                return fake.honest()
            fake.tokens = {NODE_ID: first, OTHER_ID: second}
            whole = fake.honest()
            whole.raw.Revision += 1
            seal(whole)
            if not asked[-1]:
                return whole
            del whole.raw.Tokens[:]  # who came is left out of what has changed
            whole.raw.WhichSet, whole.raw.SinceRevision = b"", message.raw.SinceRevision
            return whole

        fake.script[Op.GET_CLUSTER] = answer
        following, wire = follower(fake.ticket.reader(), None), Wire()
        try:
            assert len(wire.run(following.next(Limit(10))).members) == 1
            assert len(wire.run(following.next(Limit(10))).members) == 2
        finally:
            wire.close()
    assert asked == [False, True, False]
