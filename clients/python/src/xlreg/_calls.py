"""The calls that open their sessions themselves, written once: forming a cluster, and waiting for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ._address import Listener
from ._flow import Request, at_once
from ._follow import Follower
from ._form import Again, Formed, Plan, check_verified
from ._form import form as form_flow
from ._place import Place, new_run
from ._pursuit import Told
from ._reading import Reading
from ._requests import AnyCluster, AnyTarget, options, ref_of
from .node import Node
from .roster import Roster
from .saved import SavedRoster
from .version import Protocol
from .vocabulary import NO_KEY, ClusterAttrs, ClusterRef


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
    allow_unverified: bool = False,
    progress: Told | None = None,
    lease: float = 0.0,
    fresh: bool = False,
    run: bytes = b"",
    take_over: bool = False,
    labels: Mapping[str, str | bytes] | None = None,
    no_wait: bool = False,
) -> Request[Formed]:
    """Make the node a member of a cluster, and return once every member has joined.

    It finds the addresses of the listeners, registers the node, creates the cluster or
    finds it, joins it and waits. A cluster of another size is an error, and is not joined.
    If the registry goes away in the meantime, or says to come back later, it starts over,
    as the same node, until the time is up. It leaves no connection open; with a lease the
    membership keeps one until it is closed.

    Args:
        target: The registry; or a ticket, which also names the cluster and admits the node to it.
            Whoever has an invite and comes before the owner waits for the cluster.
        node: The node that joins; its endpoints are replaced.
        cluster: Its name or ID. If it is named and does not exist, it is created. None
            creates a new one, whose name the registry makes up.
        size: How many members it is for; 0 accepts any size, but then it has to exist.
        listeners: The sockets on which others reach the node; their addresses are registered, in order.
        advertise: What replaces the address of the listener at the same place; those
            beyond the listeners follow. ``:7001`` stands for this machine's address on the
            way to the registry, ``eth1:7001`` for that of an interface, ``observed:7001`` for that
            from which the registry sees this machine. With neither
            listeners nor these, the node keeps its endpoints.
        timeout: Seconds for all of it; None waits forever, both for the registry and for members.
        join_only: Do not create the cluster if it does not exist.
        endpoint_count: How many endpoints each member of a new cluster must have.
        attrs: Attributes of a new cluster.
        protocol: What to speak; 2.0, unless "1.9" or "1.8" is chosen.
        allow_unverified: Also return a roster that has unverified members. Over a classic
            carrier none ever is verified, and choosing one implies this.
        progress: Called when the node has joined, when others have, and when something
            has to be tried again. It costs one request for each member that joins.
        lease: For how many seconds the node stays a member without a sign of life, which
            its membership then gives until it is closed; 0 is for good. The registry may
            choose another time.
        fresh: Meet members of this start alone: a cluster whose members all restart, each
            with fresh, shows none of them an address of its last run.
        run: Names this start of the program, in at most 32 random bytes; by default each
            call has one of its own.
        take_over: Take the node's seat although another process with its key has it.
        labels: What the node tells the others besides its addresses; None leaves it as it is.
        no_wait: Return as soon as the node has its seat, with the members that have joined by then.

    Returns:
        The node's membership, with the verified roster.

    Raises:
        AdmissionRefusedError: The cluster's owner does not admit the node.
        TicketError: The ticket is none, or not one that admits the node.
        TwinError: Another process with the node's key has its seat.
        AddressError: Nobody could reach the node at one of the addresses. A host name that
            has no address yet is looked up again until the time is up, or for 30 seconds.
        ClusterSizeError: The cluster exists with another size.
        IncompleteError: Time was up; it says who has joined, and how many are missing.
        UntrustedError: The registry is not the one that target names.
        UnverifiedError: Members came over a classic carrier and have proved nothing; it names them.
        RegistryError: The registry refuses, for a reason that will not go away.
        ValueError: The arguments make no sense together.

    Example:
        >>> listener = socket.create_server(("192.0.2.7", 0))                 # doctest: +SKIP
        >>> with Node.ensure("/var/lib/app/node") as node:                    # doctest: +SKIP
        ...     membership = form("regCred.dat", node=node, cluster="web", size=3,
        ...                       listeners=[listener], timeout=60)
    """
    if labels is not None:
        node.set_labels(labels)
    chosen = options(target, node, protocol)
    if chosen.ticket is not None:
        size, endpoint_count = size or chosen.ticket.size, chosen.ticket.endpoint_count
    plan = Plan(
        options=chosen,
        ref=ref_of(chosen, cluster),
        size=size,
        join_only=join_only,
        endpoint_count=endpoint_count,
        attrs=attrs,
        listeners=listeners,
        advertise=advertise,
        allow_unverified=allow_unverified,
        progress=progress,
        run=run,
        fresh=fresh,
        lease=lease,
        take_over=take_over,
        no_wait=no_wait,
    )
    return Request(lambda limit: form_flow(plan, limit), timeout)


def resume(
    saved: SavedRoster,
    *,
    node: Node,
    allow_unverified: bool = False,
    progress: Told | None = None,
    lease: float = 0.0,
    run: bytes = b"",
    take_over: bool = False,
    labels: Mapping[str, str | bytes] | None = None,
) -> Request[Formed]:
    """Make a membership of a saved roster, for a member that starts while its registry is away.

    It returns at once. As soon as the registry is back the node takes its seat again, and then
    the membership is as one that form returned; ``watch`` begins with what is different
    from the saved roster. It keeps a session until it is closed. If the seat is the node's no
    more, the membership ends as it does when that happens while it runs; see ``error``.

    Args:
        saved: What load_roster returned.
        node: The node that saved it. It keeps its endpoints.
        allow_unverified: Also take a roster that has unverified members.
        progress: Called when the node has joined again, and when something has to be tried again.
        lease: For how many seconds the node stays a member without a sign of life; 0 is for good.
        run: Names this start of the program; by default each call has one of its own.
        take_over: Take the node's seat although another process with its key has it.
        labels: What the node tells the others besides its addresses; None leaves it as it is.

    Returns:
        The node's membership, with the saved roster.

    Raises:
        UnverifiedError: Members have proved nothing; it names them.

    Example:
        >>> saved = load_roster(Path("web.saved").read_bytes(), node, "regCred.dat")  # doctest: +SKIP
        >>> membership = resume(saved, node=node)                                     # doctest: +SKIP
    """
    if labels is not None:
        node.set_labels(labels)
    node.set_endpoints(saved.me.endpoints)
    chosen, cluster = options(saved.registry, node, None), saved.roster.cluster
    key = chosen.ticket.key if chosen.ticket is not None else NO_KEY
    plan = Plan(
        options=chosen,
        ref=ClusterRef(cluster.id, cluster.name, key),
        join_only=True,
        allow_unverified=allow_unverified,
        progress=progress,
        run=run or new_run(),
        lease=lease,
        take_over=take_over,
        no_wait=True,
    )
    plan.check()
    if not allow_unverified:
        check_verified(saved.roster)
    epoch = saved.roster.state.epoch
    place = Place(node.keys.sig_key, plan.run, id=saved.me.id, epoch=epoch, lease=lease)
    formed = Formed(chosen, node, saved.roster, place, Again(plan, saved.me, epoch), saved.heard)
    return Request(lambda _: at_once(formed), None)


def wait_members(
    target: AnyTarget,
    cluster: AnyCluster = None,
    size: int = 0,
    *,
    node: Node | None = None,
    timeout: float | None = None,
    protocol: Protocol | str | None = None,
    progress: Told | None = None,
) -> Request[Roster]:
    """Return the verified roster of a cluster as soon as it has size members, without being one of them.

    If the registry goes away in the meantime, or says to come back later, it is asked
    again until the time is up. ``Client.wait`` does the same within one session.

    Args:
        target: The registry; or a ticket, by which every member has to be admitted. A cluster
            whose owner has not created it yet is waited for.
        cluster: Its name or ID; with a ticket it need not be said.
        size: How many members to wait for; 0 is as many as the cluster is for.
        node: The node that asks. Over 2.0 none is needed; over a classic carrier one is, and is registered.
        timeout: Seconds for all of it; None waits forever, both for the registry and for members.
        protocol: What to speak; 2.0, unless "1.9" or "1.8" is chosen.
        progress: Called when members have joined, and when something has to be tried again.

    Raises:
        IncompleteError: Time was up; it says who has joined, and how many are missing.
        NoSuchClusterError: There is no such cluster.
        UntrustedError: The registry is not the one that target names.
        BadSignatureError: A member's signature or certificate is wrong.

    Example:
        >>> for member in wait_members("regCred.dat", "web", timeout=60).members:  # doctest: +SKIP
        ...     print(member.name, member.endpoints[0])
    """
    chosen = options(target, node, protocol)
    reading = Reading(chosen, ref_of(chosen, cluster), size, progress)
    return Request(reading.run, timeout)


def follower(target: AnyTarget, cluster: AnyCluster, protocol: Protocol | str | None = None) -> Follower:
    """Return what follows a cluster for a reader."""
    chosen = options(target, None, protocol)
    return Follower(chosen, ref_of(chosen, cluster))
