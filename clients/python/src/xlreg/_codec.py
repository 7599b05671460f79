"""How messages travel on each carrier, in bytes: frames over 2.0, ciphertext over the classic ones."""

from __future__ import annotations

import os
import struct
from typing import Protocol as Interface

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from . import limits
from ._wire.messages import Message, decode
from ._wire.scan import Scan
from .classic import BLOCK, encrypt, pad, unpad
from .errors import ProtocolError


class Codec(Interface):
    """The messages of one session, in both directions."""

    def encode(self, message: Message) -> bytes:
        """Return what travels of a message; a ValueError if it is too long, and then nothing was said."""

    def feed(self, data: bytes) -> None:
        """Take bytes that came."""

    def next(self) -> Message | None:
        """Return the next message, or None while there is none; a ProtocolError if there never will be."""

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not come to its end."""


class Framing:
    """The codec of 2.0: a message behind its length (section 7.4)."""

    def __init__(self, read_max: int = limits.MAX_REPLY, write_max: int = limits.MAX_REQUEST) -> None:
        """Begin; the limits are those of a client's end."""
        self._read_max, self._write_max = read_max, write_max
        self._data = bytearray()

    def encode(self, message: Message) -> bytes:
        """Return the frame of a message."""
        text = message.encode()
        if len(text) > self._write_max:
            raise ValueError(f"message of {len(text)} bytes: at most {self._write_max} allowed")
        return struct.pack(">I", len(text)) + text

    def feed(self, data: bytes) -> None:
        """Take bytes that came."""
        self._data += data

    def next(self) -> Message | None:
        """Return the next message. A frame that is too long is refused before it is there."""
        if len(self._data) < 4:
            return None
        (length,) = struct.unpack_from(">I", self._data)
        if length > self._read_max:
            raise ProtocolError(f"frame of {length} bytes, at most {self._read_max} allowed")
        if len(self._data) < 4 + length:
            return None
        text = bytes(self._data[4 : 4 + length])
        del self._data[: 4 + length]
        return decode(text)

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and not come to its end."""
        return bool(self._data)


class Sealer:
    """The writing direction of a classic session (sections 3.4, 3.5 and 3.7)."""

    def __init__(self, key: bytes, chain: bytes = b"") -> None:
        """Begin; chain is iv2 in 1.8, and empty in 1.9."""
        self._key, self._chain = key, chain

    def seal(self, text: bytes, iv: bytes | None = None) -> bytes:
        """Return what travels of a message, in one piece. In 1.9 under a random iv, or the one given."""
        head = b"" if self._chain else iv or os.urandom(BLOCK)
        most = limits.MAX_CLASSIC - len(head) - 1
        if len(text) > most:
            raise ValueError(f"message of {len(text)} bytes: at most {most} over this carrier")
        data = encrypt(self._key, self._chain or head, pad(text))
        if self._chain:
            self._chain = data[-BLOCK:]
        return head + data


class Opener:
    """The reading direction of a classic session.

    A message has no length (section 3.6): at each block it is asked whether this
    is its end. What can never become a message is silently dropped, and so is all
    that follows, until the peer stops sending or time is up: whatever was wrong,
    it looks the same.
    """

    def __init__(self, key: bytes, chain: bytes = b"") -> None:
        """Begin; chain is iv2 in 1.8, and empty in 1.9."""
        self._key, self._chain = key, chain
        self._data = bytearray()  # of the message under way and behind it, as it came
        self._lost = False
        self._reset()

    def _reset(self) -> None:
        self._cipher: CipherContext | None = None  # None before the first whole block
        self._used = 0  # of the data: the IV, and what is decrypted
        self._text = bytearray()  # decrypted, padding included
        self._scan = Scan()

    def feed(self, data: bytes) -> None:
        """Take bytes that came."""
        if not self._lost:
            self._data += data

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not come to its end."""
        return self._lost or bool(self._data)

    def next(self) -> tuple[Message, bytes] | None:
        """Return the next message and its plaintext, or None while there is none."""
        while not self._lost and self._decrypt_block():
            text = unpad(bytes(self._text))
            if text is None or not self._scan.whole(text):
                continue
            return self._finish(text)
        return None

    def _decrypt_block(self) -> bool:
        """Decrypt one more block; the one behind a message's end is chained otherwise."""
        if self._cipher is None and not self._start():
            return False
        if self._used >= limits.MAX_CLASSIC:
            self._lose()
        block = bytes(self._data[self._used : self._used + BLOCK])
        if len(block) < BLOCK or self._cipher is None:
            return False
        self._text += self._cipher.update(block)
        self._used += BLOCK
        return True

    def _start(self) -> bool:
        iv = self._chain
        if not iv:
            iv = bytes(self._data[:BLOCK])
            self._used = BLOCK
        if len(iv) < BLOCK or len(self._data) < self._used + BLOCK:
            self._used = 0
            return False
        self._cipher = Cipher(algorithms.AES(self._key), modes.CBC(iv)).decryptor()
        return True

    def _finish(self, text: bytes) -> tuple[Message, bytes] | None:
        try:
            message = decode(text)
        except ProtocolError:
            self._lose()
            return None
        if self._chain:
            self._chain = bytes(self._data[self._used - BLOCK : self._used])
        del self._data[: self._used]
        self._reset()
        return message, text

    def _lose(self) -> None:
        self._lost = True
        self._data.clear()


class Classic:
    """The codec of both classic carriers."""

    def __init__(self, key2: bytes, iv2: bytes = b"") -> None:
        """Begin with what the HelloReply holds; iv2 is empty in 1.9."""
        self.sealer, self.opener = Sealer(key2, iv2), Opener(key2, iv2)

    def encode(self, message: Message) -> bytes:
        """Return what travels of a message."""
        return self.sealer.seal(message.encode())

    def feed(self, data: bytes) -> None:
        """Take bytes that came."""
        self.opener.feed(data)

    def next(self) -> Message | None:
        """Return the next message."""
        found = self.opener.next()
        return found[0] if found else None

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not come to its end."""
        return self.opener.partial
