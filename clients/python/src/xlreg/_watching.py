"""``get --watch``: a cluster as it is, and then each change, as it comes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any

from . import _output
from ._cmdline import Command
from ._cmdsession import registry_of, show_roster
from .changes import Change
from .client import watch as changes_of
from .keys import fingerprint
from .roster import Member


def watch(command: Command) -> Iterator[str]:
    """Show a cluster and then each change, until it is gone."""
    first = True
    for change in changes_of(registry_of(command), command.ref):
        if command.output == "json":
            yield json.dumps(_change_json(change, datetime.now(timezone.utc))) + "\n"
        else:
            yield show_roster(command, change.roster) if first else _change_text(change, datetime.now())
        first = False


def _change_text(change: Change, now: datetime) -> str:
    """Return a line for each member, and one for all that they are now."""
    roster, at = change.roster, f"{now:%H:%M:%S}"
    marks = (("-", change.went), ("+", change.came), ("~", change.changed))
    lines = [
        f"{at}  {mark} {member.name}  {_output.endpoints_text(member.endpoints)}"
        for mark, members in marks
        for member in members
    ]
    lines.append(f"{at}  {_output.count_text(roster)}  {roster.short_sum}")
    return "".join(f"{line}\n" for line in lines)


def _change_json(change: Change, now: datetime) -> dict[str, Any]:
    """Return a change as scripts read it, in one line. At first all have come."""
    roster = change.roster
    return {
        "time": _output.moment_json(now),
        "cluster": roster.cluster.name,
        "epoch": roster.state.epoch,
        "revision": roster.state.revision,
        "sum": roster.short_sum,
        "members": len(roster.members),
        "size": roster.cluster.size,
        "came": _brief(change.came),
        "went": _brief(change.went),
        "changed": _brief(change.changed),
    }


def _brief(members: Iterable[Member]) -> list[dict[str, Any]]:
    return [
        {
            "index": member.index,
            "name": member.name,
            "id": str(member.id),
            "endpoints": list(member.endpoints),
            "sig": fingerprint(member.token.sig_key),
            **_output.labels_json(member),
        }
        for member in members
    ]
