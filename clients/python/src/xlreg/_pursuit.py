"""Getting the whole roster of a cluster, in as many sessions as it takes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from ._dial import Options, log
from ._dialogue import Dialogue, in_session
from ._flow import Backoff, Flow, Limit, T
from ._wait import Waiter
from .errors import (
    BadSignatureError,
    BadTagError,
    IllFormedTokenError,
    IncompleteError,
    NoSuchClusterIDError,
    NoSuchClusterNameError,
    ProtocolError,
    RegistryError,
    RegistryFullError,
    SessionEndedError,
    TooManyRequestsError,
    TryLaterError,
    UnreachableError,
    XlregError,
)
from .roster import Roster
from .vocabulary import Cluster, ClusterRef, NodeID

_FIRST_PAUSE, _MOST_PAUSE = 0.05, 1.0
_STEADY = 10.0  # after a session that lasted so long the pauses begin anew

# There was no connection or it broke, or the registry says to come back later.
PASSING = (UnreachableError, SessionEndedError, TryLaterError, TooManyRequestsError, RegistryFullError)
# Nothing notices what is changed on its way over a classic carrier, in either direction: a
# message that makes no sense here, or made none there, may be one that was damaged.
_DAMAGED = (ProtocolError, BadTagError, IllFormedTokenError, BadSignatureError)


@dataclass(frozen=True)
class Progress:
    """How far a formation, or a wait, has come.

    Attributes:
        cluster: The cluster; None until it is created or found.
        roster: Who has joined, verified; None until the node itself has, if it is to.
        size: How many members are wanted; 0 until that is known.
        error: Why something has to be tried again; None otherwise.
    """

    cluster: Cluster | None
    roster: Roster | None
    size: int
    error: XlregError | None = None


Told = Callable[[Progress], None]
"""What is called with each step of progress."""


class Pursuit(Generic[T]):
    """One pursuit of a roster; what is done in each session is for the kinds of it to say."""

    def __init__(self, options: Options, ref: ClusterRef, size: int, progress: Told | None) -> None:
        """Pursue the roster of a cluster of so many members; 0 is as many as it is made for."""
        self._options = options
        self._ref = ref
        self._size = size  # 0 until it is known
        self._progress = progress
        self._cluster: Cluster | None = None
        self._last: Roster | None = None  # who had joined when last heard
        self._joined: bool | None = None  # whether the node itself has; None if it is not to
        self._id: NodeID | None = None  # the node's, once it is registered
        self._heard: float | None = None  # when the registry was
        self._logged = ""

    _creates = False
    """Whether this pursuit creates the cluster, so that nobody else has to."""

    _told_at = logging.WARNING
    """How much it matters in a log that something has to be tried again."""

    def _converse(self, dialogue: Dialogue, limit: Limit) -> Flow[T]:
        """Go all the way in one session."""
        raise NotImplementedError

    def _attempt(self, limit: Limit) -> Flow[T]:
        def converse(dialogue: Dialogue) -> Flow[T]:
            try:
                return (yield from self._converse(dialogue, limit))
            finally:
                self._heard = dialogue.heard

        return in_session(self._options, limit, converse, once=True)

    def run(self, limit: Limit) -> Flow[T]:
        """Make attempts until one succeeds or the limit ends."""
        backoff = Backoff(_FIRST_PAUSE, _MOST_PAUSE)
        while True:
            began = limit.now()
            try:
                return (yield from self._attempt(limit))
            except XlregError as err:
                failure = err
            if limit.over() or isinstance(failure, IncompleteError):
                raise self._incomplete(failure, limit.now())
            if not self._may_pass(failure):
                raise failure
            self._tell_failure(failure)
            if limit.now() - began > _STEADY:
                backoff.reset()
            if not (yield from self._options.route.pause(backoff, limit, retry_of(failure))):
                raise self._incomplete(failure, limit.now())

    def _may_pass(self, err: XlregError) -> bool:
        """Report whether an error may be gone in another session.

        A registry that refuses the node's certificate, say, will do so again.
        """
        if isinstance(err, PASSING):
            return True
        if isinstance(err, NoSuchClusterNameError) and self._options.ticket is not None:
            return not self._creates  # its owner may not have created it yet
        if self._options.protocol is None or not self._options.protocol.classic:
            return False
        # An ID that nobody asked for came from the registry, which has to know it.
        lost = isinstance(err, NoSuchClusterIDError) and self._ref.id is None
        return lost or isinstance(err, _DAMAGED)

    def _wait(self, waiter: Waiter, limit: Limit) -> Flow[Roster]:
        """Wait, and keep the last roster however the wait ends."""
        try:
            return (yield from waiter.wait(limit))
        finally:
            if waiter.last is not None:
                self._keep(waiter.last)

    @property
    def _seen(self) -> Callable[[Roster], None] | None:
        """What a waiter calls for each new member, at the cost of a request; None if nobody listens."""
        return self._note if self._progress else None

    def _note(self, roster: Roster) -> None:
        self._keep(roster)
        self._tell(None)

    def _keep(self, roster: Roster) -> None:
        self._last, self._cluster = roster, roster.cluster
        self._size = self._size or roster.cluster.size

    def _tell(self, error: XlregError | None) -> None:
        if self._progress:
            self._progress(Progress(self._cluster, self._last, self._size, error))

    def _tell_failure(self, failure: XlregError) -> None:
        if str(failure) != self._logged:  # a registry that is away is so for many attempts
            later = f" in {retry_of(failure):.0f} s" if retry_of(failure) else ""
            log.log(self._told_at, "%s is tried again%s: %s", self._ref, later, failure)
        self._logged = str(failure)
        self._tell(failure)

    def _incomplete(self, failure: XlregError, now: float) -> IncompleteError:
        """Return the error for when the time is up, with what else was wrong then."""
        cause = None if isinstance(failure, IncompleteError) else failure
        silent = None if self._heard is None else now - self._heard
        seat = self._last.by_id(self._id) if self._last and self._id else None
        return IncompleteError(
            self._last,
            self._size,
            cause,
            joined=self._joined,
            index=seat.index if seat else None,
            silent=silent,
        )


def retry_of(err: XlregError) -> float:
    """Return in how many seconds the registry says to come back; 0 if it does not say."""
    return err.retry if isinstance(err, RegistryError) else 0.0
