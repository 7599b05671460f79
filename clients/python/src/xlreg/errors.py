"""What can go wrong.

    XlregError
    ├── RegistryError                     one of the kinds that travel; has code, detail, retry
    │   ├── NoSuchClusterError
    │   │   ├── NoSuchClusterIDError       1
    │   │   └── NoSuchClusterNameError     2
    │   ├── MemberIDInUseError             3
    │   │   └── TwinError                     another process has this node's seat; has endpoints, joined
    │   ├── TooFewEndpointsError           4
    │   ├── MemberNameInUseError           5
    │   ├── IDInUseError                   6
    │   ├── NoClusterNamedError            7
    │   ├── WrongStateError                8
    │   ├── BadTagError                    9
    │   ├── UnexpectedTypeError           10
    │   ├── IllFormedTokenError           11   also a ValueError
    │   ├── BadSignatureError             12
    │   ├── ClusterFullError              13
    │   ├── TooManyRequestsError          14   retry says when to come back
    │   ├── NotMemberError                15
    │   │   └── NewEpochError                 the cluster has started anew without this member
    │   ├── IdentityRequiredError         16
    │   ├── ClusterSizeError              17   never sent: raised here; has cluster
    │   ├── TryLaterError                 18   retry says when to come back
    │   ├── ProtocolError                 19
    │   ├── IllFormedNameError            20   also a ValueError
    │   ├── AdmissionRefusedError         21
    │   ├── OrdersChangedError            22   has orders
    │   ├── RegistryFullError             23   retry says when to come back
    │   └── KeyNotAdmittedError           24
    ├── DeadlineError                     time was up; also a TimeoutError
    │   ├── UnreachableError               no session with the registry; has failures
    │   └── IncompleteError                members are missing; says who is there
    ├── HandshakeError                    no session came about
    │   ├── NotARegistryError              a server of something else answers
    │   ├── ClockError                     this machine's clock is behind the registry's
    │   └── UntrustedError                 the registry is not the one wanted
    ├── SessionEndedError                 the session is over: connect again; also a ConnectionError
    ├── ClosedError                       the membership was closed
    ├── OriginalRegistryError             old credentials, and no classic protocol was chosen
    ├── NeedsNodeError                    a client without a node can only read
    ├── NotRegisteredError                the node has no ID from this registry
    ├── Needs20Error                      a classic carrier cannot carry that
    ├── NeedsRSAError                     a classic carrier knows RSA keys only
    ├── NotOwnerError                     only the owner's ticket can do that
    ├── OtherRosterError                  another member sees another cluster; has name
    ├── DocumentError                     a signed roster does not hold
    ├── SavedRosterError                  a saved roster does not hold
    ├── UnverifiedError                   members have proved nothing
    ├── StrangerError                     the other end of a connection is no member of the cluster
    ├── AddressError                      nobody could reach the node there; also a ValueError
    ├── FormatError                       bytes or text of the wrong form; also a ValueError
    │   ├── IDError
    │   ├── EndpointError
    │   ├── VersionError                   also a RuntimeError, as it used to be
    │   ├── PublicKeyError
    │   ├── PrivateKeyError
    │   ├── FingerprintError
    │   ├── TicketError
    │   ├── CertificateError
    │   └── RegCredError                   also a RuntimeError, as it used to be
    └── NodeError                         a node's directory: says which file, and the remedy
        ├── NodeExistsError
        ├── NoNodeError
        ├── NodeInUseError
        └── NodeReadOnlyError

Only ``XlregError`` and the built-in ``ValueError`` (an argument that makes no
sense), ``OSError`` (a file that cannot be read) and ``TypeError`` come out of
this package.

Example:
    >>> try:
    ...     raise ClusterFullError("all 3 places are taken")
    ... except RegistryError as err:
    ...     print(err.code, err)
    13 cluster is full: all 3 places are taken
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ._errors import *  # noqa: F403  # what is public there is public here
from ._errors import DeadlineError, RegistryError, XlregError, quote
from .compared import Comparison
from .roster import Roster
from .vocabulary import Cluster


class ClusterSizeError(RegistryError):
    """The cluster exists with another size than asked for; ``cluster`` is what exists."""

    code = 17
    kind_text = "cluster has another size"

    def __init__(self, detail: str = "", retry: float = 0.0, cluster: Cluster | None = None) -> None:
        """Make the error, with the cluster if it is known."""
        super().__init__(detail, retry)
        self.cluster = cluster


class IncompleteError(DeadlineError):
    """The wait for a cluster's members ended before all of them were there.

    Attributes:
        roster: Who had joined when last heard, each with endpoints and the time
            of joining; None if nothing was heard.
        size: How many members were waited for; 0 if that was not known yet.
        missing: How many had not joined, as far as is known.
        cause: What stood in the way besides absent members, or None.
        joined: Whether the node itself had joined; None if it was not to.
        index: Its index; None if it has not joined or no roster has shown it yet.
        silent: For how many seconds the registry had not been heard; None if it never was.
    """

    def __init__(
        self,
        roster: Roster | None,
        size: int,
        cause: Exception | None = None,
        *,
        joined: bool | None = None,
        index: int | None = None,
        silent: float | None = None,
    ) -> None:
        """Make the error from what is known when the time is up."""
        self.roster = roster
        self.size = size
        self.cause = cause
        self.joined = joined
        self.index = index
        self.silent = silent
        super().__init__(self._describe())

    @property
    def missing(self) -> int:
        """How many members had not joined, as far as is known."""
        there = len(self.roster.members) if self.roster else 0
        return max(0, self.size - there)

    def _describe(self) -> str:
        facts = ["time is up"]
        if self.joined is not None:
            seat = "" if self.index is None else f" with index {self.index}"
            facts.append(f"this node joined{seat}" if self.joined else "this node has not joined")
        heard = "never heard" if self.silent is None else f"last heard {self.silent:.1f} s ago"
        facts.append(f"registry {heard}")
        if self.cause is not None:
            facts.append(str(self.cause))
        if self.roster is not None and self.roster.members:
            facts.append("joined: " + ", ".join(member.describe() for member in self.roster.members))
        return f"{self._count()}: " + "; ".join(facts)

    def _count(self) -> str:
        if self.roster is None:
            return f"{self.size} members wanted" if self.size else "cluster not found yet"
        text = f"{len(self.roster.members)} of {self.size} members joined, {self.missing} missing"
        free = self.roster.free
        if not free or len(free) != self.missing:
            return text
        return f"{text} (index {_ranges(free)})"


def _ranges(numbers: Sequence[int]) -> str:
    """Return numbers in ascending order as people write them: 2, 5-7."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _below(base: type[XlregError]) -> Iterator[type[XlregError]]:
    yield base
    for kind in base.__subclasses__():
        yield from _below(kind)


KINDS: dict[int, type[RegistryError]] = {}
"""Every kind by its code."""

for _kind in sorted(set(_below(XlregError)), key=lambda kind: getattr(kind, "code", 0)):
    _kind.__module__ = __name__  # where users find it, and where unpickling looks for it
    if issubclass(_kind, RegistryError) and vars(_kind).get("code"):
        KINDS[_kind.code] = _kind


class OtherRosterError(XlregError):
    """Another member sees another cluster at the same revision: their registry shows them different ones.

    Attributes:
        name: The name of the other member; of several the first.
        comparison: What all of them see.
    """

    def __init__(self, comparison: Comparison) -> None:
        """Make the error, of a comparison with another in it."""
        first, roster = comparison.other[0], comparison.roster
        super().__init__(
            f"{quote(first.member.name)} sees another cluster at revision {first.revision}: "
            f"sum {first.short_sum}, here it is {roster.short_sum}"
        )
        self.name, self.comparison = first.member.name, comparison
