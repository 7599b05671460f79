"""The client's end of a session with a registry, without a socket.

As in h11, bytes that came are given to ``receive``, bytes to send are taken from
``outgoing``, and ``next_message`` returns what the registry said. TLS runs on
memory as well, so all of a session can be tested on bytes.

    SHAKING ──────────────► OPEN ──► CLOSING ──► ENDED
       └────► PINNING ────────┘

A classic session shakes hands with a Hello and its reply, one over 2.0 with TLS.
PINNING asks for the registry's key where Python hides the certificate that has it.
CLOSING is the end of a registry that has hung up, while what it said last is still
to be read. Each state can also end at once. The table ``_NEXT`` says all of this.
"""

from __future__ import annotations

import enum
import os
import ssl
import tempfile
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from . import _codec
from ._chain import NextKey, check_chain, find_key, is_signed
from ._wire.messages import Message, Op
from ._wire.requests import new_reg_cred_request
from .certificate import load
from .classic import Hello
from .errors import (
    HandshakeError,
    NotARegistryError,
    ProtocolError,
    SessionEndedError,
    TooManyRequestsError,
    UntrustedError,
    XlregError,
)
from .keys import PrivateKey, fingerprint, parse_rsa_key
from .version import Protocol
from .vocabulary import CommsKey, SigKey

ALPN = "xlreg/2"
_READ = 64 << 10


class State(enum.Enum):
    """Where a session stands."""

    SHAKING = "shaking hands"
    PINNING = "asking for the registry's key"
    OPEN = "open"
    CLOSING = "closed by the registry, and not yet read to its end"
    ENDED = "over"


_NEXT = {
    State.SHAKING: {State.PINNING, State.OPEN, State.ENDED},
    State.PINNING: {State.OPEN, State.ENDED},
    State.OPEN: {State.CLOSING, State.ENDED},
    State.CLOSING: {State.ENDED},
    State.ENDED: {State.ENDED},
}
"""From each state, where a session can go."""

_SAYING = {State.PINNING, State.OPEN, State.CLOSING}
"""Where a message can be sent; once the registry has hung up, it goes nowhere."""

_HEARING = {State.OPEN, State.CLOSING}
"""Where there may be one to return; while pinning the only answer is the session's own."""


class _Stateful:
    """Where a session stands, and that it goes where the table says and nowhere else."""

    def __init__(self) -> None:
        self.state = State.SHAKING

    def _go(self, state: State) -> None:
        if state not in _NEXT[self.state]:
            raise AssertionError(f"session goes from {self.state.name} to {state.name}")
        self.state = state

    def _must(self, states: Set[State]) -> None:
        if self.state not in states:
            raise AssertionError(f"session is {self.state.value}")


class ClassicSession(_Stateful):
    """A session over 1.8 or 1.9."""

    next_key: NextKey | None = None
    """Over a classic carrier a registry proves nothing."""

    def __init__(self, protocol: Protocol, comms_key: CommsKey) -> None:
        """Begin with a Hello under the registry's comms key."""
        super().__init__()
        self.protocol = protocol
        self.salt2 = b""
        self._hello = Hello.make(protocol)
        self._out = self._hello.encrypt(parse_rsa_key(comms_key))
        self._reply = b""
        self._codec = _codec.Classic(b"")  # replaced by the reply's, when that comes

    def receive(self, data: bytes) -> None:
        """Take bytes that came; none at all says that the registry closed.

        Raises:
            HandshakeError: The reply does not answer the Hello, so there is no session.
            SessionEndedError: The registry closed the open session.
        """
        if not data:
            self._closed()
        if self.state is State.SHAKING:
            data = self._shake(data)
        if self.state is State.OPEN:
            self._codec.feed(data)

    def _closed(self) -> None:
        shaking = self.state is State.SHAKING
        self._go(State.ENDED)
        if shaking:
            raise HandshakeError("read hello reply: closed by the registry")
        raise SessionEndedError("session closed by the registry")

    def _shake(self, data: bytes) -> bytes:
        """Read the reply, and return what came behind it."""
        self._reply += data
        length = self._hello.reply_length
        if len(self._reply) < length:
            return b""
        try:
            reply = self._hello.open(self._reply[:length])
        except HandshakeError:
            self._go(State.ENDED)
            raise
        self._codec = _codec.Classic(reply.key2, reply.iv2)
        self.salt2 = reply.salt2
        self._go(State.OPEN)
        return self._reply[length:]

    def send(self, message: Message) -> None:
        """Say a message, once open."""
        self._must(_SAYING)
        self._out += self._codec.encode(message)

    def outgoing(self) -> bytes:
        """Return the bytes to send, once."""
        data, self._out = self._out, b""
        return data

    def next_message(self) -> Message | None:
        """Return what the registry said next, or None while that is not there."""
        return self._codec.next() if self.state in _HEARING else None

    @property
    def partial(self) -> bool:
        """Whether a message has begun to come."""
        return self._codec.partial


