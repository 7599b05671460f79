"""What the command line prints: the same as the Go program, in tables and in JSON."""

from __future__ import annotations

import base64
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

from .keys import fingerprint, kind_of, public_pem
from .node import Node
from .regcred import RegCred
from .roster import Member, Roster
from .signed import SignedRoster
from .version import Protocol
from .vocabulary import Cluster, ClusterKey

_SHORT_ID = 12  # characters of an ID that tell it from others by eye

# JSON, as scripts read it.


def cluster_json(cluster: Cluster) -> dict[str, Any]:
    """Return a cluster."""
    key = {"key": key_text(cluster.key)} if cluster.key else {}
    return {
        "id": str(cluster.id),
        "name": cluster.name,
        "size": cluster.size,
        "endpointCount": cluster.endpoint_count,
        "attrs": int(cluster.attrs),
        **key,
    }


def key_text(key: ClusterKey) -> str:
    """Return the public key of a cluster or an invite."""
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


def roster_json(roster: Roster) -> dict[str, Any]:
    """Return a roster."""
    shown: dict[str, Any] = {"cluster": cluster_json(roster.cluster)}
    if roster.sum:
        pinned = {"pinned": True} if roster.pinned else {}
        state = roster.state
        shown["state"] = {
            "epoch": state.epoch,
            "revision": state.revision,
            "sum": roster.short_sum,
            **pinned,
        }
    return {**shown, "members": [_member_json(member) for member in roster.members]}


def document_json(file: str, signed: SignedRoster) -> dict[str, Any]:
    """Return a signed roster that was verified."""
    roster = signed.roster
    return {
        "file": file,
        "cluster": cluster_json(roster.cluster),
        "epoch": roster.state.epoch,
        "revision": roster.state.revision,
        "sum": roster.short_sum,
        "signed": moment_json(signed.signed),
        "pinned": roster.pinned,
        "members": len(roster.members),
    }


def moment_json(at: datetime) -> str:
    """Return a moment, in UTC."""
    fraction = f".{at.microsecond:06}".rstrip("0") if at.microsecond else ""
    return f"{at:%Y-%m-%dT%H:%M:%S}{fraction}Z"


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
    shown |= labels_json(member)
    if member.token.lease:
        shown["leaseMillis"] = round(member.token.lease * 1000)
    if member.token.seen is not None:
        shown["seen"] = moment_json(member.token.seen)
    return shown


def labels_json(member: Member) -> dict[str, Any]:
    """Return the labels of a member, if it has some."""
    labels = {key: value.decode("utf-8", "replace") for key, value in member.labels.items()}
    return {"labels": labels} if labels else {}


def node_json(node: Node) -> dict[str, Any]:
    """Return a node, without its private keys."""
    return {
        "name": node.name,
        "attrs": int(node.attrs),
        "endpoints": list(node.endpoints),
        "sig": node.keys.fingerprint,
        "registries": [
            {"sig": r.sig, "name": r.name, "endpoints": list(r.endpoints), "id": str(r.id)}
            for r in node.registrations
        ],
    }


def cred_json(cred: RegCred) -> dict[str, Any]:
    """Return a registry's credentials; those that speak 2.0 have a URL."""
    url = {"url": cred.url} if cred.protocol is Protocol.V20 else {}
    return {
        "name": cred.name,
        "id": str(cred.id),
        "version": str(cred.version),
        "endpoints": list(cred.endpoints),
        "sig": cred.fingerprint,
        **url,
        "commsKey": public_pem(cred.comms_key),
        "sigKey": public_pem(cred.sig_key),
    }


def encode(value: dict[str, Any]) -> str:
    """Return JSON, indented, in ASCII: what is no letter of it may not be one of the terminal's either."""
    return json.dumps(value, indent=2) + "\n"


# Tables, for people.


def cluster_text(cluster: Cluster) -> str:
    """Return a cluster."""
    rows = [
        ("name", cluster.name),
        ("id", str(cluster.id)),
        ("size", str(cluster.size)),
        ("endpoints", str(cluster.endpoint_count)),
        ("attrs", f"{int(cluster.attrs):#x}"),
    ]
    return table(rows)


def node_text(node: Node) -> str:
    """Return a node."""
    rows = [
        ("name", node.name),
        ("directory", str(node.directory)),
        ("sig key", node.keys.fingerprint),
        ("key bits", _bits(node)),
        ("endpoints", endpoints_text(node.endpoints)),
        *((f"id at {r.name}", str(r.id)) for r in node.registrations),
    ]
    return table(rows)


def _bits(node: Node) -> str:
    """Return how large a node's keys are, and of which kind unless that is the usual one."""
    return f"{node.keys.sig.key_size}{' (P-256)' if kind_of(node.keys.sig) == 'p256' else ''}"


def cred_text(cred: RegCred) -> str:
    """Return a registry's credentials."""
    rows = [
        ("name", cred.name),
        ("id", str(cred.id)),
        ("version", str(cred.version)),
        ("endpoints", endpoints_text(cred.endpoints)),
        ("sig key", cred.fingerprint),
    ]
    return table([*rows, ("url", cred.url)] if cred.protocol is Protocol.V20 else rows)


def roster_text(roster: Roster, *, wide: bool = False) -> str:
    """Return a roster, in lines that fit the terminal unless everything is wanted."""
    cluster = roster.cluster
    shown = str(cluster.id) if wide else _short(str(cluster.id))
    text = f"cluster {cluster.name}  {shown}\n{count_text(roster)}\n{_state_text(roster, wide)}"
    if not roster.members:
        return text
    return f"{text}\n{_wide(roster) if wide else _fitting(roster)}"


