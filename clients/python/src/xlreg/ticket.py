"""Tickets: one line that pins a registry, names a cluster and admits whoever holds it (section 9.4).

They are made and handed on without a word to the registry. Those of owners and of
invites are secrets: ``text`` is the only way to get at them, and a ticket that is
printed or logged shows what everybody may know.
"""

from __future__ import annotations

import base64
import binascii
import enum
import os
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from . import limits
from ._errors import NotOwnerError, TicketError, XlregError
from ._wire.inner import encode_admission
from .keys import parse_public_key
from .owning import Admission, Invite, Seed, admit_text, create_text
from .regcred import PREFIX, Target, pasted, read_file
from .vocabulary import ClusterKey, ClusterRef, SigKey, check_name

if TYPE_CHECKING:
    from .node import Node

_MAX_LINE = 8 << 10
_PLAIN = ("sig", "cluster", "size", "endpoints")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,19}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class TicketKind(enum.Enum):
    """What the holder of a ticket may do."""

    READER = "reader"
    """Look at the cluster, and verify what the registry says of it."""
    ADMIT = "admit"
    """Join with one key, which has to be the node's own."""
    INVITE = "invite"
    """Join with any key."""
    OWNER = "owner"
    """All of it: create the cluster, admit and invite others, and give orders."""


_PARAMETERS: dict[TicketKind, tuple[set[str], set[str]]] = {
    TicketKind.READER: ({"key"}, set()),
    TicketKind.ADMIT: ({"key", "admit"}, set()),
    TicketKind.INVITE: ({"key", "invite", "by"}, {"until", "uses"}),
    TicketKind.OWNER: ({"owner"}, set()),
}
"""Which parameters go with each kind besides the plain ones: those it needs, and those it may have."""
_KNOWN = {*_PLAIN, *(name for must, may in _PARAMETERS.values() for name in must | may)}


