"""All errors but those that hold a cluster or a roster; ``errors`` adds these, and draws the tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar


class XlregError(Exception):
    """The root of all errors of this package; see the module for the tree."""

    def __init__(self, text: str = "") -> None:
        """Make an error that reads as text."""
        super().__init__(text)
        self._doing: tuple[str, ...] = ()

    def _text(self) -> str:
        return str(self.args[0]) if self.args else ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it travel between processes, whatever its constructor takes."""
        return _revive, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        """Return one line: what was being done, outermost first, and what went wrong."""
        return ": ".join([*self._doing, self._text()])


def _revive(kind: type[XlregError], args: tuple[Any, ...], state: dict[str, Any]) -> XlregError:
    err = kind.__new__(kind, *args)
    err.args = args
    err.__dict__.update(state)
    return err


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Put what was being done before the text of whatever XlregError passes by."""
    try:
        yield
    except XlregError as err:
        err._doing = (what, *err._doing)
        raise


def quote(text: object) -> str:
    """Return text in double quotes, in one line, fit for an error's text."""
    shown = str(text)[:120]
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else ascii(c)[1:-1] for c in shown) + '"'


class RegistryError(XlregError):
    """An error of one of the kinds of section 5.10, answered by a registry or raised here in its stead.

    Attributes:
        code: The number of the kind.
        kind_text: The text of the kind.
        detail: One phrase about this one case, or empty.
        retry: In how many seconds to try again; 0 if that is not known.
    """

    code: ClassVar[int] = 0
    kind_text: ClassVar[str] = ""

    def __init__(self, detail: str = "", retry: float = 0.0) -> None:
        """Make an error of this kind."""
        super().__init__(detail)
        self.detail = detail
        self.retry = retry

    def _text(self) -> str:
        return f"{self.kind_text}: {self.detail}" if self.detail else self.kind_text


class NoSuchClusterError(RegistryError):
    """There is no such cluster."""


class NoSuchClusterIDError(NoSuchClusterError):
    """No cluster has the ID asked for."""

    code = 1
    kind_text = "cannot find cluster with this ID"


class NoSuchClusterNameError(NoSuchClusterError):
    """No cluster has the name asked for."""

    code = 2
    kind_text = "cannot find cluster with this name"


class MemberIDInUseError(RegistryError):
    """Another member of the cluster has the ID."""

    code = 3
    kind_text = "cluster member id already in use"


class TwinError(MemberIDInUseError):
    """Another process runs as this node, with its key, and has its seat.

    It is a copy of the machine, for example, or a second start of the program.

    Attributes:
        endpoints: Where the other one says that it is.
        joined: When it took the seat, by the registry's clock; None if that is not known.
    """

    def __init__(self, endpoints: Sequence[str] = (), joined: datetime | None = None) -> None:
        """Make the error of what is known about the other one."""
        text = "another process runs as this node, with its key"
        if endpoints:
            text += f", at {endpoints[0]}"
        if joined is not None:
            text += f", and took its seat at {joined:%Y-%m-%dT%H:%M:%SZ}"
        super().__init__(text)
        self.endpoints = tuple(endpoints)
        self.joined = joined

    def _text(self) -> str:
        return self.detail


class TooFewEndpointsError(RegistryError):
    """The node has fewer endpoints than the cluster asks for."""

    code = 4
    kind_text = "cluster members must have at least one endPoint"


class MemberNameInUseError(RegistryError):
    """Another member of the cluster, with another key, has the name."""

    code = 5
    kind_text = "cluster member name already in use"


class IDInUseError(RegistryError):
    """The ID proposed belongs to another key, a cluster or the registry."""

    code = 6
    kind_text = "ID already in use"


class NoClusterNamedError(RegistryError):
    """Neither name nor ID of a cluster given, and no earlier request names one."""

    code = 7
    kind_text = "missing cluster name or ID"


class WrongStateError(RegistryError):
    """The message is not allowed at this point of the session."""

    code = 8
    kind_text = "invalid msg type for current state"


class BadTagError(RegistryError):
    """The message is of a type that does not exist."""

    code = 9
    kind_text = "message tag out of range"


class UnexpectedTypeError(RegistryError):
    """A deployed server's word for WrongStateError."""

    code = 10
    kind_text = "unexpected message type"


class IllFormedTokenError(RegistryError, ValueError):
    """A token breaks a limit or does not parse."""

    code = 11
    kind_text = "ill-formed token"


class BadSignatureError(RegistryError):
    """A signature or certificate does not verify, or the registry does not know the node."""

    code = 12
    kind_text = "signature does not verify"


class ClusterFullError(RegistryError):
    """Every place is taken."""

    code = 13
    kind_text = "cluster is full"


class TooManyRequestsError(RegistryError):
    """A limit of this address is reached."""

    code = 14
    kind_text = "too many requests"


class NotMemberError(RegistryError):
    """The node is not in the cluster."""

    code = 15
    kind_text = "not a member"


class NewEpochError(NotMemberError):
    """The cluster has started anew since the node took its seat, without it: start it again."""


class IdentityRequiredError(RegistryError):
    """A request to write, before the node has registered or logged in."""

    code = 16
    kind_text = "identity required"


class TryLaterError(RegistryError):
    """The registry cannot write at the moment."""

    code = 18
    kind_text = "try again later"


class ProtocolError(RegistryError):
    """What came is no message, or not the one that has to come."""

    code = 19
    kind_text = "protocol error"


class IllFormedNameError(RegistryError, ValueError):
    """A name breaks the rules for names."""

    code = 20
    kind_text = "ill-formed name"


