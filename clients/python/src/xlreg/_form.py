"""Forming a cluster: from listening sockets to the verified roster, whatever the registry does meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from ._address import Listener, UnresolvedError, addresses, concerns
from ._creation import Creation, check_size, made_up_name
from ._dial import Options, log
from ._dialogue import Dialogue, in_session
from ._flow import Backoff, Flow, Limit, Sleep, T
from ._place import EpochMovedError, Place, new_run
from ._pursuit import Pursuit, Told
from ._strangers import Strangers, stranger_in
from ._wait import Waiter
from ._wire.requests import Seat
from .errors import (
    AddressError,
    ClusterFullError,
    MemberIDInUseError,
    MemberNameInUseError,
    Needs20Error,
    NewEpochError,
    NoClusterNamedError,
    NoSuchClusterError,
    NoSuchClusterNameError,
    NotMemberError,
    RegistryError,
    TooFewEndpointsError,
    TwinError,
    UnverifiedError,
    XlregError,
    doing,
    quote,
)
from .node import Node
from .roster import Member, Roster
from .ticket import Ticket, TicketKind
from .vocabulary import Cluster, ClusterAttrs, ClusterRef, Endpoint

_OBSERVED = "observed:"  # stands for the host from which the registry sees this machine
_FIRST_PAUSE, _MOST_PAUSE = 0.05, 1.0
# By so much the time that a registry tells of a last sign of life can be late: it is in whole
# seconds, and may lag by another.
_SIGN_LAG = 2.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which cluster to form, and as which node; see xlreg.form."""

    options: Options
    ref: ClusterRef
    size: int = 0
    join_only: bool = False
    endpoint_count: int = 1
    attrs: ClusterAttrs = ClusterAttrs.NONE
    listeners: Sequence[Listener] = ()
    advertise: Sequence[str | None] = ()
    allow_unverified: bool = False
    progress: Told | None = None
    run: bytes = b""
    fresh: bool = False
    lease: float = 0.0
    take_over: bool = False
    no_wait: bool = False

    @property
    def node(self) -> Node:
        """The node."""
        return self.options.need_node()

    @property
    def creates(self) -> bool:
        """Whether the cluster is to be created if need be. An ID cannot be chosen.

        A cluster with an owner is created by the owner alone.
        """
        return not self.join_only and self.ref.id is None and (self._ticket is None or self.owns)

    @property
    def _ticket(self) -> Ticket | None:
        return self.options.ticket

    @property
    def owns(self) -> bool:
        """Whether the ticket is the owner's."""
        return self._ticket is not None and self._ticket.kind is TicketKind.OWNER

    @property
    def classic(self) -> bool:
        """Whether a classic carrier was chosen."""
        return self.options.protocol is not None and self.options.protocol.classic

    @property
    def wanted(self) -> Creation:
        """What the cluster is to be created with."""
        name = self.ref.name if self.ref.id is None else ""
        owner = self._ticket if self.owns else None
        return Creation(name, self.size, self.endpoint_count, self.attrs, owner)

    def admission(self) -> bytes:
        """Return the node's leave to join; nothing in a cluster without an owner.

        Raises:
            TicketError: The ticket does not admit the node.
        """
        return self._ticket.admission(self.node.keys.sig_key) if self._ticket else b""

    def check(self) -> None:
        """Refuse what makes no sense, before anything is done."""
        if not self.ref and self.join_only:
            raise NoClusterNamedError
        if not self.size and self.creates:
            raise ValueError("a cluster that may have to be created needs a size")
        if self.size:
            self.wanted.check(self.classic)
        if self.lease < 0:
            raise ValueError(f"lease of {self.lease} s: want 0 or more")
        if self.classic and (self.fresh or self.lease or self._ticket):
            raise Needs20Error("tickets, leases and fresh starts: need protocol 2.0")
        if self.fresh and self.no_wait:
            raise ValueError("a fresh start waits for the others")
        self.admission()


@dataclass(frozen=True)
class Formed:
    """A cluster that is complete, and the node's place in it."""

    options: Options
    node: Node
    roster: Roster
    place: Place
    again: Again | None = None
    """How to take the seat again, for a member that started without the registry."""
    heard: datetime | None = None
    """When the registry last said who is there; None is now."""


