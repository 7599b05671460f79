"""Opening a session: which protocol, which endpoint, how long to try."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from ._flow import Backoff, Connect, Disconnect, Failures, Flow, Limit, Race, Receive, Send
from ._route import Route
from ._session import ClassicSession, ModernSession, Pin, Session, State, client_context
from ._times import Times
from .errors import (
    HandshakeError,
    NeedsNodeError,
    OriginalRegistryError,
    PrivateKeyError,
    PublicKeyError,
    UnreachableError,
    UntrustedError,
    XlregError,
    doing,
)
from .keys import parse_public_key
from .node import Node
from .regcred import Target
from .ticket import Ticket
from .version import Protocol
from .vocabulary import Endpoint

_PIECE = 16 << 10  # of what is sent: each is a sign of life
_FIRST_PAUSE, _MOST_PAUSE = 0.05, 0.5

log = logging.getLogger("xlreg")


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Options:
    """Which node talks to which registry, and how."""

    target: Target
    node: Node | None = None
    protocol: Protocol | None = None
    now: Callable[[], datetime] = field(default=utc_now)
    times: Times = field(default_factory=Times)
    ticket: Ticket | None = None
    """By which the registry was given, if it was."""
    route: Route = field(default_factory=Route, compare=False)
    """Which of the endpoints to try first."""
    known: bool = False
    """The registry was there before. Whoever looks for it again tells of strangers himself."""
    unnamed: bool = False
    """The node shows no certificate, so that whoever answers does not learn which it is."""
    unknown: bool = False
    """No key is expected: take the one that the registry shows, and ask a person about it."""

    def need_node(self) -> Node:
        """Return the node.

        Raises:
            NeedsNodeError: There is none.
        """
        if self.node is None:
            raise NeedsNodeError
        return self.node

    @property
    def original(self) -> bool:
        """Whether the registry is a server from before 2.0, by its credentials and what is spoken.

        It may have been upgraded since, so whatever is done for an original must work with every other.
        """
        cred = self.target.cred
        classic = self.protocol is not None and self.protocol.classic
        return classic and cred is not None and cred.protocol is not Protocol.V20


class Dialing:
    """What all attempts to open one session have in common."""

    def __init__(self, options: Options) -> None:
        """Choose the protocol, and prepare what the node shows.

        Raises:
            OriginalRegistryError: The credentials are from before 2.0, and no protocol was chosen.
            NeedsNodeError: A classic carrier allows nothing without a node.
            ValueError: The choice is impossible.
        """
        self.options = options
        self.protocol = _choose_protocol(options.target, options.protocol)
        self.shown: bytes | None = None
        self.endpoint = options.target.endpoints[0]  # to which the session leads, once there is one
        node = options.node
        if self.protocol.classic and node is None:
            raise NeedsNodeError(f"protocol {self.protocol}: no node: this client can only read")
        if node is not None:
            _check_keys(node, self.protocol)
        if self.protocol.classic:
            return
        if node is not None and not options.unnamed:
            self.shown = node.certificate(options.now())
        self._context = client_context(self.shown, node.keys.sig if node else None)

    def open(self, limit: Limit) -> Flow[Session]:
        """Try the endpoints, and all of them again after a pause, until the limit ends.

        Raises:
            UntrustedError: A registry is not the one wanted, and no other endpoint leads to that.
            UnreachableError: The limit ended.
        """
        backoff = Backoff(_FIRST_PAUSE, _MOST_PAUSE)
        while True:
            try:
                return (yield from self.open_once(limit))
            except UnreachableError as err:
                failures = err.failures
            if not (yield from backoff.pause(limit)):
                raise UnreachableError(failures, in_time=False) from failures[-1]

    def open_once(self, limit: Limit) -> Flow[Session]:
        """Try each endpoint once, in random order. Those after it do not wait for one that is silent.

        Raises:
            UntrustedError: A registry is not the one wanted, and no other endpoint leads to that.
            UnreachableError: None of them leads to a registry.
        """
        route, times, endpoints = self.options.route, self.options.times, self.options.target.endpoints
        order = route.order(endpoints)
        tries = [self._try(endpoint, limit) for endpoint in order]
        found: tuple[Endpoint, Session] | Failures = yield Race(
            tries, min(times.apart, times.spread / len(tries))
        )
        if not isinstance(found, Failures):
            self.endpoint, session = found
            route.pass_by(order[: order.index(self.endpoint)])
            return session
        if not limit.over():
            route.pass_by(order)
        for failure in found:
            if isinstance(failure, UntrustedError):
                raise failure
        failures = dict(zip(order, found, strict=True))
        told = [failures[endpoint] for endpoint in endpoints]
        raise UnreachableError(told) from told[-1]

    def _try(self, endpoint: Endpoint, limit: Limit) -> Flow[tuple[Endpoint, Session]]:
        try:
            return endpoint, (yield from self._connect(endpoint, limit))
        except XlregError as err:
            strange = isinstance(err, UntrustedError) and not self.options.known
            level = logging.WARNING if strange else logging.DEBUG
            log.log(level, "registry not reached: %s", err)
            raise

    def _connect(self, endpoint: Endpoint, limit: Limit) -> Flow[Session]:
        times = self.options.times
        with doing(endpoint):
            try:
                yield Connect(endpoint, limit.left(times.connect), times.silence)
                return (yield from self._shake(limit.within(times.shaken)))
            except TimeoutError:
                yield Disconnect()
                raise HandshakeError("no answer in time") from None
            except OSError as err:
                yield Disconnect()
                if isinstance(err, XlregError):
                    raise
                raise HandshakeError(err.strerror or str(err)) from err
            except XlregError:
                yield Disconnect()
                raise

    def _shake(self, limit: Limit) -> Flow[Session]:
        session, patience = self._session(), self.options.times.shake
        while session.state is not State.OPEN:
            yield from flush(session, limit, patience)
            session.receive((yield Receive(limit.left(patience))))
        yield from flush(session, limit, patience)
        return session

    def _session(self) -> Session:
        target = self.options.target
        if self.protocol.classic:
            if target.cred is None:
                raise AssertionError("checked by the constructor")
            return ClassicSession(self.protocol, target.cred.comms_key)
        sig_key = target.cred.sig_key if target.cred else None
        if self.options.unknown:
            return ModernSession(Pin(None, sig_key, self.options.now), self._context)
        known = self.options.node.registration(target.fingerprint) if self.options.node else None
        pin = Pin(target.fingerprint, sig_key, self.options.now)
        if known is not None and known.next:
            over = known.next_until is not None and self.options.now() > known.next_until
            pin = replace(pin, next=known.next, overdue=over)
        return ModernSession(pin, self._context)


def flush(session: Session, limit: Limit, patience: float) -> Flow[None]:
    """Send what a session has to send, each piece within so many seconds."""
    data = session.outgoing()
    for at in range(0, len(data), _PIECE):
        yield Send(data[at : at + _PIECE], limit.left(patience))


def _check_keys(node: Node, protocol: Protocol) -> None:
    """Refuse keys that the protocol does not accept, before connecting."""
    for which, key in (("sig", node.keys.sig_key), ("comms", node.keys.comms_key)):
        try:
            parse_public_key(key, protocol.key_bounds)
        except PublicKeyError as err:
            raise PrivateKeyError(f"{which} key is not for protocol {protocol}: {err}") from None


def _choose_protocol(target: Target, chosen: Protocol | None) -> Protocol:
    """Choose what to speak, and never fall back.

    Who can put old credentials or a broken connection in a client's way must not
    gain a carrier without integrity by it.
    """
    if not target.endpoints:
        raise ValueError("registry has no endpoint")
    if chosen is not None and chosen.classic and target.cred is None:
        raise ValueError(f"protocol {chosen} needs the registry's regCred file: a URL has no comms key")
    if chosen is not None:
        return chosen
    cred = target.cred
    if cred is None or cred.protocol is Protocol.V20:
        return Protocol.V20
    text = f"credentials are of a registry older than protocol 2.0 (version {cred.version})"
    raise OriginalRegistryError(
        f"{text}: choose protocol {cred.protocol}, or 2.0 if it has been upgraded since"
    )
