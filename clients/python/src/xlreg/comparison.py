"""Members compare what they see of their cluster, without its registry (section 11.3)."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from . import limits
from ._codec import Framing
from ._flow import Connect, Disconnect, Flow, Limit, Receive, Send
from ._wire.messages import Message, Op
from ._wire.requests import new_get, new_sum, new_unknown_cluster
from .errors import HandshakeError, ProtocolError, doing, quote
from .roster import Member, Roster
from .sums import LENGTH
from .version import Protocol
from .vocabulary import ClusterRef, Endpoint

ALPN = "xlreg-sum/1"
"""What a connection between members speaks that is for comparing."""
_CHUNK = 64 << 10


@dataclass(frozen=True)
class Seen:
    """What one member says that it sees."""

    epoch: int
    revision: int
    seats: int
    sum: bytes

    @classmethod
    def of(cls, roster: Roster) -> Seen:
        """Return what a roster shows."""
        seats = sum(1 << member.index for member in roster.members)
        return cls(roster.state.epoch, roster.state.revision, seats, roster.sum)


def framing() -> Framing:
    """Return the codec of such a connection."""
    return Framing(read_max=limits.MAX_REQUEST, write_max=limits.MAX_REQUEST)


def answer(question: Message, cluster_id: bytes, known: Mapping[int, Seen], last: Seen) -> Message:
    """Return what a member says to one question.

    Raises:
        ProtocolError: It is none.
    """
    if question.op != Op.GET_CLUSTER:
        raise ProtocolError(f"{question.name} instead of GetCluster")
    if question.raw.ClusterID != cluster_id:
        return new_unknown_cluster()
    seen = known.get(question.raw.Revision, last)
    return new_sum(cluster_id, seen.epoch, seen.revision, seen.seats, seen.sum)


def ask(member: Member, context: ssl.SSLContext, roster: Roster, limit: Limit) -> Flow[Seen]:
    """Ask one member what it sees.

    Raises:
        XlregError: It cannot be asked, or does not answer such questions.
    """
    with doing(f"ask {quote(member.name)}"):
        if not member.endpoints:
            raise HandshakeError("it has no address")
        question = new_get(Protocol.V20, ClusterRef(roster.cluster.id))
        question.raw.Revision = roster.state.revision
        try:
            reply = yield from _exchange(member.endpoints[0], context, question, limit)
        except OSError as err:
            raise HandshakeError(str(err) or "no answer in time") from None
        finally:
            yield Disconnect()
        error = reply.error()
        if error is not None:
            raise error
        raw = reply.raw
        if reply.op != Op.CLUSTER_MEMBERS or raw.ClusterID != roster.cluster.id or len(raw.Sum) != LENGTH:
            raise ProtocolError("it answers something else")
        return Seen(raw.Epoch, raw.Revision, int.from_bytes(raw.SeatSet, "little"), raw.Sum)


def _exchange(endpoint: Endpoint, context: ssl.SSLContext, question: Message, limit: Limit) -> Flow[Message]:
    yield Connect(endpoint, limit.left(), limit.left())
    incoming, outgoing, codec = ssl.MemoryBIO(), ssl.MemoryBIO(), framing()
    tls, shaken = context.wrap_bio(incoming, outgoing), False
    while True:
        try:
            if not shaken:
                tls.do_handshake()
                shaken = True
                if tls.selected_alpn_protocol() != ALPN:
                    raise HandshakeError(f"it does not speak {ALPN}")
                tls.write(codec.encode(question))
            codec.feed(tls.read(_CHUNK))
        except ssl.SSLWantReadError:
            pass
        if (message := codec.next()) is not None:
            return message
        if data := outgoing.read():
            yield Send(data, limit.left())
        data = yield Receive(limit.left())
        if not data:
            raise HandshakeError("closed before it answered")
        incoming.write(data)