@dataclass(frozen=True, repr=False)
class Ticket:
    """One line that says where a registry is, names a cluster there, and what its holder may do.

    Attributes:
        registry: Where the registry is, and by which key it is known.
        cluster: The cluster's name.
        size: How many members it is made for.
        endpoint_count: How many endpoints each of them must have.
        key: The public half of the cluster's key.

    Example:
        >>> registry = Target.parse("xlreg://reg.example.org/?sig=" + 43 * "A")
        >>> owner = Ticket.new(registry, "web", 3)
        >>> owner.kind.value, owner.invite(uses=2).kind.value, "owner=" in repr(owner)
        ('owner', 'invite', False)
    """

    registry: Target
    cluster: str
    size: int
    endpoint_count: int
    key: ClusterKey
    _seed: Seed | None = field(default=None, compare=False)  # the owner's, or the invite's
    _invite: Invite | None = None
    _admit: bytes = b""

    def __post_init__(self) -> None:
        """Check what is not secret."""
        try:
            check_name(self.cluster)
        except XlregError as err:
            raise TicketError(f"cluster: {err}") from None
        if not limits.MIN_CLUSTER <= self.size <= limits.MAX_CLUSTER:
            raise TicketError(f"size {self.size}: want {limits.MIN_CLUSTER} to {limits.MAX_CLUSTER}")
        if not 1 <= self.endpoint_count <= limits.MAX_ENDPOINTS:
            raise TicketError(f"endpoints {self.endpoint_count}: want 1 to {limits.MAX_ENDPOINTS}")

    @classmethod
    def new(cls, registry: Target, cluster: str, size: int, endpoint_count: int = 1) -> Ticket:
        """Make a new cluster key and the owner's ticket for it. The registry does not hear of it.

        Raises:
            TicketError: The name is not valid, or a number is out of range.
        """
        seed = Seed.new()
        registry = Target(registry.endpoints, registry.fingerprint)
        return cls(registry, cluster, size, endpoint_count, seed.public, seed)

    @classmethod
    def parse(cls, line: str) -> Ticket:
        """Read a ticket from its line, exactly as it is.

        Raises:
            TicketError: It is none. The text says why, and shows nothing of the line.
        """
        if len(line) > _MAX_LINE:
            raise TicketError(f"more than {_MAX_LINE} bytes")
        head, found, query = line.partition("/?")
        if not line.startswith(PREFIX) or not found or any(c.isspace() for c in line):
            raise TicketError(f"want a line that begins with {PREFIX} and has /? behind the hosts")
        return _Reader(head, query).read()

    @classmethod
    def load(cls, what: Ticket | str | os.PathLike[str]) -> Ticket:
        """Return the ticket that what is: its line, as people paste it, or the name of a file with it.

        Raises:
            TicketError: It is none. The text shows nothing that may be secret.
            OSError: The file cannot be read.
        """
        if isinstance(what, Ticket):
            return what
        if isinstance(what, str) and is_ticket(what):
            return cls.parse("".join(pasted(what).split()))
        if isinstance(what, str) and (PREFIX in what or "=" in what):
            raise TicketError(f"want a line that begins with {PREFIX} and has cluster= in it")
        try:
            return cls.parse("".join(pasted(read_file(Path(what))).split()))
        except TicketError as err:
            raise TicketError(f"{what}: {err.args[0]}") from None

    @property
    def kind(self) -> TicketKind:
        """What its holder may do."""
        if self._invite is not None:
            return TicketKind.INVITE
        if self._seed is not None:
            return TicketKind.OWNER
        return TicketKind.ADMIT if self._admit else TicketKind.READER

    @property
    def ref(self) -> ClusterRef:
        """The cluster, with its key."""
        return ClusterRef(name=self.cluster, key=self.key)

    @property
    def invite_of(self) -> Invite | None:
        """What everybody may know of the invite; None unless the ticket is one."""
        return self._invite

    @property
    def owner(self) -> Seed:
        """The cluster's private key.

        Raises:
            NotOwnerError: The ticket is not the owner's.
        """
        if self.kind is not TicketKind.OWNER or self._seed is None:
            raise NotOwnerError
        return self._seed

    def sign_create(self, size: int, endpoint_count: int, attrs: int) -> bytes:
        """Return the owner's signature to create the cluster.

        Raises:
            NotOwnerError: The ticket is not the owner's.
        """
        return self.owner.sign(create_text(self.cluster, self.key, size, endpoint_count, attrs))

    def admission(self, sig_key: SigKey) -> bytes:
        """Return the leave to join for the node with a key, as it travels.

        Raises:
            TicketError: The ticket does not admit it.
        """
        if self._seed is not None:
            invite = self._invite or Invite()
            sig = self._seed.sign(admit_text(self.cluster, self.key, sig_key, invite.key))
            return encode_admission(Admission(sig, invite))
        if not self._admit:
            raise TicketError("it is for looking at the cluster only: ask the cluster's owner for an invite")
        admission = Admission(self._admit)
        try:
            admission.verify(self.cluster, self.key, sig_key)
        except XlregError:
            raise TicketError("it admits another node: ask the cluster's owner for one for this") from None
        return encode_admission(admission)

    def invite(self, uses: int = 0, not_after: datetime | timedelta | None = None) -> Ticket:
        """Return a ticket by which others become members.

        Args:
            uses: How many of them, at most 1000; 0 is any number.
            not_after: Until when, or for how long from now; by default for good.

        Raises:
            NotOwnerError: The ticket is not the owner's.
            TicketError: There are too many uses, or it has ended already.
        """
        owner, millis = self.owner, _millis(not_after)
        if not 0 <= uses <= limits.MAX_USES:
            raise TicketError(f"uses {uses}: want 0 to {limits.MAX_USES}")
        seed = Seed.new()
        unsigned = Invite(seed.public, millis, uses)
        made = replace(unsigned, sig=owner.sign(unsigned.text(self.cluster, self.key)))
        return replace(self, _seed=seed, _invite=made)

    def admit(self, node: Node | SigKey) -> Ticket:
        """Return a ticket by which one node becomes a member, known by its key. There is no secret in it.

        Raises:
            NotOwnerError: The ticket is not the owner's.
            PublicKeyError: The key is not valid.
        """
        key = node if isinstance(node, bytes) else node.keys.sig_key
        parse_public_key(key, limits.MODERN_KEYS)
        sig = self.owner.sign(admit_text(self.cluster, self.key, key))
        return replace(self, _seed=None, _admit=sig)

    def reader(self) -> Ticket:
        """Return the ticket that admits nobody."""
        return replace(self, _seed=None, _invite=None, _admit=b"")

    def text(self) -> str:
        """Return the line, which for an owner's and an invite's ticket is a secret."""
        line = f"{self.registry.url}&cluster={self.cluster}&size={self.size}&endpoints={self.endpoint_count}"
        if self.kind is TicketKind.OWNER:
            return f"{line}&owner={_encode(self.owner.reveal())}"
        line += f"&key={_encode(self.key)}"
        if self._invite is not None and self._seed is not None:
            invite = self._invite
            line += f"&invite={_encode(self._seed.reveal())}&until={invite.not_after}&uses={invite.uses}"
            return f"{line}&by={_encode(invite.sig)}"
        return f"{line}&admit={_encode(self._admit)}" if self._admit else line

    def __str__(self) -> str:
        """Return what it is for, and nothing that is secret."""
        return f"{self.kind.value} ticket of cluster {self.cluster} ({self.size} members)"

    def __repr__(self) -> str:
        return f"<{self}>"