@dataclass(frozen=True)
class Pin:
    """The identity that a client wants its registry to prove.

    Attributes:
        fingerprint: That of the registry's sig key; None takes whatever key it shows.
        sig_key: The key itself, if it is known.
        now: The time, for the certificate's dates.
        next: The fingerprint of the key that follows, if that is known; empty otherwise.
        overdue: Whether the registry is known by the next key alone by now.
    """

    fingerprint: str | None
    sig_key: SigKey | None
    now: Callable[[], datetime]
    next: str = ""
    overdue: bool = False

    def find(self, chain: Sequence[bytes], told: SigKey | None = None) -> list[SigKey]:
        """Return the keys of the registry that are known, as far as they can be found.

        Args:
            chain: The certificates that the registry shows.
            told: The key that it says is its own.
        """
        found = [self.sig_key] if self.sig_key and not self.overdue else []
        wanted = {self.next} if self.overdue or self.sig_key else {self.fingerprint, self.next}
        for print_ in filter(None, wanted):
            key = find_key(chain, print_)
            if key is None and told is not None and fingerprint(told) == print_:
                key = told
            found += [key] if key is not None else []
        if self.fingerprint is None and told is not None:
            found.append(told)
        return found


class ModernSession(_Stateful):
    """A session over 2.0."""

    protocol = Protocol.V20
    salt2 = b""

    def __init__(self, pin: Pin, context: ssl.SSLContext) -> None:
        """Begin with a ClientHello."""
        super().__init__()
        self._pin = pin
        self._in, self._network = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._network, server_side=False)
        self._codec = _codec.Framing()
        self._met = False  # the registry has sent something inside TLS
        self.sig_key: SigKey | None = None  # that the registry has proved to hold, once open
        self.next_key: NextKey | None = None  # the same, if another key than the one known vouches for it
        self._why: XlregError = SessionEndedError("session closed by the registry")
        self._shake()

    def receive(self, data: bytes) -> None:
        """Take bytes that came; none at all says that the registry closed.

        Raises:
            HandshakeError: The handshake failed, or the registry refuses this client's certificate.
            UntrustedError: The registry is not the one wanted.
            ProtocolError: What arrived is not a message.
        """
        try:
            if data:
                self._in.write(data)
            else:
                self._in.write_eof()
            if self.state is State.SHAKING:
                self._shake()
            if self.state in (State.PINNING, State.OPEN):
                self._read()
        except XlregError:
            self._go(State.ENDED)
            raise

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as err:
            raise _handshake_error(err) from None
        if self._tls.selected_alpn_protocol() != ALPN:
            raise NotARegistryError(f"the other end does not speak {ALPN}")
        chain = self._shown()
        keys = self._pin.find(chain)
        if len(chain) == 1 and not self._is_signed(chain[0], keys):
            # This platform hides the chain: it is asked for, before anything else.
            self._go(State.PINNING)
            self._say(new_reg_cred_request())
            return
        self._check(chain, keys)

    def _shown(self) -> list[bytes]:
        """Return the certificates that the registry shows; where Python hides them (before 3.13) the leaf."""
        leaf = self._tls.getpeercert(binary_form=True)
        if leaf is None:
            raise UntrustedError("no certificate")
        return self._chain_shown() or [leaf]

    def _chain_shown(self) -> list[bytes]:
        """Return the whole chain, where Python shows that and it is of use."""
        unverified = getattr(self._tls, "get_unverified_chain", None)
        return [] if unverified is None or self._pin.fingerprint is None else list(unverified())

    def _is_signed(self, leaf: bytes, keys: Sequence[SigKey]) -> bool:
        """Report whether one of the keys signed the leaf, so that no other certificate is needed."""
        try:
            return any(is_signed(load(leaf), parse_rsa_key(key)) for key in keys)
        except XlregError as err:
            raise UntrustedError(f"registry's certificate: {err}") from None

    def _learn_key(self) -> None:
        message = self._codec.next()
        if message is None:
            return
        error = message.error()
        if isinstance(error, TooManyRequestsError):
            raise HandshakeError(f"refused by the registry: {error}")
        if message.op != Op.REG_CRED_REPLY:
            raise UntrustedError(f"{message.name} instead of the registry's key")
        try:
            told = message.registry().sig_key
        except ProtocolError as err:
            raise UntrustedError(str(err)) from None
        leaf, chain = self._shown()[0], list(message.raw.Chain)
        if chain and chain[0] != leaf:
            raise UntrustedError("the registry tells of another certificate than it shows")
        self._check(chain or [leaf], self._pin.find(chain, told))

    def _check(self, chain: Sequence[bytes], keys: Sequence[SigKey]) -> None:
        failure: HandshakeError = UntrustedError(
            f"no certificate has a key with fingerprint {self._pin.fingerprint}"
        )
        for key in keys:
            try:
                self.next_key = check_chain(chain, key, self._pin.now())
            except HandshakeError as err:
                failure = err
                continue
            self.sig_key = self.next_key.sig_key if self.next_key else key
            self._go(State.OPEN)
            return
        raise failure

    def _read(self) -> None:
        """Read all that came, and if the registry closed behind it, keep why."""
        closed = self._decrypt()
        if self.state is State.PINNING:
            self._learn_key()
        if not closed:
            return
        if self.state is State.PINNING:
            raise self._why
        self._go(State.CLOSING)

    def _decrypt(self) -> bool:
        """Feed the codec, and report whether the registry closed."""
        while True:
            try:
                data = self._tls.read(_READ)
            except ssl.SSLWantReadError:
                return False
            except ssl.SSLError as err:
                self._why = self._broken(err)
                return True
            if not data:
                self._why = self._broken(None)
                return True
            self._met = True
            self._codec.feed(data)

    def _broken(self, err: ssl.SSLError | None) -> XlregError:
        # In TLS 1.3 a client is done before the server has seen its certificate.
        if err is not None and _refuses(err) and not self._met:
            return HandshakeError(f"refused by the registry: {_reason(err)}")
        if self.state is State.PINNING:
            return HandshakeError("closed by the registry before it told its key")
        return self._why

    def send(self, message: Message) -> None:
        """Say a message, once open."""
        self._must(_SAYING)
        if self.state is not State.CLOSING:
            self._say(message)

    def _say(self, message: Message) -> None:
        self._tls.write(self._codec.encode(message))

    def outgoing(self) -> bytes:
        """Return the bytes to send, once."""
        return self._network.read()

    def next_message(self) -> Message | None:
        """Return what the registry said next, or None while that is not there.

        Raises:
            ProtocolError: What arrived is not a message.
            SessionEndedError: The registry closed the session, and all that it had said was returned.
        """
        message = self._codec.next() if self.state in _HEARING else None
        if message is None and self.state is State.CLOSING:
            self._go(State.ENDED)
            raise self._why
        return message

    @property
    def partial(self) -> bool:
        """Whether a message has begun to come."""
        return self._codec.partial


