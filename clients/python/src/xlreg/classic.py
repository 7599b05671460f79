"""Hello and its reply, with which a classic session begins (sections 3.2 and 3.3).

The four functions at the end have the names, arguments and results that users of
the older Python code know. They are for generation 1.8.

The classic carriers encrypt, and that is all: nothing detects a message that was
changed, replayed or dropped, and whoever learns the registry's comms key later
can read every session ever recorded.
"""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ._errors import HandshakeError
from .keys import parse_rsa_key
from .version import DecimalVersion, Protocol

__all__ = [
    "Hello",
    "HelloReply",
    "carries_tls",
    "client_decrypt_hello_reply",
    "client_encrypt_hello",
    "server_decrypt_hello",
    "server_encrypt_hello_reply",
]

Bytes: TypeAlias = bytes | bytearray

BLOCK = 16
_KEY, _SALT = 32, 8
_HELLO_18, _HELLO_19 = 60, 44
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
# It does not say what was wrong, which would help only an attacker.
_NO_REPLY = "hello reply does not answer this hello"


def pad(text: bytes) -> bytes:
    """Return text with the padding of PKCS #7."""
    count = BLOCK - len(text) % BLOCK
    return text + bytes([count]) * count


def unpad(text: bytes) -> bytes | None:
    """Return whole blocks without their padding; None if that is not right."""
    count = text[-1] if text else 0
    if not 1 <= count <= BLOCK or text[-count:] != bytes([count]) * count:
        return None
    return text[:-count]


def encrypt(key: bytes, iv: bytes, text: bytes) -> bytes:
    """Return whole blocks encrypted with AES-256 in CBC mode."""
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(text) + encryptor.finalize()


def decrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Return whole blocks decrypted with AES-256 in CBC mode."""
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


# What the bytes of a TLS ClientHello are at these places (section 3.1).
_TLS_HEADER = b"\x16\x03"
_TLS_HEADER_LENGTH = 5
_CLIENT_HELLO = (0x01, None, None, None, 0x03, 0x03)


def carries_tls(first: bytes) -> bool | None:
    """Tell from a connection's first bytes whether it carries 2.0; None while they could be either's."""
    at = left = 0  # the next byte; how many bytes of its record are still to come
    for want in _CLIENT_HELLO:
        if left == 0:
            header = first[at : at + _TLS_HEADER_LENGTH]
            if not _TLS_HEADER.startswith(header[:2]):
                return False
            if len(header) < _TLS_HEADER_LENGTH:
                return None
            at += _TLS_HEADER_LENGTH
            left = int.from_bytes(header[3:], "big") or len(_CLIENT_HELLO)
        if at >= len(first):
            return None
        if want not in (None, first[at]):
            return False
        at, left = at + 1, left - 1
    return True


@dataclass(frozen=True)
class HelloReply:
    """A registry's answer to a Hello, and what its plaintext holds."""

    protocol: Protocol
    key2: bytes = field(repr=False)
    salt2: bytes
    version2: int
    iv2: bytes = field(default=b"", repr=False)  # 1.8 only

    @classmethod
    def make(cls, protocol: Protocol, version2: int | None = None) -> HelloReply:
        """Return a reply of random values."""
        version = protocol.version.value if version2 is None else version2
        iv2 = os.urandom(BLOCK) if protocol is Protocol.V18 else b""
        return cls(protocol, os.urandom(_KEY), os.urandom(_SALT), version, iv2)


@dataclass(frozen=True)
class Hello:
    """What a client says first, and what its plaintext holds."""

    protocol: Protocol
    key1: bytes = field(repr=False)
    salt1: bytes
    version1: int = 0  # as deployed clients propose
    iv1: bytes = field(default=b"", repr=False)  # 1.8 only

    @classmethod
    def make(cls, protocol: Protocol, version1: int = 0) -> Hello:
        """Return a Hello of random values."""
        iv1 = os.urandom(BLOCK) if protocol is Protocol.V18 else b""
        return cls(protocol, os.urandom(_KEY), os.urandom(_SALT), version1, iv1)

    @classmethod
    def parse(cls, text: bytes) -> Hello:
        """Read a plaintext, whose length tells the generation.

        Raises:
            HandshakeError: It has another length.
        """
        if len(text) not in (_HELLO_18, _HELLO_19):
            raise HandshakeError(f"hello of {len(text)} bytes")
        protocol = Protocol.V18 if len(text) == _HELLO_18 else Protocol.V19
        iv_len = len(text) - _HELLO_19
        key1, salt1, version1 = struct.unpack("<32s8sI", text[iv_len:])
        return cls(protocol, key1, salt1, version1, text[:iv_len])

    @classmethod
    def decrypt(cls, ciphertext: bytes, key: rsa.RSAPrivateKey) -> Hello:
        """Read a Hello as it came.

        Raises:
            HandshakeError: It does not decrypt, or has another length.
        """
        try:
            text = key.decrypt(ciphertext, _OAEP)
        except ValueError:
            raise HandshakeError("hello does not decrypt") from None
        return cls.parse(text)

    @property
    def text(self) -> bytes:
        """The plaintext."""
        return self.iv1 + self.key1 + self.salt1 + struct.pack("<I", self.version1)

    def encrypt(self, key: rsa.RSAPublicKey) -> bytes:
        """Return the Hello as it travels."""
        return key.encrypt(self.text, _OAEP)

    @property
    def reply_length(self) -> int:
        """How many bytes answer this Hello."""
        return 80 if self.protocol is Protocol.V18 else 64

    def seal(self, reply: HelloReply, iv: bytes | None = None) -> bytes:
        """Return the answer as it travels. In 1.9 it is encrypted under a random iv, or the one given."""
        if self.protocol is Protocol.V18:
            return encrypt(self.key1, self.iv1, pad(self.reply_text(reply)))
        iv = iv or os.urandom(BLOCK)
        return iv + encrypt(self.key1, iv, pad(self.reply_text(reply)))

    def reply_text(self, reply: HelloReply) -> bytes:
        """Return the plaintext of an answer. Only that of 1.8 repeats the salt."""
        repeated = self.salt1 if self.protocol is Protocol.V18 else b""
        return reply.iv2 + reply.key2 + reply.salt2 + repeated + struct.pack("<I", reply.version2)

    def open(self, data: bytes) -> HelloReply:
        """Read the answer.

        Raises:
            HandshakeError: It does not answer this Hello; not said is why.
        """
        if len(data) != self.reply_length:
            raise HandshakeError(_NO_REPLY)
        iv, data = (self.iv1, data) if self.protocol is Protocol.V18 else (data[:BLOCK], data[BLOCK:])
        text = unpad(decrypt(self.key1, iv, data))
        if self.protocol is Protocol.V18:
            reply, salt1 = _parse_reply_18(text)
            if salt1 != self.salt1:
                raise HandshakeError(_NO_REPLY)
            return reply
        if text is None or len(text) != _KEY + _SALT + 4:
            raise HandshakeError(_NO_REPLY)
        return HelloReply(Protocol.V19, *struct.unpack("<32s8sI", text))


