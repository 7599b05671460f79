"""Sessions and waits without a socket: bytes in, bytes out, and a clock that is turned by hand."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fake import CLUSTER, REGISTRY_KEYS, reply, server_context
from vectors import rsa_of

import xlreg
from xlreg import Node, Protocol, Roster
from xlreg._codec import Classic, Framing, Opener, Sealer
from xlreg._dial import Options
from xlreg._dialogue import Dialogue
from xlreg._flow import Backoff, Effect, Flow, Limit, Sleep, T
from xlreg._session import ClassicSession, ModernSession, Pin, Session, State, client_context
from xlreg._wait import Waiter
from xlreg._wire import messages as m
from xlreg._wire import requests as q
from xlreg._wire.tokens import token_message
from xlreg.classic import Hello, HelloReply
from xlreg.errors import (
    ClockError,
    HandshakeError,
    IncompleteError,
    ProtocolError,
    SessionEndedError,
    UntrustedError,
)
from xlreg.keys import fingerprint
from xlreg.roster import Member
from xlreg.testing import RegistryProcess, shared_keys
from xlreg.vocabulary import NO_KEY, ClusterKey, ClusterRef, NodeID


def now() -> datetime:
    return datetime.now(timezone.utc)


def feed(session: Session, data: bytes, size: int) -> Iterator[m.Message]:
    """Give a session data in pieces of a size, and yield what it hears."""
    for at in range(0, len(data), size):
        session.receive(data[at : at + size])
        while (message := session.next_message()) is not None:
            yield message


@pytest.mark.parametrize("protocol", [Protocol.V18, Protocol.V19], ids=str)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_classic_session_in_pieces(protocol: Protocol, size: int) -> None:
    keys = shared_keys(REGISTRY_KEYS)
    session = ClassicSession(protocol, keys.comms_key)
    hello = Hello.decrypt(session.outgoing(), rsa_of(keys.comms))
    assert (hello.protocol, session.outgoing(), session.state) == (protocol, b"", State.SHAKING)
    answer = HelloReply.make(protocol)
    registry = Classic(answer.key2, answer.iv2)
    said = [reply(m.Op.ACK), reply(m.Op.JOIN_REPLY, ClusterID=CLUSTER.id), reply(m.Op.ACK)]
    stream = hello.seal(answer) + b"".join(map(registry.encode, said))
    assert [message.op for message in feed(session, stream, size)] == [message.op for message in said]
    assert (session.state, session.salt2, session.partial) == (State.OPEN, answer.salt2, False)
    session.send(q.new_bye())
    registry.feed(session.outgoing())
    heard = registry.next()
    assert heard is not None
    assert heard.op == m.Op.BYE
    with pytest.raises(SessionEndedError):
        session.receive(b"")


class TLSRegistry:
    """The registry's end of 2.0, in memory."""

    def __init__(self) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = server_context(shared_keys(REGISTRY_KEYS).sig)
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.codec = Framing(read_max=64 << 10)

    def shake(self, session: ModernSession, size: int) -> None:
        """Bring the handshake to its end."""
        for _ in range(4):
            self.incoming.write(session.outgoing())
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
            for _ in feed(session, self.outgoing.read(), size):
                raise AssertionError("nothing is said yet")

    def say(self, data: bytes) -> bytes:
        self.tls.write(data)
        return self.outgoing.read()

    def hear(self, data: bytes) -> m.Message | None:
        self.incoming.write(data)
        self.codec.feed(self.tls.read(1 << 16))
        return self.codec.next()


@pytest.fixture(params=["key", "fingerprint", "fingerprint, chain hidden"])
def pin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Pin:
    """What a client knows of the registry; with the last also what its platform hides."""
    if "hidden" in request.param:
        monkeypatch.setattr(ModernSession, "_chain_shown", lambda self: [])
    key = shared_keys(REGISTRY_KEYS).sig_key
    return Pin(fingerprint(key), key if request.param == "key" else None, now)


def opened(pin: Pin, size: int = 1 << 16) -> tuple[ModernSession, TLSRegistry]:
    registry = TLSRegistry()
    session = ModernSession(pin, client_context(None, None))
    registry.shake(session, size)
    if session.state is State.PINNING:
        asked = registry.hear(session.outgoing())
        assert asked is not None
        assert asked.op == m.Op.REG_CRED_REQUEST
        keys = shared_keys(REGISTRY_KEYS)
        token = xlreg.Token(
            "reg", keys.comms_key, keys.sig_key, (xlreg.Endpoint("a:1"),), id=NodeID(bytes(20))
        )
        told = reply(m.Op.REG_CRED_REPLY, MemberSpecs=token_message(token), Version=2)
        for _ in feed(session, registry.say(registry.codec.encode(told)), size):
            raise AssertionError("this reply is the session's own")
    assert session.state is State.OPEN
    return session, registry