class AdmissionRefusedError(RegistryError):
    """The cluster has an owner, who has not admitted this node, or has banned it."""

    code = 21
    kind_text = "admission refused"


class OrdersChangedError(RegistryError):
    """Another order of the owner came first.

    Attributes:
        orders: How many orders are done.
    """

    code = 22
    kind_text = "orders have changed"

    def __init__(self, detail: str = "", retry: float = 0.0, orders: int = 0) -> None:
        """Make the error, with the number of orders that are done."""
        super().__init__(detail, retry)
        self.orders = orders


class RegistryFullError(RegistryError):
    """A bound of the registry is reached: of its nodes or clusters, or of what it keeps for one cluster."""

    code = 23
    kind_text = "registry is full"


class KeyNotAdmittedError(RegistryError):
    """The registry admits some keys only, and this node's is none of them."""

    code = 24
    kind_text = "key is not admitted"


class DeadlineError(XlregError, TimeoutError):
    """The time given was up."""


class UnreachableError(DeadlineError):
    """No session with the registry could be had.

    Attributes:
        failures: What the last try at each endpoint failed with.
    """

    def __init__(self, failures: Sequence[Exception], in_time: bool = True) -> None:
        """Make the error of the failures of the last round; in_time if there is time for another."""
        super().__init__("; ".join([*([] if in_time else ["time is up"]), *(str(f) for f in failures)]))
        self.failures = tuple(failures)


class HandshakeError(XlregError):
    """No session came about: the other end is no registry, speaks something else, or refuses this client."""


class NotARegistryError(HandshakeError):
    """A server of something else answers: in plain text, for example, or over TLS without protocol 2.0."""


class ClockError(HandshakeError):
    """This machine's clock is so far behind that the registry's certificate is not valid yet."""


class UntrustedError(HandshakeError):
    """The registry could not prove to be the one wanted."""


class SessionEndedError(XlregError, ConnectionError):
    """The session with the registry is over: connect again.

    The connection broke, a call was given up in the middle, the client was
    closed, or the registry ended it with an error.
    """


class ClosedError(XlregError):
    """The membership was closed."""

    def __init__(self, text: str = "the membership was closed") -> None:
        """Make the error."""
        super().__init__(text)


class OriginalRegistryError(XlregError):
    """The credentials are of a registry from before 2.0, and no classic protocol was chosen."""


class NeedsNodeError(XlregError):
    """A client without a node can only read."""

    def __init__(self, text: str = "no node: this client can only read") -> None:
        """Make the error."""
        super().__init__(text)


class NotRegisteredError(XlregError):
    """The node has no ID from this registry yet."""

    def __init__(self, text: str = "node is not registered with this registry") -> None:
        """Make the error."""
        super().__init__(text)


class Needs20Error(XlregError):
    """Classic carriers cannot carry what was asked."""

    def __init__(self, text: str = "needs protocol 2.0") -> None:
        """Make the error."""
        super().__init__(text)


class NeedsRSAError(XlregError):
    """Classic carriers know RSA keys only."""

    def __init__(self, text: str = "a classic carrier needs an RSA key, and this node's is on P-256") -> None:
        """Make the error."""
        super().__init__(text)


class NotOwnerError(XlregError):
    """Only the owner of a cluster can do that."""

    def __init__(self, text: str = "only the owner's ticket can do this") -> None:
        """Make the error."""
        super().__init__(text)


class DocumentError(XlregError):
    """A signed roster is not what it has to be, or not signed by the registry that is known."""


class SavedRosterError(XlregError):
    """A saved roster is not what it has to be, or not for this node to start from."""


class UnverifiedError(XlregError):
    """Members have proved nothing: they registered over a classic carrier, or were read over one."""


class StrangerError(XlregError):
    """The other end of a TLS connection is not one of the other members."""


class AddressError(XlregError, ValueError):
    """An address cannot be registered, because nobody could reach the node there."""


class FormatError(XlregError, ValueError):
    """Some bytes or text do not have the form that they must have."""


class IDError(FormatError):
    """Not an ID: 20 or 32 bytes, 40 or 64 hex digits."""


class EndpointError(FormatError):
    """Not an endpoint: host:port."""


class VersionError(FormatError, RuntimeError):
    """Not a version: two to four numbers of 0 to 255."""


class PublicKeyError(FormatError):
    """Not a public key of an allowed kind and size, in its one form."""


class PrivateKeyError(FormatError):
    """Not a private key that can be used."""


class FingerprintError(FormatError):
    """Not a fingerprint: SHA256: and 43 characters of base64."""


class TicketError(FormatError):
    """Not a ticket, or not one for this. The text shows nothing of it that may be secret."""

    def __str__(self) -> str:
        """Return one line that says so."""
        return ": ".join([*self._doing, f"ticket: {self._text()}"])


class CertificateError(FormatError):
    """A certificate is not of the form that it must have."""


class RegCredError(FormatError, RuntimeError):
    """Not the credentials of a registry; ``line`` is where, if it is one of a file.

    Attributes:
        line: The number of the line at fault, from 1; 0 if there is none.
    """

    def __init__(self, text: str = "", line: int = 0) -> None:
        """Make the error, with the line at fault."""
        super().__init__(f"line {line}: {text}" if line else text)
        self.line = line


class NodeError(XlregError):
    """A node's directory cannot be used; the text names the file and the remedy."""


class NodeExistsError(NodeError):
    """A directory already holds a node."""


class NoNodeError(NodeError):
    """A directory holds no node."""


class NodeInUseError(NodeError):
    """Another process, or another part of this one, writes to the directory."""


class NodeReadOnlyError(NodeError):
    """A change was asked of a node that was loaded for reading, or is closed."""
