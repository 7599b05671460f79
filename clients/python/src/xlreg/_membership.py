"""What both kinds of membership have in common: all but I/O."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from . import _mtls
from ._dial import log
from ._dialogue import Dialogue, in_session
from ._flow import Backoff, Flow, Limit, Request
from ._follow import Follower
from ._form import Formed
from ._mtls import TLSConnection
from ._pursuit import PASSING
from ._route import Age
from ._strangers import Strangers
from ._wire.messages import Message
from .changes import Change
from .compared import Comparison, Other
from .comparison import ALPN, Seen, answer, ask
from .errors import (
    ClosedError,
    Needs20Error,
    NotMemberError,
    OtherRosterError,
    SessionEndedError,
    StrangerError,
    WrongStateError,
    XlregError,
    doing,
    quote,
)
from .node import Node
from .roster import Member, Roster
from .saved import encode
from .vocabulary import NO_KEY, Cluster, ClusterRef

_FIRST_PAUSE, _MOST_PAUSE = 0.05, 1.0
_KEPT_SUMS = 64  # of revisions, for members that have not heard of the last ones yet


class BaseMembership:
    """What both kinds of membership have in common: all but I/O."""

    def __init__(self, formed: Formed) -> None:
        self._options = formed.options
        self._node = formed.node
        self._place = formed.place
        self._again = formed.again
        self._strangers = Strangers(formed.roster.cluster, self._options.times.stranger)
        self._formed = formed.roster
        self._mutex = threading.Lock()
        # Guarded by the mutex, as is all below.
        self._roster = formed.roster
        self._heard = formed.heard or formed.options.now()
        self._fate: XlregError | None = None
        self._closed = False
        self._sums = {formed.roster.state.revision: Seen.of(formed.roster)}  # the last few that were seen
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

    def server_context(self, alpn: Sequence[str] = ()) -> ssl.SSLContext:
        """Return a TLS context for connections from the other members, and from nobody else.

        It accepts verified members, each by its certificate in the roster as that is at the
        moment of the handshake: who has left is refused, and who has come is let in, as soon
        as a watch, a lease or refresh has shown it. Members that are not verified
        (``roster.unverified``) have no certificate and are refused. ``peer`` says which member a
        connection is from.

        Args:
            alpn: The application protocols that it speaks. That of ``compare`` is always among
                them: give each connection to ``serve_sum`` first, and the others can compare.

        Raises:
            UnverifiedError: This node has no certificate that the others know.

        Example:
            >>> tls = membership.server_context().wrap_socket(connection, server_side=True)  # doctest: +SKIP
            >>> membership.peer(tls).name                                                  # doctest: +SKIP
            'm1'
        """

        def make() -> ssl.SSLContext:
            made = self._context(ssl.PROTOCOL_TLS_SERVER, self.others)
            made.set_alpn_protocols([*alpn, ALPN])
            return made

        context, made_for = make(), self._roster.sum

        def current(connection: TLSConnection, _: str | None, __: ssl.SSLContext) -> None:
            nonlocal context, made_for
            now = self._roster.sum
            if now != made_for:
                context, made_for = make(), now
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

    def _answer(self, question: Message) -> Message:
        """Answer another member that compares."""
        with self._mutex:
            known, last = dict(self._sums), Seen.of(self._roster)
        return answer(question, self.cluster.id, known, last)

    def _questions(self, whom: Iterable[Member], seconds: float) -> list[Request[Seen]]:
        requests = []
        for member in whom:
            context = self.client_context(member)
            context.set_alpn_protocols([ALPN])
            flow = partial(ask, member, context, self._roster)
            requests.append(Request(flow, seconds))
        return requests

    def _compared(self, seen: Mapping[Member, Seen | XlregError]) -> Comparison:
        """Hold what the others see against what this node sees.

        Raises:
            OtherRosterError: One sees another cluster.
        """
        ours = Seen.of(self._roster)
        same: list[Member] = []
        others: list[Other] = []
        unknown: list[Other] = []
        for member, theirs in seen.items():
            if isinstance(theirs, XlregError):
                unknown.append(Other(member, error=theirs))
            elif theirs.revision != ours.revision:
                unknown.append(Other(member, theirs.revision, theirs.sum))
            elif theirs == ours:
                same.append(member)
            else:
                others.append(Other(member, theirs.revision, theirs.sum))
        found = Comparison(self._roster, tuple(same), tuple(others), tuple(unknown))
        if others:
            raise OtherRosterError(found)
        return found

    def _is_behind(self, seen: Iterable[Seen | XlregError]) -> bool:
        revision = self._roster.state.revision
        return any(isinstance(theirs, Seen) and theirs.revision > revision for theirs in seen)

    def _refresh(self, limit: Limit) -> Flow[Roster]:
        """Ask for the members, and again for a while if they are those of an older revision."""
        before, age, backoff = self._roster, Age(), Backoff(_FIRST_PAUSE, _MOST_PAUSE)
        with doing("refresh roster"):
            while True:
                roster = yield from self._read_anywhere(limit)
                if not age.is_behind(before.state.revision, roster.state.revision, limit):
                    break
                if not (yield from backoff.pause(limit)):
                    break
            self._take(before, roster)
            return self._roster

    def _read_anywhere(self, limit: Limit) -> Flow[Roster]:
        """Ask each server once, as long as they turn this client away."""
        while True:
            try:
                return (yield from self._read(limit))
            except PASSING:
                at_once, _ = self._options.route.another()
                if not at_once or limit.over():
                    raise

    def _read(self, limit: Limit) -> Flow[Roster]:
        """Ask for the members. Over 2.0 that takes no identity.

        Original servers know no log-in, and registering the same again is one on
        every server.
        """
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
        return replace(roster, cluster=_fuller(roster.cluster, self.cluster))

    def _take(self, before: Roster | None, roster: Roster) -> None:
        """Keep a roster that is new, if this node is still in it.

        Before is the one that was known when the registry was asked. If another session has
        brought a newer one since, that stays.

        Raises:
            XlregError: This node is not in it; see Place.check.
        """
        revision = roster.state.revision
        gone_back = before is not None and revision < before.state.revision
        if revision < self._roster.state.revision and not gone_back:
            return
        try:
            self._place.check(roster)
        except XlregError as err:
            self._ended(err)
            raise
        with self._mutex:
            if revision < self._roster.state.revision and not gone_back:
                return
            self._roster, self._heard = roster, self._options.now()
            self._sums[roster.state.revision] = Seen.of(roster)
            while len(self._sums) > _KEPT_SUMS:
                del self._sums[next(iter(self._sums))]
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
        strangers = self._strangers
        strangers.lease = self.lease
        if self._again is not None:
            formed = yield from self._again.run(Limit(None), strangers)
            self._place, self._again = formed.place, None
            self._take(self._roster, formed.roster)
            strangers.lease = self.lease
        follower = Follower(self._options, self._ref, self._roster, self.lease, self._hear, strangers)
        yield from follower.follow(self._take)

    def _hear(self) -> None:
        """Note that the registry has just said that nothing has changed."""
        with self._mutex:
            self._heard = self._options.now()

    @property
    def heard(self) -> datetime:
        """When the registry last said who is in the cluster."""
        return self._heard

    def save(self) -> bytes:
        """Return the roster as last heard in a form to be kept in a file, for a start without the registry.

        load_roster reads it. It holds no secret, and the node has signed it.

        Raises:
            Needs20Error: Over a classic carrier there is nothing to save.

        Example:
            >>> Path("web.saved").write_bytes(membership.save())  # doctest: +SKIP
        """
        if self._options.protocol is not None and self._options.protocol.classic:
            with doing("save roster"):
                raise Needs20Error
        with self._mutex:
            roster, heard = self._roster, self._heard
        return encode(roster, self._node, self._options.target.fingerprint, heard)

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
