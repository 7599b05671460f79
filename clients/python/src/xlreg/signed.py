"""Signed rosters: what a registry said of a cluster, for whoever was not there (section 11.2)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from cryptography.hazmat.primitives.asymmetric import ec

from ._chain import NextKey, check_chain, find_key
from ._errors import DocumentError, XlregError, doing
from ._verify import Verifier
from ._wire.messages import Message, Part, decode
from .certificate import public_key_of, verifies
from .keys import parse_public_key
from .regcred import RegCred, Target
from .roster import Roster
from .ticket import Ticket, is_ticket
from .version import Protocol
from .vocabulary import ClusterKey, SigKey

_SIGNED = b"xlreg signed 2.0\x00"
_MAX_DOCUMENT = 32 << 20  # the largest cluster with the longest tokens has half of it
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class SignedRoster:
    """A roster that its registry has signed, verified.

    Attributes:
        roster: The roster.
        signed: When the registry signed it, by its own clock; of several parts the last.
        sig_key: The registry's key.
        next_key: The key by way of which it is signed, if that is the registry's next.
        parts: The parts as they travel.
    """

    roster: Roster
    signed: datetime
    sig_key: SigKey = field(repr=False)
    next_key: NextKey | None
    parts: tuple[bytes, ...] = field(repr=False)

    @property
    def document(self) -> bytes:
        """What a file of it holds: each part in a frame. It is what verify_signed takes."""
        return b"".join(struct.pack(">I", len(part)) + part for part in self.parts)

    def contradicts(self, other: SignedRoster) -> bool:
        """Report whether this one and another, both signed, convict their registry.

        They do if they are of one cluster and one revision and show it otherwise: their sums differ.
        """
        one, two = self.roster, other.roster
        same = (one.cluster.id, one.state.revision) == (two.cluster.id, two.state.revision)
        return same and self.sig_key == other.sig_key and one.sum != two.sum


def verify_signed(document: bytes, registry: Ticket | Target | RegCred | str) -> SignedRoster:
    """Verify a signed roster, offline.

    Args:
        document: What a file of it holds.
        registry: What is known of the registry: its credentials or the file with them, its
            ``xlreg://`` line, or a ticket, which also says which cluster it has to be, and
            then the owner has to have admitted every member.

    Raises:
        DocumentError: Something of it does not hold; the text says what.

    Example:
        >>> verify_signed(Path("web.roster").read_bytes(), "regCred.dat").roster  # doctest: +SKIP
    """
    if isinstance(registry, str) and is_ticket(registry):
        registry = Ticket.load(registry)
    if not isinstance(registry, Ticket):
        return verify_parts(split(document), Target.load(registry))
    found = verify_parts(split(document), registry.registry, registry.key)
    if found.roster.cluster.name != registry.cluster:
        raise DocumentError(f"signed roster: it is that of {found.roster.cluster}")
    return found


def split(document: bytes) -> list[bytes]:
    """Return the parts of a document.

    Raises:
        DocumentError: It is too long, or ends within one.
    """
    if len(document) > _MAX_DOCUMENT:
        raise DocumentError(f"signed roster: {len(document)} bytes, at most {_MAX_DOCUMENT} allowed")
    parts, at = [], 0
    while at < len(document):
        begin = at + 4
        at = begin + int.from_bytes(document[at:begin], "big")
        if begin > len(document) or at > len(document):
            raise DocumentError("signed roster: it is cut short, or is none")
        parts.append(document[begin:at])
    return parts


def verify_parts(parts: Sequence[bytes], target: Target, key: bytes = b"") -> SignedRoster:
    """Verify the parts of a signed roster, each a ClusterMembers as it travels; see verify_signed.

    With a key, it has to be the cluster's, and its owner to have admitted every member.
    """
    try:
        with doing("signed roster"):
            return _verify(tuple(parts), target, ClusterKey(key))
    except DocumentError:
        raise
    except XlregError as err:
        raise DocumentError(str(err)) from None


def _verify(documents: tuple[bytes, ...], target: Target, key: ClusterKey) -> SignedRoster:
    if not documents:
        raise DocumentError("there is no part of it")
    parts, signer = [], _Signer(target)
    for document in documents:
        message = decode(document)
        part = message.part(Protocol.V20)
        if part.since is not None:
            raise DocumentError("a part says only what has changed")
        signer.check(message, part)
        parts.append(part)
    merged = merge(parts)
    roster = Roster(merged.cluster, merged.members, merged.state, merged.sum)
    if key and roster.cluster.key != key:
        raise DocumentError("the cluster has another key")
    verified = Verifier(Protocol.V20).verify(roster, key or roster.cluster.key)
    if signer.key is None or signer.last is None:
        raise AssertionError("there is a part, and it is signed")
    verified = replace(verified, pinned=bool(key))
    return SignedRoster(verified, signer.last, signer.key, signer.next_key, documents)


class _Signer:
    """Holds the signatures of parts against what is known of their registry."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.key: SigKey | None = None
        self.next_key: NextKey | None = None
        self.last: datetime | None = None

    def check(self, message: Message, part: Part) -> None:
        """Look at all that is about the signature of one part."""
        raw = message.raw
        if not raw.HasField("SignedMillis") or not raw.RosterSig or not raw.Chain:
            raise DocumentError("a part is not signed")
        chain = list(raw.Chain)
        try:
            at = _EPOCH + timedelta(milliseconds=raw.SignedMillis)
        except OverflowError:
            raise DocumentError("a part is signed at a time that no calendar has") from None
        self.key = self._known(chain)
        self.next_key = check_chain(chain, self.key, at)
        leaf = parse_public_key(public_key_of(chain[0]))
        text = _SIGNED + part.sum + raw.SignedMillis.to_bytes(8, "big")
        if not isinstance(leaf, ec.EllipticCurvePublicKey) or not verifies(leaf, raw.RosterSig, text):
            raise DocumentError("a signature of the registry does not verify")
        self.last = max(at, self.last or at)

    def _known(self, chain: list[bytes]) -> SigKey:
        if self._target.cred is not None:
            return self._target.cred.sig_key
        key = find_key(chain, self._target.fingerprint)
        if key is None:
            raise DocumentError(f"no certificate has a key with fingerprint {self._target.fingerprint}")
        return key


def merge(parts: Sequence[Part]) -> Part:
    """Put the parts of a roster together, each member of which is in one of them.

    Raises:
        DocumentError: They are not of one roster, or not all of it.
        ProtocolError: Its sum is not that of its members.
    """
    first = parts[0]
    which, members = 0, list(first.members[:0])
    for part in parts:
        if (part.cluster, part.state, part.seats, part.sum) != (
            first.cluster,
            first.state,
            first.seats,
            first.sum,
        ):
            raise DocumentError("its parts are not of one roster")
        if which & part.which:
            raise DocumentError("a member is in two of its parts")
        which |= part.which
        members += part.members
    if which != first.seats:
        raise DocumentError("members are missing")
    members.sort(key=lambda member: member.index)
    merged = replace(first, members=tuple(members), which=which)
    merged.check_sum()
    return merged
