"""The certificate by which a member is known in TLS, built from its token to the byte (section 7.6)."""

from __future__ import annotations

import functools
import hashlib
import os
import struct
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from . import _der, limits
from ._errors import CertificateError, XlregError, doing, quote
from .keys import PrivateKey, PublicKey, parse_public_key, public_der
from .vocabulary import Endpoint, SigKey, Token

DEFAULT_LIFE = timedelta(days=90)
"""How long a certificate is valid unless told otherwise."""

_BACKDATE = timedelta(hours=1)  # for peers whose clocks are behind
_CN_LENGTH, _HEX_LENGTH, _KEY_ID_LENGTH, _SERIAL_LENGTH = 64, 32, 20, 16
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LATEST = 253402300799  # the last second of the year 9999
_HEAD = struct.Struct(">16sQQ")

# Values that are the same in all certificates. What begins with 06 is an object ID.
_VERSION_3 = bytes.fromhex("a003020102")
_RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_COMMON_NAME, _SERIAL_NUMBER = bytes.fromhex("0603550403"), bytes.fromhex("0603550405")
_KEY_USAGE = bytes.fromhex("300e0603551d0f0101ff040403020780")  # critical: digitalSignature
_EXT_KEY_USAGE = bytes.fromhex("301d0603551d250416301406082b0601050507030106082b06010505070302")
_NO_CA = bytes.fromhex("300c0603551d130101ff04023000")  # critical
_SUBJECT_KEY_ID, _AUTHORITY_KEY_ID = bytes.fromhex("0603551d0e"), bytes.fromhex("0603551d23")
_ALT_NAMES = bytes.fromhex("0603551d11")


def build(token: Token) -> bytes:
    """Return the certificate that follows from a token, in DER.

    Neither the signature in it nor its dates are looked at.

    Raises:
        CertificateError: None follows: its Certificate or its sig key is none.
    """
    return _build(token.name, token.sig_key, token.endpoints, token.certificate or b"")


@functools.lru_cache(maxsize=2 * limits.MAX_CLUSTER)
def _build(name: str, sig_key: SigKey, endpoints: tuple[Endpoint, ...], field: bytes) -> bytes:
    _check_field(field)
    parsed = _parsed(sig_key)
    signed = _signed_part(name, sig_key, parsed, endpoints, field)
    der = _der.sequence(signed, _algorithm(parsed), _der.bit_string(field[_HEAD.size :]))
    if len(der) > limits.MAX_CERTIFICATE:
        raise CertificateError(f"certificate of {len(der)} bytes, at most {limits.MAX_CERTIFICATE} allowed")
    return der


def _check_field(field: bytes) -> None:
    if not _HEAD.size < len(field) <= limits.MAX_CERTIFICATE:
        raise CertificateError(f"certificate of {len(field)} bytes")
    if not 1 <= field[0] <= 0x7F:
        raise CertificateError("certificate's serial number begins with another byte than 01 to 7f")
    if max(_HEAD.unpack_from(field)[1:]) > _LATEST:
        raise CertificateError("certificate's dates go beyond the year 9999")


def _parsed(sig_key: SigKey) -> PublicKey:
    try:
        return parse_public_key(sig_key, limits.MODERN_KEYS)
    except XlregError as err:
        raise CertificateError(f"certificate: {err}") from None


def _algorithm(key: PublicKey) -> bytes:
    return _RSA_SHA256 if isinstance(key, rsa.RSAPublicKey) else _ECDSA_SHA256


def _signed_part(
    name: str, sig_key: SigKey, parsed: PublicKey, endpoints: Sequence[Endpoint], field: bytes
) -> bytes:
    """Return the part of a certificate that its signature covers."""
    serial, begin, end = _HEAD.unpack_from(field)
    digest = hashlib.sha256(sig_key + name.encode()).digest()
    subject = _subject(name, digest)
    return _der.sequence(
        _VERSION_3,
        _der.value(_der.INTEGER, serial),
        _algorithm(parsed),
        subject,
        _der.sequence(_time(begin), _time(end)),
        subject,
        sig_key,
        _der.value(_der.EXPLICIT_3, _der.sequence(*_extensions(name, digest, endpoints))),
    )


def _subject(name: str, digest: bytes) -> bytes:
    common = _der.sequence(_COMMON_NAME, _der.value(_der.UTF8_STRING, name[:_CN_LENGTH].encode()))
    text = digest.hex()[:_HEX_LENGTH].encode()
    serial = _der.sequence(_SERIAL_NUMBER, _der.value(_der.PRINTABLE_STRING, text))
    return _der.sequence(_der.value(_der.SET, common), _der.value(_der.SET, serial))


def _time(seconds: int) -> bytes:
    at = _EPOCH + timedelta(seconds=seconds)
    text = f"{at.year:04}{at:%m%d%H%M%SZ}".encode()
    if at.year < 2050:
        return _der.value(_der.UTC_TIME, text[2:])
    return _der.value(_der.GENERALIZED_TIME, text)


def _extensions(name: str, digest: bytes, endpoints: Sequence[Endpoint]) -> list[bytes]:
    key_id = digest[:_KEY_ID_LENGTH]
    authority = _der.sequence(_der.value(_der.KEY_IDENTIFIER, key_id))
    return [
        _KEY_USAGE,
        _EXT_KEY_USAGE,
        _NO_CA,
        _extension(_SUBJECT_KEY_ID, _der.value(_der.OCTET_STRING, key_id)),
        _extension(_AUTHORITY_KEY_ID, authority),
        _extension(_ALT_NAMES, _der.sequence(*_alternative_names(name, endpoints))),
    ]