@dataclass(frozen=True)
class Again:
    """A seat that the node had when it saved its roster."""

    plan: Plan
    seat: Member
    epoch: int

    def run(self, limit: Limit, strangers: Strangers) -> Flow[Formed]:
        """Take it again, as soon as the registry is there, whoever else answers until then."""
        return _Rejoining(self, strangers).run(limit)


def check_verified(roster: Roster) -> None:
    """Refuse members that have proved nothing: whoever has learnt of the cluster may be one.

    Raises:
        UnverifiedError: There are some; it names them.
    """
    if roster.unverified:
        names = ", ".join(member.name for member in roster.unverified)
        raise UnverifiedError(
            f"{len(roster.unverified)} of {len(roster.members)} members are not verified, as they came over "
            f"a classic carrier: {names}; allow that, or form another cluster without them"
        )


def form(plan: Plan, limit: Limit) -> Flow[Formed]:
    """Find out the addresses, register, create or find the cluster, join it, and wait; again if need be."""
    with doing(f"form {plan.ref}"):
        plan.check()
        node = plan.node
        formation = _Formation(plan)
        endpoints = yield from formation.find_addresses(limit)
        if len(endpoints) < plan.endpoint_count:
            raise TooFewEndpointsError(f"{len(endpoints)}, want {plan.endpoint_count}")
        node.set_endpoints(endpoints)
        return (yield from formation.run(limit))


