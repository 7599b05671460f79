"""Rosters that come in parts, as over a classic carrier."""

from __future__ import annotations

from .roster import Member, Roster


def seats(roster: Roster) -> int:
    """Return whose seats a part shows: bit n stands for index n."""
    return sum(1 << member.index for member in roster.members)


def merge(members: tuple[Member, ...], later: tuple[Member, ...]) -> tuple[Member, ...]:
    """Add what a later reply shows. A node that moved in between counts where it was seen last."""
    ids, names = {x.id for x in later}, {x.name for x in later}
    kept = [x for x in members if x.id not in ids and x.name not in names]
    return tuple(sorted([*kept, *later], key=lambda x: x.index))
