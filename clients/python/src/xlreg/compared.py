"""What the other members of a cluster see of it, as far as they say."""

from __future__ import annotations

from dataclasses import dataclass

from ._errors import XlregError
from .roster import Member, Roster
from .sums import short_sum


@dataclass(frozen=True)
class Other:
    """A member that sees another cluster, or of which it is not known whether it sees the same.

    Attributes:
        member: The member.
        revision: The revision that it told of; 0 if it told of none.
        sum: The sum that it told of; empty if it told of none.
        error: Why it is not known; None if it told of another revision or sum.
    """

    member: Member
    revision: int = 0
    sum: bytes = b""
    error: XlregError | None = None

    @property
    def short_sum(self) -> str:
        """Its sum as people compare them; empty if it told of none."""
        return short_sum(self.sum) if self.sum else ""


@dataclass(frozen=True)
class Comparison:
    """What the other members see.

    Attributes:
        roster: What this node sees, with the revision and the sum that were compared.
        same: Who sees the same.
        other: Who sees another cluster at the same revision.
        unknown: Of whom it is not known: who cannot be asked, does not answer such
            questions, or has another revision.
    """

    roster: Roster
    same: tuple[Member, ...]
    other: tuple[Other, ...]
    unknown: tuple[Other, ...]
