"""Lets the system notice that the other end of a connection is gone, even while it is idle."""

from __future__ import annotations

import contextlib
import socket
from typing import Protocol as Interface

_IDLE, _INTERVAL, _COUNT = 10, 5, 4  # seconds until the first probe, from one to the next, and how many


class Options(Interface):
    """A socket whose options can be set."""

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        """Set an option."""


def watch(connected: Options, silence: float) -> None:
    """Have a connection end when its other end has not acknowledged anything for so many seconds.

    What a platform does not have is left out: silence ends a request in any case.
    """
    tcp = {
        "TCP_NODELAY": 1,
        "TCP_KEEPIDLE" if hasattr(socket, "TCP_KEEPIDLE") else "TCP_KEEPALIVE": _IDLE,
        "TCP_KEEPINTVL": _INTERVAL,
        "TCP_KEEPCNT": _COUNT,
        "TCP_USER_TIMEOUT": max(1, round(silence * 1000)),
    }
    with contextlib.suppress(OSError):  # the connection may have ended already
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in tcp.items():
        with contextlib.suppress(OSError, AttributeError):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
