"""Forming a cluster: from listening sockets to the verified roster, whatever the registry does meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ._address import Listener, addresses
from ._dial import Dialing, Options, log
from ._dialogue import Creation, Dialogue, check_size
from ._flow import Backoff, Flow, Limit
from ._wait import Waiter
from .errors import (
    BadSignatureError,
    IncompleteError,
    NeedsNodeError,
    NoClusterNamedError,
    NotMemberError,
    RegistryError,
    SessionEndedError,
    TooFewEndpointsError,
    TooManyRequestsError,
    TryLaterError,
    XlregError,
    doing,
)
from .node import Node
from .roster import Member, Roster
from .vocabulary import Cluster, ClusterAttrs, ClusterRef, NodeID

_FIRST_PAUSE, _MOST_PAUSE = 0.05, 1.0
_LONGEST_RETRY = 60.0  # however long a registry says to wait
_STEADY = 10.0  # after a session that lasted so long the pauses begin anew


@dataclass(frozen=True)
class Progress:
    """How far a formation has come.

    Attributes:
        cluster: The cluster; None until it is created or found.
        roster: Who has joined, verified; None until the node has.
        size: How many members are wanted; 0 until that is known.
        error: Why something has to be tried again; None otherwise.
    """

    cluster: Cluster | None
    roster: Roster | None
    size: int
    error: XlregError | None = None


@dataclass(frozen=True)
class Plan:
    """Which cluster to form, as whom; see xlreg.form."""

    options: Options
    ref: ClusterRef
    size: int = 0
    join_only: bool = False
    endpoint_count: int = 1
    attrs: ClusterAttrs = ClusterAttrs.NONE
    listeners: Sequence[Listener] = ()
    advertise: Sequence[str | None] = ()
    progress: Callable[[Progress], None] | None = None

    @property
    def node(self) -> Node:
        """The node."""
        if self.options.node is None:
            raise NeedsNodeError
        return self.options.node

    @property
    def creates(self) -> bool:
        """Whether the cluster is to be created if need be. An ID cannot be chosen."""
        return not self.join_only and self.ref.id is None

    def check(self) -> None:
        """Refuse what makes no sense, before anything is done."""
        if not self.ref and self.join_only:
            raise NoClusterNamedError
        if not self.size and self.creates:
            raise ValueError("a cluster that may have to be created needs a size")
        if self.size:
            protocol = self.options.protocol
            name = self.ref.name if self.ref.id is None else ""
            Creation(name, self.size, self.endpoint_count, self.attrs).check(
                protocol is not None and protocol.classic
            )


@dataclass(frozen=True)
class Formed:
    """A cluster that is complete, and the node's ID in it."""

    roster: Roster
    id: NodeID


def check_self(roster: Roster, node: Node, node_id: NodeID) -> Member:
    """Find the node in a roster, with its own key: of itself it can know what is wrong.

    Raises:
        NotMemberError: It is not there.
        BadSignatureError: It is there with another key.
    """
    member = roster.by_id(node_id)
    if member is None:
        raise NotMemberError(
            f"another node of this name and key has taken the place of {node_id}, or it left"
        )
    if member.token.sig_key != node.keys.sig_key:
        raise BadSignatureError("the registry shows another key as that of this node")
    return member


def form(plan: Plan, limit: Limit) -> Flow[Formed]:
    """Find out the addresses, register, create or find the cluster, join it, and wait; again if need be."""
    formation = _Formation(plan)
    with doing(f"form {plan.ref}"):
        plan.check()
        node = plan.node
        advertise = plan.advertise if plan.listeners or plan.advertise else node.endpoints
        endpoints = yield from addresses(plan.listeners, advertise)
        if len(endpoints) < plan.endpoint_count:
            raise TooFewEndpointsError(f"{len(endpoints)}, want {plan.endpoint_count}")
        node.set_endpoints(endpoints)
        return (yield from formation.run(limit))