@pytest.mark.parametrize("size", [1, 100, 1 << 16])
def test_modern_session_in_pieces(pin: Pin, size: int) -> None:
    session, registry = opened(pin, size)
    said = [reply(m.Op.ACK), reply(m.Op.JOIN_REPLY, ClusterID=CLUSTER.id), reply(m.Op.ACK)]
    stream = registry.say(b"".join(map(registry.codec.encode, said)))
    assert [message.op for message in feed(session, stream, size)] == [message.op for message in said]
    session.send(q.new_bye())
    heard = registry.hear(session.outgoing())
    assert heard is not None
    assert heard.op == m.Op.BYE
    session.receive(b"")
    with pytest.raises(SessionEndedError):
        session.next_message()


def test_half_a_frame_is_partial(pin: Pin) -> None:
    session, registry = opened(pin)
    session.receive(registry.say(b"\0\0\0\x02\x08"))
    assert session.next_message() is None
    assert session.partial
    session.receive(registry.say(b"\x0c"))
    message = session.next_message()
    assert message is not None
    assert (message.op, session.partial) == (m.Op.ACK, False)
    session.receive(registry.say(b"\0\0\0\x01\x08"))
    with pytest.raises(ProtocolError):
        session.next_message()


@pytest.mark.parametrize("days", [-8, 9])
def test_clock_that_is_wrong(days: int) -> None:
    """A certificate that is not valid by the client's clock is not trusted; an hour is tolerated."""
    key = shared_keys(REGISTRY_KEYS).sig_key
    early = Pin(fingerprint(key), key, lambda: now() - timedelta(days=1, minutes=59))
    assert opened(early)[0].state is State.OPEN
    kind, text = (ClockError, "registry's by 8 days") if days < 0 else (UntrustedError, "not valid")
    with pytest.raises(kind, match=text):
        opened(replace(early, now=lambda: now() + timedelta(days=days)))


def test_registry_refuses_a_certificate(xlreg_registry: RegistryProcess) -> None:
    """In TLS 1.3 a client learns that after its handshake; it is no broken connection, to be tried again."""
    key = ec.generate_private_key(ec.SECP384R1())  # which is no key that 2.0 knows
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "m")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    dated = builder.serial_number(1).not_valid_before(now()).not_valid_after(now() + timedelta(days=1))
    der = dated.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    context = client_context(der, key)
    cred = xlreg_registry.cred
    session = ModernSession(Pin(cred.fingerprint, cred.sig_key, now), context)
    with socket.create_connection((cred.endpoints[0].host, cred.endpoints[0].port)) as connection:
        with pytest.raises(HandshakeError, match="refused by the registry"):
            converse(session, connection)


def converse(session: Session, connection: socket.socket) -> None:
    while True:
        if session.state is State.OPEN:
            session.send(q.new_reg_cred_request())
        connection.sendall(session.outgoing())
        session.receive(connection.recv(1 << 16))
        session.next_message()


def test_a_session_goes_nowhere_but_by_the_table(pin: Pin) -> None:
    """What was said before the registry hung up is read to its end; what is said meanwhile goes nowhere."""
    session, registry = opened(pin)
    session.receive(registry.say(registry.codec.encode(reply(m.Op.ACK))))
    session.receive(b"")
    assert session.state is State.CLOSING
    session.outgoing()
    session.send(q.new_bye())
    assert session.outgoing() == b""
    message = session.next_message()
    assert message is not None
    assert message.op == m.Op.ACK
    with pytest.raises(SessionEndedError):
        session.next_message()
    with pytest.raises(AssertionError, match="from ENDED to OPEN"):
        session._go(State.OPEN)


def test_tokens_are_counted_before_they_are_decoded() -> None:
    """Empty ones take a hundred times their three bytes."""
    empty = b"\xaa\x01\x00"
    assert len(m.decode(b"\x08\x0a" + 1024 * empty).raw.Tokens) == 1024
    with pytest.raises(ProtocolError, match="more than 1024 tokens"):
        m.decode(b"\x08\x0a" + 1025 * empty)


GROUP, DEEP = b"\xa3\x06\xa4\x06", b"\xa3\x06" * 10_000


@pytest.mark.parametrize("group", [GROUP, DEEP, GROUP[2:]], ids=["one", "10,000 deep", "an end"])
@pytest.mark.parametrize("field", [b"", b"\xaa\x01", b"\x5a"], ids=["message", "token", "specs"])
def test_groups_are_refused(field: bytes, group: bytes) -> None:
    """No message has them, and a decoder keeps what it does not know as deep as it is nested."""
    length = bytes([len(group) & 0x7F | 0x80, len(group) >> 7 & 0x7F | 0x80, len(group) >> 14])
    with pytest.raises(ProtocolError, match="group"):
        m.decode(b"\x08\x0a" + (field + length + group if field else group))
    opener = Opener(bytes(32), bytes(16))
    opener.feed(Sealer(bytes(32), bytes(16)).seal((b"\x08\x0a" + group)[:1000]))
    assert opener.next() is None


