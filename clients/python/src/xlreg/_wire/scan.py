"""Walks over the fields of an encoded message without decoding it."""

from __future__ import annotations

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_NUMBER = (1 << 29) - 1
_OP_FIELD, _TOKENS_FIELD = 1, 21


class BrokenError(Exception):
    """No message begins like this."""


def read_varint(data: bytes, at: int) -> tuple[int, int] | None:
    """Return the varint at a place and the place behind it; None if it is cut short."""
    value = 0
    for i in range(10):
        if at + i >= len(data):
            return None
        byte = data[at + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if value >= 1 << 64:
                raise BrokenError
            return value, at + i + 1
    raise BrokenError


def _skip_value(data: bytes, at: int, kind: int) -> int | None:
    if kind == _VARINT:
        read = read_varint(data, at)
        return read[1] if read else None
    if kind == _BYTES:
        read = read_varint(data, at)
        end = read[0] + read[1] if read else len(data) + 1
    elif kind == _FIXED64:
        end = at + 8
    elif kind == _FIXED32:
        end = at + 4
    else:
        raise BrokenError
    return end if end <= len(data) else None


class Scan:
    """Follows a message that is still arriving and has no length of its own.

    It tells at which lengths the message can be whole, and looks at each byte
    once, however often it is asked.
    """

    def __init__(self) -> None:
        """Stand before the first byte."""
        self._done = 0
        self._op = False
        self.tokens = 0
        self.broken = False

    def whole(self, data: bytes) -> bool:
        """Report whether data can be a whole message with an Op. It begins with that of every earlier call.

        False is certain. True is for the decoder to confirm, and if that refuses
        data, it refuses everything that begins with it.
        """
        while self._done < len(data) and not self.broken:
            try:
                end = self._next(data)
            except BrokenError:
                self.broken = True
                break
            if end is None:
                return False
            self._done = end
        return self._op and not self.broken and self._done == len(data)

    def _next(self, data: bytes) -> int | None:
        tag = read_varint(data, self._done)
        if tag is None:
            return None
        number, kind = tag[0] >> 3, tag[0] & 7
        if not 0 < number <= _MAX_NUMBER:
            raise BrokenError
        end = _skip_value(data, tag[1], kind)  # no message has groups, which nest without bound
        if end is not None:
            self._op = self._op or (number, kind) == (_OP_FIELD, _VARINT)
            self.tokens += (number, kind) == (_TOKENS_FIELD, _BYTES)
        return end


def scan_all(data: bytes) -> Scan:
    """Return what there is to say of an encoded message, up to where it is broken."""
    scan = Scan()
    scan.whole(data)
    return scan
