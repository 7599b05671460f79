"""Certificates: the one by which a member is known in TLS (section 7.6), and the registry's (7.2)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID

from . import _der, limits
from ._errors import CertificateError, ClockError, UntrustedError, XlregError, doing, quote
from .keys import fingerprint, parse_public_key
from .vocabulary import SigKey, Token

DEFAULT_LIFE = timedelta(days=90)
"""How long a certificate is valid unless told otherwise."""

_BACKDATE = timedelta(hours=1)  # for peers whose clocks are behind
_LEAF_BACKDATE = timedelta(days=1)  # from when a registry has its certificates be valid
_TOLERANCE = timedelta(hours=1)  # by how much a client's clock may differ from a registry's
_CN_LENGTH, _HEX_LENGTH, _KEY_ID_LENGTH, _SERIAL_BITS = 64, 32, 20, 128

_COMMON_NAME, _SERIAL_NUMBER = b"\x55\x04\x03", b"\x55\x04\x05"
_SUBJECT_KEY_ID, _KEY_USAGE, _ALT_NAMES = b"\x55\x1d\x0e", b"\x55\x1d\x0f", b"\x55\x1d\x11"
_BASIC_CONSTRAINTS, _AUTHORITY_KEY_ID, _EXT_KEY_USAGE = b"\x55\x1d\x13", b"\x55\x1d\x23", b"\x55\x1d\x25"
_USAGES = {b"\x2b\x06\x01\x05\x05\x07\x03\x01", b"\x2b\x06\x01\x05\x05\x07\x03\x02"}  # server, client
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87


def _sum(token: Token) -> bytes:
    """Return what makes a member's certificate its own: no two members share name and key."""
    return hashlib.sha256(token.sig_key + token.name.encode()).digest()


def load(der: bytes) -> x509.Certificate:
    """Parse a certificate.

    Raises:
        CertificateError: It is not a certificate.
    """
    parts = _der.parse(der)
    if not parts.same_algorithm:
        raise CertificateError("certificate with two signature algorithms")
    if int.from_bytes(parts.serial, "big", signed=True) <= 0:
        raise CertificateError("certificate with a serial number that is not positive")
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as err:
        raise CertificateError(f"certificate does not parse: {err}") from None


def public_key_of(der: bytes) -> bytes:
    """Return the public key of a certificate as it stands in it.

    Raises:
        CertificateError: It is not a certificate.
    """
    load(der)
    return _der.parse(der).public_key


def name_of(der: bytes) -> str | None:
    """Return the name of the member whose certificate it is, which its subject proves, or None."""
    parts, certificate = _der.parse(der), load(der)
    serial = dict(_der.attributes(parts.subject)).get(_SERIAL_NUMBER)
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return None
    for name in found.get_values_for_type(x509.DNSName):
        if hashlib.sha256(parts.public_key + name.encode()).hexdigest()[:_HEX_LENGTH] == serial:
            return name
    return None


