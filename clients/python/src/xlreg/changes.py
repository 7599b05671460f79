"""What is different in a roster from the one before it."""

from __future__ import annotations

from dataclasses import dataclass

from .roster import Member, Roster
from .sums import seat_sum


@dataclass(frozen=True)
class Change:
    """Who came, who went and who changed.

    Attributes:
        roster: The members as they are now.
        came: Who was not there.
        went: Who is not there any more, as they were.
        changed: Who says something else than before, or started anew, as they are.
    """

    roster: Roster
    came: tuple[Member, ...] = ()
    went: tuple[Member, ...] = ()
    changed: tuple[Member, ...] = ()

    @classmethod
    def between(cls, before: Roster | None, now: Roster) -> Change:
        """Compare a roster with the one before it, if there is one. A member is known by its key."""
        known = {m.token.sig_key: m for m in before.members} if before else {}
        there = {m.token.sig_key for m in now.members}
        stayed = [m for m in now.members if m.token.sig_key in known]
        return cls(
            now,
            came=tuple(m for m in now.members if m.token.sig_key not in known),
            went=tuple(m for m in known.values() if m.token.sig_key not in there),
            changed=tuple(m for m in stayed if _differ(m, known[m.token.sig_key])),
        )

    def __bool__(self) -> bool:
        """Whether anything that members say is different."""
        return bool(self.came or self.went or self.changed)

    def __str__(self) -> str:
        """Return who came, went and changed, in a line."""
        marks = (("+", self.came), ("-", self.went), ("~", self.changed))
        names = [f"{mark}{member.name}" for mark, members in marks for member in members]
        return f"{self.roster.cluster}, revision {self.roster.state.revision}: {' '.join(names)}"


def _differ(one: Member, other: Member) -> bool:
    return one.index != other.index or seat_sum(one.token) != seat_sum(other.token)
