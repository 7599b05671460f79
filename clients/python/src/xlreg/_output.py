"""What the command line prints: the same as the Go program, in tables and in JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .keys import fingerprint, public_pem
from .roster import Member, Roster
from .vocabulary import Cluster


def cluster_json(cluster: Cluster) -> dict[str, Any]:
    """Return a cluster as scripts read it."""
    return {
        "id": str(cluster.id),
        "name": cluster.name,
        "size": cluster.size,
        "endpointCount": cluster.endpoint_count,
        "attrs": int(cluster.attrs),
    }


def roster_json(roster: Roster) -> dict[str, Any]:
    """Return a roster as scripts read it."""
    members = [_member_json(member) for member in roster.members]
    return {"cluster": cluster_json(roster.cluster), "members": members}


def _member_json(member: Member) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "index": member.index,
        "id": str(member.id),
        "name": member.name,
        "endpoints": list(member.endpoints),
        "commsKey": public_pem(member.token.comms_key),
        "sigKey": public_pem(member.token.sig_key),
        "attrs": int(member.token.attrs),
    }
    if not member.verified:
        shown["unverified"] = True
    return shown


def encode(value: dict[str, Any]) -> str:
    """Return JSON, indented."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def cluster_text(cluster: Cluster) -> str:
    """Return a cluster for people."""
    rows = [
        ("name", cluster.name),
        ("id", str(cluster.id)),
        ("size", str(cluster.size)),
        ("endpoints", str(cluster.endpoint_count)),
        ("attrs", f"{int(cluster.attrs):#x}"),
    ]
    return _table(rows)


def roster_text(roster: Roster) -> str:
    """Return a roster for people."""
    cluster = roster.cluster
    count = f"{len(roster.members)} of {cluster.size}" if cluster.size else f"{len(roster.members)}"
    text = f"cluster {cluster.name}  {cluster.id}\n{count} members\n"
    if not roster.members:
        return text
    rows = [("INDEX", "NAME", "ID", "ENDPOINTS", "SIG KEY", "VERIFIED"), *map(_row, roster.members)]
    return f"{text}\n{_table(rows)}"


def _row(member: Member) -> tuple[str, ...]:
    return (
        str(member.index),
        member.name,
        f"{str(member.id)[:12]}…",
        ",".join(member.endpoints) or "-",
        fingerprint(member.token.sig_key),
        "yes" if member.verified else "no",
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    widths[-1] = 0
    lines = ("".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join([*lines, ""])
