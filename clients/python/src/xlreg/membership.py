"""A node's place in a cluster that is complete."""

from __future__ import annotations

import ssl
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from types import TracebackType

from . import _async, _mtls, _sync
from ._dial import log
from ._dialogue import Dialogue, in_session
from ._flow import Flow, Limit, Request
from ._follow import Follower
from ._form import Formed
from ._mtls import TLSConnection
from .changes import Change
from .errors import (
    ClosedError,
    Needs20Error,
    NotMemberError,
    SessionEndedError,
    StrangerError,
    WrongStateError,
    XlregError,
    doing,
    quote,
)
from .node import Node
from .roster import Member, Roster
from .vocabulary import NO_KEY, Cluster, ClusterRef


class _Membership:
    """What both kinds of membership have in common: all but I/O."""

    def __init__(self, formed: Formed) -> None:
        self._options = formed.options
        self._node = formed.node
        self._place = formed.place
        self._formed = formed.roster
        self._mutex = threading.Lock()
        # Guarded by the mutex, as is all below.
        self._roster = formed.roster
        self._fate: XlregError | None = None
        self._closed = False
        self._users = 0  # who need the cluster to be followed: the lease, and each watch

    @property
    def cluster(self) -> Cluster:
        """The cluster."""
        return self._roster.cluster

    @property
    def roster(self) -> Roster:
        """The members as last heard, each signature verified."""
        return self._roster

    @property
    def node(self) -> Node:
        """The node."""
        return self._node

    @property
    def me(self) -> Member:
        """The node itself as a member."""
        found = self._place.find(self._roster)
        if found is None:
            raise NotMemberError("this node is not in the roster as last heard")
        return found

    @property
    def others(self) -> tuple[Member, ...]:
        """The other members."""
        me = self._place.find(self._roster)
        return tuple(m for m in self._roster.members if me is None or m.index != me.index)

    @property
    def lease(self) -> float:
        """For how many seconds the node stays a member without a sign of life; 0 is for good."""
        return self._place.lease

    @property
    def error(self) -> XlregError | None:
        """Why the node is no member any more, as far as is known; None while all is well.

        That is a TwinError, a NewEpochError, a NotMemberError, or what keeps the lease from
        being kept. Without a lease, and with nobody watching, only refresh finds out.
        """
        return self._fate

    @property
    def _ref(self) -> ClusterRef:
        """The cluster; its key only if it was known before the registry told it."""
        ticket = self._options.ticket
        return ClusterRef(self.cluster.id, self.cluster.name, ticket.key if ticket else NO_KEY)

    def server_context(self) -> ssl.SSLContext:
        """Return a TLS context for connections from the other members, and from nobody else.

        It accepts verified members, each by its certificate in the roster as that is at the
        moment of the handshake: who has left is refused, and who has come is let in, as soon
        as a watch, a lease or refresh has shown it. Members that are not verified
        (``roster.unverified``) have no certificate and are refused. ``peer`` says which member a
        connection is from.

        Raises:
            UnverifiedError: This node has no certificate that the others know.

        Example:
            >>> tls = membership.server_context().wrap_socket(connection, server_side=True)  # doctest: +SKIP
            >>> membership.peer(tls).name                                                  # doctest: +SKIP
            'm1'
        """
        context = self._context(ssl.PROTOCOL_TLS_SERVER, self.others)
        made_for = self._roster.sum

        def current(connection: TLSConnection, _: str | None, __: ssl.SSLContext) -> None:
            nonlocal context, made_for
            now = self._roster.sum
            if now != made_for:
                context, made_for = self._context(ssl.PROTOCOL_TLS_SERVER, self.others), now
            connection.context = context

        first = context
        first.sni_callback = current
        return first

    def client_context(self, member: Member | None = None) -> ssl.SSLContext:
        """Return a TLS context for connections to the other members, or to one of them alone.

        In TLS 1.3 a client learns only from the first byte it reads that the other
        end has refused it. The context is for the roster as it is now: make one for each
        connection, or after a change.

        Args:
            member: The one to accept; by default each of the others.

        Raises:
            UnverifiedError: This node has no certificate that the others know, or the member is not verified.
            StrangerError: The member is not one of the others.

        Example:
            >>> to = membership.others[0]                                        # doctest: +SKIP
            >>> endpoint = to.endpoints[0]                                       # doctest: +SKIP
            >>> plain = socket.create_connection((endpoint.host, endpoint.port)) # doctest: +SKIP
            >>> tls = membership.client_context(to).wrap_socket(plain)           # doctest: +SKIP
        """
        if member is None:
            return self._context(ssl.PROTOCOL_TLS_CLIENT, self.others)
        if member not in self.others:
            raise StrangerError(f"{quote(member.name)} is no other member of the cluster")
        _ = member.certificate  # it must have one
        return self._context(ssl.PROTOCOL_TLS_CLIENT, [member])

    def _context(self, purpose: int, peers: Iterable[Member]) -> ssl.SSLContext:
        return _mtls.context(purpose, self._node, self.me, peers, self._options.now())

    def peer(self, connection: TLSConnection) -> Member:
        """Return which member is on the other end of a TLS connection.

        Args:
            connection: ``ssl.SSLSocket``, ``ssl.SSLObject``, or what a stream writer's
                ``get_extra_info("ssl_object")`` returns; after the handshake.

        Raises:
            StrangerError: None of the others.
        """
        return _mtls.peer(connection, self.others)

    def _refresh(self, limit: Limit) -> Flow[Roster]:
        """Ask for the members. Over 2.0 that takes no identity.

        Original servers know no log-in, and registering the same again is one on
        every server.
        """
        with doing("refresh roster"):
            try:
                return (yield from in_session(self._options, limit, lambda d: self._ask_again(d, limit)))
            except WrongStateError:
                if not self._options.original:
                    raise
            # An original server answers only those that join in the same session, which changes nothing
            # there. Elsewhere it could take a place that this node has given up.
            again = in_session(self._options, limit, lambda d: self._ask_again(d, limit, join=True))
            return (yield from again)

    def _ask_again(self, dialogue: Dialogue, limit: Limit, join: bool = False) -> Flow[Roster]:
        if dialogue.protocol.classic:
            yield from dialogue.register(limit)
        if join:
            yield from dialogue.join(self._ref, limit)
        roster = yield from dialogue.members(self._ref, limit)
        roster = replace(roster, cluster=_fuller(roster.cluster, self.cluster))
        self._take(roster)
        return roster

    def _take(self, roster: Roster) -> None:
        """Keep a roster that is new, if this node is still in it.

        Raises:
            XlregError: It is not; see Place.check.
        """
        try:
            self._place.check(roster)
        except XlregError as err:
            self._ended(err)
            raise
        with self._mutex:
            self._roster = roster
        self._ring()

    def _ended(self, err: BaseException | None) -> None:
        """Keep why the cluster cannot be followed any more."""
        if not isinstance(err, XlregError):
            err = SessionEndedError(f"following the cluster failed: {err!r}")
        with self._mutex:
            known, self._fate = self._fate, self._fate or err
        if known is None:
            log.warning("%s is no member any more, as far as can be known: %s", self._node.name, err)
        self._ring()

    def _ring(self) -> None:
        """Wake those who watch."""
        raise NotImplementedError

    def _follow(self) -> Flow[None]:
        return Follower(self._options, self._ref, self._roster, self.lease).follow(self._take)

    def _news(self, seen: Roster) -> Change | None:
        """Return what is different from the roster that was seen; None if nothing is.

        Raises:
            ClosedError: The membership was closed.
            XlregError: The node is no member any more.
        """
        with self._mutex:
            now, fate, closed = self._roster, self._fate, self._closed
        if now.sum != seen.sum:
            return Change.between(seen, now)
        if closed:
            raise ClosedError
        if fate is not None:
            raise fate
        return None

    def _leave(self, limit: Limit) -> Flow[None]:
        ref = self._ref

        def converse(dialogue: Dialogue) -> Flow[None]:
            yield from dialogue.login(limit)
            yield from dialogue.leave(ref, limit)

        with doing(f"leave {ref}"):
            if self._options.protocol is not None and self._options.protocol.classic:
                raise Needs20Error
            yield from in_session(self._options, limit, converse)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {quote(self._node.name)} in {self.cluster}>"