def _parse_reply_18(text: bytes | None) -> tuple[HelloReply, bytes]:
    if text is None or len(text) != BLOCK + _KEY + 2 * _SALT + 4:
        raise HandshakeError(_NO_REPLY)
    iv2, key2, salt2, salt1, version2 = struct.unpack("<16s32s8s8sI", text)
    return HelloReply(Protocol.V18, key2, salt2, version2, iv2), salt1


_Function = TypeVar("_Function", bound=Callable[..., Any])


def _old_names(**names: str) -> Callable[[_Function], _Function]:
    """Also accept the names that arguments had in the older Python code."""

    def take(function: _Function) -> _Function:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **{names.get(name, name): value for name, value in kwargs.items()})

        return call  # type: ignore[return-value]

    return take


@_old_names(ck_="ck")
def client_encrypt_hello(
    version: int | DecimalVersion, ck: rsa.RSAPublicKey | bytes
) -> tuple[bytes, bytes, bytes, bytes]:
    """Make a Hello of generation 1.8.

    Args:
        version: The version to propose; deployed clients propose 0.
        ck: The registry's comms key, as an object or in DER.

    Returns:
        ciphertext, iv1, key1 and salt1.

    Raises:
        PublicKeyError: ck is no key.

    Example:
        >>> from cryptography.hazmat.primitives.asymmetric import rsa
        >>> ck_priv = rsa.generate_private_key(65537, 2048)
        >>> ciphertext, iv1, key1, salt1 = client_encrypt_hello(0, ck_priv.public_key())
        >>> server_decrypt_hello(ciphertext, ck_priv) == (iv1, key1, salt1, 0)
        True
    """
    hello = Hello.make(Protocol.V18, int(version.value if isinstance(version, DecimalVersion) else version))
    key = parse_rsa_key(ck) if isinstance(ck, bytes) else ck
    return hello.encrypt(key), hello.iv1, hello.key1, hello.salt1


def client_decrypt_hello_reply(
    ciphertext: Bytes, iv1: Bytes, key1: Bytes
) -> tuple[bytes, bytes, bytes, bytes, int]:
    """Read the answer to a Hello of generation 1.8.

    The caller has to compare salt1 with the one that it sent.

    Returns:
        iv2, key2, salt2, salt1 and version2.

    Raises:
        HandshakeError: It does not decrypt to an answer.
    """
    if not ciphertext or len(ciphertext) % BLOCK:
        raise HandshakeError(_NO_REPLY)
    reply, salt1 = _parse_reply_18(unpad(decrypt(bytes(key1), bytes(iv1), bytes(ciphertext))))
    return reply.iv2, reply.key2, reply.salt2, salt1, reply.version2


def server_decrypt_hello(ciphertext: Bytes, ck_priv: rsa.RSAPrivateKey) -> tuple[bytes, bytes, bytes, int]:
    """Read a Hello of generation 1.8.

    Returns:
        iv1, key1, salt1 and version.

    Raises:
        HandshakeError: It does not decrypt to one.
    """
    hello = Hello.decrypt(bytes(ciphertext), ck_priv)
    if hello.protocol is not Protocol.V18:
        raise HandshakeError("hello is not of generation 1.8")
    return hello.iv1, hello.key1, hello.salt1, hello.version1


@_old_names(version2s="version2")
def server_encrypt_hello_reply(
    iv1: Bytes, key1: Bytes, salt1: Bytes, version2: int | DecimalVersion
) -> tuple[bytes, bytes, bytes, bytes]:
    """Make the answer to a Hello of generation 1.8.

    Returns:
        iv2, key2, salt2 and ciphertext.
    """
    hello = Hello(Protocol.V18, bytes(key1), bytes(salt1), 0, bytes(iv1))
    version = version2.value if isinstance(version2, DecimalVersion) else version2
    reply = HelloReply.make(Protocol.V18, version)
    return reply.iv2, reply.key2, reply.salt2, hello.seal(reply)
