"""Registries that misbehave: the right exception, and no file descriptor left open."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from conftest import open_descriptors
from cryptography.x509.oid import ExtendedKeyUsageOID
from fake import (
    CLUSTER,
    NODE_ID,
    OTHER_ID,
    OTHER_KEYS,
    Answer,
    FakeRegistry,
    Handshake,
    Script,
    SilenceError,
    closes,
    cluster_reply,
    error,
    frame,
    reply,
    seal,
    server_context,
    short_reply,
    talks_nonsense,
    tls_with,
    wrong_key,
    wrong_salt,
)

import xlreg
from xlreg import AsyncClient, Client, Cluster, ClusterID, Node, Protocol
from xlreg._wire.messages import Message, Op
from xlreg.errors import (
    BadSignatureError,
    ClusterFullError,
    ClusterSizeError,
    DeadlineError,
    HandshakeError,
    NoSuchClusterNameError,
    ProtocolError,
    RegistryError,
    SessionEndedError,
    UnreachableError,
    UntrustedError,
    XlregError,
)
from xlreg.testing import shared_keys
from xlreg.vocabulary import encode_set

MakeNode = Callable[..., Node]
ALL = list(Protocol)
CLASSIC = [Protocol.V18, Protocol.V19]


@pytest.fixture(autouse=True)
def _nothing_left_open() -> Iterator[None]:
    before = open_descriptors()
    yield
    assert open_descriptors() == before


def both(
    fake: FakeRegistry,
    node: Node | None,
    blocking: Callable[[Client], object],
    awaiting: Callable[[AsyncClient], Awaitable[object]],
    timeout: float = 10.0,
) -> list[BaseException]:
    """Do the same with both clients, and return what each fails with."""

    def sync() -> None:
        with Client.connect(fake.cred, node, protocol=fake.protocol, timeout=timeout) as client:
            blocking(client)

    async def asynchronous() -> None:
        async with await AsyncClient.connect(
            fake.cred, node, protocol=fake.protocol, timeout=timeout
        ) as client:
            await awaiting(client)

    with pytest.raises(XlregError) as first:
        sync()
    with pytest.raises(XlregError) as second:
        asyncio.run(asynchronous())
    assert type(first.value) is type(second.value)
    return [first.value, second.value]


async def nothing(client: AsyncClient) -> None:
    """Do nothing with a client."""


CLASSIC_HANDSHAKES: dict[str, Handshake] = {
    "closes": closes,
    "short reply": short_reply,
    "wrong salt": wrong_salt,
    "wrong key": wrong_key,
    "nonsense": talks_nonsense,
}


@pytest.mark.parametrize("protocol", CLASSIC, ids=str)
@pytest.mark.parametrize("name", CLASSIC_HANDSHAKES)
def test_classic_handshake(protocol: Protocol, name: str, make_node: MakeNode) -> None:
    with FakeRegistry(protocol, handshake=CLASSIC_HANDSHAKES[name]) as fake:
        for err in both(fake, make_node("m0"), lambda c: None, nothing, timeout=0.3):
            assert isinstance(err, UnreachableError)
            assert all(isinstance(failure, HandshakeError) for failure in err.failures)


UNTRUSTED: dict[str, Handshake] = {
    "another key": tls_with(lambda fake: server_context(shared_keys(OTHER_KEYS).sig)),
    "expired": tls_with(lambda fake: server_context(fake.keys.sig, days=0)),
    "a CA": tls_with(lambda fake: server_context(fake.keys.sig, ca=True)),
    "for clients": tls_with(
        lambda fake: server_context(fake.keys.sig, usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    ),
}


@pytest.mark.parametrize("name", UNTRUSTED)
@pytest.mark.parametrize("by_url", [False, True], ids=["regCred", "url"])
def test_registry_that_is_not_trusted(name: str, by_url: bool) -> None:
    with FakeRegistry(Protocol.V20, handshake=UNTRUSTED[name]) as fake:
        target = fake.cred.url if by_url else fake.cred
        with pytest.raises(UntrustedError):
            Client.connect(target, timeout=10)
        with pytest.raises(UntrustedError):
            asyncio.run(AsyncClient.connect(target, timeout=10))
        assert set(fake.said) <= {Op.REG_CRED_REQUEST}


NO_TLS: dict[str, Handshake] = {
    "closes": closes,
    "nonsense": talks_nonsense,
    "no ALPN": tls_with(lambda fake: server_context(fake.keys.sig, alpn="")),
    "another ALPN": tls_with(lambda fake: server_context(fake.keys.sig, alpn="h2")),
}


@pytest.mark.parametrize("name", NO_TLS)
def test_handshake_that_comes_to_nothing(name: str) -> None:
    with FakeRegistry(Protocol.V20, handshake=NO_TLS[name]) as fake:
        for err in both(fake, None, lambda c: None, nothing, timeout=0.3):
            assert isinstance(err, UnreachableError)
            assert not any(isinstance(failure, UntrustedError) for failure in err.failures)


PINNING: dict[str, Callable[[FakeRegistry], Answer]] = {
    "another key": lambda fake: fake.reg_cred(shared_keys(OTHER_KEYS)),
    "another message": lambda fake: cluster_reply(Op.JOIN_REPLY),
    "no key": lambda fake: reply(Op.REG_CRED_REPLY),
    "an Error": lambda fake: error(ClusterFullError()),
}


@pytest.mark.parametrize("name", PINNING)
def test_key_that_is_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the platform hides the chain, the key comes with a RegCredReply, and is not believed."""
    monkeypatch.setattr(xlreg._session.ModernSession, "_chain_shown", lambda self: [])
    with FakeRegistry(Protocol.V20) as fake:
        fake.script[Op.REG_CRED_REQUEST] = lambda message: PINNING[name](fake)
        with pytest.raises(UntrustedError):
            Client.connect(fake.cred.url, timeout=10)
        fake.script[Op.REG_CRED_REQUEST] = lambda message: fake.reg_cred(fake.keys)
        with Client.connect(fake.cred.url, timeout=10) as client:
            assert client.registry().id == fake.cred.id