def count_text(roster: Roster) -> str:
    """Return how many are there."""
    of = f" of {roster.cluster.size}" if roster.cluster.size else ""
    return f"{len(roster.members)}{of} members"


def _state_text(roster: Roster, wide: bool) -> str:
    """Return what there is to say of a cluster over 2.0 besides its members."""
    text = ""
    if roster.cluster.key:
        key = key_text(roster.cluster.key)
        text += f"key {key if wide else _short(key)}{_pin_text(roster)}\n"
    if wide and roster.state.revision:
        text += f"epoch {roster.state.epoch}, revision {roster.state.revision}\n"
    return f"{text}sum {roster.short_sum}\n" if roster.sum else text


def _pin_text(roster: Roster) -> str:
    return "" if roster.pinned else "  (not pinned)"


def document_text(file: str, signed: SignedRoster) -> str:
    """Return a signed roster that was verified, without its members."""
    roster = signed.roster
    rows = [
        ("verified", file),
        ("cluster", roster.cluster.name),
        ("id", str(roster.cluster.id)),
        ("members", f"{len(roster.members)} of {roster.cluster.size}"),
        ("epoch", str(roster.state.epoch)),
        ("revision", str(roster.state.revision)),
        ("signed", f"{signed.signed:%Y-%m-%dT%H:%M:%SZ}"),
        ("sum", roster.short_sum),
    ]
    if roster.cluster.key:
        rows.append(("key", key_text(roster.cluster.key) + _pin_text(roster)))
    return table(rows)


def _short(text: str) -> str:
    return text if len(text) <= _SHORT_ID else f"{text[:_SHORT_ID]}…"


def _wide(roster: Roster) -> str:
    heads, cells = _extras(roster, _moment)
    rows: list[tuple[str, ...]] = [
        ("INDEX", "NAME", "ID", "ENDPOINTS", "SIG KEY", "JOINED", *heads, "VERIFIED")
    ]
    for m in roster.members:
        first = (str(m.index), m.name, str(m.id), endpoints_text(m.endpoints), fingerprint(m.token.sig_key))
        rows.append((*first, _moment(m.token.joined), *cells(m), _yes(m.verified)))
    return table(rows)


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else "-"


def _extras(
    roster: Roster, when: Callable[[datetime | None], str]
) -> tuple[tuple[str, ...], Callable[[Member], tuple[str, ...]]]:
    """Return the columns that are there only if some member has something in them."""
    seen = any(m.token.seen for m in roster.members)
    labels = any(m.labels for m in roster.members)

    def cells(member: Member) -> tuple[str, ...]:
        shown = ",".join(_labels(member)) or "-"
        return ((when(member.token.seen),) if seen else ()) + ((shown,) if labels else ())

    return (("SEEN",) if seen else ()) + (("LABELS",) if labels else ()), cells


def _labels(member: Member) -> list[str]:
    """Return labels as people read them. What could be taken for something else is quoted."""
    texts = []
    for key, value in member.labels.items():
        text = value.decode("utf-8", "replace")
        if not text or any(c in ', "' or not c.isprintable() for c in text):
            text = json.dumps(text)
        texts.append(f"{key}={text}")
    return texts


def _fitting(roster: Roster) -> str:
    """Lay a roster out as a table, or one with endpoints below each other, or in paragraphs."""
    width, now = shutil.get_terminal_size().columns, datetime.now(timezone.utc)
    for stacked in (False, True):
        text = _narrow(roster, now, stacked)
        if max(map(len, text.splitlines())) <= width:
            return text
    if not sys.stdout.isatty():  # what reads it wants a table
        return text
    return "".join(_paragraph(member, now) for member in roster.members)


def _narrow(roster: Roster, now: datetime, stacked: bool) -> str:
    heads, cells = _extras(roster, lambda at: _age(at, now))
    rows: list[tuple[str, ...]] = [("INDEX", "NAME", "ENDPOINTS", "JOINED", *heads, "VERIFIED")]
    for m in roster.members:
        first, others = endpoints_text(m.endpoints), m.endpoints[1:] if stacked else ()
        if others:
            first = str(m.endpoints[0])
        rows.append((str(m.index), m.name, first, _age(m.token.joined, now), *cells(m), _yes(m.verified)))
        rows += [("", "", endpoint) for endpoint in others]
    return table(rows)


def _paragraph(member: Member, now: datetime) -> str:
    lines = [f"{member.index}  {member.name}", *(f"   {endpoint}" for endpoint in member.endpoints)]
    lines += [f"   {label}" for label in _labels(member)]
    seen = f"seen {_age(member.token.seen, now)}, " if member.token.seen else ""
    lines.append(f"   joined {_age(member.token.joined, now)}, {seen}verified: {_yes(member.verified)}")
    return "".join(f"{line}\n" for line in lines)


def _age(then: datetime | None, now: datetime) -> str:
    """Return how long ago something was, in its largest unit."""
    if then is None:
        return "-"
    ago = max(0, int((now - then).total_seconds()))
    for unit, seconds, most in (("s", 1, 60), ("m", 60, 3600), ("h", 3600, 48 * 3600)):
        if ago < most:
            return f"{ago // seconds}{unit} ago"
    return f"{ago // 86400}d ago"


def endpoints_text(endpoints: Sequence[str]) -> str:
    """Return addresses."""
    return ",".join(endpoints) or "-"


def _yes(so: bool) -> str:
    return "yes" if so else "no"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, which may end early, with their cells below each other and no blanks at the end."""
    columns = max(map(len, rows))
    widths = [max(len(row[i]) for row in rows if i < len(row)) + 2 for i in range(columns)]
    lines = ("".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)
