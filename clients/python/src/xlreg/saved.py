"""Saved rosters: what a member keeps of its cluster for a start without the registry (section 11.4)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from . import limits
from ._errors import BadSignatureError, NotMemberError, SavedRosterError, XlregError, quote
from ._verify import Verifier
from ._wire.messages import Part, decode
from ._wire.requests import new_part
from .keys import Keys
from .node import Node
from .regcred import RegCred, Target
from .roster import Member, Roster
from .signatures import sign, verify
from .signed import merge
from .ticket import Ticket, is_ticket
from .version import Protocol
from .vocabulary import ClusterKey, ClusterRef, Endpoint, NodeID

_CONTEXT = b"xlreg saved 2.0\x00"
_MOST = 32 << 20  # bytes; the largest cluster with the longest tokens has half of it
_MOST_PART = 4 << 20  # bytes of one message
_MOST_ID = 32  # bytes
_MOST_SHORT = 1 << 10  # bytes of the other fields
_LAST_MILLIS = 253_402_300_799_999  # of the year 9999
_AHEAD = timedelta(hours=1)  # by so much a clock may have been ahead
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

MAX_AGE = timedelta(days=30)
"""How long a saved roster is good for: a registry remembers a node that it does not hear of for as long."""


@dataclass(frozen=True)
class SavedRoster:
    """A roster that a member has saved, verified as one that comes from the registry is.

    Attributes:
        roster: The roster.
        me: The node that saved it, and reads it.
        heard: When the registry last said that this is the roster, by this machine's clock.
        registry: What the registry is known by, or the ticket that leads to it.
    """

    roster: Roster
    me: Member
    heard: datetime
    registry: Ticket | Target = field(repr=False)


def encode(roster: Roster, node: Node, fingerprint: str, heard: datetime) -> bytes:
    """Return a roster as a file of the node's own keeps it. It holds no secret.

    Raises:
        NotMemberError: The node is not in it.
    """
    me = roster.by_key(node.keys.sig_key)
    if me is None:
        raise NotMemberError("this node is not in the roster")
    parts = list(_parts(roster))
    millis = max(0, round((heard - _EPOCH) / timedelta(milliseconds=1)))
    saved = _CONTEXT + _lp(fingerprint.encode()) + _lp(me.id) + struct.pack(">QI", millis, len(parts))
    saved += b"".join(map(_lp, parts))
    return saved + _lp(sign(node.keys.sig, saved))


def _lp(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _parts(roster: Roster) -> Iterator[bytes]:
    """Return messages as the registry would send them, as few as hold all members."""
    members = list(roster.members)
    while members:
        count = len(members)
        while len(part := new_part(roster, members[:count]).encode()) > _MOST_PART:
            count = count // 2
        yield part
        members = members[count:]


def load_roster(
    saved: bytes,
    node: Node,
    registry: Ticket | Target | RegCred | str,
    *,
    cluster: ClusterRef | str = "",
    endpoints: Sequence[str] | None = None,
    max_age: timedelta = MAX_AGE,
    now: datetime | None = None,
) -> SavedRoster:
    """Read what Membership.save returned, without asking the registry.

    It verifies what joining does: the proofs of every member, their sum, the leave of the
    cluster's owner if it has one, and that the node is among them; and besides that this node
    has saved it, and not too long ago.

    Args:
        saved: What a file of it holds.
        node: The node that saved it.
        registry: The registry that it has to be from: its credentials or the file with them, its
            ``xlreg://`` line, or a ticket, which also says which cluster it has to be.
        cluster: The cluster that it has to be of, by name or reference; any by default.
        endpoints: Where the node has to be in it; by default where the node is. One without a
            host, such as ``:4001``, may be on any.
        max_age: How long ago the registry may have been heard.
        now: The time; by default the machine's.

    Raises:
        SavedRosterError: Something of it does not hold; the text says what.

    Example:
        >>> load_roster(Path("web.saved").read_bytes(), node, "regCred.dat").roster  # doctest: +SKIP
    """
    if isinstance(registry, str) and is_ticket(registry):
        registry = Ticket.load(registry)
    known = registry if isinstance(registry, Ticket) else Target.load(registry)
    ref = ClusterRef(name=cluster) if isinstance(cluster, str) else cluster
    if isinstance(known, Ticket) and not ref:
        ref = ClusterRef(name=known.cluster, key=known.key)
    try:
        file = _File(saved, node.keys)
        file.check_origin(node, known.registry if isinstance(known, Ticket) else known)
        file.check_age(now or datetime.now(timezone.utc), max_age)
        roster = file.roster(ref)
        me = _find(roster, node, file.id, node.endpoints if endpoints is None else endpoints)
    except XlregError as err:
        raise SavedRosterError(f"saved roster does not hold: {err}") from None
    return SavedRoster(roster, me, file.heard, known)


class _File:
    """A saved roster whose signature holds."""

    def __init__(self, saved: bytes, keys: Keys) -> None:
        if len(saved) > _MOST:
            raise SavedRosterError(f"it has {len(saved)} bytes, and at most {_MOST} are allowed")
        if not saved.startswith(_CONTEXT):
            raise SavedRosterError("it is no saved roster, or one of a newer program")
        self._saved, self._at = saved, len(_CONTEXT)
        self.fingerprint = self._long(_MOST_SHORT).decode("ascii", "replace")
        node_id = self._long(_MOST_ID)
        millis, count = self._number(8), self._number(4)
        if not 1 <= count <= limits.MAX_CLUSTER or millis > _LAST_MILLIS:
            raise _cut_short()
        self._parts = [self._long(_MOST_PART) for _ in range(count)]
        end = self._at
        signature = self._long(_MOST_SHORT)
        if self._at != len(saved):
            raise _cut_short()
        try:
            verify(keys.sig_key, signature, saved[:end], "saved roster")
        except BadSignatureError:
            raise SavedRosterError("it was saved by another node, or has been changed since") from None
        self.id = NodeID(node_id)
        self.heard = _EPOCH + timedelta(milliseconds=millis)

    def _take(self, size: int) -> bytes:
        begin, self._at = self._at, self._at + size
        if self._at > len(self._saved):
            raise _cut_short()
        return self._saved[begin : self._at]

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def _long(self, most: int) -> bytes:
        size = self._number(4)
        if size > most:
            raise _cut_short()
        return self._take(size)

    def check_origin(self, node: Node, target: Target) -> None:
        """Make sure that it is from a registry, known by its key or the next."""
        known = {(self.fingerprint, target.fingerprint), (target.fingerprint, self.fingerprint)}
        follows = any((entry.sig, entry.next) in known for entry in node.registrations)
        if self.fingerprint != target.fingerprint and not follows:
            raise SavedRosterError(f"it is from another registry, {quote(self.fingerprint)}")

    def check_age(self, now: datetime, most: timedelta) -> None:
        """Make sure that it is not too old, nor from the future."""
        if now - self.heard > most:
            raise SavedRosterError(
                f"it is too old: the registry was last heard at {self.heard:%Y-%m-%dT%H:%M:%SZ}, "
                f"and {most / timedelta(days=1):.4g} days are the most"
            )
        if self.heard - now > _AHEAD:
            raise SavedRosterError(
                f"it is from the future, {self.heard:%Y-%m-%dT%H:%M:%SZ}: "
                "see that this machine's clock is right"
            )

    def roster(self, ref: ClusterRef) -> Roster:
        """Return the roster, verified, which has to be that of a cluster."""
        parts = [_part(bytes_) for bytes_ in self._parts]
        whole = merge(parts)
        roster = Roster(whole.cluster, whole.members, whole.state, whole.sum)
        if ref.key and roster.cluster.key != ref.key:
            raise SavedRosterError("it is that of a cluster with another key")
        other_id = ref.id is not None and ref.id != roster.cluster.id
        if other_id or (ref.id is None and ref.name and ref.name != roster.cluster.name):
            raise SavedRosterError(f"it is that of another cluster, {quote(roster.cluster.name)}")
        key = ClusterKey(ref.key)
        verified = Verifier(Protocol.V20).verify(roster, key or roster.cluster.key)
        return Roster(verified.cluster, verified.members, verified.state, verified.sum, pinned=bool(key))


def _part(data: bytes) -> Part:
    part = decode(data).part(Protocol.V20)
    if part.since is not None:
        raise SavedRosterError("it is not the whole roster")
    return part


def _find(roster: Roster, node: Node, node_id: NodeID, endpoints: Sequence[str]) -> Member:
    """Return the node in its roster."""
    me = roster.by_key(node.keys.sig_key)
    if me is None or me.id != node_id:
        raise SavedRosterError("this node is not in it with its key and ID")
    if me.name != node.name:
        raise SavedRosterError(f"this node is called {quote(me.name)} in it")
    meant = list(endpoints)
    if len(meant) != len(me.endpoints) or not all(map(_is_at, meant, me.endpoints)):
        there, here = ", ".join(me.endpoints), ", ".join(meant)
        raise SavedRosterError(
            f"this node is at {there} in it, and not at {here}: it can move only while the registry is there"
        )
    return me


def _is_at(meant: str, endpoint: Endpoint) -> bool:
    return meant == endpoint or (meant.startswith(":") and meant[1:] == str(endpoint.port))


def _cut_short() -> SavedRosterError:
    return SavedRosterError("it is cut short, or damaged")
