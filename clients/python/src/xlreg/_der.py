"""Reads the parts of a certificate that the X.509 library does not hand out as they came.

It is for bytes that the library has parsed, which is strict, so it checks no more
than what keeps it within them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ._errors import CertificateError

SEQUENCE, BIT_STRING, OCTET_STRING, OID, BOOLEAN = 0x30, 0x03, 0x04, 0x06, 0x01
_EXPLICIT_3 = 0xA3
_EXPLICIT_0 = 0xA0


@dataclass(frozen=True)
class Value:
    """One DER value: its tag, its content, and all of its bytes."""

    tag: int
    content: bytes
    whole: bytes


@dataclass(frozen=True)
class Extension:
    """One extension of a certificate, with its content as it came."""

    oid: bytes
    critical: bool
    content: bytes


@dataclass(frozen=True)
class Certificate:
    """The parts of a certificate, as they came."""

    serial: bytes
    issuer: bytes
    subject: Value
    public_key: bytes
    extensions: tuple[Extension, ...]
    same_algorithm: bool  # within what is signed, and beside it


def values(data: bytes) -> Iterator[Value]:
    """Yield the DER values that follow each other in data."""
    while data:
        value = _first(data)
        yield value
        data = data[len(value.whole) :]


def _first(data: bytes) -> Value:
    if len(data) < 2:
        raise CertificateError("certificate does not parse")
    head, length = 2, data[1]
    if length >= 0x80:
        head += length & 0x7F
        length = int.from_bytes(data[2:head], "big")
    if head + length > len(data):
        raise CertificateError("certificate does not parse")
    return Value(data[0], data[head : head + length], data[: head + length])


def parse(certificate: bytes) -> Certificate:
    """Take a certificate to pieces.

    Raises:
        CertificateError: It has not the pieces of one.
    """
    try:
        return _parse(certificate)
    except (ValueError, IndexError, StopIteration):
        raise CertificateError("certificate does not parse") from None


def _parse(certificate: bytes) -> Certificate:
    tbs, beside, _ = values(_first(certificate).content)
    parts = [v for v in values(tbs.content) if v.tag != _EXPLICIT_0]
    serial, within, issuer, _, subject, key = parts[:6]
    extensions: tuple[Extension, ...] = ()
    for part in parts[6:]:
        if part.tag == _EXPLICIT_3:
            extensions = tuple(map(_extension, values(_first(part.content).content)))
    return Certificate(
        serial.content, issuer.whole, subject, key.whole, extensions, within.whole == beside.whole
    )


def _extension(value: Value) -> Extension:
    parts = list(values(value.content))
    critical = len(parts) == 3 and parts[1].content != b"\x00"
    return Extension(parts[0].content, critical, parts[-1].content)


def attributes(name: Value) -> list[tuple[bytes, str]]:
    """Return the attributes of a subject, OID and text, one for each of its sets."""
    pairs = []
    for group in values(name.content):
        for attribute in values(group.content):
            oid, text = values(attribute.content)
            pairs.append((oid.content, text.content.decode("utf-8", "replace")))
    return pairs
