"""The client for asyncio. What its methods take, return and raise stands with those of Client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeVar

from . import _base
from ._address import Listener
from ._async import Wire, within
from ._base import AnyCluster, AnyTarget
from ._dial import Dialing
from ._dialogue import Creation, Dialogue
from ._flow import Flow, Limit
from ._form import Progress
from ._form import form as form_flow
from ._wait import Waiter
from .errors import DeadlineError
from .membership import AsyncMembership
from .node import Node
from .regcred import RegCred
from .roster import Roster
from .version import Protocol
from .vocabulary import Cluster, ClusterAttrs, ClusterRef, NodeID

_T = TypeVar("_T")


async def aform(
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
) -> AsyncMembership:
    """Make the node a member of a cluster, and return when everybody is there; see form.

    Example:
        >>> server = await asyncio.start_server(handle, "192.0.2.7", 0)       # doctest: +SKIP
        >>> membership = await aform("regCred.dat", node=node, cluster="web", size=3,
        ...                          listeners=server.sockets, timeout=60)    # doctest: +SKIP
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
        formed = await wire.run(form_flow(plan, Limit(timeout)))
    finally:
        await wire.close()
    return AsyncMembership(plan.options, node, formed)


class AsyncClient(_base.BaseClient):
    """One session with a registry; see Client. It is an asynchronous context manager, which closes it.

    Example:
        >>> async with await AsyncClient.connect("regCred.dat") as client:  # doctest: +SKIP
        ...     roster = await client.members("web")
    """

    def __init__(self, dialogue: Dialogue, wire: Wire) -> None:
        """Hold a session; use connect."""
        super().__init__(dialogue)
        self._wire = wire
        self._turn = asyncio.Lock()

    @classmethod
    async def connect(
        cls,
        target: AnyTarget,
        node: Node | None = None,
        *,
        protocol: Protocol | str | None = None,
        timeout: float | None = None,
    ) -> AsyncClient:
        """Open a session; see Client.connect."""
        dialing = Dialing(_base.options(target, node, protocol))
        wire = Wire()
        try:
            return cls(await wire.run(Dialogue.open(dialing, Limit(timeout))), wire)
        except BaseException:
            await wire.close()
            raise

    async def register(self, *, timeout: float | None = None) -> NodeID:
        """Tell the registry who the node is and where; see Client.register."""
        return await self._run(self._dialogue.register, timeout)

    async def login(self, *, timeout: float | None = None) -> NodeID:
        """Say who the node is by the ID that register saved; see Client.login."""
        return await self._run(self._dialogue.login, timeout)

    async def create(
        self,
        name: str = "",
        size: int = 2,
        *,
        endpoint_count: int = 1,
        attrs: ClusterAttrs = ClusterAttrs.NONE,
        timeout: float | None = None,
    ) -> Cluster:
        """Make a cluster, or get the one that has the name; see Client.create."""
        wanted = Creation(name, size, endpoint_count, attrs)
        return await self._run(lambda limit: self._dialogue.create(wanted, limit), timeout)

    async def cluster(self, cluster: AnyCluster = None, *, timeout: float | None = None) -> Cluster:
        """Return what is fixed about a cluster; see Client.cluster."""
        return await self._run(lambda limit: self._dialogue.cluster(ClusterRef.of(cluster), limit), timeout)

    async def join(self, cluster: AnyCluster = None, *, timeout: float | None = None) -> Cluster:
        """Make the node a member; see Client.join."""
        return await self._run(lambda limit: self._dialogue.join(ClusterRef.of(cluster), limit), timeout)

    async def members(self, cluster: AnyCluster = None, *, timeout: float | None = None) -> Roster:
        """Return who is in the cluster now; see Client.members."""
        return await self._run(lambda limit: self._dialogue.members(ClusterRef.of(cluster), limit), timeout)

    async def wait(
        self,
        cluster: AnyCluster = None,
        size: int = 0,
        *,
        timeout: float | None = None,
    ) -> Roster:
        """Return the roster as soon as the cluster has size members; see Client.wait."""
        waiter = Waiter(self._dialogue, ClusterRef.of(cluster), size)
        return await self._run(waiter.wait, timeout)

    async def leave(self, cluster: AnyCluster = None, *, timeout: float | None = None) -> None:
        """Give the node's place in the cluster up; see Client.leave."""
        await self._run(lambda limit: self._dialogue.leave(ClusterRef.of(cluster), limit), timeout)

    async def registry(self, *, timeout: float | None = None) -> RegCred:
        """Ask the registry for its credentials; see Client.registry."""
        return await self._run(self._dialogue.registry, timeout)

    async def close(self) -> None:
        """Say goodbye and end the session, or the call that is under way; see Client.close."""
        if self._turn.locked():
            self._wire.give_up()
            return
        async with self._turn:
            try:
                await self._wire.run(self._dialogue.close())
            finally:
                await self._wire.close()

    async def _run(self, flow: Callable[[Limit], Flow[_T]], timeout: float | None) -> _T:
        limit = Limit(timeout)
        try:
            await within(timeout, self._turn.acquire(), lambda _: self._turn.release())
        except TimeoutError:
            raise DeadlineError("time was up while another call was under way") from None
        try:
            return await self._wire.run(flow(limit))
        finally:
            if self._dialogue.ended is not None:
                await self._wire.close()
            self._turn.release()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
