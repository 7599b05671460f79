"""Requests and their replies, over whatever session (section 5)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from . import limits
from ._creation import Creation, Joined, check_size, made_up_name
from ._dial import Dialing, Options, flush, log
from ._flow import Disconnect, Flow, Limit, Receive
from ._parts import merge, seats
from ._record import Registration
from ._session import ModernSession, Session
from ._verify import Verifier, check_pinned
from ._wire import messages as m
from ._wire import requests as q
from .errors import (
    BadTagError,
    HandshakeError,
    Needs20Error,
    NotRegisteredError,
    ProtocolError,
    RegistryError,
    SessionEndedError,
    TryLaterError,
    UnexpectedTypeError,
    WrongStateError,
    XlregError,
    doing,
)
from .node import Node
from .regcred import RegCred
from .roster import Member, Roster, warn_of_clock, warn_of_shared
from .signatures import sign_login
from .signed import SignedRoster, verify_parts
from .vocabulary import (
    NO_KEY,
    Cluster,
    ClusterID,
    ClusterKey,
    ClusterRef,
    ClusterState,
    NodeID,
    indexes_of,
)

_T = TypeVar("_T")

# What a classic reply of the largest size must still have room for to show that
# no member was left out of it: one more token, and the message's IV and padding.
_CLASSIC_ROOM = limits.MAX_CLASSIC_TOKEN + 64
# Original servers put all members asked for into one message, also when it gets longer than one may be.
_CLASSIC_PART = 12
_CLASSIC_SEATS = (1 << limits.MAX_CLASSIC_CLUSTER) - 1
# After these a registry ends a 2.0 session; over a classic carrier, after all.
_ENDING = (WrongStateError, BadTagError, UnexpectedTypeError, ProtocolError)


class Dialogue:
    """One session with a registry: each method is a flow that says a request and reads its reply."""

    def __init__(self, dialing: Dialing, session: Session, heard: float) -> None:
        """Go on with a session that is open, and say when its registry was heard last."""
        self.options = dialing.options
        self.heard = heard
        self.protocol = session.protocol
        self.observed = ""  # from where the registry sees this client, once it has said so
        self.ended: BaseException | None = None  # why the session is over; None while it is not
        self._endpoint = dialing.endpoint
        self._shown = dialing.shown
        self._session = session
        self._clusters: dict[ClusterID, Cluster] = {}
        self._revisions: dict[ClusterID, int] = {}  # that a registry does not go back behind in a session
        self._current: ClusterID | None = None  # that of the last Create or Join
        self._verifier = Verifier(session.protocol)
        self._dated: set[NodeID] = set()  # whose certificates' dates have been looked at
        self._warned: set[str] = set()
        self.next_key = session.next_key
        if self.next_key is not None:
            log.warning(
                "the registry has a new key, %s, for which the one that you know vouches until %s: "
                "get its new credentials before then",
                self.next_key.fingerprint,
                f"{self.next_key.until:%Y-%m-%d}",
            )

    @classmethod
    def open(cls, dialing: Dialing, limit: Limit, once: bool = False) -> Flow[Dialogue]:
        """Open a session: with one try at each endpoint, or with as many as there is time for."""
        with doing("dial registry"):
            if once:
                session = yield from dialing.open_once(limit)
            else:
                session = yield from dialing.open(limit.or_within(dialing.options.times.dial))
        return cls(dialing, session, limit.now())

    # Exchanges.

    def ask(self, message: m.Message, limit: Limit) -> Flow[m.Message]:
        """Say a request and return its reply, or raise the error that the registry answers with.

        In the protocol each reply's Op is its request's and one.
        """
        if self.ended is not None:
            # The cause is told but not chained: it was the answer to another call.
            raise SessionEndedError(f"session with the registry ended: {self.ended}")
        try:
            reply = yield from self._exchange(message, limit)
        except TimeoutError:
            self._leave(limit)
            raise self._broken("no answer from the registry") from None
        except HandshakeError as err:
            self.ended = err
            raise
        except OSError as err:
            self._leave(limit)
            raise self._broken(str(err)) from err
        except BaseException as err:
            self.ended = err  # given up in the middle, or the peer breaks the protocol
            raise
        error = self._error_of(reply)
        if error is not None:
            if self.protocol.classic or isinstance(error, _ENDING):
                self.ended = error
            raise error
        if reply.op != message.op + 1:
            raise self._misbehaved(f"{reply.name} in answer to {message.name}")
        return reply

    def _exchange(self, message: m.Message, limit: Limit) -> Flow[m.Message]:
        """Say a request and read its reply. Silence ends it, and so does a reply that never ends."""
        session, silence = self._session, self.options.times.silence
        session.send(message)
        limit = limit.within(self.options.times.whole)
        yield from flush(session, limit, silence)
        while (reply := session.next_message()) is None:
            session.receive((yield Receive(limit.left(silence))))
            yield from flush(session, limit, silence)
        self.heard = limit.now()
        return reply

    def _error_of(self, reply: m.Message) -> XlregError | None:
        error = reply.error()
        if self.options.original and isinstance(error, ProtocolError):
            # In its own words, such as that another creator was faster. The next try may succeed.
            error = TryLaterError(error.detail)
        if isinstance(error, TryLaterError):
            self.options.route.leave(self._endpoint, error.retry)
        return error

    def turn_away(self) -> None:
        """Have the next session begin with another server."""
        self.options.route.leave(self._endpoint)

    def pass_by(self) -> None:
        """Have the next session begin with another server if there is one, without any haste."""
        self.options.route.pass_by([self._endpoint])

    def _leave(self, limit: Limit) -> None:
        """Turn away from a server that is gone, unless it is the caller who has had no more time."""
        if not limit.over():
            self.turn_away()

    def _broken(self, cause: str) -> SessionEndedError:
        self.ended = SessionEndedError(cause)
        return SessionEndedError(f"session with the registry ended: {cause}")

    def _misbehaved(self, detail: str) -> ProtocolError:
        """End the session with a registry that breaks the protocol."""
        self.ended = err = ProtocolError(detail)
        return err

    def close(self) -> Flow[None]:
        """Say goodbye, wait at most a second for the answer, and close."""
        try:
            if self.ended is None:
                yield from self.ask(q.new_bye(), Limit(self.options.times.bye))
        except XlregError:
            pass  # that the registry does not answer changes nothing
        finally:
            self.ended = self.ended or SessionEndedError("client was closed")
        yield Disconnect()

    # The node.

    def register(self, limit: Limit) -> Flow[NodeID]:
        """Tell the registry who the node is and where; the ID it gives is saved before this returns."""
        with doing("register"):
            node = self.options.need_node()
            token, certificate = node.token(self.protocol, self._proposal(node), self.options.now())
            if not self.protocol.classic and certificate != self._shown:
                # The signature covers the certificate of this session's handshake.
                raise self._broken("the certificate of the node was renewed after this session began")
            reply = yield from self.ask(q.new_member(token), limit)
            node_id, _ = self._read(reply.member_ok)
            self.observed = reply.observed
            self._verifier.know(replace(token, id=node_id))
            yield from self._remember(node, node_id, limit)
            return node_id

    def _proposal(self, node: Node) -> NodeID | None:
        """Return the ID that the registry gave the node before.

        With none the registry is to choose; but servers from before 2.0 expect a
        client to, so over a classic carrier it is a random one.
        """
        known = node.registration(self.options.target.fingerprint)
        if known is not None:
            return known.id
        return NodeID(os.urandom(20)) if self.protocol.classic else None

    def _remember(self, node: Node, node_id: NodeID, limit: Limit) -> Flow[None]:
        target = self.options.target
        known = node.registration(target.fingerprint)
        following = (known.next, known.next_until) if known else ("", None)
        if self.next_key is not None:
            following = (self.next_key.fingerprint, self.next_key.until)
        told = (node_id, target.endpoints, *following)
        if known is not None and (known.id, known.endpoints, known.next, known.next_until) == told:
            return
        name = target.cred.name if target.cred else known.name if known else ""
        if not name:
            name = (yield from self._registry(limit)).name
        node.set_registration(Registration(target.fingerprint, name, target.endpoints, node_id, *following))

    def login(self, limit: Limit) -> Flow[NodeID]:
        """Say who the node is by the ID that register saved."""
        with doing("log in"):
            node = self.options.need_node()
            known = node.registration(self.options.target.fingerprint)
            if known is None:
                raise NotRegisteredError
            proof = None
            if self.protocol.classic:
                proof = sign_login(node.keys.sig, self._session.salt2, known.id)
            reply = yield from self.ask(q.new_login(known.id, proof), limit)
            node_id, _ = self._read(reply.member_ok)
            if node_id != known.id:
                raise self._misbehaved(f"logged in as {node_id} instead of {known.id}")
            return node_id

    def registry(self, limit: Limit) -> Flow[RegCred]:
        """Ask the registry for its credentials."""
        with doing("get credentials"):
            return (yield from self._registry(limit))

    def ask_observed(self, limit: Limit) -> Flow[str]:
        """Ask the registry from where it sees this client; empty if it does not say."""
        with doing("get observed address"):
            if not self.observed:
                self.observed = (yield from self.ask(q.new_reg_cred_request(), limit)).observed
            return self.observed

    def _registry(self, limit: Limit) -> Flow[RegCred]:
        reply = yield from self.ask(q.new_reg_cred_request(), limit)
        cred = self._read(reply.registry)
        session = self._session
        proved = session.sig_key if isinstance(session, ModernSession) else None
        right = cred.sig_key == proved if proved else cred.fingerprint == self.options.target.fingerprint
        if not right:
            raise self._misbehaved("credentials with another sig key")
        return cred

    # Clusters.

    def create(self, wanted: Creation, limit: Limit) -> Flow[Cluster]:
        """Make a cluster, or get the one that has the name."""
        with doing(f"create {ClusterRef(name=wanted.name)}"):
            if self.options.original and not wanted.name:
                wanted = replace(wanted, name=made_up_name())
            wanted.check(self.protocol.classic)
            reply = yield from self.ask(wanted.request(), limit)
            cluster = self._cluster(reply, wanted.ref)
            self._current = cluster.id
            check_size(cluster, wanted.size)
            return cluster

    def cluster(self, ref: ClusterRef, limit: Limit) -> Flow[Cluster]:
        """Ask what is fixed about a cluster."""
        with doing(f"get {ref}"):
            # Original servers expect to be asked for somebody.
            which = 1 if self.protocol.classic else 0
            reply = yield from self.ask(q.new_get(self.protocol, self._known(ref), which), limit)
            return self._cluster(reply, ref)

    def look(self, ref: ClusterRef, limit: Limit) -> Flow[tuple[Cluster, ClusterState]]:
        """Ask for all of a cluster but its members."""
        with doing(f"get {ref}"):
            reply = yield from self.ask(q.new_get(self.protocol, ref, 0), limit)
            return self._cluster(reply, ref), reply.state(self.protocol)

    def order(self, encoded: bytes, signature: bytes, limit: Limit) -> Flow[None]:
        """Hand over an order of a cluster's owner."""
        yield from self.ask(q.new_order(encoded, signature), limit)

    def join(self, ref: ClusterRef, limit: Limit, seat: q.Seat | None = None) -> Flow[Joined]:
        """Make the node a member."""
        with doing(f"join {ref}"):
            if self.protocol.classic and seat is not None and (seat.fresh or seat.lease_millis):
                raise Needs20Error("leases and fresh starts: need protocol 2.0")
            reply = yield from self.ask(q.new_join(ref, None if self.protocol.classic else seat), limit)
            cluster = self._cluster(reply, ref)
            self._current = cluster.id
            return Joined(cluster, reply.state(self.protocol), reply.raw.LeaseMillis / 1000)

    def leave(self, ref: ClusterRef, limit: Limit) -> Flow[None]:
        """Give up the node's place."""
        with doing(f"leave {ref}"):
            if self.protocol.classic:
                raise Needs20Error
            yield from self.ask(q.new_leave(ref), limit)

    def members(self, ref: ClusterRef, limit: Limit) -> Flow[Roster]:
        """Ask who is in a cluster now, and verify them."""
        with doing(f"get members of {ref}"):
            return self.verify((yield from self.receive(ref, limit)), ref.key)

    def receive(
        self, ref: ClusterRef, limit: Limit, waiting: q.Waiting | None = None, last: Roster | None = None
    ) -> Flow[Roster]:
        """Ask for all members, in as many parts as it takes, of which the first alone waits.

        With the last roster it is asked for what has changed since, and that is merged. A
        request that then waits ends at the first change. They are not verified yet.
        """
        if self.protocol.classic:
            return (yield from self._receive_classic(ref, limit, waiting))
        if last is not None and last.sum:
            waiting = replace(waiting or q.Waiting(), since=last.state.revision)
        part = yield from self._receive_part(q.new_get(self.protocol, ref, None, waiting), ref, limit)
        if part.since is not None:
            merged = part.after(last) if last is not None else None
            if merged is not None:
                return merged
            again = q.new_get(self.protocol, ClusterRef(part.cluster.id, key=ref.key))
            part = yield from self._receive_part(again, ref, limit)
        return (yield from self._complete_part(ref, part, limit))

    def _complete_part(self, ref: ClusterRef, part: m.Part, limit: Limit) -> Flow[Roster]:
        """Ask for the members that are missing from an answer which had no room for them."""
        while not part.whole:
            by_id = ClusterRef(part.cluster.id, key=ref.key)
            rest = q.new_get(self.protocol, by_id, part.seats & ~part.which)
            part = part.merge((yield from self._receive_part(rest, ref, limit)))
            if not part.which:  # the cluster has changed in between
                again = q.new_get(self.protocol, by_id)
                part = yield from self._receive_part(again, ref, limit)
        return Roster(part.cluster, part.members, part.state, part.sum)

    def _receive_part(self, get: m.Message, ref: ClusterRef, limit: Limit) -> Flow[m.Part]:
        reply = yield from self.ask(get, limit)
        part = self._read(lambda: reply.part(self.protocol))
        self._check_asked(part.cluster, ref)
        self._check_members(part.cluster, part.members, part.seats)
        last, revision = self._revisions.get(part.cluster.id, 0), part.state.revision
        if revision < last:
            raise self._misbehaved(f"revision {revision} of {part.cluster} after revision {last}")
        self._revisions[part.cluster.id] = revision
        return part

    def _receive_classic(self, ref: ClusterRef, limit: Limit, waiting: q.Waiting | None) -> Flow[Roster]:
        ref, rest = self._known(ref), _CLASSIC_SEATS
        found: Roster | None = None
        while rest or found is None:
            part = self._part(rest)
            some, whole = yield from self._receive_some(
                q.new_get(self.protocol, ref, part, waiting), ref, part, limit
            )
            found = replace(found, members=merge(found.members, some.members)) if found else some
            rest &= ~(part if whole or not some.members else seats(some))
            if found.cluster.size:
                rest &= (1 << found.cluster.size) - 1
            ref, waiting = ClusterRef(found.cluster.id), None
        return found

    def signed(self, ref: ClusterRef, limit: Limit) -> Flow[SignedRoster]:
        """Ask for all members as the registry signs them, and verify that."""
        with doing(f"get signed roster of {ref}"):
            if self.protocol.classic:
                raise Needs20Error
            parts: list[bytes] = []
            first: m.Part | None = None
            left: int | None = None
            while left != 0:
                message = yield from self.ask(q.new_get(self.protocol, ref, left, sign=True), limit)
                part = self._read(partial(message.part, self.protocol))
                self._check_asked(part.cluster, ref)
                if first is not None and part.sum != first.sum:  # the cluster has changed meanwhile
                    first, left, parts = None, None, []
                    continue
                if first is not None and not part.which:
                    raise self._misbehaved("no member of those that were asked for")
                first = first or part
                parts.append(message.encode())
                left = (part.seats if left is None else left) & ~part.which
            return verify_parts(parts, self.options.target, ref.key)

    def _known(self, ref: ClusterRef) -> ClusterRef:
        """Return a cluster by the ID that an earlier reply gave: original servers know no other way."""
        if ref.id is not None or not self.protocol.classic:
            return ref
        named = [known.id for known in self._clusters.values() if known.name == ref.name]
        known = named[-1] if named and ref.name else self._current
        return ref if ref.name and not named else ClusterRef(known, ref.name)

    def _part(self, seats: int) -> int:
        """Return those of the seats that one request may ask for, the lowest."""
        return sum(1 << n for n in indexes_of(seats)[:_CLASSIC_PART])

    def _receive_some(
        self, get: m.Message, ref: ClusterRef, which: int, limit: Limit
    ) -> Flow[tuple[Roster, bool]]:
        """Read one reply, and whether it holds all that was asked for, as far as its size shows."""
        reply = yield from self.ask(get, limit)
        cluster = self._cluster(reply, ref)
        members = self._read(lambda: reply.part(self.protocol)).members
        self._check_members(cluster, members, which)
        return Roster(cluster, members), reply.size() + _CLASSIC_ROOM <= limits.MAX_CLASSIC

    def _check_members(self, cluster: Cluster, members: tuple[Member, ...], which: int) -> None:
        """Refuse a roster that contradicts itself or the request."""
        for member in members:
            if not which >> member.index & 1 or (cluster.size and member.index >= cluster.size):
                raise self._misbehaved(
                    f"member with index {member.index}, which was not asked for or cannot be"
                )
        if len({x.id for x in members}) < len(members) or len({x.name for x in members}) < len(members):
            raise self._misbehaved("two members with one ID or name")

    def verify(self, roster: Roster, pinned: ClusterKey = NO_KEY) -> Roster:
        """Verify a roster; see Verifier. What it warns of is told once."""
        verified = self._verifier.verify(roster, pinned)
        now, texts = self.options.now(), warn_of_shared(verified)
        for member in verified.members:
            if member.id not in self._dated:
                self._dated.add(member.id)
                texts.append(warn_of_clock(member, now))
        for text in texts:
            if text and text not in self._warned:
                self._warned.add(text)
                log.warning("%s", text)
        return verified

    def _cluster(self, reply: m.Message, asked: ClusterRef) -> Cluster:
        """Read the cluster of a reply, which has to be the one asked for."""
        cluster = self._check_asked(self._read(lambda: reply.cluster(self.protocol)), asked)
        if asked.id is None and not cluster.name:
            cluster = replace(cluster, name=asked.name)
        return self._complete(cluster)

    def _check_asked(self, cluster: Cluster, asked: ClusterRef) -> Cluster:
        """Refuse a cluster that is not the one asked for."""
        if asked.id is not None and cluster.id != asked.id:
            raise self._misbehaved(f"cluster {cluster.id} instead of {asked.id}")
        if asked.id is None and asked.name and cluster.name not in ("", asked.name):
            raise self._misbehaved(f"{cluster} instead of {asked}")
        if asked.key:
            check_pinned(cluster, asked.key)
        return cluster

    def _complete(self, cluster: Cluster) -> Cluster:
        """Fill in what an original server left out of a cluster, from earlier replies."""
        known = self._clusters.get(cluster.id)
        if known is not None and not cluster.name:
            cluster = replace(cluster, name=known.name)
        if known is not None and not cluster.size:
            cluster = replace(known, name=cluster.name)
        self._clusters[cluster.id] = cluster
        return cluster

    def _read(self, read: Callable[[], _T]) -> _T:
        """Read a reply, and end the session if its content is not what it has to be."""
        try:
            return read()
        except RegistryError as err:
            self.ended = err
            raise


def in_session(
    options: Options, limit: Limit, converse: Callable[[Dialogue], Flow[_T]], once: bool = False
) -> Flow[_T]:
    """Open a session, converse in it, and close it."""
    dialogue = yield from Dialogue.open(Dialing(options), limit, once)
    try:
        result = yield from converse(dialogue)
    except XlregError:
        yield from dialogue.close()
        raise
    yield from dialogue.close()
    return result