class _Formation(Pursuit[Formed]):
    """One formation under way. Its roster is None until the node has joined."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.options, plan.ref, plan.size, plan.progress)
        self._joined = False
        if self._options.original and not self._ref:
            self._ref = ClusterRef(name=made_up_name())  # there, all clusters without a name are one
        self._plan = plan
        self._attrs = plan.attrs
        self._place = Place(plan.node.keys.sig_key)
        if not plan.classic:
            self._place.run, self._place.fresh = plan.run or new_run(), plan.fresh
        self._took_over = self._looked = False
        self._creates = plan.creates

    def find_addresses(self, limit: Limit) -> Flow[tuple[Endpoint, ...]]:
        """Return where the node is. A name that does not resolve is looked up again while there is time."""
        plan, backoff = self._plan, Backoff(_FIRST_PAUSE, _MOST_PAUSE)
        advertise = plan.advertise if plan.listeners or plan.advertise else plan.node.endpoints
        advertise = yield from self._observe(advertise, limit)
        registry = self._options.target.endpoints
        patience = limit.or_within(self._options.times.dial)
        while True:
            try:
                endpoints = yield from addresses(plan.listeners, advertise, registry)
                break
            except UnresolvedError as err:
                failure = err
            self._tell_failure(failure)
            if not (yield from backoff.pause(patience)):
                raise self._incomplete(failure, limit.now()) if limit.over() else failure
        for concern in (yield from concerns(endpoints, registry)):
            log.warning("%s", concern)
        return endpoints

    def _observe(self, advertise: Sequence[str | None], limit: Limit) -> Flow[Sequence[str | None]]:
        """Put the host from which the registry sees this machine where observed stands for it."""
        if not any(text and text.startswith(_OBSERVED) for text in advertise):
            return advertise
        if self._plan.classic:
            raise AddressError("observed: a classic carrier does not tell it: needs protocol 2.0")
        reader = replace(self._options, node=None)
        seen = yield from in_session(reader, limit, lambda d: d.ask_observed(limit))
        if not seen:
            raise AddressError("the registry does not say from where it sees this machine")
        host = seen.rpartition(":")[0] + ":"
        return [
            host + text.removeprefix(_OBSERVED) if text and text.startswith(_OBSERVED) else text
            for text in advertise
        ]

    def _converse(self, dialogue: Dialogue, limit: Limit) -> Flow[Formed]:
        self._id = self._place.id = yield from dialogue.register(limit)
        ref = yield from self._patiently(lambda: self._find(dialogue, limit), limit)
        roster = yield from self._meet(dialogue, ref, limit)
        if not dialogue.protocol.classic and not self._plan.allow_unverified:
            check_verified(roster)
        # What a fresh seat lasted until all were there is not what was asked for.
        lease = self._place.lease if self._plan.lease else 0.0
        place = replace(self._place, fresh=False, lease=lease)
        return Formed(self._options, self._plan.node, roster, place)

    def _meet(self, dialogue: Dialogue, ref: ClusterRef, limit: Limit) -> Flow[Roster]:
        """Join, and wait for the others; again each time that the cluster begins its next epoch."""
        while True:
            cluster = yield from self._patiently(lambda: self._enter(dialogue, ref, limit), limit)
            if self._plan.no_wait:
                return (yield from self._see(dialogue, ClusterRef.of(cluster), limit))
            waiter = Waiter(dialogue, ClusterRef.of(cluster), self._size, self._seen, self._place)
            try:
                roster = yield from self._wait(waiter, limit)
            except EpochMovedError:
                log.info("%s has started anew, and this node joins it again", ref)
                continue
            self._place.check(roster)
            return roster

    def _see(self, dialogue: Dialogue, ref: ClusterRef, limit: Limit) -> Flow[Roster]:
        """Return who is there now."""
        roster = yield from dialogue.members(replace(ref, key=self._ref.key), limit)
        self._note(roster)
        if self._place.run:
            self._place.check(roster)
        return roster

    def _enter(self, dialogue: Dialogue, ref: ClusterRef, limit: Limit) -> Flow[Cluster]:
        """Take a seat."""
        plan, place = self._plan, self._place
        seat = Seat(plan.admission(), place.run, place.fresh, round(plan.lease * 1000))
        try:
            joined = yield from dialogue.join(ref, limit, seat)
        except MemberIDInUseError as err:
            if not place.run or dialogue.protocol.classic:
                raise
            yield from self._replaced(dialogue, ref, limit, err)
            return (yield from self._enter(dialogue, ref, limit))
        place.epoch, place.lease = joined.state.epoch, joined.lease
        self._joined = True
        return self._found(joined.cluster)

    def _replaced(
        self, dialogue: Dialogue, ref: ClusterRef, limit: Limit, refusal: MemberIDInUseError
    ) -> Flow[None]:
        """Say who has taken the node's seat; or if that is meant, take it back, once."""
        if self._plan.take_over and not self._took_over:
            self._place.run, self._took_over = new_run(), True
            return
        roster = yield from dialogue.receive(ref, limit)
        other = self._place.find(roster)
        if other is None:
            raise refusal
        raise TwinError(other.endpoints, other.token.joined) from refusal

    def _attempt(self, limit: Limit) -> Flow[Formed]:
        plan = self._plan
        if plan.lease and not (plan.fresh or plan.take_over or self._looked):
            yield from self._refuse_twin(limit)
            self._looked = True
        return (yield from super()._attempt(limit))

    def _refuse_twin(self, limit: Limit) -> Flow[None]:
        """Refuse to take the seat of another process with the node's key that is alive.

        One with a lease gives a sign of life in each third of it. One that has none cannot
        be told from an earlier start of this program. Of several servers one hears of the
        other process, and the others are asked until it is found.
        """
        # In sessions of their own: asked in the node's, it would be a sign of life.
        reader, watch = replace(self._options, node=None), None
        while True:
            lease = yield from in_session(reader, limit, lambda d: self._look_for_twin(d, limit), once=True)
            watch = watch or limit.within(lease / 2 + 2 * _SIGN_LAG)
            if not lease or watch.over():
                return
            yield Sleep(watch.left(min(1.0, lease / 8)))

    def _look_for_twin(self, dialogue: Dialogue, limit: Limit) -> Flow[float]:
        """Ask one server.

        Returns:
            The seat's lease if another server hears of it, and 0 if there is no more to ask.
        """
        seats = partial(dialogue.receive, self._ref, limit)
        try:
            first = self._place.find((yield from seats()))
        except NoSuchClusterError:
            return 0.0
        if first is None or not first.token.lease or first.token.run == self._place.run:
            return 0.0
        if first.token.seen:  # it may be told of a sign from before
            yield Sleep(limit.left(_SIGN_LAG))
            first = self._place.find((yield from seats())) or first
        now, watch = first, limit.within(first.token.lease / 2 + _SIGN_LAG)  # the next may be told as late
        while first.token.seen and now.token.seen:
            if now.token.seen > first.token.seen:
                raise TwinError(now.endpoints, now.token.joined)
            if watch.over():
                return 0.0
            yield Sleep(watch.left(min(1.0, first.token.lease / 8)))
            found = self._place.find((yield from seats()))
            if found is None:
                return 0.0
            now = found
        dialogue.pass_by()
        return first.token.lease

    def _patiently(self, make: Callable[[], Flow[T]], limit: Limit) -> Flow[T]:
        """Do something again, in the same session, while others have not done what it needs."""
        backoff, told = Backoff(_FIRST_PAUSE, _MOST_PAUSE), False
        while True:
            try:
                return (yield from make())
            except RegistryError as err:
                if not self._passes(err):
                    raise
                failure = err
            if not told:
                self._tell_failure(failure)
            told = True
            if not (yield from backoff.pause(limit)):
                raise failure

    def _passes(self, err: RegistryError) -> bool:
        """Report whether an error passes when others come: the owner, or those who open the next epoch."""
        if isinstance(err, NoSuchClusterNameError):
            return self._options.ticket is not None and not self._plan.owns
        return self._place.fresh and isinstance(err, MemberNameInUseError | ClusterFullError)

    def _find(self, dialogue: Dialogue, limit: Limit) -> Flow[ClusterRef]:
        """Create the cluster or look at the one that is there, and return how to join it.

        An original server describes a cluster only to nodes that create or join it.
        """
        if not self._plan.creates and self._options.original:
            return self._ref
        if not self._plan.creates:
            check_size((yield from dialogue.cluster(self._ref, limit)), self._size)
            return self._ref
        wanted = replace(self._plan.wanted, name=self._ref.name, size=self._size, attrs=self._attrs)
        cluster = yield from dialogue.create(wanted, limit)
        # A name that was made up now is the cluster's name, should the registry
        # have to be asked again.
        if cluster.name:
            self._ref = replace(self._ref, name=cluster.name)
        self._attrs &= ~ClusterAttrs.UNIQUE
        self._found(cluster)
        return ClusterRef(cluster.id, key=self._ref.key)

    def _found(self, cluster: Cluster) -> Cluster:
        check_size(cluster, self._plan.size)
        self._cluster = cluster
        self._size = cluster.size or self._plan.size
        return cluster


