"""Does for flows what they want, with blocking sockets."""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from ._flow import (
    Connect,
    Disconnect,
    Effect,
    Flow,
    Limit,
    Receive,
    Request,
    Resolve,
    Send,
    T,
)

_CHUNK = 64 << 10


class Wire:
    """At most one connection, and the flows that run on it, one at a time."""

    def __init__(self) -> None:
        """Begin without a connection."""
        self._socket: socket.socket | None = None
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
            return resolve(effect.host)
        if isinstance(effect, Disconnect):
            return self.close()
        return time.sleep(effect.seconds)

    def _connect(self, effect: Connect) -> None:
        self.close()
        try:
            connected = socket.create_connection(
                (effect.endpoint.host, effect.endpoint.port), effect.timeout or 1e-3
            )
        except UnicodeError as err:
            raise OSError(str(err)) from None
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connected

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

    def give_up(self) -> None:
        """End what is under way in another thread."""
        self._given_up.set()
        under_way = self._socket
        if under_way is not None:
            with contextlib.suppress(OSError):
                under_way.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, if there is one."""
        closing, self._socket = self._socket, None
        if closing is not None:
            closing.close()


def perform(request: Request[T]) -> T:
    """Do what opens its sessions itself."""
    wire = Wire()
    try:
        return wire.run(request.flow(Limit(request.timeout)))
    finally:
        wire.close()


def resolve(host: str) -> list[str]:
    """Return the addresses of a host name."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as err:
        raise OSError(str(err)) from None
    return [str(entry[4][0]) for entry in found]
