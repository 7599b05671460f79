"""RSA keys: their forms, their fingerprint, and a node's two pairs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from . import limits
from ._errors import FingerprintError, PrivateKeyError, PublicKeyError, quote
from .vocabulary import CommsKey, SigKey

_SSH_ALGORITHM = b"ssh-rsa"
KEY_SIZES = (2048, 3072, 4096)
DEFAULT_KEY_BITS = 2048


def parse_public_key(der: bytes, bounds: limits.KeyBounds = limits.CLASSIC_KEYS) -> rsa.RSAPublicKey:
    """Read exactly one PKIX SubjectPublicKeyInfo in DER that holds an RSA key within the limits.

    Raises:
        PublicKeyError: It is not valid; the text says why.
    """
    if len(der) > limits.MAX_TOKEN:
        raise PublicKeyError(f"ill-formed RSA public key: {len(der)} bytes")
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as err:
        raise PublicKeyError(f"ill-formed RSA public key: {err}") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise PublicKeyError(f"ill-formed RSA public key: {type(key).__name__} is not an RSA key")
    check_numbers(key.public_numbers(), bounds)
    # Parsers forgive what DER does not, and a key for PSS only is another key.
    if public_der(key) != der:
        raise PublicKeyError("ill-formed RSA public key: not the one DER form of the key")
    return key


def check_numbers(numbers: rsa.RSAPublicNumbers, bounds: limits.KeyBounds = limits.CLASSIC_KEYS) -> None:
    """Hold a key against the limits of section 1.5.

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


def public_der(key: rsa.RSAPublicKey) -> bytes:
    """Return key as PKIX SubjectPublicKeyInfo in DER."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_pem(der: bytes) -> str:
    """Return a public key, of whatever kind, as PEM."""
    text = base64.b64encode(der).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


def marshal_ssh(key: rsa.RSAPublicKey) -> bytes:
    """Return key in the SSH form: algorithm, exponent, modulus, each after its length (RFC 4253, 6.6)."""
    numbers = key.public_numbers()
    fields = (_SSH_ALGORITHM, _mpint(numbers.e), _mpint(numbers.n))
    return b"".join(struct.pack(">I", len(f)) + f for f in fields)


def _mpint(n: int) -> bytes:
    return n.to_bytes(n.bit_length() // 8 + 1, "big")


def parse_ssh(form: bytes) -> rsa.RSAPublicKey:
    """Read exactly one RSA key of an allowed size in the form of marshal_ssh.

    Raises:
        PublicKeyError: It is not such a key.
    """
    fields = _cut_ssh(form)
    if len(fields) != 3 or fields[0] != _SSH_ALGORITHM:
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
    """The two key pairs of a node; both may be the same.

    Attributes:
        comms: Others encrypt to it.
        sig: It signs; it is what the node is known by.
        comms_key: The public half of comms, as it travels.
        sig_key: The public half of sig, as it travels.

    Raises:
        PrivateKeyError: The protocol does not accept a key of that size.

    Example:
        >>> Keys.generate().sig.key_size
        2048
    """

    comms: rsa.RSAPrivateKey = field(repr=False)
    sig: rsa.RSAPrivateKey = field(repr=False)
    comms_key: CommsKey = field(init=False, repr=False)
    sig_key: SigKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Find the public halves."""
        object.__setattr__(self, "comms_key", CommsKey(_checked_der(self.comms, "comms")))
        object.__setattr__(self, "sig_key", SigKey(_checked_der(self.sig, "sig")))

    @classmethod
    def generate(cls, bits: int = DEFAULT_KEY_BITS) -> Keys:
        """Make two new keys of 2048, 3072 or 4096 bits.

        Raises:
            ValueError: Another number of bits.
        """
        if bits not in KEY_SIZES:
            raise ValueError(f"generate keys: {bits} bits: want 2048, 3072 or 4096")
        comms = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        return cls(comms, rsa.generate_private_key(public_exponent=65537, key_size=bits))

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the sig key."""
        return fingerprint(self.sig_key)


def _checked_der(key: rsa.RSAPrivateKey, which: str) -> bytes:
    try:
        check_numbers(key.public_key().public_numbers())
    except PublicKeyError as err:
        raise PrivateKeyError(f"{which} key: {err}") from None
    return public_der(key.public_key())


def parse_private_key(pem: bytes) -> rsa.RSAPrivateKey:
    """Read an RSA key from PEM: PKCS #1, PKCS #8 or OpenSSH, not encrypted.

    Raises:
        PrivateKeyError: It is not an RSA key, or it is encrypted.
    """
    load = serialization.load_pem_private_key
    if b"BEGIN OPENSSH PRIVATE KEY" in pem:
        load = serialization.load_ssh_private_key
    try:
        key = load(pem, None)
    except TypeError:
        text = "the key is encrypted: remove its passphrase, with ssh-keygen -p or openssl rsa"
        raise PrivateKeyError(f"parse private key: {text}") from None
    except (ValueError, UnsupportedAlgorithm) as err:
        raise PrivateKeyError(f"parse private key: {err}") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise PrivateKeyError(f"parse private key: {type(key).__name__} is not an RSA key")
    _checked_der(key, "parse private")
    return key


def encode_private_key(key: rsa.RSAPrivateKey) -> bytes:
    """Return key as PKCS #8 in PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