def _extension(oid: bytes, content: bytes) -> bytes:
    return _der.sequence(oid, _der.value(_der.OCTET_STRING, content))


def _alternative_names(name: str, endpoints: Sequence[Endpoint]) -> list[bytes]:
    """Return the name and the hosts of the endpoints, each once, where it is first."""
    names = [_der.value(_der.DNS_NAME, name.encode())]
    for endpoint in endpoints:
        address = endpoint.address
        if address is None:
            names.append(_der.value(_der.DNS_NAME, endpoint.host.encode()))
        else:
            names.append(_der.value(_der.IP_ADDRESS, address.packed))
    return list(dict.fromkeys(names))


def new_field(key: PrivateKey, token: Token, now: datetime, life: timedelta = DEFAULT_LIFE) -> bytes:
    """Return the Certificate of a token for a new certificate, signed with the key, which is the token's.

    It is valid for life, from an hour before now.
    """
    serial = bytearray(os.urandom(_SERIAL_LENGTH))
    serial[0] = serial[0] % 0x7F + 1
    begin = max(0, int((now - _BACKDATE).timestamp()))  # a machine may take it for 1970
    end = min(begin + int(life.total_seconds()), _LATEST)
    head = _HEAD.pack(bytes(serial), begin, end)
    text = _signed_part(token.name, token.sig_key, key.public_key(), token.endpoints, head)
    if isinstance(key, rsa.RSAPrivateKey):
        return head + key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    return head + key.sign(text, ec.ECDSA(hashes.SHA256()))


def verify_own(token: Token) -> bytes:
    """Return the certificate that follows from a token, if its sig key has signed it.

    Raises:
        CertificateError: It has not, or none follows.
    """
    der = build(token)
    parsed, field = _parsed(token.sig_key), token.certificate or b""
    text = _signed_part(token.name, token.sig_key, parsed, token.endpoints, field)
    if not verifies(parsed, field[_HEAD.size :], text):
        raise CertificateError(f"certificate of {quote(token.name)}: not signed by its own key")
    return der


def verifies(key: PublicKey, signature: bytes, text: bytes) -> bool:
    """Report whether a signature as certificates have them verifies by a key."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
        else:
            key.verify(strict(signature), text, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def strict(signature: bytes) -> bytes:
    """Return an ECDSA signature that is in DER, minimal and with nothing behind it.

    Raises:
        InvalidSignature: It is in another form.
    """
    try:
        if encode_dss_signature(*decode_dss_signature(signature)) == signature:
            return signature
    except (ValueError, OverflowError):
        pass
    raise InvalidSignature


def check_shown(token: Token, der: bytes) -> None:
    """Make sure that a certificate is the one of a token, and signed.

    Raises:
        CertificateError: It is not.
    """
    with doing(f"certificate of {quote(token.name)}"):
        if verify_own(token) != der:
            raise CertificateError("it is not the one that follows from the token")


def load(der: bytes) -> x509.Certificate:
    """Parse a certificate.

    Raises:
        CertificateError: It is not a certificate.
    """
    if not _der.has_positive_serial(der):
        raise CertificateError("certificate with a serial number that is not positive")
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as err:
        raise CertificateError(f"certificate does not parse: {err}") from None


def public_key_of(der: bytes) -> bytes:
    """Return the public key of a certificate, in DER.

    Raises:
        CertificateError: It is not a certificate, or its key is of no kind that is known.
    """
    try:
        key = load(der).public_key()
    except (ValueError, UnsupportedAlgorithm) as err:
        raise CertificateError(f"certificate's key: {err}") from None
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise CertificateError(f"certificate's key: {type(key).__name__} is of no kind that is known")
    return public_der(key)


def field_of(der: bytes) -> bytes:
    """Return what a token has of a certificate: its serial number, dates and signature.

    Raises:
        CertificateError: It is not a certificate, or no member's.
    """
    parsed = load(der)
    begin, end = ((at - _EPOCH) // timedelta(seconds=1) for at in dates(der))
    try:
        serial = parsed.serial_number.to_bytes(_SERIAL_LENGTH, "big")
        return _HEAD.pack(serial, begin, end) + parsed.signature
    except (OverflowError, struct.error):
        raise CertificateError("certificate with a serial number or dates that no member's has") from None


def name_of(der: bytes) -> str | None:
    """Return the name of the member whose certificate it is, which its subject proves, or None."""
    key = public_key_of(der)
    try:
        found = load(der).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        serial = load(der).subject.get_attributes_for_oid(x509.NameOID.SERIAL_NUMBER)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return None
    for name in found.get_values_for_type(x509.DNSName):
        digest = hashlib.sha256(key + name.encode()).hexdigest()[:_HEX_LENGTH]
        if [attribute.value for attribute in serial] == [digest]:
            return name
    return None


def dates(der: bytes) -> tuple[datetime, datetime]:
    """Return from when and until when a certificate is valid.

    Raises:
        CertificateError: It is not a certificate.
    """
    parsed = load(der)
    return parsed.not_valid_before_utc, parsed.not_valid_after_utc


def valid_from(field: bytes) -> datetime:
    """Return from when the certificate of a token with this Certificate is valid.

    Raises:
        CertificateError: It is none.
    """
    _check_field(field)
    return _EPOCH + timedelta(seconds=_HEAD.unpack_from(field)[1])


def span(time: timedelta) -> str:
    """Return how long a time is, in the unit in which people would say it."""
    for unit, seconds in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if time.total_seconds() >= 2 * seconds:
            return f"{time.total_seconds() / seconds:.0f} {unit}"
    return f"{time.total_seconds():.0f} seconds"