def new_certificate(
    key: rsa.RSAPrivateKey, token: Token, now: datetime, life: timedelta = DEFAULT_LIFE
) -> bytes:
    """Return, in DER, a certificate of token's node in the form of section 7.6.

    The key has to be that of token. The certificate is valid for life, from an hour before now.
    """
    digest = _sum(token)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, token.name[:_CN_LENGTH]),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, digest.hex()[:_HEX_LENGTH]),
        ]
    )
    key_id = digest[:_KEY_ID_LENGTH]
    begin = (now - _BACKDATE).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(os.urandom(_SERIAL_BITS // 8), "big") | 1)
        .not_valid_before(begin)
        .not_valid_after(begin + life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_digital_signature(), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False
        )
        .add_extension(x509.SubjectKeyIdentifier(key_id), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(key_id, None, None), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternative_names(token)), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def _digital_signature() -> x509.KeyUsage:
    return x509.KeyUsage(True, False, False, False, False, False, False, False, False)


def alternative_names(token: Token) -> list[x509.GeneralName]:
    """Return token's name and the hosts of its endpoints, each once."""
    names: list[x509.GeneralName] = [x509.DNSName(token.name)]
    for endpoint in token.endpoints:
        address = endpoint.address
        name = x509.IPAddress(address) if address else x509.DNSName(endpoint.host)
        if name not in names:
            names.append(name)
    return names


def check_self_signed(der: bytes) -> SigKey:
    """Return the key of a certificate that is signed by that very key, an RSA key long enough for 2.0.

    It is all that a TLS handshake with a registry asks of a client.

    Raises:
        CertificateError: It is not such a certificate.
    """
    certificate, parts = load(der), _der.parse(der)
    _check_own_signature(certificate, _long_key(parts.public_key))
    return SigKey(parts.public_key)


def check_certificate(der: bytes, token: Token) -> x509.Certificate:
    """Return the certificate if it has the form of section 7.6, with token's name and sig key.

    Dates are not looked at, nor whether the hosts are those of token.

    Raises:
        CertificateError: It has another form.
    """
    with doing(f"certificate of {quote(token.name)}"):
        if len(der) > limits.MAX_CERTIFICATE:
            raise CertificateError(f"{len(der)} bytes, at most {limits.MAX_CERTIFICATE} allowed")
        certificate, parts = load(der), _der.parse(der)
        if parts.public_key != token.sig_key:
            raise CertificateError("its key is not the sig key")
        key = _long_key(parts.public_key)
        _check_head(certificate, parts, token)
        _check_extensions(parts.extensions, token)
        _check_own_signature(certificate, key)
        return certificate


def _long_key(der: bytes) -> rsa.RSAPublicKey:
    try:
        return parse_public_key(der, limits.MODERN_KEYS)
    except XlregError as err:
        raise CertificateError(f"certificate: {err}") from None


def _check_own_signature(certificate: x509.Certificate, key: rsa.RSAPublicKey) -> None:
    try:
        parameters = certificate.signature_algorithm_parameters
        scheme = parameters if isinstance(parameters, padding.PSS) else padding.PKCS1v15()
        # Without a hash it is an algorithm of another kind of key, and does not verify.
        algorithm = certificate.signature_hash_algorithm or hashes.SHA256()
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, scheme, algorithm)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        raise CertificateError("not signed by its own key") from None


def _check_head(certificate: x509.Certificate, parts: _der.Certificate, token: Token) -> None:
    if certificate.version is not x509.Version.v3:
        raise CertificateError("want version 3")
    if certificate.signature_algorithm_oid != SignatureAlgorithmOID.RSA_WITH_SHA256:
        raise CertificateError("want a signature with RSA and SHA-256")
    serial = int.from_bytes(parts.serial, "big", signed=True)
    if serial >= 1 << _SERIAL_BITS:
        raise CertificateError(f"serial number: want 1 to {_SERIAL_BITS} bits")
    if parts.issuer != parts.subject.whole:
        raise CertificateError("subject and issuer differ")
    want = [(_COMMON_NAME, token.name[:_CN_LENGTH]), (_SERIAL_NUMBER, _sum(token).hex()[:_HEX_LENGTH])]
    if _der.attributes(parts.subject) != want:
        raise CertificateError("subject is not that of the name and key")


def _check_extensions(extensions: Sequence[_der.Extension], token: Token) -> None:
    """Hold the extensions against the form: these six, each once, and no other."""
    key_id = _sum(token)[:_KEY_ID_LENGTH]
    want: dict[bytes, tuple[bool, bytes | None]] = {
        _BASIC_CONSTRAINTS: (True, b"\x30\x00"),  # CA:FALSE
        _KEY_USAGE: (True, b"\x03\x02\x07\x80"),  # digitalSignature
        _EXT_KEY_USAGE: (False, None),
        _SUBJECT_KEY_ID: (False, b"\x04\x14" + key_id),
        _AUTHORITY_KEY_ID: (False, b"\x30\x16\x80\x14" + key_id),
        _ALT_NAMES: (False, None),
    }
    found = {e.oid: e for e in extensions}
    if found.keys() != want.keys() or len(extensions) != len(want):
        raise CertificateError("its extensions are not the six that were agreed")
    for oid, (critical, content) in want.items():
        if found[oid].critical != critical or content not in (None, found[oid].content):
            raise CertificateError("an extension is not as agreed")
    usages = [v.content for v in _inner(found[_EXT_KEY_USAGE])]
    if len(usages) != len(_USAGES) or set(usages) != _USAGES:
        raise CertificateError("extended usage is not server and client authentication")
    names = [(v.tag, v.content) for v in _inner(found[_ALT_NAMES])]
    if (_DNS_NAME, token.name.encode()) not in names:
        raise CertificateError("the name is not among the alternative names")
    if any(tag not in (_DNS_NAME, _IP_ADDRESS) for tag, _ in names):
        raise CertificateError("alternative names that are no hosts")


def _inner(extension: _der.Extension) -> list[_der.Value]:
    return list(_der.values(next(_der.values(extension.content)).content))


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


def check_leaf(der: bytes, sig_key: SigKey, now: datetime) -> None:
    """Make sure that a server which proved to hold the key of a leaf is the registry (section 7.2).

    Raises:
        ClockError: It is, but its certificate is not valid yet.
        UntrustedError: It is not.
    """
    try:
        key = parse_public_key(sig_key, limits.MODERN_KEYS)
        leaf = load(der)
    except XlregError as err:
        raise UntrustedError(f"registry's certificate: {err}") from None
    try:
        signed_by = leaf.signature_algorithm_oid
        key.verify(leaf.signature, leaf.tbs_certificate_bytes, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        signed_by = None
    if signed_by != SignatureAlgorithmOID.RSA_WITH_SHA256:
        raise UntrustedError("leaf certificate is not signed by the registry's sig key")
    if now > leaf.not_valid_after_utc + _TOLERANCE:
        late = f"leaf certificate not valid after {leaf.not_valid_after_utc:%Y-%m-%d %H:%M}"
        raise UntrustedError(f"{late}, {span(now - leaf.not_valid_after_utc)} ago by this machine's clock")
    _check_leaf_usage(leaf)
    if now < leaf.not_valid_before_utc - _TOLERANCE:
        behind = span(leaf.not_valid_before_utc + _LEAF_BACKDATE - now)
        raise ClockError(
            f"the clock of this machine is behind the registry's by {behind} or more: it says "
            f"{now:%Y-%m-%d %H:%M} UTC, before the registry's certificate was made"
        )


def span(time: timedelta) -> str:
    """Return how long a time is, in the unit in which people would say it."""
    for unit, seconds in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if time.total_seconds() >= 2 * seconds:
            return f"{time.total_seconds() / seconds:.0f} {unit}"
    return f"{time.total_seconds():.0f} seconds"


def valid_from(der: bytes) -> datetime:
    """Return from when a certificate is valid.

    Raises:
        CertificateError: It is not a certificate.
    """
    return load(der).not_valid_before_utc


def _check_leaf_usage(leaf: x509.Certificate) -> None:
    try:
        extensions = leaf.extensions
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as err:
        raise UntrustedError(f"leaf certificate: {err}") from None
    for extension in extensions:
        if isinstance(extension.value, x509.BasicConstraints) and extension.value.ca:
            raise UntrustedError("leaf certificate is a CA's")
    usages = [e.value for e in extensions if isinstance(e.value, x509.ExtendedKeyUsage)]
    if not any(ExtendedKeyUsageOID.SERVER_AUTH in usage for usage in usages):
        raise UntrustedError("leaf certificate is not for servers")