def is_ticket(text: str) -> bool:
    """Report whether a text is a line with a cluster in it, and so a ticket, be it a valid one or not."""
    line = pasted(text)
    return line.startswith(PREFIX) and "cluster=" in line


def _millis(not_after: datetime | timedelta | None) -> int:
    if not_after is None:
        return 0
    now = datetime.now(timezone.utc)
    end = now + not_after if isinstance(not_after, timedelta) else not_after.astimezone(timezone.utc)
    if end <= now:
        raise TicketError(f"the invite would have ended by {end:%Y-%m-%d %H:%M} UTC")
    return (end - _EPOCH) // timedelta(milliseconds=1)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class _Reader:
    """Reads the parameters of a ticket. What it says of them shows none of their values."""

    def __init__(self, head: str, query: str) -> None:
        self._head = head
        self._values: dict[str, str] = {}
        for at, parameter in enumerate(query.split("&"), 1):
            name, _, value = parameter.partition("=")
            if name not in _KNOWN:
                raise TicketError(f"parameter {at} is none that is known")
            if name in self._values:
                raise TicketError(f"{name} is there twice")
            self._values[name] = value
        for name in _PLAIN:
            if name not in self._values:
                raise TicketError(f"no {name}")

    def read(self) -> Ticket:
        kind = self._kind()
        invite, seed, admit = None, None, b""
        if kind is TicketKind.OWNER:
            seed = Seed(self._bytes("owner", 32))
            key = seed.public
        else:
            key = ClusterKey(self._bytes("key", 32))
        if kind is TicketKind.INVITE:
            seed = Seed(self._bytes("invite", 32))
            invite = Invite(seed.public, self._number("until"), self._number("uses"), self._bytes("by", 64))
            if invite.uses > limits.MAX_USES:
                raise TicketError(f"uses: want at most {limits.MAX_USES}")
        if kind is TicketKind.ADMIT:
            admit = self._bytes("admit", 64)
        size, count = self._number("size"), self._number("endpoints")
        return Ticket(self._registry(), self._name(), size, count, key, seed, invite, admit)

    def _name(self) -> str:
        try:
            return check_name(self._values["cluster"])
        except XlregError:
            raise TicketError("cluster: it is no name") from None

    def _kind(self) -> TicketKind:
        given = self._values.keys() - set(_PLAIN)
        for kind, (must, may) in _PARAMETERS.items():
            if must <= given <= must | may:
                return kind
        raise TicketError("want owner, or key, alone or with admit or with invite and by, and nothing else")

    def _registry(self) -> Target:
        try:
            return Target.parse(f"{self._head}/?sig={self._values['sig']}")
        except XlregError:
            raise TicketError("its hosts or its sig are not valid") from None

    def _number(self, name: str) -> int:
        text = self._values.get(name, "0")
        if not _NUMBER.fullmatch(text) or int(text) >= 1 << 64:
            raise TicketError(f"{name}: want a number without leading zeros")
        return int(text)

    def _bytes(self, name: str, length: int) -> bytes:
        text = self._values[name]
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if len(data) != length or _encode(data) != text:
            raise TicketError(f"{name}: want {length} bytes in base64url without padding")
        return data
