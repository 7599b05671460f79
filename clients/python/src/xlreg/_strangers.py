"""Somebody else answers at the address of a registry that a client was with before.

The address was given to another machine, for example. A new client is told so and
stops. This one goes on: otherwise whoever has the address for a second would rid
the registry of everybody who follows it. Nothing that the other one says is believed.
"""

from __future__ import annotations

from dataclasses import replace

from ._dial import Dialing, Options, log
from ._dialogue import Dialogue
from ._flow import Backoff, Flow, Limit
from .errors import HandshakeError, NotARegistryError, UnreachableError, UntrustedError, XlregError

_FIRST_PAUSE = 1.0


def stranger_in(err: XlregError) -> HandshakeError | None:
    """Return what an error says of somebody else at one of the registry's addresses; None if nothing."""
    failures = err.failures if isinstance(err, UnreachableError) else [err]
    for failure in failures:
        if isinstance(failure, UntrustedError | NotARegistryError):
            return failure
    return None


class Strangers:
    """Those who answer at one registry's address. They are asked seldom, and told of once."""

    def __init__(self, cluster: object, longest: float, lease: float = 0.0) -> None:
        """Begin without any. Longest is the longest pause in seconds, and lease that of the client's seat."""
        self._cluster, self._longest = cluster, longest
        self.lease = lease
        self._backoff: Backoff | None = None  # None: the registry itself was the last to answer

    def meet(self, err: XlregError) -> bool:
        """Report whether an error is that somebody else answers, and tell of the first."""
        stranger = stranger_in(err)
        if stranger is None:
            return False
        if self._backoff is None:
            self._backoff = Backoff(min(_FIRST_PAUSE, self._longest), self._most())
            log.warning(
                "somebody else answers at the registry's address, which is tried again now and then "
                "to follow %s: %s",
                self._cluster,
                stranger,
            )
        return True

    def _most(self) -> float:
        """Return the longest pause.

        A registry that is started again gives each lease a whole term, in which the client has to come back.
        """
        if not self.lease:
            return self._longest
        return min(self._longest, max(_FIRST_PAUSE, self.lease / 3))

    def pause(self, limit: Limit) -> Flow[bool]:
        """Wait until the registry is worth another look; False if the limit ends first."""
        backoff = self._backoff or Backoff(_FIRST_PAUSE, self._longest)
        return (yield from backoff.pause(limit))

    def look(self, options: Options, limit: Limit) -> Flow[None]:
        """If a stranger was the last to answer, see whether the registry is back, without saying who asks.

        OpenSSL shows a client's certificate before this client can judge the other end.
        """
        if self._backoff is not None:
            dialing = Dialing(replace(options, known=True, unnamed=True))
            dialogue = yield from Dialogue.open(dialing, limit, once=True)
            yield from dialogue.close()

    def gone(self) -> None:
        """Note that the registry has proved its identity. Whoever has been warned is told as loudly."""
        if self._backoff is not None:
            self._backoff = None
            log.warning("the registry answers at its address again, and %s is followed", self._cluster)
