"""The ``ticket`` commands. None of them but admit by fingerprint asks the registry anything."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from . import _output
from ._cmdline import Command
from ._cmdsession import REQUEST_SECONDS
from ._cmdticket import NoneSuchError
from ._flags import UsageError
from ._grammar import shown
from .client import Client
from .errors import (
    FingerprintError,
    OriginalRegistryError,
    PublicKeyError,
    XlregError,
    quote,
)
from .keys import fingerprint, parse_fingerprint, parse_public_ssh, public_der
from .node import Node
from .regcred import Target
from .ticket import Ticket
from .version import Protocol
from .vocabulary import SigKey, check_name

_MAX_KEY_FILE = 16 << 10


class _ThereAlreadyError(XlregError):
    """A file that is to be new is there."""


def taken(command: Command) -> Ticket:
    """Return the ticket of a command that cannot do without one."""
    if command.taken is None:
        raise AssertionError("the command line was checked")
    return command.taken


def ticket_new(command: Command) -> str:
    """Make the owner's ticket of a new cluster."""
    try:
        name = check_name(command.argument)
    except XlregError as err:
        raise UsageError(f"cluster {quote(shown(command.argument))}: {err}") from None
    return _give(command, Ticket.new(_modern_target(command), name, command.size, command.endpoints))


def _modern_target(command: Command) -> Target:
    """Return the registry, which has to speak 2.0: the others know no tickets."""
    target = Target.load(command.registry)
    cred = target.cred
    if cred is not None and cred.protocol is not Protocol.V20 and command.protocol is not Protocol.V20:
        raise OriginalRegistryError(
            f"{command.registry} is of a registry of version {cred.version}, which knows no tickets; if it "
            "has been upgraded since, say --protocol 2.0"
        )
    return target


def ticket_invite(command: Command) -> str:
    """Make an invite of the owner's ticket."""
    owner, life = taken(command), command.for_
    if life == 0:
        raise UsageError("--for 0: want more than 0")
    return _give(command, owner.invite(command.uses, None if life is None else timedelta(seconds=life)))


def ticket_admit(command: Command) -> str:
    """Make a ticket that admits one node."""
    owner = taken(command)
    _ = owner.owner  # it has to be one, before anything else is looked at
    return _give(command, owner.admit(_admitted_key(owner, command.argument)))


def ticket_reader(command: Command) -> str:
    """Make a ticket that admits nobody."""
    return _give(command, taken(command).reader())


def ticket_show(command: Command) -> str:
    """Show what a ticket is for."""
    return _show(command, taken(command), secret=command.secret)


_NO_KEY = "want a node's directory, or its public key as 'xlreg-py node show DIR --key' prints it"


def _admitted_key(owner: Ticket, node: str) -> SigKey:
    """Return the sig key that somebody means."""
    if node.startswith("SHA256:"):
        return _key_of_member(owner, node)
    try:
        return SigKey(public_der(parse_public_ssh(node)))
    except PublicKeyError:
        path = Path(node)
    if not path.exists():
        raise NoneSuchError(f"{shown(node)}: no such file or directory: {_NO_KEY}")
    if path.is_dir():
        with Node.load(path) as found:
            return found.keys.sig_key
    with path.open("rb") as file:
        text = file.read(_MAX_KEY_FILE).decode("ascii", "replace")
    try:
        return SigKey(public_der(parse_public_ssh(text)))
    except PublicKeyError:
        raise NoneSuchError(f"{path}: {_NO_KEY}") from None


def _key_of_member(owner: Ticket, sig: str) -> SigKey:
    """Ask the registry for the key with a fingerprint: what the owner signs is the whole key."""
    try:
        parse_fingerprint(sig)
    except FingerprintError as err:
        raise UsageError(str(err)) from None
    with Client.connect(owner, timeout=REQUEST_SECONDS) as client:
        roster = client.members(timeout=REQUEST_SECONDS)
    for member in roster.members:
        if fingerprint(member.token.sig_key) == sig:
            return member.token.sig_key
    raise NoneSuchError(
        f"no member of {owner.cluster} has the key {sig}, and the fingerprint of a key is not enough to "
        f"admit it: {_NO_KEY}"
    )


def _give(command: Command, made: Ticket) -> str:
    """Hand a new ticket out: to a file, or alone to standard output so that a script can take it."""
    if command.out:
        _write(Path(command.out), made)
        return _show(command, made, secret=False)
    if command.output == "json":
        return _show(command, made, secret=True)
    return made.text() + "\n"


def _write(path: Path, made: Ticket) -> None:
    """Write a new file. One that is there stays: an owner's ticket cannot be made again."""
    try:
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise _ThereAlreadyError(
            f"{path} is there already, perhaps a ticket that cannot be made again: choose another --out"
        ) from None
    with os.fdopen(fd, "w") as file:
        file.write(made.text() + "\n")
        file.flush()
        os.fsync(fd)


def _show(command: Command, ticket: Ticket, *, secret: bool) -> str:
    if command.output == "json":
        return _output.encode(_json(ticket, secret))
    rows = [
        ("ticket", ticket.kind.value),
        ("cluster", ticket.cluster),
        ("size", str(ticket.size)),
        ("endpoints", str(ticket.endpoint_count)),
        ("key", _output.key_text(ticket.key)),
        ("registry", _output.endpoints_text(ticket.registry.endpoints)),
        ("sig key", ticket.registry.fingerprint),
    ]
    invite = ticket.invite_of
    if invite is not None:
        rows += [
            ("invite", _output.key_text(invite.key)),
            ("until", f"{invite.end:%Y-%m-%dT%H:%M:%SZ}" if invite.end else "no end"),
            ("uses", str(invite.uses) if invite.uses else "any number"),
        ]
    if secret:
        rows.append(("line", ticket.text()))
    return _output.table(rows)


def _json(ticket: Ticket, secret: bool) -> dict[str, Any]:
    """Return a ticket as scripts read it; in full only where it is wanted."""
    value: dict[str, Any] = {
        "kind": ticket.kind.value,
        "cluster": ticket.cluster,
        "size": ticket.size,
        "endpointCount": ticket.endpoint_count,
        "key": _output.key_text(ticket.key),
        "registry": ticket.registry.url,
        "endpoints": list(ticket.registry.endpoints),
        "sig": ticket.registry.fingerprint,
    }
    invite = ticket.invite_of
    if invite is not None:
        value["invite"] = {"key": _output.key_text(invite.key)}
        if invite.end:
            value["invite"]["until"] = _output.moment_json(invite.end)
        if invite.uses:
            value["invite"]["uses"] = invite.uses
    if secret:
        value["ticket"] = ticket.text()
    return value
