"""The owner of a cluster, who gives orders (section 9.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from . import _async, _sync
from ._dial import Options
from ._dialogue import Dialogue, in_session
from ._flow import Backoff, Flow, Limit, Request
from ._pursuit import PASSING, retry_of
from ._wire.inner import encode_order
from .errors import OrdersChangedError, doing
from .owning import Order, OrderKind, key_sum, order_text
from .roster import Member, Roster
from .ticket import Ticket
from .vocabulary import Cluster, ClusterKey, SigKey

if TYPE_CHECKING:
    from .node import Node

_FIRST_PAUSE, _MOST_PAUSE = 0.05, 1.0


def member_key(whom: Member | Node | SigKey) -> SigKey:
    """Return the sig key of whomever an order is about."""
    if isinstance(whom, Member):
        return whom.token.sig_key
    return SigKey(whom) if isinstance(whom, bytes) else whom.keys.sig_key


_What: TypeAlias = tuple[OrderKind, bytes, bytes]
"""An order's kind, the sum of the key that it is about, and the key of the invite."""


class _Giving:
    """Some orders under way, one after the other, each of which is done once."""

    def __init__(self, ticket: Ticket, options: Options, orders: Sequence[_What]) -> None:
        self._ticket, self._options, self._left = ticket, options, list(orders)
        self._what = f"{orders[0][0].name.lower()} in {ticket.ref}"
        self._cluster: Cluster | None = None
        self._serial = 0
        self._sent = b""  # of the first that is left, if it was sent and not answered yet

    def run(self, limit: Limit) -> Flow[None]:
        """Give them, in as many sessions as it takes, for half a minute unless told otherwise."""
        limit, backoff = limit.or_within(self._options.times.dial), Backoff(_FIRST_PAUSE, _MOST_PAUSE)
        with doing(self._what):
            while True:
                try:
                    return (
                        yield from in_session(self._options, limit, lambda d: self._give(d, limit), once=True)
                    )
                except PASSING as err:
                    failure = err
                if not (yield from self._options.route.pause(backoff, limit, retry_of(failure))):
                    raise failure

    def _give(self, dialogue: Dialogue, limit: Limit) -> Flow[None]:
        if self._cluster is None:
            self._cluster, state = yield from dialogue.look(self._ticket.ref, limit)
            self._serial = state.orders + 1
        while self._left:
            kind, key, invite = self._left[0]
            # The very bytes of an order that was done get their answer again.
            self._sent = self._sent or encode_order(Order(self._cluster.id, self._serial, kind, key, invite))
            signature = self._ticket.owner.sign(order_text(self._sent))
            try:
                yield from dialogue.order(self._sent, signature, limit)
            except OrdersChangedError as err:
                self._serial, self._sent = err.orders + 1, b""
                if limit.over():
                    raise
            else:
                self._left.pop(0)
                self._serial, self._sent = self._serial + 1, b""


class _Owner:
    """What both kinds of owner have in common: all but I/O."""

    def __init__(self, ticket: Ticket | str) -> None:
        """Be the owner whose ticket it is, given as its line or the name of a file with it, too.

        Raises:
            NotOwnerError: It is another's.
            TicketError: It is none.
        """
        self._ticket = Ticket.load(ticket)
        _ = self._ticket.owner  # it has to be one
        self._options = Options(self._ticket.registry)

    @property
    def ticket(self) -> Ticket:
        """The ticket."""
        return self._ticket

    def _order(self, orders: Sequence[_What], timeout: float | None) -> Request[None]:
        return Request(_Giving(self._ticket, self._options, orders).run, timeout)

    def _evicting(self, whom: Member | Node | SigKey, timeout: float | None) -> Request[None]:
        return self._order([(OrderKind.EVICT, key_sum(member_key(whom)), b"")], timeout)

    def _banning(self, whom: Member | Node | SigKey, timeout: float | None) -> Request[None]:
        orders = [(OrderKind.BAN, key_sum(member_key(whom)), b"")]
        invite = whom.invite if isinstance(whom, Member) else None
        if invite is not None:
            orders.append((OrderKind.REVOKE, b"", invite.key))
        return self._order(orders, timeout)

    def _revoking(self, invite: Ticket | ClusterKey, timeout: float | None) -> Request[None]:
        key = invite if isinstance(invite, bytes) else invite.invite_of.key if invite.invite_of else b""
        if not key:
            raise ValueError("want the ticket of an invite, or its key")
        return self._order([(OrderKind.REVOKE, b"", key)], timeout)

    def _simply(self, kind: OrderKind, timeout: float | None) -> Request[None]:
        return self._order([(kind, b"", b"")], timeout)

    def _members(self, timeout: float | None) -> Request[Roster]:
        def flow(limit: Limit) -> Flow[Roster]:
            return in_session(self._options, limit, lambda d: d.members(self._ticket.ref, limit))

        return Request(flow, timeout)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of cluster {self._ticket.cluster}>"


