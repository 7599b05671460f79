"""What node.json holds, the same in every language, and how it is read and written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from ._errors import FormatError, NodeError, XlregError, quote
from .keys import format_fingerprint, parse_fingerprint
from .vocabulary import Endpoint, NodeAttrs, NodeID, check_name, endpoints_of

VERSION = 1
"""The version that is written, and the highest that is read."""

REMEDY = (
    "put the right file there from a backup, or remove it and make the node anew with xlreg node init "
    "--name NAME, which takes the keys that are there"
)
"""What to do about a node.json that makes no sense."""


@dataclass(frozen=True)
class Registration:
    """What a node knows of one registry: how to tell and find it, and which ID it gave the node.

    Attributes:
        sig: The fingerprint of the registry's sig key, SHA256:…
        name: The registry's name; may be empty.
        endpoints: Where it was last.
        id: The node's ID there.
        next: The fingerprint of the sig key that follows; empty for none.
        next_until: How long the key of sig vouches for that; from then on the registry is
            known by the next one alone.
    """

    sig: str
    name: str
    endpoints: tuple[Endpoint, ...]
    id: NodeID
    next: str = ""
    next_until: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check it, and give the fingerprint its one form."""
        object.__setattr__(self, "sig", format_fingerprint(parse_fingerprint(self.sig)))
        if self.name:
            check_name(self.name)
        object.__setattr__(self, "endpoints", endpoints_of(self.endpoints))
        if self.next:
            object.__setattr__(self, "next", format_fingerprint(parse_fingerprint(self.next)))
        if self.next_until is not None:
            until = self.next_until.astimezone(timezone.utc).replace(microsecond=0)
            object.__setattr__(self, "next_until", until)


@dataclass(frozen=True)
class Record:
    """The content of node.json. Members of others are kept as they are."""

    name: str
    attrs: NodeAttrs = NodeAttrs.NONE
    endpoints: tuple[Endpoint, ...] = ()
    registrations: tuple[Registration, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Check it."""
        check_name(self.name)
        if unknown := int(self.attrs) & ~7:
            raise FormatError(f"attrs: unknown bits {unknown:#x}")
        object.__setattr__(self, "endpoints", endpoints_of(self.endpoints))

    def find(self, sig: str) -> Registration | None:
        """Return what is known of the registry with this fingerprint."""
        try:
            sig = format_fingerprint(parse_fingerprint(sig))
        except FormatError:
            return None
        return next((r for r in self.registrations if r.sig == sig), None)

    def keeping(self, registration: Registration) -> Record:
        """Return the record with what it says of one registry replaced or added."""
        known = self.find(registration.sig)
        if known is None:
            return replace(self, registrations=(*self.registrations, registration))
        registration = replace(registration, extra=known.extra)
        return replace(
            self, registrations=tuple(registration if r is known else r for r in self.registrations)
        )

    def encode(self) -> bytes:
        """Return the content of node.json."""
        record = {
            "version": VERSION,
            "name": self.name,
            "attrs": int(self.attrs),
            "endpoints": list(self.endpoints),
            "registries": [_encode_registration(r) for r in self.registrations],
        }
        record.update(sorted(self.extra.items()))
        return (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()


def _encode_registration(r: Registration) -> dict[str, Any]:
    known: dict[str, Any] = {"sig": r.sig, "name": r.name, "endpoints": list(r.endpoints), "id": str(r.id)}
    if r.next:
        known["next"] = r.next
    if r.next_until is not None:
        known["next_until"] = f"{r.next_until:%Y-%m-%dT%H:%M:%SZ}"
    known.update(sorted(r.extra.items()))
    return known


def parse(data: bytes) -> Record:
    """Read the content of node.json.

    Raises:
        XlregError: It cannot be read, or is of a newer version.
    """
    try:
        members = json.loads(data)
    except (ValueError, RecursionError) as err:
        raise NodeError(f"not JSON: {err}: {REMEDY}") from None
    if not isinstance(members, dict):
        raise NodeError(f"not a JSON object: {REMEDY}")
    _check_version(members)
    name, attrs = _take(members, "name", str, ""), _take(members, "attrs", int, 0)
    endpoints, entries = _texts(members, "endpoints"), _take(members, "registries", list, [])
    registrations: list[Registration] = []
    for i, entry in enumerate(entries):
        try:
            registration = _parse_registration(entry)
        except XlregError as err:
            raise NodeError(f"registries[{i}]: {err}") from None
        if any(r.sig == registration.sig for r in registrations):
            raise NodeError(f"registries[{i}]: {registration.sig} is there twice")
        registrations.append(registration)
    return Record(name, NodeAttrs(attrs), tuple(map(Endpoint, endpoints)), tuple(registrations), members)


def _check_version(members: dict[str, Any]) -> None:
    if "version" not in members:
        raise NodeError('no "version"')
    version = _take(members, "version", int, 0)
    if version > VERSION:
        raise NodeError(
            f"version {version} was written by a newer program, this one knows {VERSION}: use the newer"
        )
    if version < VERSION:
        raise NodeError(f"version {version}: there is no such version")


def _parse_registration(entry: object) -> Registration:
    if not isinstance(entry, dict):
        raise NodeError("not a JSON object")
    sig, name = _take(entry, "sig", str, ""), _take(entry, "name", str, "")
    endpoints, node_id = _texts(entry, "endpoints"), _take(entry, "id", str, "")
    following, until = _take(entry, "next", str, ""), _time(_take(entry, "next_until", str, ""))
    where = tuple(map(Endpoint, endpoints))
    return Registration(sig, name, where, NodeID.parse(node_id), following, until, entry)


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise NodeError(f"next_until: {quote(text)} is no time") from None


def _take(members: dict[str, Any], key: str, kind: type, default: Any) -> Any:
    """Return a member and remove it, so that only members unknown to this version are left."""
    value = members.pop(key, None)
    if value is None:
        return default
    if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, int) and value < 0):
        raise NodeError(f"{key}: want {kind.__name__}")
    return value


def _texts(members: dict[str, Any], key: str) -> Iterable[str]:
    values: list[Any] = _take(members, key, list, [])
    if not all(isinstance(value, str) for value in values):
        raise NodeError(f"{key}: want texts")
    return values
