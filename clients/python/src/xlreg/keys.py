"""Keys of two kinds, RSA and P-256: their forms, their fingerprint, and a node's two pairs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeGuard

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from . import limits
from ._errors import FingerprintError, PrivateKeyError, PublicKeyError, quote
from .vocabulary import CommsKey, SigKey

PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
"""A public key of one of the two kinds."""
PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"""A private key of one of the two kinds."""

_SSH_RSA, _SSH_P256, _SSH_CURVE = b"ssh-rsa", b"ecdsa-sha2-nistp256", b"nistp256"


def _rsa(bits: int) -> Callable[[], PrivateKey]:
    return lambda: rsa.generate_private_key(public_exponent=65537, key_size=bits)


_MAKERS: dict[str, Callable[[], PrivateKey]] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa2048": _rsa(2048),
    "rsa3072": _rsa(3072),
    "rsa4096": _rsa(4096),
}
KEY_KINDS = tuple(_MAKERS)
"""The kinds of keys that can be made."""
DEFAULT_KEY_KIND = "rsa2048"
"""The kind that every carrier and every cluster takes."""


def check_kind(kind: str) -> str:
    """Return kind if keys of it can be made.

    Raises:
        ValueError: There is no such kind.
    """
    if kind not in _MAKERS:
        raise ValueError(f"kind of key {quote(kind)}: want {', '.join(KEY_KINDS[:-1])} or {KEY_KINDS[-1]}")
    return kind


def kind_of(key: PublicKey | PrivateKey) -> str:
    """Return the kind of a key: p256, or rsa and its bits."""
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        return f"rsa{key.key_size}"
    return "p256"


def parse_public_key(der: bytes, bounds: limits.KeyBounds = limits.ANY_KEYS) -> PublicKey:
    """Read exactly one PKIX SubjectPublicKeyInfo in DER that holds a key within the limits.

    Raises:
        PublicKeyError: It is not valid; the text says why.
    """
    if len(der) > limits.MAX_TOKEN:
        raise PublicKeyError(f"ill-formed public key: {len(der)} bytes")
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as err:
        raise PublicKeyError(f"ill-formed public key: {err}") from None
    # Parsers forgive what DER does not, and a key for PSS only is another key.
    if not _check_kind(key, bounds) or public_der(key) != der:
        raise PublicKeyError("ill-formed public key: not the one DER form of the key")
    return key


def parse_rsa_key(der: bytes, bounds: limits.KeyBounds = limits.CLASSIC_KEYS) -> rsa.RSAPublicKey:
    """Read an RSA key, where no other kind can be; see parse_public_key.

    Raises:
        PublicKeyError: It is not valid; the text says why.
    """
    key = parse_public_key(der, bounds._replace(p256=False))
    assert isinstance(key, rsa.RSAPublicKey)  # the bounds allow no other kind
    return key


def _check_kind(key: object, bounds: limits.KeyBounds) -> TypeGuard[PublicKey]:
    """Refuse a key of a kind or size that is not within the bounds."""
    if isinstance(key, rsa.RSAPublicKey):
        check_numbers(key.public_numbers(), bounds)
        return True
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise PublicKeyError(f"ill-formed public key: {type(key).__name__} is of no kind that is known")
    if not isinstance(key.curve, ec.SECP256R1):
        raise PublicKeyError(f"ill-formed public key: a key on {key.curve.name}, want P-256")
    if not bounds.p256:
        raise PublicKeyError("ill-formed public key: a key on P-256, want an RSA key")
    return True


def check_numbers(numbers: rsa.RSAPublicNumbers, bounds: limits.KeyBounds = limits.CLASSIC_KEYS) -> None:
    """Hold an RSA key against the limits of section 1.5.

    Raises:
        PublicKeyError: It breaks one.
    """
    bits = numbers.n.bit_length()
    if not bounds.min_bits <= bits <= bounds.max_bits:
        raise PublicKeyError(
            f"ill-formed RSA public key: {bits} bits, want {bounds.min_bits} to {bounds.max_bits}"
        )
    if numbers.n % 2 == 0:
        raise PublicKeyError("ill-formed RSA public key: even modulus")
    if numbers.e % 2 == 0 or not limits.MIN_EXPONENT <= numbers.e <= bounds.max_exponent:
        raise PublicKeyError(f"ill-formed RSA public key: exponent {numbers.e}")


def public_der(key: PublicKey) -> bytes:
    """Return key as PKIX SubjectPublicKeyInfo in DER."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_pem(der: bytes) -> str:
    """Return a public key, of whatever kind, as PEM."""
    text = base64.b64encode(der).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


def marshal_ssh(key: PublicKey) -> bytes:
    """Return key in the SSH form: algorithm and numbers, each after its length (RFC 4253 and 5656)."""
    fields: tuple[bytes, ...]
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        fields = (_SSH_RSA, _mpint(numbers.e), _mpint(numbers.n))
    else:
        point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        fields = (_SSH_P256, _SSH_CURVE, point)
    return b"".join(struct.pack(">I", len(f)) + f for f in fields)


def public_ssh(key: PublicKey) -> str:
    """Return a key as SSH writes it on one line: the algorithm's name, and the encoded key in base64."""
    form = marshal_ssh(key)
    return f"{_cut_ssh(form)[0].decode()} {base64.b64encode(form).decode()}"


def parse_public_ssh(line: str) -> PublicKey:
    """Read what public_ssh writes, perhaps followed by a comment.

    Raises:
        PublicKeyError: It is not the one form of a key that members can have.
    """
    try:
        key = serialization.load_ssh_public_key(line.strip().encode())
    except (ValueError, UnsupportedAlgorithm):
        raise PublicKeyError("ill-formed public key: not in the form of SSH") from None
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise PublicKeyError("ill-formed public key: of a kind that members cannot have")
    return parse_public_key(public_der(key), limits.MODERN_KEYS)


