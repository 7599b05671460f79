"""A node's place in a cluster that is complete."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import replace

from . import _async, _mtls, _sync
from ._dialogue import Dialogue, in_session
from ._flow import Flow, Limit, Request
from ._form import Formed, check_self
from ._mtls import TLSConnection
from .errors import Needs20Error, StrangerError, WrongStateError, doing, quote
from .node import Node
from .roster import Member, Roster
from .vocabulary import Cluster, ClusterRef


class _Membership:
    """What both kinds of membership have in common: all but I/O."""

    def __init__(self, formed: Formed) -> None:
        self._options = formed.options
        self._node = formed.node
        self._id = formed.id
        self._roster = formed.roster

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
        return check_self(self._roster, self._node, self._id)

    @property
    def others(self) -> tuple[Member, ...]:
        """The other members."""
        return tuple(m for m in self._roster.members if m.id != self._id)

    def server_context(self) -> ssl.SSLContext:
        """Return a TLS context for connections from the other members, and from nobody else.

        It accepts verified members, each by its certificate in the roster. Members that are
        not verified (``roster.unverified``) have none and are refused. Make a new context
        after refresh. ``peer`` says which member a connection is from.

        Raises:
            UnverifiedError: This node has no certificate that the others know.

        Example:
            >>> tls = membership.server_context().wrap_socket(connection, server_side=True)  # doctest: +SKIP
            >>> membership.peer(tls).name                                                  # doctest: +SKIP
            'm1'
        """
        return self._context(ssl.PROTOCOL_TLS_SERVER, self.others)

    def client_context(self, member: Member | None = None) -> ssl.SSLContext:
        """Return a TLS context for connections to the other members, or to one of them alone.

        In TLS 1.3 a client learns only from the first byte it reads that the other
        end has refused it.

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
            yield from dialogue.join(ClusterRef.of(self.cluster), limit)
        roster = yield from dialogue.members(ClusterRef.of(self.cluster), limit)
        roster = replace(roster, cluster=_fuller(roster.cluster, self.cluster))
        check_self(roster, self._node, self._id)
        self._roster = roster
        return roster

    def _leave(self, limit: Limit) -> Flow[None]:
        ref = ClusterRef.of(self.cluster)

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

    It holds no connection: the registry is called when it is asked something.

    Example:
        >>> for member in membership.others:            # doctest: +SKIP
        ...     print(member.index, member.name, member.endpoints[0])
    """

    def refresh(self, timeout: float | None = None) -> Roster:
        """Ask the registry for the current members, keep the roster, and return it.

        Args:
            timeout: Seconds; by default 30 for each step.

        Raises:
            NotMemberError: The node itself is no longer in it; what was known before is kept.
            XlregError: See Client.connect, login and members.
        """
        return _sync.perform(Request(self._refresh, timeout))

    def leave(self, timeout: float | None = None) -> None:
        """Give up the node's place. The roster stays as it was.

        Args:
            timeout: Seconds; by default 30 for each step.

        Raises:
            NotMemberError: The node is not in the cluster.
            Needs20Error: Over a classic carrier there is no leaving.
            XlregError: See Client.connect and login.
        """
        _sync.perform(Request(self._leave, timeout))


class AsyncMembership(_Membership):
    """A node's place in a cluster that aform made complete; see Membership."""

    async def refresh(self, timeout: float | None = None) -> Roster:
        """Ask the registry for the current members; see Membership.refresh."""
        return await _async.perform(Request(self._refresh, timeout))

    async def leave(self, timeout: float | None = None) -> None:
        """Give up the node's place; see Membership.leave."""
        await _async.perform(Request(self._leave, timeout))
