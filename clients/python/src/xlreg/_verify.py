"""Verifies the members of rosters."""

from __future__ import annotations

from dataclasses import replace

from . import limits
from ._errors import BadSignatureError, CertificateError, IllFormedTokenError, PublicKeyError, doing, quote
from .certificate import check_certificate
from .keys import parse_public_key
from .roster import Member, Roster
from .signatures import verify_token
from .version import Protocol
from .vocabulary import NodeID, Token


def verify_member(member: Member, protocol: Protocol) -> Member:
    """Return a member as verified if its token is signed; as not verified if it has no signature.

    Raises:
        BadSignatureError: Its signature or certificate does not verify: the roster has been tampered
            with, or its registry does not do its part.
        IllFormedTokenError: One of its keys is not valid.
    """
    token = member.token
    signed = not protocol.classic and token.digsig2 is not None and token.certificate is not None
    with doing(f"member {quote(token.name)} ({token.id})"):
        if token.certificate is not None and signed:
            _verify_signed(token, token.certificate)
        _check_keys(token, limits.MODERN_KEYS if signed else limits.CLASSIC_KEYS)
    return replace(member, verified=signed)


def _verify_signed(token: Token, certificate: bytes) -> None:
    verify_token(token, certificate)
    try:
        check_certificate(certificate, token)
    except CertificateError as err:
        raise BadSignatureError(str(err)) from None


def _check_keys(token: Token, bounds: limits.KeyBounds) -> None:
    for what, key in (("comms key", token.comms_key), ("sig key", token.sig_key)):
        try:
            parse_public_key(key, bounds)
        except PublicKeyError as err:
            raise IllFormedTokenError(f"{what}: {err}") from None


class Verifier:
    """Verifies rosters, and remembers the last, so that one that grows is verified once."""

    def __init__(self, protocol: Protocol) -> None:
        """Verify what comes over protocol."""
        self._protocol = protocol
        self._last: dict[NodeID, Member] = {}

    def know(self, own: Token) -> None:
        """Take a token that the node itself has signed for verified."""
        if own.id is not None:
            self._last = {own.id: Member(0, own, not self._protocol.classic)}

    def verify(self, roster: Roster) -> Roster:
        """Return the roster with every member verified that can be; see verify_member for errors."""
        members = tuple(map(self._verify, roster.members))
        self._last = {member.id: member for member in members}
        return replace(roster, members=members)

    def _verify(self, member: Member) -> Member:
        known = self._last.get(member.id)
        if known is not None and _proof(known.token) == _proof(member.token):
            return replace(member, verified=known.verified)
        return verify_member(member, self._protocol)


def _proof(token: Token) -> Token:
    """Return a token less what is not verified."""
    return replace(token, id=None, joined=None, digsig=None)
