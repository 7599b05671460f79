"""The signatures of the protocol: over tokens, and over classic log-ins."""

from __future__ import annotations

import hashlib
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from . import limits
from ._errors import BadSignatureError, PublicKeyError, quote
from .keys import parse_public_key
from .vocabulary import NodeID, SigKey, Token

# Separates the signature of a 2.0 token from everything else that the same key may sign.
_CONTEXT = b"xlreg token 2.0\x00"
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)


def sign_classic(key: rsa.RSAPrivateKey, token: Token) -> bytes:
    """Return the classic signature of a token, its DigSig (section 4.1)."""
    return key.sign(_classic_text(token), padding.PKCS1v15(), hashes.SHA1())  # noqa: S303


def verify_classic(token: Token) -> None:
    """Hold a token's DigSig against its sig key.

    Raises:
        BadSignatureError: The signature or the key is not valid.
    """
    _verify_sha1(
        token.sig_key, token.digsig or b"", _classic_text(token), f"classic signature of {quote(token.name)}"
    )


def sign_login(key: rsa.RSAPrivateKey, salt2: bytes, node_id: NodeID) -> bytes:
    """Return what proves over a classic carrier that a client holds the sig key of node_id (section 5.2)."""
    return key.sign(salt2 + node_id, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303


def verify_login(sig_key: SigKey, salt2: bytes, node_id: NodeID, digsig: bytes) -> None:
    """Hold what sign_login returned against a key.

    Raises:
        BadSignatureError: The signature or the key is not valid.
    """
    _verify_sha1(sig_key, digsig, salt2 + node_id, f"log-in of {node_id}")


def sign_token(key: rsa.RSAPrivateKey, token: Token, certificate: bytes) -> bytes:
    """Return the 2.0 signature of a token, its DigSig2 (section 7.5).

    It binds the token to the certificate that the client shows in its handshake.
    """
    return key.sign(_token_text(token, certificate), _PSS, hashes.SHA256())


def verify_token(token: Token, certificate: bytes) -> None:
    """Hold a token's DigSig2 against its sig key and a certificate. Nothing else in it is looked at.

    Raises:
        BadSignatureError: The signature or the key is not valid.
    """
    key = _signing_key(token.sig_key, limits.MODERN_KEYS)
    try:
        key.verify(token.digsig2 or b"", _token_text(token, certificate), _PSS, hashes.SHA256())
    except InvalidSignature:
        raise BadSignatureError(f"2.0 signature of {quote(token.name)}") from None


def _signing_key(sig_key: SigKey, bounds: limits.KeyBounds) -> rsa.RSAPublicKey:
    try:
        return parse_public_key(sig_key, bounds)
    except PublicKeyError as err:
        raise BadSignatureError(f"sig key: {err}") from None


def _verify_sha1(sig_key: SigKey, signature: bytes, text: bytes, what: str) -> None:
    key = _signing_key(sig_key, limits.CLASSIC_KEYS)
    try:
        key.verify(signature, text, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    except InvalidSignature:
        raise BadSignatureError(what) from None


def _classic_text(token: Token) -> bytes:
    """Run the fields together without lengths, as deployed peers do."""
    fields = [token.name.encode(), struct.pack("<Q", token.attrs), token.comms_key, token.sig_key]
    return b"".join(fields) + "".join(token.endpoints).encode()


def _token_text(token: Token, certificate: bytes) -> bytes:
    fields = [
        token.name.encode(),
        struct.pack("<Q", token.attrs),
        token.comms_key,
        token.sig_key,
        hashlib.sha256(certificate).digest(),
    ]
    ends = [endpoint.encode() for endpoint in token.endpoints]
    count = struct.pack(">I", len(ends))
    return _CONTEXT + b"".join(map(_lp, fields)) + count + b"".join(map(_lp, ends))


def _lp(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
