"""Waiting for a cluster's members: one request that the registry answers when it is time (section 5.8)."""

from __future__ import annotations

from collections.abc import Callable

from . import limits
from ._creation import check_size
from ._dialogue import Dialogue
from ._flow import Backoff, Flow, Limit
from ._place import SIGN_OF_LIFE, Place
from ._wire import requests as q
from .errors import IncompleteError, XlregError
from .roster import Roster
from .vocabulary import Cluster, ClusterRef

_SHORTEST = 0.05  # with less time than this left, it is up
_MARGIN = 0.25  # for the answer to arrive before the deadline
_EARLY = 1.0  # an answer sooner than this may be a server's that cannot wait
_FIRST_PAUSE, _MOST_PAUSE = 0.05, 1.0


class Waiter:
    """One wait for a cluster's members."""

    def __init__(
        self,
        dialogue: Dialogue,
        ref: ClusterRef,
        size: int = 0,
        seen: Callable[[Roster], None] | None = None,
        place: Place | None = None,
    ) -> None:
        """Wait for size members; 0 is as many as the cluster is made for. Tell seen of each roster.

        Whoever has a place in the cluster is told when that is lost.
        """
        self._dialogue, self._ref, self._seen, self._place = dialogue, ref, seen, place
        self.size = size
        self.last: Roster | None = None
        self._poll = Backoff(_FIRST_PAUSE, _MOST_PAUSE)

    def wait(self, limit: Limit) -> Flow[Roster]:
        """Return the verified roster when they are there.

        Raises:
            IncompleteError: The limit ended first.
            XlregError: The place is lost; see Place.check.
        """
        while True:
            roster = yield from self._ask_in_time(limit)
            if len(roster.members) >= self.size:
                return roster
            if limit.left() < _SHORTEST:
                raise self._incomplete(limit)

    def _ask_in_time(self, limit: Limit) -> Flow[Roster]:
        try:
            return (yield from self._ask(limit))
        except XlregError as err:
            if limit.over():
                raise self._incomplete(limit) from err
            raise

    def _incomplete(self, limit: Limit) -> IncompleteError:
        return IncompleteError(self.last, self.size, silent=limit.now() - self._dialogue.heard)

    def _ask(self, limit: Limit) -> Flow[Roster]:
        """Make one waiting request.

        An answer that is both early and short of what was asked for came from a
        server that cannot wait, or will not any more since it is about to stop:
        after those there is a pause, shorter when there is news.
        """
        size, patience = self._wanted(), self._patience(limit)
        epoch = self._place.epoch if self._place and self._place.fresh else None
        waiting = q.Waiting(size, int(patience * 1000), epoch=epoch)
        # Whoever is told of each that comes need not hear of all others again.
        known = self.last if self._seen else None
        began = limit.now()
        received = yield from self._dialogue.receive(self._ref, limit, waiting, known)
        took = limit.now() - began
        self._settle_size(received.cluster)
        news, roster = self._keep(received)
        if len(roster.members) >= min(size, self.size):
            return roster
        if news or took >= _EARLY:
            self._poll.reset()
        if took < _EARLY:
            yield from self._poll.pause(limit)
        return roster

    def _settle_size(self, cluster: Cluster) -> None:
        """Fill in the size if it was not given, and refuse one that the cluster can never have."""
        self.size = self.size or cluster.size
        if not self.size:
            raise ValueError("size of the cluster is not known: say how many members to wait for")
        if self.size > cluster.size:
            check_size(cluster, self.size)

    def _patience(self, limit: Limit) -> float:
        """Return how long a request that begins now may wait: so that its answer arrives in time."""
        left, longest = limit.left(), self._dialogue.options.times.wait
        if self._place and self._place.lease:
            longest = min(longest, self._place.lease * SIGN_OF_LIFE)
        return min(left - min(left / 8, _MARGIN), longest) if limit.deadline is not None else longest

    def _wanted(self) -> int:
        """Return for how many to wait: everybody; if someone is told on the way, one more than there were."""
        size = self.size or limits.MAX_CLUSTER  # the server lowers it to the cluster's size
        return min(size, self._count() + 1) if self._seen else size

    def _count(self) -> int:
        return len(self.last.members) if self.last else 0

    def _keep(self, received: Roster) -> tuple[bool, Roster]:
        """Verify what was received, and report whether it shows other members than before."""
        roster = self._dialogue.verify(received, self._ref.key)
        news = self._count() != len(roster.members)
        self.last = roster
        if self._place:
            self._place.check(roster)
        if self._seen:
            self._seen(roster)
        return news, roster
