"""Which endpoint of a registry to try first, and what to do when its server turns a client away."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ._flow import Backoff, Flow, Limit
from .vocabulary import Endpoint

LONGEST_RETRY = 60.0  # however long a registry says to wait
SHORTEST_AVOIDANCE = 10.0  # how long an endpoint that failed comes last
# A server that has fallen behind the others of its registry is not for as long. A registry that
# was restored from a backup stays there.
CATCH_UP = 3.0


class _Detour(NamedTuple):
    """How long an endpoint comes last, and after which time its server said to come back."""

    until: float
    told: float


class Route:
    """The endpoints of one registry, as one client has found them.

    The servers behind them are one registry, so any of them will do: their order is random,
    which spreads clients over the servers. Those that have just failed this client come last.
    """

    def __init__(
        self,
        shuffle: Callable[[list[Endpoint]], object] = random.shuffle,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin without any experience. Shuffle puts endpoints into the order to try them in."""
        self._shuffle, self._clock = shuffle, clock
        self._lock = threading.Lock()  # a membership that follows its cluster does so in another thread
        self._all: Sequence[Endpoint] = ()  # guarded by the lock, as is all below
        self._avoided: dict[Endpoint, _Detour] = {}
        self._turned = False  # a server has turned the client away, and that was not dealt with yet

    def order(self, endpoints: Sequence[Endpoint]) -> list[Endpoint]:
        """Return the endpoints in the order in which to try them."""
        order = list(endpoints)
        self._shuffle(order)
        with self._lock:
            self._all = endpoints
            self._expire()
            return sorted(order, key=self._avoided.__contains__)

    def pass_by(self, endpoints: Iterable[Endpoint]) -> None:
        """Note that these could not be reached, or not as soon as another."""
        with self._lock:
            for endpoint in endpoints:
                self._avoid(endpoint, 0.0)

    def leave(self, endpoint: Endpoint, told: float = 0.0) -> None:
        """Note that a server has ended or refused a session, and when it said to come back."""
        with self._lock:
            self._avoid(endpoint, min(told, LONGEST_RETRY))
            self._turned = True

    def another(self) -> tuple[bool, float]:
        """Say, after an attempt that failed, whether to go on with another endpoint at once.

        That is so when a server has turned the client away and one is left that has not. If
        all have, each is as good as any again, and with False comes the shortest time after
        which one of them said to come back.
        """
        with self._lock:
            turned, self._turned = self._turned, False
            self._expire()
            if not turned or not all(endpoint in self._avoided for endpoint in self._all):
                return turned, 0.0
            told = [detour.told for detour in self._avoided.values() if detour.told]
            self._avoided.clear()
            return False, min(told, default=0.0)

    def pause(self, backoff: Backoff, limit: Limit, told: float) -> Flow[bool]:
        """Wait for the next attempt, unless another endpoint is worth one at once.

        False if the limit ends first. Told is when the registry said to come back.
        """
        at_once, shortest = self.another()
        if at_once:
            return not limit.over()
        return (yield from backoff.pause(limit, shortest or min(told, LONGEST_RETRY)))

    def _avoid(self, endpoint: Endpoint, told: float) -> None:
        self._avoided[endpoint] = _Detour(self._clock() + max(SHORTEST_AVOIDANCE, told), told)

    def _expire(self) -> None:
        now = self._clock()
        self._avoided = {at: detour for at, detour in self._avoided.items() if now < detour.until}


class Age:
    """Tells a server that has fallen behind the others from a registry that has gone back."""

    def __init__(self) -> None:
        """Begin with a registry that has not been seen to go back."""
        self._since: float | None = None

    def is_behind(self, before: int, now: int, limit: Limit) -> bool:
        """Report whether a revision is not to be believed: it is older, and has not been for long."""
        if now >= before:
            self._since = None
            return False
        self._since = limit.now() if self._since is None else self._since
        return limit.now() - self._since < CATCH_UP
