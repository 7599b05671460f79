"""The signatures of nodes: over their tokens, by both of their keys, and over classic log-ins."""

from __future__ import annotations

import hashlib
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from . import limits
from ._errors import BadSignatureError, CertificateError, NeedsRSAError, PublicKeyError, quote
from .certificate import build, strict
from .keys import PrivateKey, parse_public_key, parse_rsa_key
from .vocabulary import NodeID, SigKey, Token

# These separate what is signed over 2.0 from everything else that the same key may sign.
_TOKEN, _COMMS = b"xlreg token 2.0\x00", b"xlreg comms 2.0\x00"
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)


def lp(data: bytes) -> bytes:
    """Return data behind its length, as it is signed and hashed."""
    return struct.pack(">I", len(data)) + data


def sign(key: PrivateKey, text: bytes) -> bytes:
    """Return a signature of 2.0, by a key of either kind."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(text, _PSS, hashes.SHA256())
    return key.sign(text, ec.ECDSA(hashes.SHA256()))


def verify(key: bytes, signature: bytes, text: bytes, what: str) -> None:
    """Hold what sign returned against a public key in DER.

    Raises:
        BadSignatureError: It is not that of the text, or the key is not valid; what says whose it is.
    """
    try:
        public = parse_public_key(key, limits.MODERN_KEYS)
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(signature, text, _PSS, hashes.SHA256())
        else:
            public.verify(strict(signature), text, ec.ECDSA(hashes.SHA256()))
    except PublicKeyError as err:
        raise BadSignatureError(f"{what}: {err}") from None
    except InvalidSignature:
        raise BadSignatureError(what) from None


def sign_token(key: PrivateKey, token: Token) -> bytes:
    """Return the 2.0 signature of a token that has its Certificate, its DigSig2 (section 7.5)."""
    return sign(key, _token_text(token))


def sign_comms(key: PrivateKey, token: Token) -> bytes:
    """Return the signature of a token's comms key, its CommsSig. It depends on the two keys alone."""
    return sign(key, _comms_text(token))


def verify_token(token: Token) -> None:
    """Hold a token's DigSig2 and CommsSig against its keys and its certificate.

    Raises:
        BadSignatureError: One of them does not verify, or the token's Certificate gives none.
    """
    name = quote(token.name)
    verify(token.sig_key, token.digsig2 or b"", _token_text(token), f"2.0 signature of {name}")
    verify(token.comms_key, token.comms_sig or b"", _comms_text(token), f"comms signature of {name}")


def _token_text(token: Token) -> bytes:
    try:
        certificate = hashlib.sha256(build(token)).digest()
    except CertificateError as err:
        raise BadSignatureError(str(err)) from None
    attrs = struct.pack("<Q", token.attrs)
    fields = [token.name.encode(), attrs, token.comms_key, token.sig_key, certificate]
    ends = [endpoint.encode() for endpoint in token.endpoints]
    count = struct.pack(">I", len(ends))
    labels = lp(token.labels) if token.labels else b""
    return _TOKEN + b"".join(map(lp, fields)) + count + b"".join(map(lp, ends)) + labels


def _comms_text(token: Token) -> bytes:
    return _COMMS + lp(token.comms_key) + lp(token.sig_key)


# Classic carriers.


def sign_classic(key: PrivateKey, token: Token) -> bytes:
    """Return the classic signature of a token, its DigSig (section 4.1).

    Raises:
        NeedsRSAError: The key is of another kind.
    """
    return _rsa(key).sign(_classic_text(token), padding.PKCS1v15(), hashes.SHA1())  # noqa: S303


def verify_classic(token: Token) -> None:
    """Hold a token's DigSig against its sig key.

    Raises:
        BadSignatureError: The signature or the key is not valid.
    """
    _verify_sha1(
        token.sig_key, token.digsig or b"", _classic_text(token), f"classic signature of {quote(token.name)}"
    )


def sign_login(key: PrivateKey, salt2: bytes, node_id: NodeID) -> bytes:
    """Return what proves over a classic carrier that a client holds the sig key of node_id (section 5.2).

    Raises:
        NeedsRSAError: The key is of another kind.
    """
    return _rsa(key).sign(salt2 + node_id, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303


def verify_login(sig_key: SigKey, salt2: bytes, node_id: NodeID, digsig: bytes) -> None:
    """Hold what sign_login returned against a key.

    Raises:
        BadSignatureError: The signature or the key is not valid.
    """
    _verify_sha1(sig_key, digsig, salt2 + node_id, f"log-in of {node_id}")


def _rsa(key: PrivateKey) -> rsa.RSAPrivateKey:
    if not isinstance(key, rsa.RSAPrivateKey):
        raise NeedsRSAError
    return key


def _verify_sha1(sig_key: SigKey, signature: bytes, text: bytes, what: str) -> None:
    try:
        parse_rsa_key(sig_key).verify(signature, text, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    except PublicKeyError as err:
        raise BadSignatureError(f"sig key: {err}") from None
    except InvalidSignature:
        raise BadSignatureError(what) from None


def _classic_text(token: Token) -> bytes:
    """Run the fields together without lengths, as deployed peers do."""
    fields = [token.name.encode(), struct.pack("<Q", token.attrs), token.comms_key, token.sig_key]
    return b"".join(fields) + "".join(token.endpoints).encode()
