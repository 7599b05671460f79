"""Following a cluster through sessions: what is new in it, as long as somebody wants to know (10.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ._dial import Dialing, Options, log
from ._dialogue import Dialogue
from ._flow import Backoff, Disconnect, Flow, Limit
from ._place import SIGN_OF_LIFE
from ._pursuit import PASSING, retry_of
from ._route import Age
from ._strangers import Strangers
from ._wire.requests import Waiting
from .errors import Needs20Error, SessionEndedError, XlregError, doing
from .roster import Roster
from .vocabulary import ClusterRef

_FIRST_PAUSE, _MOST_PAUSE = 0.05, 1.0


class Follower:
    """Follows one cluster. Each request that waits is a sign of life, if the session is the node's own."""

    def __init__(
        self,
        options: Options,
        ref: ClusterRef,
        last: Roster | None = None,
        lease: float = 0.0,
        same: Callable[[], object] = lambda: None,
        strangers: Strangers | None = None,
    ) -> None:
        """Go on from the last roster; None begins with all who are there. A node in the options logs in.

        Same is called when the registry says that the last roster is still the one. Strangers are
        those who were met before; None begins with none.
        """
        if options.protocol is not None and options.protocol.classic:
            raise Needs20Error("watching a cluster: needs protocol 2.0")
        self._options, self._ref, self.last = options, ref, last
        longest = options.times.wait
        self._wait = min(longest, lease * SIGN_OF_LIFE) if lease else longest
        self._dialogue: Dialogue | None = None
        self._backoff = Backoff(_FIRST_PAUSE, _MOST_PAUSE)
        self._age = Age()
        self._logged = ""
        self._same = same
        self._strangers = strangers or Strangers(ref, options.times.stranger)

    def follow(self, told: Callable[[Roster | None, Roster], object]) -> Flow[None]:
        """Tell of each roster that is another than the one before, and of that, until an error ends it."""
        while True:
            before = self.last
            roster = yield from self.next(Limit(None))
            told(before, roster)

    def next(self, limit: Limit) -> Flow[Roster]:
        """Return the roster as soon as it is another than the last, whatever the registry does meanwhile.

        Raises:
            XlregError: The cluster is gone, the registry refuses, or the limit ended.
        """
        while True:
            try:
                with doing(f"watch {self._ref}"):
                    roster = yield from self._ask(limit)
            except XlregError as err:
                self._dialogue = None
                yield Disconnect()
                if not limit.over() and self.last is not None and self._strangers.meet(err):
                    yield from self._strangers.pause(limit)
                    continue
                if limit.over() or not isinstance(err, PASSING):
                    raise
                failure = err
            else:
                if roster is not None:
                    return roster
                continue
            # Whoever is called off does not come back from the pause, and has nothing to tell.
            if not (yield from self._options.route.pause(self._backoff, limit, retry_of(failure))):
                raise failure
            if str(failure) != self._logged:
                self._logged = str(failure)
                log.warning("%s is watched again: %s", self._ref, failure)

    def _ask(self, limit: Limit) -> Flow[Roster | None]:
        """Ask once; None if nothing is different."""
        dialogue = self._dialogue or (yield from self._open(limit))
        millis = int(limit.left(self._wait) * 1000)
        waiting = Waiting(millis=millis) if self.last is not None else None
        received = yield from dialogue.receive(self._ref, limit, waiting, self.last)
        if self.last is not None:
            before, now = self.last.state.revision, received.state.revision
            if self._age.is_behind(before, now, limit):
                dialogue.turn_away()
                raise SessionEndedError(f"the registry shows revision {now} after {before}")
        self._backoff.reset()
        self._logged = ""
        if self.last is not None and received.sum == self.last.sum:
            self._same()
            return None
        self._warn_of_past(received)
        self.last = dialogue.verify(received, self._ref.key)
        return self.last

    def _open(self, limit: Limit) -> Flow[Dialogue]:
        yield from self._strangers.look(self._options, limit)
        options = replace(self._options, known=self.last is not None)
        dialogue = yield from Dialogue.open(Dialing(options), limit, once=True)
        self._dialogue = dialogue
        if dialogue.protocol.classic:
            raise Needs20Error("watching a cluster: needs protocol 2.0")
        if self._options.node is not None:
            yield from dialogue.login(limit)
        self._strangers.gone()
        return dialogue

    def _warn_of_past(self, received: Roster) -> None:
        """Tell when a registry goes back: it was restored from a backup, or shows what is past."""
        if self.last is not None and received.state.revision < self.last.state.revision:
            log.warning(
                "registry shows revision %d of %s, which is older than %d, shown before",
                received.state.revision,
                received.cluster,
                self.last.state.revision,
            )