# Flows.


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []

    def run(self, flow: Flow[T]) -> T:
        answer: Callable[[], Effect] = flow.__next__
        while True:
            try:
                effect = answer()
            except StopIteration as done:
                result: T = done.value
                return result
            assert isinstance(effect, Sleep)
            self.slept.append(effect.seconds)
            self.time += effect.seconds
            answer = flow.__next__


class Growing(Dialogue):
    """A cluster that grows as its list says, told by a server that answers at once."""

    def __init__(self, clock: Clock, counts: list[int], took: float = 0.0) -> None:
        self._clock, self._counts, self._took = clock, counts, took
        self.options = Options(xlreg.Target((), fingerprint(shared_keys(REGISTRY_KEYS).sig_key)))
        self.heard = 0.0
        self.asked: list[tuple[int, int]] = []
        node = Node("m", keys=shared_keys(0))
        token, _ = node.token(Protocol.V19, None, now())
        self._members = tuple(
            Member(i, replace(token, name=f"m{i}", id=NodeID(bytes([i]) * 20))) for i in range(64)
        )

    def receive(
        self, ref: ClusterRef, limit: Limit, waiting: q.Waiting | None = None, last: Roster | None = None
    ) -> Flow[Roster]:
        assert waiting is not None
        assert waiting.size is not None
        assert waiting.millis is not None
        self.asked.append((waiting.size, waiting.millis))
        self._clock.time += self._took
        count = self._counts.pop(0) if len(self._counts) > 1 else self._counts[0]
        return Roster(replace(CLUSTER, size=4), self._members[:count])
        yield  # a flow that wants nothing

    def verify(self, roster: Roster, pinned: ClusterKey = NO_KEY) -> Roster:
        return roster


def test_wait_polls_a_server_that_cannot_wait() -> None:
    """The pauses grow from 50 milliseconds to a second, and begin anew when somebody joins."""
    clock = Clock()
    dialogue = Growing(clock, [1] * 10 + [2] * 3 + [4])
    roster = clock.run(Waiter(dialogue, ClusterRef()).wait(Limit(60, lambda: clock.time)))
    assert len(roster.members) == 4
    assert len(clock.slept) == 13
    wanted = [0.05, 0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1, 1, 0.05, 0.1, 0.2]
    assert all(most / 2 <= slept <= most for slept, most in zip(clock.slept, wanted, strict=True))


def test_wait_makes_one_request_of_a_server_that_waits() -> None:
    clock = Clock()
    dialogue = Growing(clock, [4], took=10)
    clock.run(Waiter(dialogue, ClusterRef(), 3).wait(Limit(20, lambda: clock.time)))
    assert dialogue.asked == [(3, 19750)]
    assert clock.slept == []


def test_wait_asks_again_after_the_longest() -> None:
    """No request waits longer than 25 seconds, so that silence beyond them is that of a dead connection."""
    clock = Clock()
    dialogue = Growing(clock, [1, 1, 4], took=25)
    clock.run(Waiter(dialogue, ClusterRef()).wait(Limit(None, lambda: clock.time)))
    assert dialogue.asked == [(1024, 25_000), (4, 25_000), (4, 25_000)]
    assert clock.slept == []


def test_wait_tells_on_the_way() -> None:
    """Whoever wants to be told is asked for one more each time."""
    clock = Clock()
    dialogue = Growing(clock, [1, 2, 3, 4], took=2)
    seen: list[int] = []
    waiter = Waiter(dialogue, ClusterRef(), 4, lambda roster: seen.append(len(roster.members)))
    clock.run(waiter.wait(Limit(60, lambda: clock.time)))
    assert seen == [1, 2, 3, 4]
    assert [size for size, _ in dialogue.asked] == [1, 2, 3, 4]


def test_wait_ends_with_its_limit() -> None:
    clock = Clock()
    dialogue = Growing(clock, [1])
    with pytest.raises(IncompleteError) as caught:
        clock.run(Waiter(dialogue, ClusterRef(name="web")).wait(Limit(5, lambda: clock.time)))
    assert clock.time == pytest.approx(5, abs=0.06)
    assert caught.value.missing == 3
    assert str(caught.value).startswith(
        "1 of 4 members joined, 3 missing (index 1-3): time is up; registry last heard "
    )


def test_backoff_keeps_within_its_limit() -> None:
    clock = Clock()
    backoff, limit = Backoff(1, 8), Limit(20, lambda: clock.time)
    assert clock.run(backoff.pause(limit, least=10))
    assert 10.5 <= clock.time <= 11
    backoff.reset()
    assert not clock.run(backoff.pause(limit, least=60))
    assert clock.time == pytest.approx(20)
