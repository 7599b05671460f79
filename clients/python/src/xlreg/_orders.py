"""The orders of a cluster's owner: ``evict``, ``revoke``, ``reopen`` and ``delete``."""

from __future__ import annotations

import sys

from . import _output
from ._cmdline import Command
from ._cmdsession import REQUEST_SECONDS, ask_person
from ._cmdticket import invite_key
from ._flags import UsageError
from ._grammar import shown
from ._ticketing import taken
from .errors import NotMemberError, XlregError, quote
from .keys import fingerprint
from .owner import Owner
from .roster import Member


class NothingDeletedError(XlregError):
    """Somebody was asked whether to delete a cluster and said no."""


def evict(command: Command) -> str:
    """Put a member out, and with --ban for good."""
    owner = Owner(taken(command))
    member = _find(owner, command.argument)
    give = owner.ban if command.ban else owner.evict
    give(member if command.ban else member.token.sig_key, timeout=REQUEST_SECONDS)
    order, done = ("ban", "banned") if command.ban else ("evict", "evicted")
    facts = {"member": member.name, "sig": fingerprint(member.token.sig_key)}
    return _done(command, order, f"{done} {member.name} from {owner.ticket.cluster}", **facts)


def _find(owner: Owner, who: str) -> Member:
    """Return the member with a name, or with a key of a fingerprint."""
    for member in owner.members(timeout=REQUEST_SECONDS).members:
        if who in (member.name, fingerprint(member.token.sig_key)):
            return member
    raise NotMemberError(f"{owner.ticket.cluster} has no member {quote(shown(who))}")


def revoke(command: Command) -> str:
    """Take an invite back."""
    owner = Owner(taken(command))
    key = invite_key(owner.ticket, command.argument, shown(command.argument))
    owner.revoke(key, timeout=REQUEST_SECONDS)
    text = _output.key_text(key)
    return _done(command, "revoke", f"revoked the invite {text}", invite=text)


def reopen(command: Command) -> str:
    """Free every place."""
    owner = Owner(taken(command))
    owner.reopen(timeout=REQUEST_SECONDS)
    return _done(command, "reopen", f"reopened {owner.ticket.cluster}")


def delete(command: Command) -> str:
    """Delete a cluster for good, after asking."""
    owner = Owner(taken(command))
    if not command.yes:
        _ask(owner.ticket.cluster)
    owner.delete(timeout=REQUEST_SECONDS)
    return _done(command, "delete", f"deleted {owner.ticket.cluster}")


def _ask(cluster: str) -> None:
    """Ask the person at the terminal."""
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        raise UsageError("nobody is here to be asked, and what is deleted cannot be made again: say --yes")
    if not ask_person(f"Delete the cluster {cluster} for good? [y/N] "):
        raise NothingDeletedError("nothing deleted")


def _done(command: Command, order: str, text: str, **facts: str) -> str:
    """Return what to say of an order that was done."""
    if command.output == "json":
        return _output.encode({"order": order, "cluster": taken(command).cluster, **facts})
    return text + "\n"
