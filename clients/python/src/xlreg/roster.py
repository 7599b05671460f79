"""The members of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from cryptography import x509

from ._errors import UnverifiedError, quote
from ._wire.inner import decode_admission, decode_labels
from .certificate import build, load, span, valid_from
from .owning import Invite
from .sums import short_sum
from .vocabulary import NO_STATE, Cluster, ClusterState, Endpoint, NodeID, Token


@dataclass(frozen=True)
class Member:
    """A node in a cluster.

    Attributes:
        index: Its place, from 0; it does not change while the member stays.
        token: What it says of itself.
        verified: Whether it has signed its name, keys, endpoints and certificate. False
            for one that registered over a classic carrier, and for everyone in a
            roster that was read over one.
    """

    index: int
    token: Token
    verified: bool = False

    @property
    def name(self) -> str:
        """The name that the member chose for itself."""
        return self.token.name

    @property
    def id(self) -> NodeID:
        """The ID that the registry gave it."""
        if self.token.id is None:
            raise AssertionError("a member of a roster has an ID")
        return self.token.id

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where it is: the first for the other members, the second for their clients."""
        return self.token.endpoints

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate that it signed itself; an anchor for this member and nobody else.

        Its dates are for whoever uses it to check.

        Raises:
            UnverifiedError: The member has proved nothing.
        """
        return load(self.certificate_der)

    @property
    def certificate_der(self) -> bytes:
        """The certificate in DER. It does not travel, and is built from the token.

        Raises:
            UnverifiedError: The member has proved nothing.
        """
        if not self.verified:
            raise UnverifiedError(
                f"certificate of {quote(self.name)}: member is not verified: no proof over 2.0"
            )
        return build(self.token)

    @property
    def labels(self) -> dict[str, bytes]:
        """What the member tells the others besides its addresses, signed like all that it says."""
        return decode_labels(self.token.labels)

    @property
    def invite(self) -> Invite | None:
        """The invite that it came with, in a cluster that has an owner; None for none.

        Raises:
            AdmissionRefusedError: What the registry hands out is no leave to join.
        """
        if not self.token.admission:
            return None
        invite = decode_admission(self.token.admission).invite
        return invite if invite.key else None

    def __repr__(self) -> str:
        unverified = "" if self.verified else ", not verified"
        return f"<Member {self.index}: {self.describe()}{unverified}>"

    def describe(self) -> str:
        """Return its name, where it is and since when, in a phrase."""
        text = self.name
        if self.endpoints:
            text += f" at {self.endpoints[0]}"
        if self.token.joined is not None:
            text += f" since {self.token.joined:%Y-%m-%dT%H:%M:%SZ}"
        return text


@dataclass(frozen=True)
class Roster:
    """The members of a cluster at one moment, in the order of their indexes.

    Indexes need not be without gaps: members may leave.

    Attributes:
        cluster: The cluster.
        members: Its members.
        state: Its epoch and revision; all zero over a classic carrier.
        sum: What is the same for everyone who sees the same cluster; empty over a classic carrier.
        pinned: Whether the cluster's key was known, and its owner has admitted every member.
    """

    cluster: Cluster
    members: tuple[Member, ...]
    state: ClusterState = NO_STATE
    sum: bytes = b""
    pinned: bool = False

    def __repr__(self) -> str:
        names = ", ".join(member.name for member in self.members) or "nobody"
        count = f"{len(self.members)} of {self.cluster.size}" if self.cluster.size else f"{len(self.members)}"
        return f"<Roster of {self.cluster}, {count} members: {names}>"

    def by_name(self, name: str) -> Member | None:
        """Return the member with this name, or None."""
        return next((m for m in self.members if m.name == name), None)

    def by_id(self, node_id: bytes) -> Member | None:
        """Return the member with this ID, or None."""
        return next((m for m in self.members if m.id == node_id), None)

    def by_key(self, sig_key: bytes) -> Member | None:
        """Return the member with this sig key, or None; over 2.0 there is at most one."""
        return next((m for m in self.members if m.token.sig_key == sig_key), None)

    def by_index(self, index: int) -> Member | None:
        """Return the member with this index, or None."""
        return next((m for m in self.members if m.index == index), None)

    @property
    def missing(self) -> int:
        """How many places of the cluster are free."""
        return max(0, self.cluster.size - len(self.members))

    @property
    def free(self) -> tuple[int, ...]:
        """The indexes of the places that are free."""
        taken = {m.index for m in self.members}
        return tuple(i for i in range(self.cluster.size) if i not in taken)

    def warnings(self, now: datetime | None = None) -> tuple[str, ...]:
        """Return what is probably wrong without being an error, as a phrase for each.

        That is certificates that are not valid yet, which TLS refuses, and addresses that
        two members claim, where at most one of them can be. Clients also log these warnings,
        to the logger ``xlreg``.
        """
        now = now or datetime.now(timezone.utc)
        return (*filter(None, (warn_of_clock(member, now) for member in self.members)), *warn_of_shared(self))

    @property
    def short_sum(self) -> str:
        """The sum as people compare it; empty over a classic carrier."""
        return short_sum(self.sum) if self.sum else ""

    @property
    def unverified(self) -> tuple[Member, ...]:
        """The members that have proved nothing."""
        return tuple(m for m in self.members if not m.verified)


def warn_of_clock(member: Member, now: datetime) -> str:
    """Return the warning about a certificate that is not valid yet; an empty text if there is none."""
    if not member.verified or member.token.certificate is None:
        return ""
    begin = valid_from(member.token.certificate)
    if begin <= now:
        return ""
    return (
        f"certificate of member {quote(member.name)} is valid from {begin:%Y-%m-%d %H:%M} UTC, "
        f"{span(begin - now)} from now: its clock or this machine's is wrong"
    )


def warn_of_shared(roster: Roster) -> list[str]:
    """Return the warnings about addresses that two members claim."""
    first: dict[Endpoint, str] = {}
    found = []
    for member in roster.members:
        for endpoint in dict.fromkeys(member.endpoints):
            other = first.setdefault(endpoint, member.name)
            if other != member.name:
                found.append(
                    f"{other} and {member.name} both say that they are at {endpoint}: "
                    "give each an address of its own"
                )
    return found
