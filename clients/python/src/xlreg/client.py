"""The client with blocking calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeVar

from . import _base
from ._address import Listener
from ._base import AnyCluster, AnyTarget
from ._dial import Dialing
from ._dialogue import Creation, Dialogue
from ._flow import Flow, Limit
from ._form import Progress
from ._form import form as form_flow
from ._sync import Wire
from ._wait import Waiter
from .errors import DeadlineError
from .membership import Membership
from .node import Node
from .regcred import RegCred
from .roster import Roster
from .version import Protocol
from .vocabulary import Cluster, ClusterAttrs, ClusterRef, NodeID

_T = TypeVar("_T")


def form(
    target: AnyTarget,
    *,
    node: Node,
    cluster: AnyCluster = None,
    size: int = 0,
    listeners: Sequence[Listener] = (),
    advertise: Sequence[str | None] = (),
    timeout: float | None = None,
    join_only: bool = False,
    endpoint_count: int = 1,
    attrs: ClusterAttrs = ClusterAttrs.NONE,
    protocol: Protocol | str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Membership:
    """Make the node a member of a cluster, and return when everybody is there.

    In order: it finds out the addresses of the listeners; registers the node;
    creates the cluster or finds it, and if it has another size says so without
    having joined; joins it; and waits. When the registry goes away meanwhile, or
    says to come back later, it tries again from the start, as the same node, until
    the time is up. It leaves no connection open.

    Args:
        target: The registry.
        node: Who joins; its endpoints are replaced.
        cluster: Which, by name or ID. One that is named and does not exist is
            created. None asks for a new one of a name that the registry makes up.
        size: How many members it is made for; 0 takes it as it is, and then it has to exist.
        listeners: Where the node is reached; their addresses are registered, in order.
        advertise: What replaces the address of the listener at the same place; those
            beyond the listeners follow. With neither, the node keeps its endpoints.
        timeout: Seconds for all of it. None waits for members without end, but for
            the registry to be within reach 30 seconds at a time.
        join_only: Do not create the cluster if it does not exist.
        endpoint_count: How many endpoints each member of a new cluster must have.
        attrs: Attributes of a new cluster.
        protocol: What to speak; 2.0, unless "1.9" or "1.8" is chosen.
        progress: Told when the node has joined, when others have, and when something
            has to be tried again. It costs one request for each member that joins.

    Returns:
        The node's membership, with the verified roster.

    Raises:
        AddressError: Nobody could reach the node at one of the addresses.
        ClusterSizeError: The cluster exists with another size.
        IncompleteError: Time was up; it says who has joined, and how many are missing.
        UntrustedError: The registry is not the one that target names.
        UnreachableError: There was no timeout, and no registry for 30 seconds.
        RegistryError: The registry refuses, for a reason that does not go away.
        ValueError: The arguments make no sense together.

    Example:
        >>> listener = socket.create_server(("192.0.2.7", 0))                 # doctest: +SKIP
        >>> with Node.ensure("/var/lib/app/node") as node:                    # doctest: +SKIP
        ...     membership = form("regCred.dat", node=node, cluster="web", size=3,
        ...                       listeners=[listener], timeout=60)
    """
    plan = _base.plan(
        target,
        node,
        protocol,
        cluster,
        size,
        join_only,
        endpoint_count,
        attrs,
        listeners,
        advertise,
        progress,
    )
    wire = Wire()
    try:
        formed = wire.run(form_flow(plan, Limit(timeout)))
    finally:
        wire.close()
    return Membership(plan.options, node, formed)


class Client(_base.BaseClient):
    """One session with a registry.

    Its methods may be called from any thread and take turns: a session carries
    one request at a time, so a wait keeps others waiting. ``close`` may be called
    at any time, and ends what is under way. A call that is given up in the middle
    ends the session; so does, over a classic carrier, every error that the registry
    answers with. Later calls are then a SessionEndedError. It is a context manager,
    which closes it.

    Every method takes a ``timeout`` in seconds. By default an answer may take 30.

    Example:
        >>> with Client.connect("regCred.dat") as client:  # doctest: +SKIP
        ...     for member in client.members("web").members:
        ...         print(member.name, member.verified)
    """

    def __init__(self, dialogue: Dialogue, wire: Wire) -> None:
        """Hold a session; use connect."""
        super().__init__(dialogue)
        self._wire = wire
        self._turn = threading.Lock()

    @classmethod
    def connect(
        cls,
        target: AnyTarget,
        node: Node | None = None,
        *,
        protocol: Protocol | str | None = None,
        timeout: float | None = None,
    ) -> Client:
        """Open a session. It tries the registry's endpoints in turn until the time is up.

        Args:
            target: The registry: an ``xlreg://`` line, the name of a regCred file, or credentials.
            node: As whom; None only reads, which 2.0 alone allows.
            protocol: What to speak; 2.0, unless "1.9" or "1.8" is chosen.
            timeout: Seconds; by default 30.

        Raises:
            UntrustedError: A registry cannot prove to be the one wanted.
            UnreachableError: There was none before the time was up.
            OriginalRegistryError: The credentials are of one older than 2.0, and nobody chose a protocol.
            NeedsNodeError: A classic carrier needs a node.
            RegCredError: target is none.
            OSError: The file cannot be read.
        """
        dialing = Dialing(_base.options(target, node, protocol))
        wire = Wire()
        try:
            return cls(wire.run(Dialogue.open(dialing, Limit(timeout))), wire)
        except BaseException:
            wire.close()
            raise

    def register(self, *, timeout: float | None = None) -> NodeID:
        """Tell the registry who the node is and where, and return the node's ID.

        It proposes the ID that the node has from this registry, so that registering
        again updates the same node. A new ID is saved with the node first.

        Raises:
            NeedsNodeError: There is no node.
            RegistryError: The registry refuses.
            SessionEndedError: The session is over.
            NodeError: The ID cannot be saved.
        """
        return self._run(self._dialogue.register, timeout)

    def login(self, *, timeout: float | None = None) -> NodeID:
        """Say who the node is by the ID that register saved, and return it. It changes nothing.

        Raises:
            NotRegisteredError: There is no such ID.
            BadSignatureError: The registry does not know it.
            NeedsNodeError: There is no node.
            SessionEndedError: The session is over.
        """
        return self._run(self._dialogue.login, timeout)

    def create(
        self,
        name: str = "",
        size: int = 2,
        *,
        endpoint_count: int = 1,
        attrs: ClusterAttrs = ClusterAttrs.NONE,
        timeout: float | None = None,
    ) -> Cluster:
        """Make a cluster, and return it. If the name exists, what exists is returned and nothing changed.

        The registry must know the node: register or log in first.

        Args:
            name: Its name; empty, or with ClusterAttrs.UNIQUE, the registry makes it new.
            size: How many members it is for, 2 to 64.
            endpoint_count: How many endpoints each member must have, 1 to 16.
            attrs: Its attributes.
            timeout: Seconds.

        Raises:
            ClusterSizeError: It exists with another size; its ``cluster`` is what exists.
            IllFormedNameError: The name is none.
            Needs20Error: Over a classic carrier there is no unique name.
            RegistryError: The registry refuses.
            SessionEndedError: The session is over.
        """
        wanted = Creation(name, size, endpoint_count, attrs)
        return self._run(lambda limit: self._dialogue.create(wanted, limit), timeout)

    def cluster(self, cluster: AnyCluster = None, *, timeout: float | None = None) -> Cluster:
        """Return what is fixed about a cluster, without its members.

        Raises:
            NoSuchClusterError: There is none.
            SessionEndedError: The session is over.
        """
        return self._run(lambda limit: self._dialogue.cluster(ClusterRef.of(cluster), limit), timeout)

    def join(self, cluster: AnyCluster = None, *, timeout: float | None = None) -> Cluster:
        """Make the node a member, and return the cluster. None is that of this session's last create.

        Joining again changes nothing but what the others see: what the node registered last.

        Raises:
            NoSuchClusterError: There is none.
            ClusterFullError: Every place is taken.
            MemberNameInUseError: Another member, with another key, has the node's name.
            TooFewEndpointsError: The cluster asks for more.
            IdentityRequiredError: The node has not registered or logged in.
            SessionEndedError: The session is over.
        """
        return self._run(lambda limit: self._dialogue.join(ClusterRef.of(cluster), limit), timeout)

    def members(self, cluster: AnyCluster = None, *, timeout: float | None = None) -> Roster:
        """Return who is in the cluster now, verified. None is that of this session's last create or join.

        Over 2.0 anyone may ask; over a classic carrier the node has to have registered.

        Raises:
            NoSuchClusterError: There is none.
            BadSignatureError: A member's signature or certificate is wrong.
            SessionEndedError: The session is over.
        """
        return self._run(lambda limit: self._dialogue.members(ClusterRef.of(cluster), limit), timeout)

    def wait(self, cluster: AnyCluster = None, size: int = 0, *, timeout: float | None = None) -> Roster:
        """Return the verified roster as soon as the cluster has size members; 0 is as many as it is made for.

        It takes one request, which the registry answers when it is time. A server
        that answers at once, as those before 2.0 do, is asked again after pauses
        that grow from 50 milliseconds to a second.

        Raises:
            IncompleteError: Time was up first; it says who has joined.
            NoSuchClusterError: There is none.
            BadSignatureError: A member's signature or certificate is wrong.
            SessionEndedError: The session is over.
        """
        waiter = Waiter(self._dialogue, ClusterRef.of(cluster), size)
        return self._run(waiter.wait, timeout)

    def leave(self, cluster: AnyCluster = None, *, timeout: float | None = None) -> None:
        """Give the node's place in the cluster up.

        Raises:
            NotMemberError: It has none.
            Needs20Error: Over a classic carrier there is no leaving.
            SessionEndedError: The session is over.
        """
        self._run(lambda limit: self._dialogue.leave(ClusterRef.of(cluster), limit), timeout)

    def registry(self, *, timeout: float | None = None) -> RegCred:
        """Ask the registry for its credentials, which have to be those of the one that is connected.

        Raises:
            ProtocolError: They hold another sig key.
            SessionEndedError: The session is over.
        """
        return self._run(self._dialogue.registry, timeout)

    def close(self) -> None:
        """Say goodbye, wait at most a second for the answer, and end the session. May be called again.

        While a call is under way in another thread it ends that instead.
        """
        if not self._turn.acquire(blocking=False):
            self._wire.give_up()
            return
        try:
            self._wire.run(self._dialogue.close())
        finally:
            self._wire.close()
            self._turn.release()

    def _run(self, flow: Callable[[Limit], Flow[_T]], timeout: float | None) -> _T:
        limit = Limit(timeout)
        if not self._turn.acquire(timeout=-1 if timeout is None else max(0.0, timeout)):
            raise DeadlineError("time was up while another call was under way")
        try:
            return self._wire.run(flow(limit))
        finally:
            if self._dialogue.ended is not None:
                self._wire.close()
            self._turn.release()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
