"""Every request of a client, written once as a flow, from which Client and AsyncClient make their methods."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from ._creation import Creation
from ._dial import Options
from ._dialogue import Dialogue
from ._flow import Flow, Limit, Request
from ._wait import Waiter
from ._wire.requests import Seat
from .errors import doing
from .node import Node
from .regcred import RegCred, Target, pasted, read_file
from .roster import Roster
from .signed import SignedRoster
from .ticket import Ticket, is_ticket
from .version import Protocol
from .vocabulary import NO_KEY, Cluster, ClusterAttrs, ClusterID, ClusterRef, NodeID

AnyTarget: TypeAlias = Ticket | Target | RegCred | str | os.PathLike[str]
"""A registry: an ``xlreg://`` line, credentials or the file with them; or a ticket, its line or its file."""

AnyCluster: TypeAlias = ClusterRef | Cluster | ClusterID | str | None
"""A cluster: its name, its ID, or None for the ticket's, or the one that this session was last about."""


def options(target: AnyTarget, node: Node | None, protocol: Protocol | str | None) -> Options:
    """Return which node talks to which registry, and how."""
    ticket = ticket_of(target)
    found = ticket.registry if ticket else Target.load(target)  # type: ignore[arg-type]
    return Options(found, node, None if protocol is None else Protocol.of(protocol), ticket=ticket)


def ticket_of(target: AnyTarget) -> Ticket | None:
    """Return the ticket that a target is, or whose line or file it is; None if it is something else.

    Raises:
        TicketError: It looks like one and is none.
    """
    if isinstance(target, Ticket):
        return target
    if isinstance(target, Target | RegCred):
        return None
    if isinstance(target, str) and is_ticket(target):
        return Ticket.load(target)
    return Ticket.load(Path(target)) if _holds_ticket(target) else None


def _holds_ticket(target: str | os.PathLike[str]) -> bool:
    """Report whether a target is the name of a file with a ticket. What cannot be read is not."""
    try:
        return is_ticket(pasted(read_file(Path(target))))
    except (OSError, ValueError):
        return False


def ref_of(options: Options, cluster: AnyCluster) -> ClusterRef:
    """Return the cluster that is meant, which without a word is that of the ticket.

    Raises:
        ValueError: It is not the ticket's.
    """
    ref, ticket = ClusterRef.of(cluster), options.ticket
    if ticket is None:
        return ref
    if ref.name not in ("", ticket.cluster) or ref.key not in (NO_KEY, ticket.key):
        raise ValueError(f"{ref}: the ticket is for cluster {ticket.cluster}")
    return ClusterRef(ref.id, ticket.cluster, ticket.key)


class BaseClient:
    """One session with a registry, less its I/O."""

    def __init__(self, dialogue: Dialogue) -> None:
        """Hold a session; use connect."""
        self._dialogue = dialogue

    def _ref(self, cluster: AnyCluster) -> ClusterRef:
        return ref_of(self._dialogue.options, cluster)

    @property
    def protocol(self) -> Protocol:
        """What the session speaks."""
        return self._dialogue.protocol

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the registry's sig key, SHA256:…"""
        return self._dialogue.options.target.fingerprint


def register(self: BaseClient, *, timeout: float | None = None) -> Request[NodeID]:
    """Register the node's name, keys and endpoints, and return its ID.

    If the node already has an ID from this registry it proposes that, so registering
    again updates the same node. A new ID is saved with the node before this returns.

    Raises:
        NeedsNodeError: There is no node.
        RegistryError: The registry refuses.
        SessionEndedError: The session is over.
        NodeError: The ID cannot be saved.
    """
    return Request(self._dialogue.register, timeout)


def login(self: BaseClient, *, timeout: float | None = None) -> Request[NodeID]:
    """Identify the node by the ID that register saved, and return that. It changes nothing.

    Raises:
        NotRegisteredError: There is no such ID.
        BadSignatureError: The registry does not know it.
        NeedsNodeError: There is no node.
        SessionEndedError: The session is over.
    """
    return Request(self._dialogue.login, timeout)


def create(  # noqa: D417  # self is no argument
    self: BaseClient,
    name: str = "",
    size: int = 2,
    *,
    endpoint_count: int = 1,
    attrs: ClusterAttrs = ClusterAttrs.NONE,
    timeout: float | None = None,
) -> Request[Cluster]:
    """Create a cluster, and return it. If there is one of that name, return that unchanged.

    The registry must know the node: register or log in first. In a session that was opened
    with an owner's ticket, and with nothing said here, it is the cluster of the ticket.

    Args:
        name: Its name. If that is empty the registry makes one up; with
            ClusterAttrs.UNIQUE it appends what makes it new.
        size: How many members it is for, 2 to 1024; over a classic carrier to 64.
        endpoint_count: How many endpoints each member must have, 1 to 16.
        attrs: Its attributes.
        timeout: Seconds.

    Raises:
        ClusterSizeError: It exists with another size; its ``cluster`` is what exists.
        IllFormedNameError: The name is not valid.
        Needs20Error: Over a classic carrier there is no unique name.
        RegistryError: The registry refuses.
        SessionEndedError: The session is over.
    """
    wanted = Creation(name, size, endpoint_count, attrs)
    ticket = self._dialogue.options.ticket
    if ticket is not None and name in ("", ticket.cluster):
        wanted = Creation(ticket.cluster, ticket.size, ticket.endpoint_count, attrs, ticket)
    return Request(lambda limit: self._dialogue.create(wanted, limit), timeout)


