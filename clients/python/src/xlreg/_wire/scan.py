"""Walks over the fields of an encoded message without decoding it."""

from __future__ import annotations

_VARINT, _FIXED64, _BYTES, _START_GROUP, _END_GROUP, _FIXED32 = range(6)
_MAX_NUMBER = (1 << 29) - 1
_OP_FIELD, _SPECS_FIELD, _TOKENS_FIELD = 1, 11, 21


class BrokenError(Exception):
    """No message begins like this."""


class GroupError(BrokenError):
    """A group is in it, which no message of the protocol has: a decoder nests as deep as groups do."""


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
    elif kind in (_START_GROUP, _END_GROUP):
        raise GroupError
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
        self.tokens: list[bytes] = []  # those of the field Tokens, encoded
        self.specs: list[bytes] = []  # those of MemberSpecs; the decoder makes one of them
        self.broken: BrokenError | None = None

    def whole(self, data: bytes) -> bool:
        """Report whether data can be a whole message with an Op. It begins with that of every earlier call.

        False is certain. True is for the decoder to confirm, and if that refuses
        data, it refuses everything that begins with it.
        """
        while self._done < len(data) and self.broken is None:
            try:
                end = self._next(data)
            except BrokenError as err:
                self.broken = err
                break
            if end is None:
                return False
            self._done = end
        return self._op and self.broken is None and self._done == len(data)

    def _next(self, data: bytes) -> int | None:
        tag = read_varint(data, self._done)
        if tag is None:
            return None
        number, kind = tag[0] >> 3, tag[0] & 7
        if not 0 < number <= _MAX_NUMBER:
            raise BrokenError
        end = _skip_value(data, tag[1], kind)
        if end is None:
            return None
        self._op = self._op or (number, kind) == (_OP_FIELD, _VARINT)
        if kind == _BYTES and number in (_SPECS_FIELD, _TOKENS_FIELD):
            read = read_varint(data, tag[1])
            content = data[read[1] if read else end : end]
            (self.tokens if number == _TOKENS_FIELD else self.specs).append(content)
        return end


def count_tokens(data: bytes) -> int:
    """Return how many Tokens fields are in an encoded message, up to where it is broken.

    Raises:
        GroupError: It has a group, or one of its tokens has.
    """
    scan = Scan()
    scan.whole(data)
    _refuse_group(scan)
    for token in scan.tokens + scan.specs:
        inner = Scan()
        inner.whole(token)
        _refuse_group(inner)
    return len(scan.tokens)


def _refuse_group(scan: Scan) -> None:
    if isinstance(scan.broken, GroupError):
        raise scan.broken


def has_group(data: bytes) -> bool:
    """Report whether an encoded message has a group, on its first level, up to where it is broken."""
    scan = Scan()
    scan.whole(data)
    return isinstance(scan.broken, GroupError)
