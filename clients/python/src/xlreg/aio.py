"""The client for asyncio. Its methods take, return and raise what those of Client do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from . import _calls, _requests
from ._async import Wire, perform, within
from ._dial import Dialing
from ._dialogue import Dialogue
from ._flow import Limit, Request, show_as
from ._form import Formed
from ._requests import AnyCluster, AnyTarget, BaseClient
from .changes import Change
from .errors import DeadlineError, XlregError
from .membership import AsyncMembership
from .node import Node
from .roster import Roster
from .version import Protocol

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _call(make: Callable[_P, Request[_T]]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """Return the coroutine function that does what make describes."""

    async def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await perform(make(*args, **kwargs))

    show_as(call, make)
    return call


def _forming(make: Callable[_P, Request[Formed]]) -> Callable[_P, Coroutine[Any, Any, AsyncMembership]]:
    async def call(*args: _P.args, **kwargs: _P.kwargs) -> AsyncMembership:
        return AsyncMembership(await perform(make(*args, **kwargs)))

    show_as(call, make, "AsyncMembership")
    return call


def _method(
    make: Callable[Concatenate[BaseClient, _P], Request[_T]],
) -> Callable[Concatenate[AsyncClient, _P], Coroutine[Any, Any, _T]]:
    """Return the coroutine method that asks what make describes."""

    async def method(self: AsyncClient, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await self._ask(make(self, *args, **kwargs))

    show_as(method, make)
    return method


aform = _forming(_calls.form)
aresume = _forming(_calls.resume)
await_members = _call(_calls.wait_members)


async def awatch(
    target: AnyTarget, cluster: AnyCluster = None, *, timeout: float | None = None
) -> AsyncIterator[Change]:
    """Yield each change of a cluster once, without being a member; see watch."""
    follower, limit, wire = _calls.follower(target, cluster), Limit(timeout), Wire()
    before: Roster | None = None
    try:
        while True:
            now = await wire.run(follower.next(limit))
            change = Change.between(before, now)
            if change or before is None:
                yield change
            before = now
    except XlregError:
        if not limit.over():
            raise
    finally:
        await wire.close()


class AsyncClient(BaseClient):
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
        dialing = Dialing(_requests.options(target, node, protocol))
        wire = Wire()
        try:
            return cls(await wire.run(Dialogue.open(dialing, Limit(timeout))), wire)
        except BaseException:
            await wire.close()
            raise

    register = _method(_requests.register)
    login = _method(_requests.login)
    create = _method(_requests.create)
    cluster = _method(_requests.cluster)
    join = _method(_requests.join)
    members = _method(_requests.members)
    wait = _method(_requests.wait)
    leave = _method(_requests.leave)
    registry = _method(_requests.registry)
    signed = _method(_requests.signed)
    observed = _method(_requests.observed)

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

    async def _ask(self, request: Request[_T]) -> _T:
        limit = Limit(request.timeout)
        try:
            await within(request.timeout, self._turn.acquire(), lambda _: self._turn.release())
        except TimeoutError:
            raise DeadlineError("time was up while another call was under way") from None
        try:
            return await self._wire.run(request.flow(limit))
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
