"""What the owner of a cluster signs: its creation, admissions, invites and orders (section 9).

All of it by Ed25519. Nothing here holds a private key but for the time of a signature.
"""

from __future__ import annotations

import enum
import hashlib
import struct
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from . import limits
from ._errors import AdmissionRefusedError, BadSignatureError
from .signatures import lp
from .vocabulary import NO_KEY, ClusterKey, SigKey

_CREATE, _INVITE = b"xlreg create 2.0\x00", b"xlreg invite 2.0\x00"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ADMIT, _ORDER = b"xlreg admit 2.0\x00", b"xlreg order 2.0\x00"


class Seed:
    """The private half of a cluster's key or of an invite: 32 bytes, which are shown by reveal alone."""

    __slots__ = ("_key", "_raw", "public")

    def __init__(self, raw: bytes) -> None:
        """Take the bytes."""
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self._raw = raw
        self.public = ClusterKey(
            self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        )

    @classmethod
    def new(cls) -> Seed:
        """Make a new one."""
        made = Ed25519PrivateKey.generate()
        return cls(made.private_bytes_raw())

    def reveal(self) -> bytes:
        """Return the bytes, which are a secret."""
        return self._raw

    def sign(self, text: bytes) -> bytes:
        """Return the signature of a text."""
        return self._key.sign(text)

    def __repr__(self) -> str:
        return "<Seed>"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a seed is not for pickling")


_SMALL_ORDER = frozenset(
    map(
        bytes.fromhex,
        (
            "00" * 32,
            "01" + "00" * 31,
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "ec" + "ff" * 30 + "7f",
            "ed" + "ff" * 30 + "7f",
            "ee" + "ff" * 30 + "7f",
        ),
    )
)
"""The y coordinates of the points that times 8 are none, 0 and 1 in both of their encodings.

By such a key anybody can sign, and libraries take that, as RFC 8032 allows."""


def _is_small_order(key: bytes) -> bool:
    return key[:-1] + bytes([key[-1] & 0x7F]) in _SMALL_ORDER  # the rest is the sign of x


def signed_by(key: bytes, signature: bytes, text: bytes) -> bool:
    """Report whether a signature of a text verifies by an Ed25519 key by which not anybody can sign."""
    if len(key) != 32 or _is_small_order(key):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(frozen=True)
class Invite:
    """The leave to join that an owner gave to whoever holds a key.

    Attributes:
        key: The public half of the invite.
        not_after: When it ends, in milliseconds since 1970; 0 is no end.
        uses: How many keys it admits; 0 is any number.
        sig: The owner's signature.
    """

    key: ClusterKey = NO_KEY
    not_after: int = 0
    uses: int = 0
    sig: bytes = field(default=b"", repr=False)

    @property
    def end(self) -> datetime | None:
        """When it ends; None for no end, or one that no calendar has."""
        try:
            return _EPOCH + timedelta(milliseconds=self.not_after) if self.not_after else None
        except OverflowError:
            return None

    def text(self, cluster: str, cluster_key: bytes) -> bytes:
        """Return what the owner signs."""
        numbers = struct.pack(">QI", self.not_after, self.uses)
        return _INVITE + lp(cluster.encode()) + lp(cluster_key) + lp(self.key) + numbers

    def verify(self, cluster: str, cluster_key: bytes) -> None:
        """Hold the invite against the key of a cluster. The time plays no part.

        Raises:
            AdmissionRefusedError: It is not the owner's, or admits more than it may.
        """
        if self.uses > limits.MAX_USES:
            raise AdmissionRefusedError(f"invite for {self.uses} keys, at most {limits.MAX_USES} allowed")
        if len(self.key) != 32 or not signed_by(cluster_key, self.sig, self.text(cluster, cluster_key)):
            raise AdmissionRefusedError("the invite is not signed by the cluster's owner")


NO_INVITE = Invite()


@dataclass(frozen=True)
class Admission:
    """The leave of one key to be a member of a cluster, from its owner or by way of an invite.

    Attributes:
        sig: The signature by the cluster key or, where there is an invite, by that.
        invite: The invite; NO_INVITE for none.
    """

    sig: bytes = field(repr=False)
    invite: Invite = NO_INVITE

    def verify(self, cluster: str, cluster_key: bytes, sig_key: SigKey) -> None:
        """Make sure that a key is admitted to a cluster. The time plays no part.

        Raises:
            AdmissionRefusedError: It is not.
        """
        self.verify_sig(cluster, cluster_key, sig_key)
        if self.invite.key:
            self.invite.verify(cluster, cluster_key)

    def verify_sig(self, cluster: str, cluster_key: bytes, sig_key: SigKey) -> None:
        """Look at the signature over the key alone.

        Raises:
            AdmissionRefusedError: It does not verify.
        """
        text = admit_text(cluster, cluster_key, sig_key, self.invite.key)
        if not signed_by(self.invite.key or cluster_key, self.sig, text):
            raise AdmissionRefusedError("its signature does not verify")


def admit_text(cluster: str, cluster_key: bytes, sig_key: SigKey, invite_key: bytes = b"") -> bytes:
    """Return what is signed to admit a key."""
    return _ADMIT + lp(cluster.encode()) + lp(cluster_key) + lp(sig_key) + lp(invite_key)


def create_text(cluster: str, cluster_key: bytes, size: int, endpoint_count: int, attrs: int) -> bytes:
    """Return what the owner signs to create a cluster."""
    numbers = struct.pack(">IIQ", size, endpoint_count, attrs)
    return _CREATE + lp(cluster.encode()) + lp(cluster_key) + numbers


def verify_create(
    cluster: str, cluster_key: bytes, size: int, endpoint_count: int, attrs: int, signature: bytes
) -> None:
    """Hold the signature of a Create against the cluster's key.

    Raises:
        BadSignatureError: It does not verify.
    """
    text = create_text(cluster, cluster_key, size, endpoint_count, attrs)
    if not signed_by(cluster_key, signature, text):
        raise BadSignatureError("not signed by the cluster's owner")


class OrderKind(enum.IntEnum):
    """What an owner can order."""

    EVICT = 1
    BAN = 2
    REVOKE = 3
    REOPEN = 4
    DELETE = 5


@dataclass(frozen=True)
class Order:
    """An order of a cluster's owner.

    Attributes:
        cluster: The cluster's ID.
        serial: How many orders are done in it, and one.
        kind: What to do; a peer may send any number.
        sig_key_sum: The SHA-256 of the member's sig key, to evict or ban it.
        invite_key: The public half of the invite to revoke.
    """

    cluster: bytes
    serial: int
    kind: int
    sig_key_sum: bytes = b""
    invite_key: bytes = b""

    def check(self) -> None:
        """Make sure that what the kind needs is there.

        Raises:
            BadSignatureError: It is not.
        """
        needed = {OrderKind.EVICT: self.sig_key_sum, OrderKind.BAN: self.sig_key_sum}
        if self.kind == OrderKind.REVOKE:
            needed[OrderKind.REVOKE] = self.invite_key
        if self.kind in needed and len(needed[OrderKind(self.kind)]) != 32:
            raise BadSignatureError("an order without whom it is about")


def order_text(encoded: bytes) -> bytes:
    """Return what is signed of an order that is encoded."""
    return _ORDER + lp(encoded)


def key_sum(sig_key: SigKey) -> bytes:
    """Return by what an order names a key."""
    return hashlib.sha256(sig_key).digest()
