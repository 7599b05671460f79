"""Waiting for the members of a cluster without being one, whatever the registry does meanwhile."""

from __future__ import annotations

from ._dialogue import Dialogue
from ._flow import Flow, Limit
from ._pursuit import Pursuit
from ._wait import Waiter
from .errors import doing
from .roster import Roster


class Reading(Pursuit[Roster]):
    """One wait under way; see xlreg.wait_members."""

    def run(self, limit: Limit) -> Flow[Roster]:
        """Return the roster when they are there."""
        with doing(f"wait for {self._ref}"):
            return (yield from super().run(limit))

    def _converse(self, dialogue: Dialogue, limit: Limit) -> Flow[Roster]:
        if self._options.node is not None:
            yield from dialogue.register(limit)
        waiter = Waiter(dialogue, self._ref, self._size, self._seen)
        return (yield from self._wait(waiter, limit))
