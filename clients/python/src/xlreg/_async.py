"""Carries out the effects of flows, with asyncio. It differs from _sync in nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from ._errors import XlregError
from ._flow import (
    Connect,
    Disconnect,
    Effect,
    Failures,
    Flow,
    Limit,
    Race,
    Receive,
    Request,
    Resolve,
    Send,
    T,
)
from ._keepalive import watch
from .vocabulary import Endpoint

_CHUNK = 64 << 10
_AT_A_TIME = 32
_Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Wire:
    """At most one connection, and the flows that run on it, one at a time."""

    def __init__(self) -> None:
        """Begin without a connection."""
        self._streams: _Streams | None = None

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end, and return or raise what it does."""
        step: Callable[[], Effect] = functools.partial(next, flow)
        while True:
            try:
                effect = step()
            except StopIteration as done:
                result: T = done.value
                return result
            try:
                step = functools.partial(flow.send, await self._perform(effect))
            except BaseException as err:  # the flow is to know of all, cancellation too
                step = functools.partial(flow.throw, err)

    async def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Send | Receive):
            return await self._exchange(effect)
        if isinstance(effect, Connect):
            return await self._connect(effect)
        if isinstance(effect, Resolve):
            return await within(effect.timeout, _resolve(effect.host))
        if isinstance(effect, Race):
            return await self._race(effect)
        if isinstance(effect, Disconnect):
            return await self.close()
        return await asyncio.sleep(effect.seconds)

    async def _connect(self, effect: Connect) -> None:
        await self.close()
        self._streams = await _dial(effect.endpoint, Limit(effect.timeout))
        watch(self._streams[1].get_extra_info("socket"), effect.silence)

    async def _race(self, effect: Race) -> Any:
        await self.close()
        wires = [Wire() for _ in effect.flows]
        entered: list[asyncio.Task[Any]] = []
        try:
            while (winner := _first(entered)) is None:
                if len(entered) < len(wires):
                    flow = effect.flows[len(entered)]
                    entered.append(asyncio.ensure_future(wires[len(entered)].run(flow)))
                elif all(task.done() for task in entered):
                    errors = (task.exception() for task in entered)
                    return Failures(err for err in errors if isinstance(err, XlregError))
                running = {task for task in entered if not task.done()}
                more = len(entered) < len(wires)
                await asyncio.wait(
                    running, timeout=effect.apart if more else None, return_when=asyncio.FIRST_COMPLETED
                )
            self._streams, wires[winner]._streams = wires[winner]._streams, None
            return entered[winner].result()
        finally:
            for task in entered:
                task.cancel()
            await asyncio.gather(*entered, return_exceptions=True)
            for wire in wires:
                await wire.close()

    async def _exchange(self, effect: Send | Receive) -> bytes | None:
        if self._streams is None:
            raise ConnectionAbortedError("connection is closed")
        reader, writer = self._streams
        if isinstance(effect, Receive):
            return await within(effect.timeout, reader.read(_CHUNK))
        writer.write(effect.data)
        return await within(effect.timeout, writer.drain())

    def give_up(self) -> None:
        """End what is under way in another task."""
        if self._streams is not None:
            self._streams[1].transport.abort()

    async def close(self) -> None:
        """Close the connection, if there is one."""
        closing, self._streams = self._streams, None
        if closing is not None:
            closing[1].transport.abort()  # all that matters has been answered
            with contextlib.suppress(OSError):
                await closing[1].wait_closed()


def _first(tasks: list[asyncio.Task[Any]]) -> int | None:
    """Return which task succeeded; raise what is no failure of a flow."""
    for i, task in enumerate(tasks):
        if not task.done():
            continue
        err = task.exception()
        if err is None:
            return i
        if not isinstance(err, XlregError):
            raise err
    return None


class Background:
    """A flow in a task of its own, until it ends or is stopped."""

    def __init__(self, flow: Flow[None], ended: Callable[[BaseException | None], None]) -> None:
        """Start it. Ended is called with why it ended, unless it was stopped."""
        self._wire, self._flow, self._ended = Wire(), flow, ended
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        failure: BaseException | None = None
        try:
            await self._wire.run(self._flow)
        except asyncio.CancelledError:
            raise
        except BaseException as err:
            failure = err
        finally:
            await self._wire.close()
        self._ended(failure)

    async def stop(self) -> None:
        """Have it end, and wait for that. May be called again."""
        self._task.cancel()
        await asyncio.wait({self._task})


class Bell:
    """Tells those who wait that something has happened."""

    def __init__(self) -> None:
        """Begin in silence."""
        self._event = asyncio.Event()
        self.count = 0

    def ring(self) -> None:
        """Wake all who wait."""
        self.count += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, count: int, seconds: float | None) -> bool:
        """Wait until it has rung since it was at count; False if the time is up first."""
        if self.count == count:
            with contextlib.suppress(TimeoutError):
                await within(seconds, self._event.wait())
        return self.count != count


async def perform(request: Request[T]) -> T:
    """Run a request that opens its own sessions."""
    wire = Wire()
    try:
        return await wire.run(request.flow(Limit(request.timeout)))
    finally:
        await wire.close()


async def perform_all(requests: Sequence[Request[T]]) -> list[T | XlregError]:
    """Run requests that open their own connections, some at a time; what fails gives its error."""
    free = asyncio.Semaphore(_AT_A_TIME)

    async def run(request: Request[T]) -> T | XlregError:
        async with free:
            try:
                return await perform(request)
            except XlregError as err:
                return err

    return await asyncio.gather(*map(run, requests))


async def within(seconds: float | None, doing: Awaitable[T], undo: Callable[[T], object] = bool) -> T:
    """Return what doing does, or raise TimeoutError when the time is up.

    Unlike asyncio.wait_for before 3.12 it never swallows a cancellation. What is
    done all the same, but too late to be returned, is undone.
    """
    task = asyncio.ensure_future(doing)
    try:
        await asyncio.wait({task}, timeout=seconds)
    except BaseException:
        await _abandon(task, undo)
        raise
    if task.done():
        return task.result()
    await _abandon(task, undo)
    raise TimeoutError


async def _abandon(task: asyncio.Future[T], undo: Callable[[T], object]) -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and task.exception() is None:
        undo(task.result())


async def _dial(endpoint: Endpoint, limit: Limit) -> _Streams:
    """Connect to one of an endpoint's addresses, each of which has its share of the time."""
    addresses = [endpoint.host] if endpoint.address else await within(limit.left(), _resolve(endpoint.host))
    failure = OSError("no address")
    for i, address in enumerate(addresses):
        opening = asyncio.open_connection(address, endpoint.port)
        try:
            share = limit.left() / (len(addresses) - i)
            return await within(share, opening, lambda made: made[1].transport.abort())
        except OSError as err:
            failure = err
    raise failure


async def _resolve(host: str) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as err:
        raise OSError(str(err)) from None
    return [str(entry[4][0]) for entry in found]