class _Rejoining(_Formation):
    """Takes a seat again that the node had when it saved its roster."""

    _told_at = logging.INFO  # that the registry is away is why it is here

    def __init__(self, again: Again, strangers: Strangers) -> None:
        super().__init__(again.plan)
        self._options = replace(self._options, known=True)  # from an earlier start
        self._seat, self._epoch, self._strangers = again.seat, again.epoch, strangers

    def run(self, limit: Limit) -> Flow[Formed]:
        """Make attempts until one succeeds, or fails for good."""
        while True:
            try:
                formed = yield from super().run(limit)
            except XlregError as err:
                if limit.over() or not self._strangers.meet(err):
                    raise
            else:
                self._strangers.gone()
                return formed
            yield from self._strangers.pause(limit)

    def _attempt(self, limit: Limit) -> Flow[Formed]:
        yield from self._strangers.look(self._options, limit)
        return (yield from super()._attempt(limit))

    def _may_pass(self, err: XlregError) -> bool:
        return stranger_in(err) is None and super()._may_pass(err)

    def _find(self, dialogue: Dialogue, limit: Limit) -> Flow[ClusterRef]:
        ref = yield from super()._find(dialogue, limit)
        self._check_seat((yield from dialogue.receive(ref, limit)))
        return ref

    def _check_seat(self, now: Roster) -> None:
        """Look whether the seat is the node's to take.

        One that is free is, if it had a lease, which has run out; without one it is lost only to
        those who may take it away.
        """
        if now.by_key(self._place.key) is not None:
            return
        if now.state.epoch != self._epoch:
            raise NewEpochError(f"epoch {now.state.epoch} follows {self._epoch}, without this node")
        for member in now.members:
            if member.index == self._seat.index:
                raise NotMemberError(f"{quote(member.name)} has its seat, with index {member.index}")
        if not self._seat.token.lease:
            raise NotMemberError("this node left, or its cluster's owner evicted it")
