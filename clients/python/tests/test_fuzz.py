"""Bytes off the wire and files from anywhere lead to no other exception than those there are."""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from vectors import load

from xlreg import CommsKey, DecimalVersion, Endpoint, NodeID, RegCred, SigKey, Target, Token, _record
from xlreg._chain import check_chain, find_key
from xlreg._codec import Framing, Opener
from xlreg._verify import verify_member
from xlreg._wire import messages as m
from xlreg._wire.inner import decode_admission, decode_labels, decode_order
from xlreg.certificate import build, check_shown, field_of, name_of, public_key_of
from xlreg.classic import Hello
from xlreg.errors import XlregError
from xlreg.keys import fingerprint, parse_public_key, parse_ssh
from xlreg.roster import Member
from xlreg.signed import split, verify_parts
from xlreg.ticket import Ticket
from xlreg.version import Protocol, parse_decimal_version
from xlreg.vocabulary import decode_set

ROUNDS = 2000
NOW = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)


def mutations(seed: bytes, rng: random.Random) -> bytes:
    """Return seed with a few bytes changed, cut, doubled or put in."""
    data = bytearray(seed)
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, max(0, len(data) - 1))
        kind = rng.randint(0, 4)
        if kind == 0 and data:
            data[at] ^= 1 << rng.randint(0, 7)
        elif kind == 1:
            del data[at : at + rng.randint(1, 8)]
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randint(1, 8))
        elif kind == 3:
            data[at:at] = data[at : at + rng.randint(1, 64)]
        elif data:
            data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
    return bytes(data)


def seeds(kind: str, member: str) -> list[bytes]:
    found = [v["input"].get(member) for v in load(kind)]
    return [bytes.fromhex(text) for text in found if text]


def read_message(data: bytes) -> None:
    message = m.decode(data)
    for read in (message.error, message.member_ok, message.registry):
        with contextlib.suppress(XlregError):
            read()
    for protocol in Protocol:
        with contextlib.suppress(XlregError):
            message.cluster(protocol)
        with contextlib.suppress(XlregError):
            for member in message.part(protocol).members:
                verify_member(member, protocol)


def read_certificate(data: bytes) -> None:
    key = parse_public_key(SIG_KEY)
    assert key is not None
    token = Token("m0", CommsKey(SIG_KEY), SigKey(SIG_KEY))
    for check in (
        lambda: check_shown(token, data),
        lambda: build(replace(token, certificate=field_of(data))),
        lambda: build(replace(token, certificate=data[:400])),
        lambda: name_of(data),
        lambda: public_key_of(data),
        lambda: check_chain([data, data, data], SigKey(SIG_KEY), NOW),
        lambda: find_key([data, data], fingerprint(SIG_KEY)),
    ):
        with contextlib.suppress(XlregError):
            check()


def read_key(data: bytes) -> None:
    for read in (parse_public_key, parse_ssh, fingerprint):
        with contextlib.suppress(XlregError):
            read(data)


def read_stream(data: bytes) -> None:
    framing, opener = Framing(), Opener(bytes(32), bytes(16))
    framing.feed(data)
    opener.feed(data)
    with contextlib.suppress(XlregError):
        while framing.next() is not None:
            pass
    while opener.next() is not None:
        pass


def read_reply(data: bytes) -> None:
    for protocol in (Protocol.V18, Protocol.V19):
        Hello(protocol, bytes(32), bytes(8), 0, bytes(16)).open(data)


def read_text(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for read in (RegCred.parse, Target.parse, Endpoint, NodeID.parse, parse_decimal_version):
        with contextlib.suppress(XlregError):
            read(text)
    with contextlib.suppress(XlregError):
        again = _record.parse(data)
        assert _record.parse(again.encode()).encode() == again.encode()


def read_inner(data: bytes) -> None:
    for read in (decode_admission, decode_labels, decode_order, decode_set):
        with contextlib.suppress(XlregError):
            read(data)
    with contextlib.suppress(XlregError):
        decode_admission(data).verify("vectors", data[:32], SigKey(data))


def read_ticket(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(XlregError):
        assert Ticket.parse(text).text() == Ticket.parse(Ticket.parse(text).text()).text()
    for read in (Ticket.load, Target.load):
        with contextlib.suppress(XlregError, OSError):
            read(text.replace("\0", ""))


def read_document(data: bytes) -> None:
    for known in DOCUMENT_KEYS:
        with contextlib.suppress(XlregError):
            found = verify_parts(split(data), known)
            assert found.document == data
            assert verify_parts(found.parts, known) == found


SIG_KEY = seeds("fingerprint", "sig_key")[-1]
REGISTRY_KEY = seeds("signed", "sig_key")[0]
PLACE = (Endpoint("reg.example.org:56789"),)
DOCUMENT_KEYS = [
    Target(PLACE, fingerprint(REGISTRY_KEY)),
    RegCred(
        "r",
        NodeID(bytes(20)),
        CommsKey(REGISTRY_KEY),
        SigKey(REGISTRY_KEY),
        PLACE,
        parse_decimal_version("2.0"),
    ).target,
]
RECORD = (
    b'{"version":1,"name":"m0","attrs":4,"endpoints":["a:1"],"registries":[{"sig":"SHA256:%s","id":"%s"}]}'
)

TARGETS: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
    "message": (
        read_message,
        seeds("message", "plain") + seeds("roster", "message") + seeds("token", "message"),
    ),
    "certificate": (read_certificate, seeds("certificate", "certificate")),
    "inner": (
        read_inner,
        seeds("admission", "bytes")
        + seeds("label", "bytes")
        + seeds("set", "bytes")
        + seeds("owner", "order"),
    ),
    "ticket": (read_ticket, [v["input"]["text"].encode() for v in load("ticket")]),
    "document": (
        read_document,
        [
            b"".join(struct.pack(">I", len(d) // 2) + bytes.fromhex(d) for d in v["input"]["documents"])
            for v in load("signed")
            if v["layer"] == "success"
        ],
    ),
    "key": (read_key, seeds("key", "der")),
    "stream": (read_stream, seeds("frame", "bytes")),
    "reply": (read_reply, seeds("helloreply", "wire")),
    "text": (
        read_text,
        [v["input"]["text"].encode() for kind in ("regcred", "url") for v in load(kind)] + [RECORD],
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_no_other_exception(name: str) -> None:
    read, samples = TARGETS[name]
    rng = random.Random(name)
    for _ in range(200 if name == "document" else ROUNDS):
        data = mutations(rng.choice(samples), rng)
        with contextlib.suppress(XlregError):
            read(data)


def test_versions_and_members_hold_any_number() -> None:
    rng = random.Random(1)
    for _ in range(ROUNDS):
        version = DecimalVersion.from_value(rng.getrandbits(32))
        assert parse_decimal_version(str(version)) == version
    assert Member(0, Token("m0", CommsKey(b""), SigKey(b""))).describe() == "m0"