def test_impostor_with_keys_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that it says fits together; only the fingerprint is another."""
    monkeypatch.setattr(xlreg._session.ModernSession, "_chain_shown", lambda self: [])
    other = shared_keys(OTHER_KEYS)
    with FakeRegistry(Protocol.V20, handshake=tls_with(lambda fake: server_context(other.sig))) as fake:
        fake.script[Op.REG_CRED_REQUEST] = lambda message: fake.reg_cred(other)
        with pytest.raises(UntrustedError, match="no certificate has a key with fingerprint"):
            Client.connect(fake.cred.url, timeout=10)
        theirs = xlreg.Target(fake.cred.endpoints, other.fingerprint)
        with Client.connect(theirs, timeout=10) as client:
            assert client.registry().sig_key == other.sig_key


# Each step of a session, by what it asks.
STEPS: dict[Op, tuple[Callable[[Client], object], Callable[[AsyncClient], Awaitable[object]]]] = {
    Op.MEMBER: (lambda c: c.register(), lambda c: c.register()),
    Op.CREATE: (lambda c: c.create("web", 2), lambda c: c.create("web", 2)),
    Op.JOIN: (lambda c: c.join("web"), lambda c: c.join("web")),
    Op.GET_CLUSTER: (lambda c: c.members("web"), lambda c: c.members("web")),
    Op.REG_CRED_REQUEST: (lambda c: c.registry(), lambda c: c.registry()),
    Op.LEAVE: (lambda c: c.leave("web"), lambda c: c.leave("web")),
}


def steps_of(protocol: Protocol) -> list[Op]:
    return [step for step in STEPS if step is not Op.LEAVE or not protocol.classic]


EVERY = [pytest.param(p, s, id=f"{p}-{s.name}") for p in ALL for s in steps_of(p)]


@pytest.mark.parametrize(("protocol", "step"), EVERY)
def test_error_at_every_step(protocol: Protocol, step: Op, make_node: MakeNode) -> None:
    refusal = ClusterFullError("no room", retry=1.5)
    with FakeRegistry(protocol, {step: lambda message: error(refusal)}) as fake:
        for err in both(fake, make_node("m0"), *STEPS[step]):
            assert isinstance(err, ClusterFullError)
            assert (err.detail, err.retry) == ("no room", 1.5)


@pytest.mark.parametrize(("protocol", "step"), EVERY)
def test_connection_lost_at_every_step(protocol: Protocol, step: Op, make_node: MakeNode) -> None:
    with FakeRegistry(protocol, {step: lambda message: None}) as fake:
        for err in both(fake, make_node("m0"), *STEPS[step]):
            assert isinstance(err, SessionEndedError)


@pytest.mark.parametrize(("protocol", "step"), EVERY)
def test_another_reply_at_every_step(protocol: Protocol, step: Op, make_node: MakeNode) -> None:
    with FakeRegistry(protocol, {step: lambda message: reply(Op.ACK)}) as fake:
        for err in both(fake, make_node("m0"), *STEPS[step]):
            assert isinstance(err, ProtocolError)
            assert "Ack in answer to" in str(err)


# A LeaveReply holds nothing that is read.
@pytest.mark.parametrize(("protocol", "step"), [p for p in EVERY if p.values[1] is not Op.LEAVE])
def test_empty_reply_at_every_step(protocol: Protocol, step: Op, make_node: MakeNode) -> None:
    with FakeRegistry(protocol, {step: lambda message: reply(Op(step + 1))}) as fake:
        for err in both(fake, make_node("m0"), *STEPS[step]):
            assert isinstance(err, ProtocolError)


BAD_FRAMES = {
    "too long": frame(5 << 20),
    "gigabytes": frame(0xFFFFFFFF),
    "empty": frame(0),
    "garbage": frame(4, b"\xff\xff\xff\xff"),
    "no Op": frame(2, b"\x10\x00"),
}


@pytest.mark.parametrize("step", steps_of(Protocol.V20), ids=lambda s: s.name)
@pytest.mark.parametrize("name", BAD_FRAMES)
def test_bad_frame_at_every_step(name: str, step: Op, make_node: MakeNode) -> None:
    with FakeRegistry(Protocol.V20, {step: lambda message: BAD_FRAMES[name]}) as fake:
        for err in both(fake, make_node("m0"), *STEPS[step]):
            assert isinstance(err, ProtocolError)


@pytest.mark.parametrize("protocol", CLASSIC, ids=str)
@pytest.mark.parametrize(
    "answer", [bytes(32), bytes(17), bytes(20000)], ids=["blocks", "no blocks", "too long"]
)
def test_classic_answer_that_is_none(protocol: Protocol, answer: bytes, make_node: MakeNode) -> None:
    """It might still become a message, so the session ends when time is up."""
    with FakeRegistry(protocol, {Op.MEMBER: lambda message: answer}) as fake:
        errs = both(
            fake, make_node("m0"), lambda c: c.register(timeout=0.2), lambda c: c.register(timeout=0.2)
        )
        assert all(isinstance(err, SessionEndedError) for err in errs)


def test_silence_is_given_up(make_node: MakeNode) -> None:
    for protocol in ALL:
        with FakeRegistry(protocol) as fake:
            fake.script[Op.MEMBER] = silent
            errs = both(
                fake, make_node("m0"), lambda c: c.register(timeout=0.1), lambda c: c.register(timeout=0.1)
            )
            assert all(isinstance(err, SessionEndedError) for err in errs)


def silent(message: Message) -> Answer:
    raise SilenceError


def other_cluster(op: Op, **change: Any) -> Script:
    values = {"id": CLUSTER.id, "name": CLUSTER.name, "size": 2, "endpoint_count": 1, **change}
    return {Op(op - 1): lambda message: cluster_reply(op, Cluster(**values))}


WRONG_CLUSTERS: dict[str, tuple[Script, Callable[[Client], object], type[XlregError]]] = {
    "another name": (other_cluster(Op.JOIN_REPLY, name="other"), lambda c: c.join("web"), ProtocolError),
    "another ID": (
        other_cluster(Op.JOIN_REPLY, id=ClusterID(b"x" * 32)),
        lambda c: c.join(CLUSTER.id),
        ProtocolError,
    ),
    "another size": (other_cluster(Op.CREATE_REPLY, size=3), lambda c: c.create("web", 2), ClusterSizeError),
    "1025 members": (other_cluster(Op.CREATE_REPLY, size=1025), lambda c: c.create("web", 2), ProtocolError),
    "a bad name": (other_cluster(Op.CREATE_REPLY, name="a b"), lambda c: c.create("web", 2), ProtocolError),
}


@pytest.mark.parametrize("name", WRONG_CLUSTERS)
def test_reply_about_another_cluster(name: str, make_node: MakeNode) -> None:
    script, step, kind = WRONG_CLUSTERS[name]
    with FakeRegistry(Protocol.V20, script) as fake, Client.connect(fake.cred, make_node("m0")) as client:
        with pytest.raises(kind):
            step(client)


def forged(fake: FakeRegistry, change: Callable[[Message], None]) -> Callable[[Message], Answer]:
    def answer(message: Message) -> Answer:
        roster = fake.roster()
        change(roster)
        with contextlib.suppress(ValueError):  # of a roster that is none there is no sum
            seal(roster)
        return roster

    return answer


def set_name(m: Message) -> None:
    m.raw.Tokens[1].Name = "evil"


def set_end(m: Message) -> None:
    m.raw.Tokens[1].MyEnds[0] = "203.0.113.66:1"


def set_key(m: Message) -> None:
    m.raw.Tokens[1].SigKey = shared_keys(OTHER_KEYS).sig_key


def set_signature(m: Message) -> None:
    m.raw.Tokens[1].DigSig2 = bytes(256)


def set_certificate(m: Message) -> None:
    m.raw.Tokens[1].Certificate = m.raw.Tokens[0].Certificate


def drop_token(m: Message) -> None:
    del m.raw.Tokens[1]


def repeat_token(m: Message) -> None:
    m.raw.Tokens[1].CopyFrom(m.raw.Tokens[0])


def set_index(m: Message) -> None:
    m.raw.SeatSet = m.raw.WhichSet = encode_set(1 | 1 << 40)


FORGED: dict[str, tuple[Callable[[Message], None], type[RegistryError]]] = {
    "name": (set_name, BadSignatureError),
    "endpoint": (set_end, BadSignatureError),
    "key": (set_key, BadSignatureError),
    "signature": (set_signature, BadSignatureError),
    "certificate": (set_certificate, BadSignatureError),
    "a token missing": (drop_token, ProtocolError),
    "a member twice": (repeat_token, ProtocolError),
    "an impossible index": (set_index, ProtocolError),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_roster(name: str, make_node: MakeNode, listener: Any) -> None:
    change, kind = FORGED[name]
    node = make_node("m0")
    with FakeRegistry(Protocol.V20) as fake:
        fake.join(make_node("m1", 1), OTHER_ID)
        fake.script[Op.GET_CLUSTER] = forged(fake, change)
        for _ in range(2):
            with pytest.raises(kind):
                xlreg.form(fake.cred, node=node, cluster="web", size=2, listeners=[listener], timeout=10)
        with pytest.raises(kind):
            asyncio.run(
                xlreg.aform(fake.cred, node=node, cluster="web", size=2, listeners=[listener], timeout=10)
            )


def test_session_goes_on_after_an_error_over_20(make_node: MakeNode) -> None:
    refusal = NoSuchClusterNameError()
    for protocol in ALL:
        with FakeRegistry(protocol, {Op.JOIN: lambda message: error(refusal)}) as fake:
            node = make_node("m0")
            with Client.connect(fake.cred, node, protocol=protocol) as client:
                assert client.register() == NODE_ID
                with pytest.raises(NoSuchClusterNameError):
                    client.join("web")
                if protocol.classic:
                    with pytest.raises(SessionEndedError):
                        client.cluster("web")
                else:
                    assert client.cluster("web") == CLUSTER


def asked(event: threading.Event) -> Callable[[Message], Answer]:
    """Return an answer that never comes, and tells when it is waited for."""

    def answer(message: Message) -> Answer:
        event.set()
        raise SilenceError

    return answer


def test_close_ends_what_is_under_way() -> None:
    """A call waits for its turn, no longer than it may; close ends the one that has it."""
    event = threading.Event()
    with FakeRegistry(Protocol.V20, {Op.GET_CLUSTER: asked(event)}) as fake:
        client = Client.connect(fake.cred)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(client.wait, "web", 2)
            assert event.wait(10)
            with pytest.raises(DeadlineError):
                client.registry(timeout=0.05)
            client.close()
            with pytest.raises(SessionEndedError):
                waiting.result(10)
        with pytest.raises(SessionEndedError):
            client.registry()
        client.close()


def test_close_ends_what_is_under_way_in_asyncio() -> None:
    async def main(fake: FakeRegistry) -> None:
        client = await AsyncClient.connect(fake.cred)
        waiting = asyncio.create_task(client.wait("web", 2))
        assert await asyncio.to_thread(event.wait, 10)
        with pytest.raises(DeadlineError):
            await client.registry(timeout=0.05)
        await client.close()
        with pytest.raises(SessionEndedError):
            await waiting
        with pytest.raises(SessionEndedError):
            await client.registry()
        await client.close()

    event = threading.Event()
    with FakeRegistry(Protocol.V20, {Op.GET_CLUSTER: asked(event)}) as fake:
        asyncio.run(main(fake))


def test_cancelling_ends_the_session() -> None:
    async def main(fake: FakeRegistry) -> None:
        client = await AsyncClient.connect(fake.cred)
        waiting = asyncio.create_task(client.wait("web", 2))
        assert await asyncio.to_thread(event.wait, 10)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(SessionEndedError):
            await client.registry()
        await client.close()

    event = threading.Event()
    with FakeRegistry(Protocol.V20, {Op.GET_CLUSTER: asked(event)}) as fake:
        asyncio.run(main(fake))


def test_cancelling_form_leaves_nothing_open(make_node: MakeNode) -> None:
    async def main(fake: FakeRegistry) -> None:
        node = make_node("m0")
        forming = asyncio.create_task(xlreg.aform(fake.cred, node=node, cluster="web", size=2))
        assert await asyncio.to_thread(event.wait, 10)
        forming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await forming

    event = threading.Event()
    with FakeRegistry(Protocol.V20, {Op.GET_CLUSTER: asked(event)}) as fake:
        asyncio.run(main(fake))
