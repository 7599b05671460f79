"""Verifies the members of rosters."""

from __future__ import annotations

from dataclasses import replace

from . import limits
from ._errors import AdmissionRefusedError, BadSignatureError, ProtocolError, PublicKeyError, doing, quote
from ._wire.inner import decode_admission
from .keys import parse_public_key
from .roster import Member, Roster
from .signatures import verify_token
from .version import Protocol
from .vocabulary import NO_KEY, Cluster, ClusterKey, NodeID, Token


def verify_member(member: Member, protocol: Protocol) -> Member:
    """Return a member as verified if its token has all proofs; as not verified if it has none.

    Raises:
        BadSignatureError: One of its proofs is wrong or missing: the roster has been tampered
            with, or its registry does not do its part.
        ProtocolError: One of its keys is not valid.
    """
    token = member.token
    proofs = [proof is not None for proof in token.proofs]
    signed = not protocol.classic and any(proofs)
    with doing(f"member {quote(token.name)} ({token.id})"):
        if signed and not all(proofs):
            raise BadSignatureError("some of its proofs are missing")
        # One that registered over a classic carrier has keys within wider bounds, and proves nothing.
        _check_keys(token, limits.MODERN_KEYS if signed else limits.ANY_KEYS)
        if signed:
            verify_token(token)
    return replace(member, verified=signed)


def _check_keys(token: Token, bounds: limits.KeyBounds) -> None:
    for what, key in (("comms key", token.comms_key), ("sig key", token.sig_key)):
        try:
            parse_public_key(key, bounds)
        except PublicKeyError as err:
            raise ProtocolError(f"{what}: {err}") from None


def verify_admitted(member: Member, cluster: Cluster) -> None:
    """Make sure that a member which is verified was admitted by the cluster's owner.

    Raises:
        BadSignatureError: It was not, or has proved nothing.
    """
    token = member.token
    with doing(f"member {quote(token.name)} ({token.id})"):
        if not member.verified:
            raise BadSignatureError("it proves nothing, in a cluster that has an owner")
        try:
            decode_admission(token.admission).verify(cluster.name, cluster.key, token.sig_key)
        except AdmissionRefusedError as err:
            raise BadSignatureError(f"not admitted by the cluster's owner: {err.detail}") from None


def check_pinned(cluster: Cluster, key: ClusterKey) -> None:
    """Make sure that a cluster is the one with a key.

    Raises:
        BadSignatureError: It has another, or none.
    """
    if cluster.key != key:
        raise BadSignatureError(f"{cluster} has another key than its owner's")


class Verifier:
    """Verifies rosters, and remembers the last, so that one that grows is verified once."""

    def __init__(self, protocol: Protocol) -> None:
        """Verify what comes over protocol."""
        self._protocol = protocol
        self._last: dict[NodeID, Member] = {}
        self._admitted: set[tuple[str, bytes, bytes, bytes]] = set()

    def know(self, own: Token) -> None:
        """Take a token that the node itself has signed for verified."""
        if own.id is not None:
            self._last = {own.id: Member(0, own, not self._protocol.classic)}

    def verify(self, roster: Roster, pinned: ClusterKey = NO_KEY) -> Roster:
        """Return the roster with every member verified that can be; see verify_member for errors.

        With a key, the cluster has to have that, and its owner to have admitted every member.
        """
        if pinned:
            check_pinned(roster.cluster, pinned)
        members = tuple(map(self._verify, roster.members))
        if pinned:
            for member in members:
                self._verify_admitted(member, roster.cluster)
        self._last = {member.id: member for member in members}
        return replace(roster, members=members, pinned=bool(pinned))

    def _verify(self, member: Member) -> Member:
        known = self._last.get(member.id)
        if known is not None and _proof(known.token) == _proof(member.token):
            return replace(member, verified=known.verified)
        return verify_member(member, self._protocol)

    def _verify_admitted(self, member: Member, cluster: Cluster) -> None:
        what = (cluster.name, cluster.key, member.token.sig_key, member.token.admission)
        if what in self._admitted and member.verified:
            return
        verify_admitted(member, cluster)
        self._admitted.add(what)


def _proof(token: Token) -> Token:
    """Return a token less what is not verified."""
    return replace(token, id=None, joined=None, digsig=None, admission=b"", lease=0.0, seen=None, run=b"")
