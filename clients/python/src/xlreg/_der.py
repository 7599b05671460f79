"""Writes DER, as far as certificates need it, and reads the little that the library complains about."""

from __future__ import annotations

SEQUENCE, SET, BIT_STRING, OCTET_STRING = 0x30, 0x31, 0x03, 0x04
INTEGER, BOOLEAN, UTF8_STRING, PRINTABLE_STRING = 0x02, 0x01, 0x0C, 0x13
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
DNS_NAME, IP_ADDRESS, KEY_IDENTIFIER = 0x82, 0x87, 0x80
EXPLICIT_0, EXPLICIT_3 = 0xA0, 0xA3


def value(tag: int, *parts: bytes) -> bytes:
    """Return one value, whose content is the parts, with its length in the shortest form."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    """Return a SEQUENCE of values."""
    return value(SEQUENCE, *parts)


def bit_string(content: bytes) -> bytes:
    """Return a BIT STRING without unused bits."""
    return value(BIT_STRING, b"\x00", content)


def has_positive_serial(certificate: bytes) -> bool:
    """Report whether a certificate has a serial number above zero, as far as it can be found at all."""
    try:
        at = _inside(certificate, _inside(certificate, 0))
        if certificate[at] == EXPLICIT_0:  # the version
            at = _inside(certificate, at) + certificate[at + 1]
        begin = _inside(certificate, at)
        number = int.from_bytes(certificate[begin : begin + certificate[at + 1]], "big", signed=True)
    except IndexError:
        return False
    return certificate[at] == INTEGER and number > 0


def _inside(data: bytes, at: int) -> int:
    """Return where the content of the value at a place begins."""
    length = data[at + 1]
    return at + 2 + (length & 0x7F if length >= 0x80 else 0)