def _fuller(heard: Cluster, known: Cluster) -> Cluster:
    """Return what is known of a cluster where an original server tells nothing but its ID."""
    return heard if heard.size else replace(known, id=heard.id)


class Membership(_Membership):
    """A node's place in a cluster that form made complete.

    Without a lease it holds no connection: the registry is called when it is asked
    something. With one, and while somebody watches, a thread follows the cluster until
    ``close``. It is a context manager that closes itself.

    Example:
        >>> for member in membership.others:            # doctest: +SKIP
        ...     print(member.index, member.name, member.endpoints[0])
    """

    def __init__(self, formed: Formed) -> None:
        """Hold a place; use form."""
        super().__init__(formed)
        self._bell = _sync.Bell()
        self._turn = threading.Lock()  # held by whoever starts or stops the thread
        self._work: _sync.Background | None = None
        if self.lease:
            self._acquire()

    def _ring(self) -> None:
        self._bell.ring()

    def _acquire(self) -> None:
        """Have the cluster followed until release."""
        with self._turn:
            if self._closed:
                raise ClosedError
            if self._work is None and self._fate is None:
                self._work = _sync.Background(self._follow(), self._ended)
            self._users += 1

    def _release(self) -> None:
        with self._turn:
            self._users -= 1
            if not self._users and not self._closed:
                self._stop()

    def _stop(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work.stop()

    def watch(self, timeout: float | None = None) -> Iterator[Change]:
        """Yield each change of the cluster once, through reconnects and restarts of the registry.

        It begins with what is different from the roster that form returned. Changes that come
        quickly one after another may come as one. ``roster`` and the contexts of
        ``server_context`` have a change already when it is yielded.

        Args:
            timeout: Seconds after which it ends; None watches for good.

        Raises:
            TwinError: Another process with the node's key has taken its seat.
            NewEpochError: The cluster has started anew.
            NotMemberError: The node left, was evicted, or lost its lease.
            NoSuchClusterError: The cluster is gone.
            ClosedError: The membership was closed.
            Needs20Error: Over a classic carrier there is nothing to watch.

        Example:
            >>> for change in membership.watch():       # doctest: +SKIP
            ...     print(change)
        """
        limit, seen = Limit(timeout), self._formed
        self._acquire()
        try:
            while True:
                count = self._bell.count
                change = self._news(seen)
                if change is not None:
                    seen = change.roster
                    if change:
                        yield change
                elif not self._bell.wait(count, None if timeout is None else limit.left()):
                    return
        finally:
            self._release()

    def refresh(self, timeout: float | None = None) -> Roster:
        """Ask the registry for the current members, keep the roster, and return it.

        Args:
            timeout: Seconds; by default 30 for each step.

        Raises:
            NotMemberError: The node itself is no longer in it; what was known before is kept.
            TwinError: Another process has its seat.
            XlregError: See Client.connect, login and members.
        """
        return _sync.perform(Request(self._refresh, timeout))

    def leave(self, timeout: float | None = None) -> None:
        """Give up the node's place, and close the membership. The roster stays as it was.

        Args:
            timeout: Seconds; by default 30 for each step.

        Raises:
            NotMemberError: The node is not in the cluster.
            Needs20Error: Over a classic carrier there is no leaving.
            XlregError: See Client.connect and login.
        """
        self.close()
        _sync.perform(Request(self._leave, timeout))

    def close(self) -> None:
        """End what goes on in the background, and wait for that. May be called again.

        The place stays until its lease runs out, or for good: leave gives it up.
        """
        with self._turn:
            self._closed = True
            self._stop()
        self._ring()

    def __enter__(self) -> Membership:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncMembership(_Membership):
    """A node's place in a cluster that aform made complete; see Membership. A task follows the cluster."""

    def __init__(self, formed: Formed) -> None:
        """Hold a place; use aform."""
        super().__init__(formed)
        self._bell = _async.Bell()
        self._work: _async.Background | None = None
        if self.lease:
            self._acquire()

    def _ring(self) -> None:
        self._bell.ring()

    def _acquire(self) -> None:
        if self._closed:
            raise ClosedError
        if self._work is None and self._fate is None:
            self._work = _async.Background(self._follow(), self._ended)
        self._users += 1

    async def _release(self) -> None:
        self._users -= 1
        if not self._users and not self._closed:
            await self._stop()

    async def _stop(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            await work.stop()

    async def watch(self, timeout: float | None = None) -> AsyncIterator[Change]:
        """Yield each change of the cluster once; see Membership.watch."""
        limit, seen = Limit(timeout), self._formed
        self._acquire()
        try:
            while True:
                count = self._bell.count
                change = self._news(seen)
                if change is not None:
                    seen = change.roster
                    if change:
                        yield change
                elif not await self._bell.wait(count, None if timeout is None else limit.left()):
                    return
        finally:
            await self._release()

    async def refresh(self, timeout: float | None = None) -> Roster:
        """Ask the registry for the current members; see Membership.refresh."""
        return await _async.perform(Request(self._refresh, timeout))

    async def leave(self, timeout: float | None = None) -> None:
        """Give up the node's place; see Membership.leave."""
        await self.close()
        await _async.perform(Request(self._leave, timeout))

    async def close(self) -> None:
        """End what goes on in the background, and wait for that; see Membership.close."""
        self._closed = True
        await self._stop()
        self._ring()

    async def __aenter__(self) -> AsyncMembership:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
