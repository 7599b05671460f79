"""The certificates that a registry shows, held against what a client knows of it (sections 7.2 and 12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from . import limits
from ._errors import ClockError, UntrustedError, XlregError
from .certificate import load, public_key_of, span, verifies
from .keys import fingerprint, parse_rsa_key
from .vocabulary import SigKey

_LEAF_BACKDATE = timedelta(days=1)  # from when a registry has its certificates be valid
_TOLERANCE = timedelta(hours=1)  # by how much a client's clock may differ from a registry's


@dataclass(frozen=True)
class NextKey:
    """The key that a registry goes over to, as the one that is known says.

    Attributes:
        sig_key: The key.
        fingerprint: Its fingerprint.
        until: How long the known key vouches for it.
    """

    sig_key: SigKey
    fingerprint: str
    until: datetime


def find_key(chain: Sequence[bytes], wanted: str) -> SigKey | None:
    """Return the key behind the leaf of a chain that has the fingerprint wanted; None if there is none."""
    for der in chain[1:]:
        try:
            key = SigKey(public_key_of(der))
            if fingerprint(key) == wanted:
                return key
        except XlregError:
            continue
    return None


def check_chain(chain: Sequence[bytes], sig_key: SigKey, now: datetime) -> NextKey | None:
    """Make sure that a server which proved to hold the key of a chain's leaf is the registry.

    The leaf is signed by the key that is known, and None is returned; or else by the key
    for which the known one signed the third certificate, and that is returned.

    Raises:
        ClockError: It is, but its certificate is not valid yet.
        UntrustedError: It is not.
    """
    known = _registry_key(sig_key)
    leaf = _load(chain[0])
    if is_signed(leaf, known):
        check_leaf(leaf, now)
        return None
    if len(chain) < 3:
        raise UntrustedError("leaf certificate is not signed by the registry's sig key")
    found = _cross(_load(chain[2]), chain[2], known, now)
    if not is_signed(leaf, _registry_key(found.sig_key)):
        raise UntrustedError("leaf certificate is not signed by the registry's sig key or its next")
    check_leaf(leaf, now)
    return found


def _registry_key(der: bytes) -> rsa.RSAPublicKey:
    try:
        return parse_rsa_key(der, limits.MODERN_KEYS)
    except XlregError as err:
        raise UntrustedError(f"registry's sig key: {err}") from None


def _load(der: bytes) -> x509.Certificate:
    try:
        return load(der)
    except XlregError as err:
        raise UntrustedError(f"registry's certificate: {err}") from None


def _cross(cross: x509.Certificate, der: bytes, known: rsa.RSAPublicKey, now: datetime) -> NextKey:
    """Read the certificate by which the known key makes another one the next."""
    if not is_signed(cross, known) or not _is_ca(cross):
        raise UntrustedError("leaf certificate is not signed by the registry's sig key")
    if not cross.not_valid_before_utc - _TOLERANCE <= now <= cross.not_valid_after_utc + _TOLERANCE:
        raise UntrustedError(
            f"the registry's next key was vouched for until {cross.not_valid_after_utc:%Y-%m-%d %H:%M}, "
            f"by this machine's clock it is {now:%Y-%m-%d %H:%M} UTC"
        )
    try:
        key = SigKey(public_key_of(der))
        return NextKey(key, fingerprint(key), cross.not_valid_after_utc)
    except XlregError as err:
        raise UntrustedError(f"registry's next key: {err}") from None


def is_signed(certificate: x509.Certificate, key: rsa.RSAPublicKey) -> bool:
    """Report whether a certificate of a registry is signed by a key."""
    if certificate.signature_algorithm_oid != SignatureAlgorithmOID.RSA_WITH_SHA256:
        return False
    return verifies(key, certificate.signature, certificate.tbs_certificate_bytes)


def check_leaf(leaf: x509.Certificate, now: datetime) -> None:
    """Look at all of a leaf but its signature.

    Raises:
        ClockError: It is not valid yet.
        UntrustedError: It is no registry's, or not valid any more.
    """
    if now > leaf.not_valid_after_utc + _TOLERANCE:
        late = f"leaf certificate not valid after {leaf.not_valid_after_utc:%Y-%m-%d %H:%M}"
        raise UntrustedError(f"{late}, {span(now - leaf.not_valid_after_utc)} ago by this machine's clock")
    if _is_ca(leaf):
        raise UntrustedError("leaf certificate is a CA's")
    usages = [e.value for e in _extensions(leaf) if isinstance(e.value, x509.ExtendedKeyUsage)]
    if not any(ExtendedKeyUsageOID.SERVER_AUTH in usage for usage in usages):
        raise UntrustedError("leaf certificate is not for servers")
    if now < leaf.not_valid_before_utc - _TOLERANCE:
        behind = span(leaf.not_valid_before_utc + _LEAF_BACKDATE - now)
        raise ClockError(
            f"the clock of this machine is behind the registry's by {behind} or more: it says "
            f"{now:%Y-%m-%d %H:%M} UTC, before the registry's certificate was made"
        )


def _is_ca(certificate: x509.Certificate) -> bool:
    return any(isinstance(e.value, x509.BasicConstraints) and e.value.ca for e in _extensions(certificate))


def _extensions(certificate: x509.Certificate) -> x509.Extensions:
    try:
        return certificate.extensions
    except (
        ValueError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as err:
        raise UntrustedError(f"registry's certificate: {err}") from None