def _mpint(n: int) -> bytes:
    return n.to_bytes(n.bit_length() // 8 + 1, "big")


def parse_ssh(form: bytes) -> rsa.RSAPublicKey:
    """Read exactly one RSA key of an allowed size in the form of marshal_ssh.

    Raises:
        PublicKeyError: It is not such a key.
    """
    fields = _cut_ssh(form)
    if len(fields) != 3 or fields[0] != _SSH_RSA:
        raise PublicKeyError("ill-formed RSA public key: not an ssh-rsa key")
    _, exponent, modulus = fields
    if len(exponent) > 5 or len(modulus) > limits.CLASSIC_KEYS.max_bits // 8 + 1:
        raise PublicKeyError("ill-formed RSA public key: too long")
    numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big"))
    check_numbers(numbers)
    key = numbers.public_key()
    # One key has one form, or it would have several fingerprints.
    if marshal_ssh(key) != form:
        raise PublicKeyError("ill-formed RSA public key: not the one SSH form of the key")
    return key


def _cut_ssh(form: bytes) -> list[bytes]:
    fields = []
    while form:
        if len(form) < 4:
            raise PublicKeyError("ill-formed RSA public key: cut short")
        (length,) = struct.unpack(">I", form[:4])
        if length > len(form) - 4:
            raise PublicKeyError("ill-formed RSA public key: cut short")
        fields.append(form[4 : 4 + length])
        form = form[4 + length :]
    return fields


def fingerprint(key: bytes) -> str:
    """Return what ``ssh-keygen -l`` prints for a public key in DER: SHA256: and 43 characters of base64.

    Raises:
        PublicKeyError: It is no key.
    """
    return format_fingerprint(hashlib.sha256(marshal_ssh(parse_public_key(key))).digest())


def format_fingerprint(digest: bytes) -> str:
    """Return the text of a fingerprint."""
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def parse_fingerprint(text: str) -> bytes:
    """Read a fingerprint in base64 or base64url without padding, with or without SHA256: before it.

    Raises:
        FingerprintError: It is not a fingerprint.
    """
    digits = text.removeprefix("SHA256:").replace("-", "+").replace("_", "/")
    try:
        digest = base64.b64decode(digits + "=", validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32 or format_fingerprint(digest) != "SHA256:" + digits:
        raise FingerprintError(f"fingerprint {quote(text)}: want SHA256: and 43 characters of base64")
    return digest


@dataclass(frozen=True)
class Keys:
    """The two key pairs of a node, each of either kind; both may be the same.

    Attributes:
        comms: Others encrypt to it.
        sig: It signs; it is what the node is known by.
        comms_key: The public half of comms, as it travels.
        sig_key: The public half of sig, as it travels.

    Raises:
        PrivateKeyError: The protocol does not accept a key of that kind or size.

    Example:
        >>> Keys.generate().kind, Keys.generate("p256").kind
        ('rsa2048', 'p256')
    """

    comms: PrivateKey = field(repr=False)
    sig: PrivateKey = field(repr=False)
    comms_key: CommsKey = field(init=False, repr=False)
    sig_key: SigKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Find the public halves."""
        object.__setattr__(self, "comms_key", CommsKey(_checked_der(self.comms, "comms")))
        object.__setattr__(self, "sig_key", SigKey(_checked_der(self.sig, "sig")))

    @classmethod
    def generate(cls, kind: str = DEFAULT_KEY_KIND) -> Keys:
        """Make two new keys of a kind: p256, rsa2048, rsa3072 or rsa4096.

        Keys on P-256 are made at once, and are for protocol 2.0 only.

        Raises:
            ValueError: There is no such kind.
        """
        make = _MAKERS[check_kind(kind)]
        return cls(make(), make())

    @property
    def kind(self) -> str:
        """The kind of the sig key."""
        return kind_of(self.sig)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the sig key."""
        return fingerprint(self.sig_key)


def _checked_der(key: PrivateKey, which: str) -> bytes:
    public = key.public_key()
    try:
        _check_kind(public, limits.ANY_KEYS)
    except PublicKeyError as err:
        raise PrivateKeyError(f"{which} key: {err}") from None
    return public_der(public)


def same_key(one: PrivateKey, other: PrivateKey) -> bool:
    """Report whether two private keys are the same."""
    return public_der(one.public_key()) == public_der(other.public_key())


def parse_private_key(pem: bytes) -> PrivateKey:
    """Read an RSA key or one on P-256 from PEM: PKCS #1, SEC 1, PKCS #8 or OpenSSH, not encrypted.

    Raises:
        PrivateKeyError: It is no such key, or it is encrypted.
    """
    load = serialization.load_pem_private_key
    if b"BEGIN OPENSSH PRIVATE KEY" in pem:
        load = serialization.load_ssh_private_key
    try:
        key = load(pem, None)
    except TypeError:
        text = "the key is encrypted: remove its passphrase, with ssh-keygen -p or openssl pkey"
        raise PrivateKeyError(f"parse private key: {text}") from None
    except (ValueError, UnsupportedAlgorithm) as err:
        raise PrivateKeyError(f"parse private key: {err}") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise PrivateKeyError(f"parse private key: {type(key).__name__} is of no kind that is known")
    _checked_der(key, "parse private")
    return key


def encode_private_key(key: PrivateKey) -> bytes:
    """Return key as PKCS #8 in PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
