"""What a node knows of its own seat in a cluster, and how it finds out that it has lost it (section 10)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from .errors import BadSignatureError, NewEpochError, NotMemberError, TwinError, XlregError
from .roster import Member, Roster
from .vocabulary import NodeID, SigKey

SIGN_OF_LIFE = 0.3
"""After what part of a lease to give the next sign of life: less than a third."""


class EpochMovedError(XlregError):
    """The cluster began its next epoch before the first roster of this one was complete: join again."""


def new_run() -> bytes:
    """Name a start of a program."""
    return os.urandom(16)


@dataclass
class Place:
    """One node's seat.

    Attributes:
        key: The node's sig key, which a seat is of over 2.0.
        run: Names this start of the program; empty over a classic carrier.
        fresh: Whether only members of this start count, until all are there.
        id: The node's ID; None before it is registered.
        epoch: That of the seat; 0 before there is one.
        lease: For how many seconds it lasts without a sign of life; 0 is for good.
    """

    key: SigKey
    run: bytes = field(default=b"", repr=False)
    fresh: bool = False
    id: NodeID | None = None
    epoch: int = 0
    lease: float = 0.0

    def find(self, roster: Roster) -> Member | None:
        """Return the node's own seat."""
        found = roster.by_id(self.id) if self.id is not None else None
        if found is None and self.run:
            found = roster.by_key(self.key)
        return found

    def check(self, roster: Roster) -> Member:
        """Return the node's own seat, and make sure that it is the node's.

        What it is told of itself is the one thing of which a node can know that it is wrong.

        Raises:
            EpochMovedError: The node meets members of this start, and there is a new one.
            NewEpochError: The cluster has started anew.
            NotMemberError: The node has no seat any more.
            BadSignatureError: It has one with another key.
            TwinError: Another process has it.
        """
        member = self.find(roster)
        if self.epoch and roster.state.epoch != self.epoch:
            if self.fresh:
                raise EpochMovedError(f"epoch {roster.state.epoch} follows {self.epoch}")
            if member is None:
                raise NewEpochError(f"epoch {roster.state.epoch} follows {self.epoch}, without this node")
        if member is None:
            raise NotMemberError(self._gone())
        if member.token.sig_key != self.key:
            raise BadSignatureError("the registry shows another key as that of this node")
        if self.run and member.token.run != self.run:
            raise TwinError(member.endpoints, member.token.joined)
        return member

    def _gone(self) -> str:
        if self.run:
            return "this node left, its lease ran out, or its cluster's owner evicted it"
        return f"another node of this name and key has taken the place of {self.id}, or it left"