class _Formation:
    """One formation under way."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._ref = plan.ref  # what to create or join; a name once one is made up
        self._attrs = plan.attrs
        self._size = plan.size  # 0 until it is known
        self._cluster: Cluster | None = None
        self._last: Roster | None = None  # None until the node has joined

    def run(self, limit: Limit) -> Flow[Formed]:
        backoff = Backoff(_FIRST_PAUSE, _MOST_PAUSE)
        while True:
            began = limit.now()
            try:
                return (yield from self._attempt(limit))
            except XlregError as err:
                failure = err
            if limit.over() or isinstance(failure, IncompleteError):
                raise self._incomplete(failure)
            if not _retryable(failure):
                raise failure
            log.warning("formation of %s is tried again: %s", self._ref, failure)
            self._tell(failure)
            if limit.now() - began > _STEADY:
                backoff.reset()
            retry = failure.retry if isinstance(failure, RegistryError) else 0.0
            if not (yield from backoff.pause(limit, min(retry, _LONGEST_RETRY))):
                raise self._incomplete(failure)

    def _attempt(self, limit: Limit) -> Flow[Formed]:
        """Go all the way with one session."""
        dialogue = yield from Dialogue.open(Dialing(self._plan.options), limit)
        try:
            formed = yield from self._converse(dialogue, limit)
        except XlregError:
            yield from dialogue.close()
            raise
        yield from dialogue.close()
        return formed

    def _converse(self, dialogue: Dialogue, limit: Limit) -> Flow[Formed]:
        node_id = yield from dialogue.register(limit)
        ref = yield from self._find(dialogue, limit)
        cluster = self._found((yield from dialogue.join(ref, limit)))
        waiter = Waiter(
            dialogue, ClusterRef.of(cluster), self._size, self._seen if self._plan.progress else None
        )
        try:
            roster = yield from waiter.wait(limit)
        finally:
            if waiter.last is not None:
                self._keep(waiter.last)
        check_self(roster, self._plan.node, node_id)
        return Formed(roster, node_id)

    def _find(self, dialogue: Dialogue, limit: Limit) -> Flow[ClusterRef]:
        """Create the cluster or look at the one that is there, and return how to join it."""
        if not self._plan.creates:
            check_size((yield from dialogue.cluster(self._ref, limit)), self._size)
            return self._ref
        wanted = Creation(self._ref.name, self._size, self._plan.endpoint_count, self._attrs)
        cluster = yield from dialogue.create(wanted, limit)
        # A name that was made up now is the cluster's name, should the registry
        # have to be asked again.
        if cluster.name:
            self._ref = replace(self._ref, name=cluster.name)
        self._attrs &= ~ClusterAttrs.UNIQUE
        self._found(cluster)
        return ClusterRef(cluster.id)

    def _found(self, cluster: Cluster) -> Cluster:
        check_size(cluster, self._plan.size)
        self._cluster = cluster
        self._size = cluster.size or self._plan.size
        return cluster

    def _seen(self, roster: Roster) -> None:
        self._keep(roster)
        self._tell(None)

    def _keep(self, roster: Roster) -> None:
        self._last, self._cluster = roster, roster.cluster

    def _tell(self, error: XlregError | None) -> None:
        if self._plan.progress:
            self._plan.progress(Progress(self._cluster, self._last, self._size, error))

    def _incomplete(self, failure: XlregError) -> IncompleteError:
        """Return the error of a formation that ran out of time, with what else was wrong when it did."""
        cause = None if isinstance(failure, IncompleteError) else failure
        return IncompleteError(self._last, self._size, cause)


def _retryable(err: XlregError) -> bool:
    """Report whether an error may be gone in another session.

    It may if the connection broke, or the registry says to come back later. A
    registry that refuses the node's certificate will again.
    """
    return isinstance(err, (SessionEndedError, TryLaterError, TooManyRequestsError))
