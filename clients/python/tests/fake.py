"""A registry in this process that does as it is told, well or badly."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import Protocol as Interface
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from vectors import rsa_of

from xlreg import Cluster, ClusterID, ClusterState, Keys, Node, NodeID, Protocol, RegCred, Token
from xlreg._codec import Classic, Codec, Framing
from xlreg._wire import xlreg_pb2 as pb
from xlreg._wire.messages import Message, Op
from xlreg._wire.tokens import token_message, token_of
from xlreg.classic import Hello, HelloReply
from xlreg.errors import RegistryError
from xlreg.keys import PrivateKey
from xlreg.sums import roster_sum
from xlreg.testing import shared_keys
from xlreg.vocabulary import decode_set, encode_set, endpoints_of, indexes_of

REGISTRY_KEYS = 90  # which of the shared keys are the registry's
OTHER_KEYS = 91

CLUSTER = Cluster(ClusterID(b"c" * 32), "web", size=2, endpoint_count=1)
STATE = ClusterState(epoch=1, revision=1767355200000)
REGISTRY_ID = NodeID(b"r" * 32)
NODE_ID = NodeID(b"n" * 32)
OTHER_ID = NodeID(b"o" * 32)


class Wire(Interface):
    """A connection, with or without TLS."""

    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> None: ...
    def close(self) -> None: ...


# What a registry answers: a message, bytes that are none, or nothing and then the end.
Answer = Message | bytes | None
Script = dict[Op, Callable[[Message], Answer]]
Handshake = Callable[["FakeRegistry", socket.socket], "tuple[Wire, Codec] | None"]


class SilenceError(Exception):
    """Says that there is no answer, and that the connection stays open."""


def error(err: RegistryError) -> Message:
    """Return the Error that stands for err."""
    raw = pb.XLRegMsg(Op=Op.ERROR, ErrDesc=str(err), ErrCode=err.code)
    if err.retry:
        raw.RetryMillis = round(err.retry * 1000)
    return Message(raw)


def reply(op: Op, **fields: object) -> Message:
    """Return a message with these fields."""
    return Message(pb.XLRegMsg(Op=op, **fields))


def cluster_reply(op: Op, cluster: Cluster = CLUSTER) -> Message:
    """Return a message that holds a cluster."""
    return reply(
        op,
        ClusterID=cluster.id,
        ClusterName=cluster.name,
        ClusterMaxSize=cluster.size,
        ClusterAttrs=int(cluster.attrs),
        EndPointCount=cluster.endpoint_count,
    )


def roster_reply(
    tokens: Iterable[Token], protocol: Protocol, cluster: Cluster = CLUSTER, state: ClusterState = STATE
) -> Message:
    """Return a ClusterMembers with these members, from index 0 on."""
    message, members = cluster_reply(Op.CLUSTER_MEMBERS, cluster), list(enumerate(tokens))
    which = (1 << len(members)) - 1
    for _, token in members:
        raw = token_message(replace(token, digsig=None))
        if token.admission:
            raw.Admission = token.admission
        if token.run:
            raw.Run = token.run
        message.raw.Tokens.append(raw)
    if protocol.classic:
        message.raw.Which = which
        return message
    message.raw.Epoch, message.raw.Revision = state.epoch, state.revision
    message.raw.SeatSet = message.raw.WhichSet = encode_set(which)
    seal(message)
    return message


def seal(message: Message) -> None:
    """Give a ClusterMembers over 2.0 the sum that its members have."""
    raw, protocol = message.raw, Protocol.V20
    indexes = indexes_of(decode_set(raw.WhichSet))
    tokens = [token_of(token, protocol, 1024) for token in raw.Tokens]
    cluster, state = message.cluster(protocol), message.state(protocol)
    raw.Sum = roster_sum(cluster, state, zip(indexes, tokens, strict=False))


_Fake = TypeVar("_Fake", bound="FakeRegistry")


class FakeRegistry:
    """Listens on loopback, and serves one connection after the other in a thread of its own."""

    def __init__(
        self, protocol: Protocol, script: Script | None = None, handshake: Handshake | None = None
    ) -> None:
        self.protocol = protocol
        self.keys = shared_keys(REGISTRY_KEYS)
        self.script: Script = {**self._well_behaved(), **(script or {})}
        self.said: list[int] = []  # the operations that came, in order
        self.tokens: dict[NodeID, Token] = {}
        self._handshake = handshake or (shake_tls if protocol is Protocol.V20 else shake_classic)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def cred(self) -> RegCred:
        port = self._listener.getsockname()[1]
        ends = endpoints_of([f"127.0.0.1:{port}"])
        keys = self.keys
        return RegCred("fake", REGISTRY_ID, keys.comms_key, keys.sig_key, ends, Protocol.V20.version)

    def join(self, node: Node, node_id: NodeID) -> None:
        """Make another node a member."""
        token, _ = node.token(self.protocol, node_id, datetime.now(timezone.utc))
        self.tokens[node_id] = token

    def _well_behaved(self) -> Script:
        return {
            Op.MEMBER: self._member,
            Op.CREATE: lambda m: cluster_reply(Op.CREATE_REPLY),
            Op.JOIN: lambda m: cluster_reply(Op.JOIN_REPLY),
            Op.GET_CLUSTER: lambda m: self.roster(),
            Op.LEAVE: lambda m: reply(Op.LEAVE_REPLY, ClusterID=CLUSTER.id),
            Op.REG_CRED_REQUEST: lambda m: self.reg_cred(self.keys),
            Op.BYE: lambda m: reply(Op.ACK),
        }

    def _member(self, message: Message) -> Message:
        if message.raw.HasField("MemberSpecs"):
            token = token_of(message.raw.MemberSpecs, self.protocol)
            self.tokens[NODE_ID] = replace(token, id=NODE_ID)
        return reply(Op.MEMBER_OK, MemberID=NODE_ID, MemberAttrs=0, MemberName="m0")

    def roster(self) -> Message:
        """Return the members there are."""
        return roster_reply(self.tokens.values(), self.protocol)

    def reg_cred(self, keys: Keys) -> Message:
        """Return a RegCredReply with these keys."""
        token = Token("fake", keys.comms_key, keys.sig_key, self.cred.endpoints, id=REGISTRY_ID)
        raw = pb.XLRegMsg(Op=Op.REG_CRED_REPLY, MemberSpecs=token_message(token), Version=2)
        return Message(raw)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connection = connection
            connection.settimeout(8)  # one that comes while close looks at another must not keep it
            with connection, contextlib.suppress(OSError, RegistryError, SilenceError):
                self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        opened = self._handshake(self, connection)
        if opened is None:
            return
        wire, codec = opened
        try:
            while (message := self._next(wire, codec)) is not None:
                self.said.append(message.op)
                if message.op == Op.JOIN and NODE_ID in self.tokens:
                    self.tokens[NODE_ID] = replace(self.tokens[NODE_ID], run=message.raw.Run)
                answer = self.script[Op(message.op)](message)
                if answer is None:
                    return
                wire.sendall(answer if isinstance(answer, bytes) else codec.encode(answer))
                if message.op == Op.BYE:
                    return
        except SilenceError:
            while wire.recv(1 << 16):
                pass
        finally:
            wire.close()

    def _next(self, wire: Wire, codec: Codec) -> Message | None:
        while (message := codec.next()) is None:
            data = wire.recv(1 << 16)
            if not data:
                return None
            codec.feed(data)
        return message

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for _ in range(200):  # another connection may come just now, and is ended the next time
            if self._connection is not None:
                with contextlib.suppress(OSError):
                    self._connection.shutdown(socket.SHUT_RDWR)
            self._thread.join(0.1)
            if not self._thread.is_alive():
                return
        raise AssertionError("the fake registry does not end")

    def __enter__(self: _Fake) -> _Fake:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


# Handshakes.


def read_hello(fake: FakeRegistry, connection: socket.socket) -> Hello:
    data = b""
    while len(data) < fake.keys.comms.key_size // 8:
        more = connection.recv(1 << 16)
        if not more:  # it gave up before it said anything
            raise ConnectionResetError
        data += more
    return Hello.decrypt(data, rsa_of(fake.keys.comms))


def shake_classic(fake: FakeRegistry, connection: socket.socket) -> tuple[Wire, Codec]:
    """Shake hands as a registry should."""
    hello = read_hello(fake, connection)
    answer = HelloReply.make(hello.protocol)
    connection.sendall(hello.seal(answer))
    return connection, Classic(answer.key2, answer.iv2)


def short_reply(fake: FakeRegistry, connection: socket.socket) -> None:
    """Answer a Hello with less than a whole answer."""
    hello = read_hello(fake, connection)
    connection.sendall(hello.seal(HelloReply.make(hello.protocol))[:-16])


def wrong_salt(fake: FakeRegistry, connection: socket.socket) -> None:
    """Answer a Hello with the salt of another; in 1.9, which repeats none, under another key."""
    hello = read_hello(fake, connection)
    other = (
        replace(hello, salt1=bytes(8)) if hello.protocol is Protocol.V18 else replace(hello, key1=bytes(32))
    )
    connection.sendall(other.seal(HelloReply.make(hello.protocol)))


def wrong_key(fake: FakeRegistry, connection: socket.socket) -> None:
    """Be another registry, which cannot decrypt the Hello and makes something up."""
    connection.recv(1 << 16)
    connection.sendall(os.urandom(80))


def closes(fake: FakeRegistry, connection: socket.socket) -> None:
    """Close before a word is said."""


def talks_nonsense(fake: FakeRegistry, connection: socket.socket) -> None:
    """Speak something else altogether."""
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 4)


def shake_tls(fake: FakeRegistry, connection: socket.socket) -> tuple[Wire, Codec]:
    """Shake hands as a registry should."""
    return _shake_tls(connection, server_context(fake.keys.sig))


def tls_with(make: Callable[[FakeRegistry], ssl.SSLContext]) -> Handshake:
    """Return a handshake with another context than a registry should have."""

    def shake(fake: FakeRegistry, connection: socket.socket) -> tuple[Wire, Codec]:
        return _shake_tls(connection, make(fake))

    return shake


def _shake_tls(connection: socket.socket, context: ssl.SSLContext) -> tuple[Wire, Codec]:
    tls = context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=True)
    return tls, Framing(read_max=64 << 10, write_max=4 << 20)


def server_context(
    signer: PrivateKey,
    *,
    days: int = 7,
    ca: bool = False,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    alpn: str = "xlreg/2",
) -> ssl.SSLContext:
    """Return the TLS of a registry with this sig key, whose leaf is valid for so many days from a day ago."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    if alpn:
        context.set_alpn_protocols([alpn])
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(timezone.utc) - timedelta(days=1)
    leaf = (
        _builder("leaf", now, now + timedelta(days=days))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    root = (
        _builder("fake", now, now + timedelta(days=7))
        .public_key(signer.public_key())
        .sign(signer, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = leaf.public_bytes(serialization.Encoding.PEM) + root.public_bytes(serialization.Encoding.PEM)
    path = Path(os.environ["XLREG_TEST_SCRATCH"], f"{os.urandom(8).hex()}.pem")
    path.write_bytes(pem + chain)
    context.load_cert_chain(path)
    path.unlink()
    return context


def _builder(name: str, begin: datetime, end: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake")]))
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def frame(length: int, data: bytes = b"") -> bytes:
    """Return the beginning of a frame that says it has so many bytes."""
    return struct.pack(">I", length) + data
