"""Conversations as generators: they yield what they want done, and are sent the outcome.

A flow touches no socket, clock or thread of its own accord. The sync and the
async driver do the same few things for it, each in its own way; that is all that
they differ in.
"""

from __future__ import annotations

import functools
import inspect
import random
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from .vocabulary import Endpoint

T = TypeVar("T")

Flow: TypeAlias = Generator["Effect", Any, T]
"""A conversation: it yields effects, is sent their outcomes, and returns a result."""


@dataclass(frozen=True)
class Connect:
    """Connect to an endpoint; the connection takes the place of the last one."""

    endpoint: Endpoint
    timeout: float
    silence: float  # after which the system may give the connection up


@dataclass(frozen=True)
class Send:
    """Send all of the data."""

    data: bytes
    timeout: float


@dataclass(frozen=True)
class Receive:
    """Wait for data, and give what came; nothing if the peer closed."""

    timeout: float


@dataclass(frozen=True)
class Sleep:
    """Wait."""

    seconds: float


@dataclass(frozen=True)
class Resolve:
    """Look a host name up, and give its addresses."""

    host: str
    timeout: float = 5.0


@dataclass(frozen=True)
class Disconnect:
    """Close the connection, if there is one."""


@dataclass(frozen=True)
class Race:
    """Run flows, each on a connection of its own, and give what the first to succeed returns.

    The next begins when one has failed, or some seconds after the last began. The winner's
    connection takes the place of this one, and all others are closed. If every one fails,
    the outcome is what each of them failed with, in their order.
    """

    flows: Sequence[Flow[Any]]
    apart: float


Effect: TypeAlias = Connect | Send | Receive | Sleep | Resolve | Disconnect | Race
"""What a flow may want. Those with a timeout fail with TimeoutError; all that fail, with OSError."""


class Limit:
    """A time by which something has to be done, or none."""

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin now; None is no limit."""
        self._clock = clock
        self.deadline = None if seconds is None else clock() + seconds

    def now(self) -> float:
        """Return the time, by the clock that counts."""
        return self._clock()

    def left(self, most: float = float("inf")) -> float:
        """Return how many seconds are left, but no more than most and no fewer than none."""
        if self.deadline is None:
            return most
        return max(0.0, min(most, self.deadline - self._clock()))

    def over(self) -> bool:
        """Report whether time is up."""
        return self.deadline is not None and self._clock() >= self.deadline

    def within(self, seconds: float) -> Limit:
        """Return a limit that ends with this one, or sooner."""
        return Limit(self.left(seconds), self._clock)

    def or_within(self, seconds: float) -> Limit:
        """Return this limit, or one of so many seconds if this one never ends."""
        return self if self.deadline is not None else Limit(seconds, self._clock)


class Failures(list[Exception]):
    """What every flow of a race failed with."""


@dataclass(frozen=True)
class Request(Generic[T]):
    """Something to be done, and how many seconds it may take; None for no end."""

    flow: Callable[[Limit], Flow[T]]
    timeout: float | None = None


def at_once(result: T) -> Flow[T]:
    """Return a result for which nothing has to be done."""
    yield from ()
    return result


def show_as(call: Callable[..., Any], make: Callable[..., Request[Any]], result: str = "") -> None:
    """Have help show a call as make describes it: its name, arguments and docstring, and what it returns."""
    functools.update_wrapper(call, make)
    result = result or make.__annotations__["return"].removeprefix("Request[").removesuffix("]")
    call.__signature__ = inspect.signature(make).replace(return_annotation=result)  # type: ignore[attr-defined]


class Backoff:
    """Pauses that double from first to most.

    Each is between half and all of its length, at random, so that members which all
    lost the registry at the same moment do not all come back at the same moment.
    """

    def __init__(self, first: float, most: float) -> None:
        """Begin with the shortest."""
        self._first, self._most, self._next = first, most, 0.0

    def pause(self, limit: Limit, least: float = 0.0) -> Flow[bool]:
        """Wait for the next pause, and least before it; False if the limit ends first."""
        self._next = min(max(2 * self._next, self._first), self._most)
        wanted = least + self._next * random.uniform(0.5, 1)  # noqa: S311
        yield Sleep(limit.left(wanted))
        return not limit.over()

    def reset(self) -> None:
        """Make the next pause the shortest again."""
        self._next = 0.0