Session = ClassicSession | ModernSession


def _reason(err: ssl.SSLError) -> str:
    return (err.reason or "connection closed").lower().replace("_", " ")


_REFUSALS = (
    "ACCESS_DENIED",
    "BAD_CERTIFICATE",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REQUIRED",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_UNKNOWN",
    "UNKNOWN_CA",
    "UNSUPPORTED_CERTIFICATE",
)


def _refuses(err: ssl.SSLError) -> bool:
    """Report whether an alert refuses this client's certificate; all others say that something broke."""
    reason = err.reason or ""
    return "ALERT" in reason and reason.endswith(_REFUSALS)


_FOREIGN = (
    "ALERT_NO_APPLICATION_PROTOCOL",
    "ALERT_PROTOCOL_VERSION",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "UNSUPPORTED_PROTOCOL",
    "WRONG_VERSION_NUMBER",
)
"""What OpenSSL says of a server of something else: that it does not speak TLS, or not as a registry does."""


def _handshake_error(err: ssl.SSLError) -> HandshakeError:
    if err.reason in ("BAD_SIGNATURE", "WRONG_SIGNATURE_TYPE"):
        return UntrustedError("the registry does not hold the key of its certificate")
    foreign = (err.reason or "").endswith(_FOREIGN)
    return (NotARegistryError if foreign else HandshakeError)(f"TLS: {_reason(err)}")


def client_context(certificate: bytes | None, key: PrivateKey | None) -> ssl.SSLContext:
    """Return what a 2.0 session runs on: TLS 1.3 and no system roots, since the session checks the registry.

    Args:
        certificate: What the client shows, in DER; None to only read.
        key: The key of that certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([ALPN])
    if certificate is not None and key is not None:
        load_pair(context, certificate, key)
    return context


def load_pair(context: ssl.SSLContext, certificate: bytes, key: PrivateKey) -> None:
    """Give a context a certificate and its key, which it takes from a file only.

    On the way the key is in a file that none but this user can read, and under a
    password that is never written.
    """
    password = os.urandom(32).hex().encode()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    )
    with tempfile.TemporaryDirectory(prefix="xlreg-") as folder:
        path = Path(folder, "pair.pem")
        path.touch(mode=0o600)
        path.write_bytes(pem + ssl.DER_cert_to_PEM_cert(certificate).encode())
        context.load_cert_chain(path, password=password)
