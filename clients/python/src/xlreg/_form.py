"""Forming a cluster: from listening sockets to the verified roster, whatever the registry does meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ._address import Listener, UnresolvedError, addresses, concerns
from ._dial import Options, log
from ._dialogue import Creation, Dialogue, check_size, made_up_name
from ._flow import Backoff, Flow, Limit
from ._pursuit import Pursuit, Told
from ._wait import Waiter
from .errors import (
    BadSignatureError,
    NeedsNodeError,
    NoClusterNamedError,
    NotMemberError,
    TooFewEndpointsError,
    UnverifiedError,
    doing,
)
from .node import Node
from .roster import Member, Roster
from .vocabulary import Cluster, ClusterAttrs, ClusterRef, Endpoint, NodeID

_FIRST_PAUSE, _MOST_PAUSE = 0.05, 1.0


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

    options: Options
    node: Node
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

    def find_addresses(self, limit: Limit) -> Flow[tuple[Endpoint, ...]]:
        """Return where the node is. A name that does not resolve is looked up again while there is time."""
        plan, backoff = self._plan, Backoff(_FIRST_PAUSE, _MOST_PAUSE)
        advertise = plan.advertise if plan.listeners or plan.advertise else plan.node.endpoints
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

    def _converse(self, dialogue: Dialogue, limit: Limit) -> Flow[Formed]:
        self._id = node_id = yield from dialogue.register(limit)
        ref = yield from self._find(dialogue, limit)
        cluster = self._found((yield from dialogue.join(ref, limit)))
        self._joined = True
        waiter = Waiter(dialogue, ClusterRef.of(cluster), self._size, self._seen)
        roster = yield from self._wait(waiter, limit)
        check_self(roster, self._plan.node, node_id)
        if not dialogue.protocol.classic and not self._plan.allow_unverified:
            check_verified(roster)
        return Formed(self._options, self._plan.node, roster, node_id)

    def _find(self, dialogue: Dialogue, limit: Limit) -> Flow[ClusterRef]:
        """Create the cluster or look at the one that is there, and return how to join it.

        An original server describes a cluster only to nodes that create or join it.
        """
        if not self._plan.creates and self._options.original:
            return self._ref
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
