"""Carries out the effects of flows, with blocking sockets."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic

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


class Wire:
    """At most one connection, and the flows that run on it, one at a time."""

    def __init__(self) -> None:
        """Begin without a connection."""
        self._socket: socket.socket | None = None
        self._contest: _Contest | None = None
        self._look_up = _LookUp()
        self._given_up = threading.Event()

    def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end, and return or raise what it does."""
        step: Callable[[], Effect] = functools.partial(next, flow)
        while True:
            try:
                effect = step()
            except StopIteration as done:
                result: T = done.value
                return result
            try:
                step = functools.partial(flow.send, self._perform(effect))
            except BaseException as err:  # the flow is to know of all
                step = functools.partial(flow.throw, err)

    def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Send | Receive):
            return self._exchange(effect)
        if isinstance(effect, Connect):
            return self._connect(effect)
        if isinstance(effect, Resolve):
            return self._resolve(effect)
        if isinstance(effect, Race):
            return self._race(effect)
        if isinstance(effect, Disconnect):
            return self.close()
        if self._given_up.wait(effect.seconds):
            raise ConnectionAbortedError("connection is closed")
        return None

    def _connect(self, effect: Connect) -> None:
        self.close()
        if self._given_up.is_set():
            raise ConnectionAbortedError("connection is closed")
        connected = _dial(effect.endpoint, Limit(effect.timeout))
        watch(connected, effect.silence)
        self._socket = connected

    def _race(self, effect: Race) -> Any:
        self.close()
        contest = self._contest = _Contest(effect)
        try:
            if self._given_up.is_set():
                raise ConnectionAbortedError("connection is closed")
            winner, outcome = contest.run()
            if winner is not None:
                self._socket, winner._socket = winner._socket, None
            return outcome
        finally:
            self._contest = None
            contest.end()

    def _resolve(self, effect: Resolve) -> list[str]:
        look_up = self._look_up = _LookUp()
        if self._given_up.is_set():
            raise ConnectionAbortedError("connection is closed")
        return look_up.within(Limit(effect.timeout), effect.host)

    def _exchange(self, effect: Send | Receive) -> bytes | None:
        if self._socket is None or self._given_up.is_set():
            raise ConnectionAbortedError("connection is closed")
        if effect.timeout <= 0:
            raise TimeoutError
        self._socket.settimeout(effect.timeout)
        if isinstance(effect, Receive):
            return self._socket.recv(_CHUNK)
        self._socket.sendall(effect.data)
        return None

    @property
    def given_up(self) -> bool:
        """Whether what is under way was to end."""
        return self._given_up.is_set()

    def give_up(self) -> None:
        """End what is under way in another thread."""
        self._given_up.set()
        under_way, contest = self._socket, self._contest
        self._look_up.call_off()
        if contest is not None:
            contest.call_off()
        if under_way is not None:
            with contextlib.suppress(OSError):
                under_way.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, if there is one."""
        closing, self._socket = self._socket, None
        if closing is not None:
            closing.close()


class _Contest:
    """A race under way, each of its flows in a thread with a wire of its own."""

    def __init__(self, effect: Race) -> None:
        self._effect = effect
        self._wires = [Wire() for _ in effect.flows]
        self._over = threading.Event()
        self._outcomes: queue.SimpleQueue[tuple[int, Any, BaseException | None]] = queue.SimpleQueue()

    def run(self) -> tuple[Wire | None, Any]:
        """Return the wire of the first flow to succeed and what that returns, or none and all failures."""
        failures: dict[int, Exception] = {}
        waiting = list(range(len(self._wires)))
        while waiting or len(failures) < len(self._wires):
            if waiting:
                threading.Thread(target=self._enter, args=(waiting.pop(0),), daemon=True).start()
            try:
                i, result, err = self._outcomes.get(timeout=self._effect.apart if waiting else None)
            except queue.Empty:
                continue
            if err is None:
                return self._wires[i], result
            if not isinstance(err, XlregError):
                raise err
            failures[i] = err
        return None, Failures(failures[i] for i in sorted(failures))

    def _enter(self, i: int) -> None:
        try:
            self._outcomes.put((i, self._wires[i].run(self._effect.flows[i]), None))
        except BaseException as err:
            self._outcomes.put((i, None, err))
        self._over.wait()
        self._wires[i].close()  # the winner's has nothing any more

    def call_off(self) -> None:
        """Have run end with an error, from another thread."""
        self._outcomes.put((0, None, ConnectionAbortedError("connection is closed")))

    def end(self) -> None:
        """Have all that is still under way end."""
        for wire in self._wires:
            wire.give_up()
        self._over.set()


class Background:
    """A flow in a thread of its own, until it ends or is stopped."""

    def __init__(self, flow: Flow[None], ended: Callable[[BaseException | None], None]) -> None:
        """Start it. Ended is called in its thread with why it ended, unless it was stopped."""
        self._wire, self._flow, self._ended = Wire(), flow, ended
        self._thread = threading.Thread(target=self._run, name="xlreg", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            self._wire.run(self._flow)
        except BaseException as err:
            failure = err
        finally:
            self._wire.close()
        if not self._wire.given_up:
            self._ended(failure)

    def stop(self) -> None:
        """Have it end, and wait for that. May be called again."""
        self._wire.give_up()
        if threading.current_thread() is not self._thread:
            self._thread.join()


class Bell:
    """Tells those who wait that something has happened."""

    def __init__(self) -> None:
        """Begin in silence."""
        self._condition = threading.Condition()
        self.count = 0

    def ring(self) -> None:
        """Wake all who wait."""
        with self._condition:
            self.count += 1
            self._condition.notify_all()

    def wait(self, count: int, seconds: float | None) -> bool:
        """Wait until it has rung since it was at count; False if the time is up first."""
        with self._condition:
            return self._condition.wait_for(lambda: self.count != count, seconds)


class Errand(Generic[T]):
    """A request that opens its own sessions, and that another thread can call off."""

    def __init__(self, request: Request[T]) -> None:
        """Have it ready."""
        self._request, self._wire = request, Wire()

    def run(self) -> T:
        """Run it to its end, and return or raise what it does."""
        try:
            return self._wire.run(self._request.flow(Limit(self._request.timeout)))
        finally:
            self._wire.close()

    def call_off(self) -> None:
        """Have run end soon, with an error, whatever it waits for. May be called again, and afterwards."""
        self._wire.give_up()


def perform(request: Request[T]) -> T:
    """Run a request that opens its own sessions."""
    return Errand(request).run()


def perform_all(requests: Sequence[Request[T]]) -> list[T | XlregError]:
    """Run requests that open their own connections, some at a time; what fails gives its error."""

    def run(request: Request[T]) -> T | XlregError:
        try:
            return perform(request)
        except XlregError as err:
            return err

    if not requests:
        return []
    with concurrent.futures.ThreadPoolExecutor(min(_AT_A_TIME, len(requests))) as pool:
        return list(pool.map(run, requests))


def _dial(endpoint: Endpoint, limit: Limit) -> socket.socket:
    """Connect to one of an endpoint's addresses, each of which has its share of the time."""
    addresses = [endpoint.host] if endpoint.address else _LookUp().within(limit, endpoint.host)
    failure = OSError("no address")
    for i, address in enumerate(addresses):
        share = limit.left() / (len(addresses) - i)
        try:
            return socket.create_connection((address, endpoint.port), share or 1e-3)
        except OSError as err:
            failure = err
    raise failure


class _LookUp:
    """Looks up a name in a thread of its own, since nothing stops the system's resolver."""

    def __init__(self) -> None:
        self._outcome: queue.SimpleQueue[list[str] | BaseException] = queue.SimpleQueue()

    def within(self, limit: Limit, host: str) -> list[str]:
        """Return the addresses of a host, or raise TimeoutError when the limit ends."""
        threading.Thread(target=self._run, args=(host,), daemon=True).start()
        try:
            found = self._outcome.get(timeout=limit.left() or 1e-3)
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(found, BaseException):
            raise found
        return found

    def _run(self, host: str) -> None:
        try:
            self._outcome.put(resolve(host))
        except BaseException as err:
            self._outcome.put(err)

    def call_off(self) -> None:
        """Have within end with an error, from another thread."""
        self._outcome.put(ConnectionAbortedError("connection is closed"))


def resolve(host: str) -> list[str]:
    """Return the addresses of a host name."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as err:
        raise OSError(str(err)) from None
    return [str(entry[4][0]) for entry in found]