def cluster(
    self: BaseClient, cluster: AnyCluster = None, *, timeout: float | None = None
) -> Request[Cluster]:
    """Return what is fixed about a cluster, without its members.

    Raises:
        NoSuchClusterError: There is no such cluster.
        SessionEndedError: The session is over.
    """
    return Request(lambda limit: self._dialogue.cluster(self._ref(cluster), limit), timeout)


def join(  # noqa: D417  # self is no argument
    self: BaseClient,
    cluster: AnyCluster = None,
    *,
    run: bytes = b"",
    fresh: bool = False,
    lease: float = 0.0,
    timeout: float | None = None,
) -> Request[Cluster]:
    """Make the node a member, and return the cluster. None is that of this session's last create.

    Joining again only updates what the others see of the node to what it registered last.

    Args:
        cluster: The cluster. In a session that was opened with a ticket it need not be said.
        run: Names this start of the program, in at most 32 random bytes.
        fresh: Meet members of this start alone; it needs a run. See form.
        lease: For how many seconds to be a member without a sign of life; 0 is for good.
            The registry may choose another time.
        timeout: Seconds.

    Raises:
        AdmissionRefusedError: The cluster's owner has not admitted the node.
        MemberIDInUseError: Another run has taken the seat of this one.
        Needs20Error: Over a classic carrier there are no leases and no fresh starts.
        NoSuchClusterError: There is no such cluster.
        ClusterFullError: Every place is taken.
        MemberNameInUseError: Another member, with another key, has the node's name.
        TooFewEndpointsError: The cluster asks for more.
        IdentityRequiredError: The node has not registered or logged in.
        SessionEndedError: The session is over.
    """
    options, ref = self._dialogue.options, self._ref(cluster)
    admission = options.ticket.admission(options.need_node().keys.sig_key) if options.ticket else b""
    seat = Seat(admission, run, fresh, round(lease * 1000))

    def flow(limit: Limit) -> Flow[Cluster]:
        return (yield from self._dialogue.join(ref, limit, seat)).cluster

    return Request(flow, timeout)


def members(self: BaseClient, cluster: AnyCluster = None, *, timeout: float | None = None) -> Request[Roster]:
    """Return the current members, verified. None is the cluster of this session's last create or join.

    Over 2.0 anyone may ask; over a classic carrier the node has to have registered.

    Raises:
        NoSuchClusterError: There is no such cluster.
        BadSignatureError: A member's signature or certificate is wrong.
        SessionEndedError: The session is over.
    """
    return Request(lambda limit: self._dialogue.members(self._ref(cluster), limit), timeout)


def wait(
    self: BaseClient, cluster: AnyCluster = None, size: int = 0, *, timeout: float | None = None
) -> Request[Roster]:
    """Return the verified roster as soon as the cluster has size members; 0 is as many as it is for.

    That is a single request, which the registry answers when they are there. Servers from
    before 2.0 answer at once, and are asked again after pauses that grow from 50
    milliseconds to a second.

    Raises:
        IncompleteError: Time was up first; it says who has joined.
        NoSuchClusterError: There is no such cluster.
        BadSignatureError: A member's signature or certificate is wrong.
        SessionEndedError: The session is over; wait_members goes on in another.
    """
    ref = self._ref(cluster)

    def flow(limit: Limit) -> Flow[Roster]:
        with doing(f"wait for {ref}"):
            return (yield from Waiter(self._dialogue, ref, size).wait(limit))

    return Request(flow, timeout)


def leave(self: BaseClient, cluster: AnyCluster = None, *, timeout: float | None = None) -> Request[None]:
    """Give up the node's place in the cluster.

    Raises:
        NotMemberError: It has none.
        Needs20Error: Over a classic carrier there is no leaving.
        SessionEndedError: The session is over.
    """
    return Request(lambda limit: self._dialogue.leave(self._ref(cluster), limit), timeout)


def registry(self: BaseClient, *, timeout: float | None = None) -> Request[RegCred]:
    """Ask the registry for its credentials, which must contain the sig key that it has proved to hold.

    Raises:
        ProtocolError: They hold another sig key.
        SessionEndedError: The session is over.
    """
    return Request(self._dialogue.registry, timeout)


def signed(
    self: BaseClient, cluster: AnyCluster = None, *, timeout: float | None = None
) -> Request[SignedRoster]:
    """Return the current members as the registry signs them, verified.

    What its ``document`` holds can be kept in a file, and verified by whoever knows the
    registry, without asking it; see verify_signed.

    Raises:
        DocumentError: It does not hold.
        NoSuchClusterError: There is no such cluster.
        Needs20Error: Over a classic carrier nothing is signed.
        SessionEndedError: The session is over.
    """
    return Request(lambda limit: self._dialogue.signed(self._ref(cluster), limit), timeout)


def observed(self: BaseClient, *, timeout: float | None = None) -> Request[str]:
    """Return from where the registry sees this client, as host:port; empty if it does not say.

    Raises:
        SessionEndedError: The session is over.
    """
    return Request(self._dialogue.ask_observed, timeout)
