"""Which ticket a command line means, wherever that comes from."""

from __future__ import annotations

import base64
import binascii
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from ._flags import UsageError
from ._output import key_text
from .errors import TicketError, XlregError, quote
from .regcred import PREFIX, pasted
from .ticket import Ticket, TicketKind, is_ticket
from .vocabulary import ClusterKey

_MAX_TICKET = 16 << 10
_KEY_LENGTH = 32


def is_ticket_argument(text: str) -> bool:
    """Report whether an argument stands for a ticket: names and IDs never look like one."""
    return text == "-" or pasted(text).startswith(PREFIX)


@dataclass(repr=False)
class TicketSource:
    """Where a ticket is to come from.

    Attributes:
        line: Its line, or - for standard input; empty for a file.
        file: The file; empty for none.
        own: Whether the command line itself says so, and not the environment.
    """

    line: str = ""
    file: str = ""
    own: bool = False

    @classmethod
    def of(cls, line: str, file: str, argument: str) -> TicketSource:
        """Return what a command line says: by flags or by its argument, and only once.

        Raises:
            UsageError: It says more than one.
        """
        said = [text for text in (line, file, argument) if text]
        if len(said) > 1:
            raise UsageError("more than one ticket: give it once")
        return cls(line or argument, file, bool(said))

    def __bool__(self) -> bool:
        return bool(self.line or self.file)

    def load(self) -> Ticket:
        """Read it.

        Raises:
            TicketError: It is none. The text shows nothing of it.
            UsageError: A ticket stands where the name of a file should be.
            OSError: The file cannot be read.
        """
        if self.line == "-":
            return _told(sys.stdin.read(_MAX_TICKET))
        if self.line:
            return _told(self.line)
        if is_ticket_argument(self.file):
            raise UsageError("--ticket-file: want a FILE, and this is a ticket")
        ticket = Ticket.load(Path(self.file))
        _warn_of_readers(self.file, ticket)
        return ticket


def _told(text: str) -> Ticket:
    """Read a ticket from its line, which no file can be meant by."""
    if is_ticket(text):
        return Ticket.load(text)
    if pasted(text).startswith(PREFIX):
        raise TicketError("this is the line of a registry: a ticket names a cluster, too")
    raise TicketError(f"want {PREFIX}host:port/?sig=...&cluster=...")


def _warn_of_readers(path: str, ticket: Ticket) -> None:
    """Warn if others can read a secret. Some systems hand secrets to programs in such files."""
    file = Path(path)
    secret = ticket.kind in (TicketKind.OWNER, TicketKind.INVITE)
    if secret and file.is_file() and file.stat().st_mode & 0o077:
        logging.getLogger("xlreg").warning(
            "others may read the ticket in %s, which is a secret: run chmod 600 %s", path, path
        )


class NoneSuchError(XlregError):
    """There is not what an argument names, or what it names is something else."""


def invite_key(owner: Ticket, invite: str, shown: str) -> ClusterKey:
    """Return the public half of an invite of a cluster, given by itself or by whatever holds the invite.

    Raises:
        NoneSuchError: It is none, or another cluster's.
        TicketError: It is no ticket at all.
        OSError: The file cannot be read.
    """
    if key := decode_key(invite):
        return key
    if is_ticket_argument(invite) and invite != "-":
        made = Ticket.load(invite)
    elif not Path(invite).exists():
        raise NoneSuchError(
            f"{quote(shown)} is neither the key of an invite, as 'xlreg ticket show' shows it, nor a file "
            "that holds one"
        )
    else:
        made = Ticket.load(Path(invite))
    if made.invite_of is None:
        raise NoneSuchError(f"this is no invite, but a ticket of kind {made.kind.value}")
    if made.key != owner.key:
        raise NoneSuchError(f"the invite is for another cluster, {made.cluster}")
    return made.invite_of.key


def decode_key(text: str) -> ClusterKey | None:
    """Return the key that a text is in base64url, as people see it; None if it is none."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return ClusterKey(data) if len(data) == _KEY_LENGTH and key_text(ClusterKey(data)) == text else None