class Owner(_Owner):
    """The owner of a cluster, whose orders are signed with the cluster's key and need no node.

    Each is done once, however often it has to be sent. Every method takes a ``timeout`` in
    seconds; by default each step of it may take 30.

    Example:
        >>> owner = xlreg.Owner("owner.ticket")                 # doctest: +SKIP
        >>> owner.ban(owner.members().by_name("mallory"))       # doctest: +SKIP
    """

    def evict(self, whom: Member | Node | SigKey, *, timeout: float | None = None) -> None:
        """Free the seat of a member, which may come back.

        Raises:
            NotMemberError: It has no seat.
            XlregError: See Client.connect.
        """
        _sync.perform(self._evicting(whom, timeout))

    def ban(self, whom: Member | Node | SigKey, *, timeout: float | None = None) -> None:
        """Free the seat of a member, and keep its key out. It need not have a seat.

        Of a Member the invite that it came with is revoked as well: whoever holds that
        could come back with a new key. Others who came with it stay.

        Raises:
            XlregError: See Client.connect.
        """
        _sync.perform(self._banning(whom, timeout))

    def revoke(self, invite: Ticket | ClusterKey, *, timeout: float | None = None) -> None:
        """Have an invite, given as its ticket or its key, admit nobody any more.

        Raises:
            XlregError: See Client.connect.
        """
        _sync.perform(self._revoking(invite, timeout))

    def reopen(self, *, timeout: float | None = None) -> None:
        """Begin a new epoch of the cluster, in which every seat is free.

        Raises:
            XlregError: See Client.connect.
        """
        _sync.perform(self._simply(OrderKind.REOPEN, timeout))

    def delete(self, *, timeout: float | None = None) -> None:
        """Delete the cluster for good: its name and key make no other.

        Raises:
            XlregError: See Client.connect.
        """
        _sync.perform(self._simply(OrderKind.DELETE, timeout))

    def members(self, *, timeout: float | None = None) -> Roster:
        """Return who is in the cluster now, verified.

        Raises:
            XlregError: See Client.connect and Client.members.
        """
        return _sync.perform(self._members(timeout))


class AsyncOwner(_Owner):
    """The owner of a cluster, in asyncio; see Owner."""

    async def evict(self, whom: Member | Node | SigKey, *, timeout: float | None = None) -> None:
        """Free the seat of a member; see Owner.evict."""
        await _async.perform(self._evicting(whom, timeout))

    async def ban(self, whom: Member | Node | SigKey, *, timeout: float | None = None) -> None:
        """Free the seat of a member, and keep its key out; see Owner.ban."""
        await _async.perform(self._banning(whom, timeout))

    async def revoke(self, invite: Ticket | ClusterKey, *, timeout: float | None = None) -> None:
        """Have an invite admit nobody any more; see Owner.revoke."""
        await _async.perform(self._revoking(invite, timeout))

    async def reopen(self, *, timeout: float | None = None) -> None:
        """Begin a new epoch, in which every seat is free; see Owner.reopen."""
        await _async.perform(self._simply(OrderKind.REOPEN, timeout))

    async def delete(self, *, timeout: float | None = None) -> None:
        """Delete the cluster for good; see Owner.delete."""
        await _async.perform(self._simply(OrderKind.DELETE, timeout))

    async def members(self, *, timeout: float | None = None) -> Roster:
        """Return who is in the cluster now, verified."""
        return await _async.perform(self._members(timeout))
