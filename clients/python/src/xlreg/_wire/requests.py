"""Messages that a client makes (section 4), and what members say to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .. import limits
from ..errors import IllFormedTokenError, NoSuchClusterIDError
from ..roster import Member, Roster
from ..version import Protocol
from ..vocabulary import ClusterRef, NodeID, Token, check_cluster_key, encode_set
from . import xlreg_pb2 as pb
from .messages import Message, Op
from .tokens import seated_message, token_message


def new_member(token: Token) -> Message:
    """Return a Member that registers token, with its signatures as they are."""
    return Message(pb.XLRegMsg(Op=Op.MEMBER, MemberSpecs=token_message(token)))


def new_login(node_id: NodeID, digsig: bytes | None) -> Message:
    """Return a Member that logs in as node_id. Over 2.0 there is no digsig."""
    return Message(pb.XLRegMsg(Op=Op.MEMBER, MemberID=node_id, DigSig=digsig))


def new_create(
    name: str, size: int, endpoint_count: int, attrs: int, key: bytes = b"", owner_sig: bytes = b""
) -> Message:
    """Return a Create; with a key, that of a cluster that has an owner, and the owner's signature."""
    check_cluster_key(key)
    return Message(
        pb.XLRegMsg(
            Op=Op.CREATE,
            ClusterName=name,
            ClusterMaxSize=size,
            ClusterAttrs=attrs,
            EndPointCount=endpoint_count,
            ClusterKey=key or None,
            OwnerSig=owner_sig or None,
        )
    )


def _new_about(op: Op, ref: ClusterRef) -> Message:
    return Message(
        pb.XLRegMsg(Op=op, ClusterID=ref.id, ClusterName=ref.name or None, ClusterKey=ref.key or None)
    )


@dataclass(frozen=True)
class Seat:
    """What a Join says over 2.0 besides the cluster.

    Attributes:
        admission: The leave to join, encoded.
        run: Names this start of the program.
        fresh: Meet members of this start only.
        lease_millis: For how long to be a member without being heard of; 0 is for good.

    Raises:
        IllFormedTokenError: The run is too long, or missing where fresh needs one.
    """

    admission: bytes = field(default=b"", repr=False)
    run: bytes = field(default=b"", repr=False)
    fresh: bool = False
    lease_millis: int = 0

    def __post_init__(self) -> None:
        """Check it."""
        if len(self.run) > limits.MAX_RUN:
            raise IllFormedTokenError(f"run of {len(self.run)} bytes, at most {limits.MAX_RUN} allowed")
        if self.fresh and not self.run:
            raise IllFormedTokenError("fresh without a run")


def new_join(ref: ClusterRef, seat: Seat | None = None) -> Message:
    """Return a Join."""
    message = _new_about(Op.JOIN, ref)
    if seat is None:
        return message
    if seat.run:
        message.raw.Run = seat.run
    if seat.lease_millis:
        message.raw.LeaseMillis = seat.lease_millis
    if seat.admission:
        message.raw.Admission = seat.admission
    if seat.fresh:
        message.raw.Fresh = True
    return message


def new_leave(ref: ClusterRef) -> Message:
    """Return a Leave."""
    return _new_about(Op.LEAVE, ref)


def new_order(encoded: bytes, signature: bytes) -> Message:
    """Return an Order of a cluster's owner."""
    return Message(pb.XLRegMsg(Op=Op.ORDER, OwnerOrder=encoded, OwnerSig=signature))


@dataclass(frozen=True)
class Waiting:
    """What a registry is asked to wait for, and how long; None leaves it to the registry.

    Attributes:
        size: For so many members.
        millis: No longer than this.
        since: For another revision than this one; and for what has changed since alone.
        epoch: For another epoch than this one.
    """

    size: int | None = None
    millis: int | None = None
    since: int | None = None
    epoch: int | None = None


def new_get(
    protocol: Protocol,
    ref: ClusterRef,
    which: int | None = None,
    waiting: Waiting | None = None,
    sign: bool = False,
) -> Message:
    """Return a GetCluster for some seats, that is answered at once or waits.

    Without seats a registry takes it for all of them, and an original server for none.
    """
    message = _new_about(Op.GET_CLUSTER, ref)
    raw, waiting = message.raw, waiting or Waiting()
    if which is not None and protocol.classic:
        raw.Which = which
    if which is not None and not protocol.classic:
        raw.WhichSet = encode_set(which)
    if waiting.size is not None:
        raw.WaitSize = waiting.size
    if waiting.millis is not None:
        raw.WaitMillis = waiting.millis
    if waiting.since is not None:
        raw.SinceRevision = waiting.since
    if waiting.epoch is not None:
        raw.WaitEpoch = waiting.epoch
    if sign:
        raw.Sign = True
    return message


def new_bye() -> Message:
    """Return a Bye."""
    return Message(pb.XLRegMsg(Op=Op.BYE))


def new_reg_cred_request() -> Message:
    """Return a RegCredRequest."""
    return Message(pb.XLRegMsg(Op=Op.REG_CRED_REQUEST))


# Said between members.


def new_sum(cluster_id: bytes, epoch: int, revision: int, seats: int, roster_sum: bytes) -> Message:
    """Return a ClusterMembers without members, which says what somebody sees of a cluster."""
    raw = pb.XLRegMsg(Op=Op.CLUSTER_MEMBERS, ClusterID=cluster_id, Epoch=epoch, Revision=revision)
    raw.SeatSet, raw.WhichSet, raw.Sum = encode_set(seats), b"", roster_sum
    return Message(raw)


def new_part(roster: Roster, members: Sequence[Member]) -> Message:
    """Return a ClusterMembers that holds some of the members of a roster, as a registry sends it."""
    cluster, state = roster.cluster, roster.state
    raw = pb.XLRegMsg(
        Op=Op.CLUSTER_MEMBERS,
        ClusterID=cluster.id,
        ClusterName=cluster.name,
        ClusterMaxSize=cluster.size,
        ClusterAttrs=cluster.attrs,
        EndPointCount=cluster.endpoint_count,
        Tokens=[seated_message(member.token) for member in members],
        Epoch=state.epoch,
        Revision=state.revision,
        SeatSet=encode_set(sum(1 << member.index for member in roster.members)),
        WhichSet=encode_set(sum(1 << member.index for member in members)),
        Orders=state.orders,
        Sum=roster.sum,
    )
    if cluster.key:
        raw.ClusterKey = cluster.key
    return Message(raw)


def new_unknown_cluster() -> Message:
    """Return the Error that says that a cluster is not known."""
    kind = NoSuchClusterIDError
    return Message(pb.XLRegMsg(Op=Op.ERROR, ErrCode=kind.code, ErrDesc=kind.kind_text))
