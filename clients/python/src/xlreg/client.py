"""The client with blocking calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Concatenate, ParamSpec, TypeVar

from . import _calls, _requests
from ._dial import Dialing
from ._dialogue import Dialogue
from ._flow import Limit, Request, show_as
from ._form import Formed
from ._requests import AnyCluster, AnyTarget, BaseClient
from ._sync import Wire, perform
from .changes import Change
from .errors import DeadlineError, XlregError
from .membership import Membership
from .node import Node
from .roster import Roster
from .version import Protocol

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _call(make: Callable[_P, Request[_T]]) -> Callable[_P, _T]:
    """Return the function that does what make describes."""

    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return perform(make(*args, **kwargs))

    show_as(call, make)
    return call


def _forming(make: Callable[_P, Request[Formed]]) -> Callable[_P, Membership]:
    def call(*args: _P.args, **kwargs: _P.kwargs) -> Membership:
        return Membership(perform(make(*args, **kwargs)))

    show_as(call, make, "Membership")
    return call


def _method(
    make: Callable[Concatenate[BaseClient, _P], Request[_T]],
) -> Callable[Concatenate[Client, _P], _T]:
    """Return the method that asks what make describes."""

    def method(self: Client, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return self._ask(make(self, *args, **kwargs))

    show_as(method, make)
    return method


form = _forming(_calls.form)
resume = _forming(_calls.resume)
wait_members = _call(_calls.wait_members)


def watch(target: AnyTarget, cluster: AnyCluster = None, *, timeout: float | None = None) -> Iterator[Change]:
    """Yield each change of a cluster once, without being a member, through restarts of the registry.

    It begins with all who are there.

    Args:
        target: The registry; or a ticket, by which every member has to be admitted.
        cluster: Its name or ID; with a ticket it need not be said.
        timeout: Seconds after which it ends; None watches for good.

    Raises:
        NoSuchClusterError: There is no such cluster, or it is gone.
        UntrustedError: The registry is not the one that target names.
        BadSignatureError: A member's proof is wrong.

    Example:
        >>> for change in watch("regCred.dat", "web"):      # doctest: +SKIP
        ...     print(change)
    """
    follower, limit, wire = _calls.follower(target, cluster), Limit(timeout), Wire()
    before: Roster | None = None
    try:
        while True:
            now = wire.run(follower.next(limit))
            change = Change.between(before, now)
            if change or before is None:
                yield change
            before = now
    except XlregError:
        if not limit.over():
            raise
    finally:
        wire.close()


class Client(BaseClient):
    """One session with a registry.

    Its methods may be called from any thread. They take turns, since a session carries one
    request at a time: while one waits, so do the others. ``close`` may be called at any
    time, and ends whatever is under way. A call that is abandoned half-way ends the
    session; over a classic carrier, so does every error from the registry. Later calls then
    raise SessionEndedError. A Client is a context manager that closes itself.

    Every method takes a ``timeout`` in seconds. By default an answer may take 30.

    Example:
        >>> with Client.connect("regCred.dat") as client:  # doctest: +SKIP
        ...     for member in client.members("web").members:
        ...         print(member.name, member.verified)
    """

    def __init__(self, dialogue: Dialogue, wire: Wire) -> None:
        """Hold a session; use connect."""
        super().__init__(dialogue)
        self._wire = wire
        self._turn = threading.Lock()

    @classmethod
    def connect(
        cls,
        target: AnyTarget,
        node: Node | None = None,
        *,
        protocol: Protocol | str | None = None,
        timeout: float | None = None,
    ) -> Client:
        """Open a session. It tries all of the registry's endpoints until the time is up.

        Args:
            target: The registry: an ``xlreg://`` line, the name of a regCred file, or credentials.
            node: The node to act as; with None the client can only read, and only over 2.0.
            protocol: What to speak; 2.0, unless "1.9" or "1.8" is chosen.
            timeout: Seconds; by default 30.

        Raises:
            UntrustedError: A registry cannot prove that it is the one wanted.
            UnreachableError: No session could be opened in time.
            OriginalRegistryError: The credentials are from before 2.0, and no protocol was chosen.
            NeedsNodeError: A classic carrier needs a node.
            RegCredError: target is not a registry's line or file.
            OSError: The file cannot be read.
        """
        dialing = Dialing(_requests.options(target, node, protocol))
        wire = Wire()
        try:
            return cls(wire.run(Dialogue.open(dialing, Limit(timeout))), wire)
        except BaseException:
            wire.close()
            raise

    register = _method(_requests.register)
    login = _method(_requests.login)
    create = _method(_requests.create)
    cluster = _method(_requests.cluster)
    join = _method(_requests.join)
    members = _method(_requests.members)
    wait = _method(_requests.wait)
    leave = _method(_requests.leave)
    registry = _method(_requests.registry)
    signed = _method(_requests.signed)
    observed = _method(_requests.observed)

    def close(self) -> None:
        """Say goodbye, wait at most a second for the answer, and end the session. May be called again.

        While a call is under way in another thread it ends that instead.
        """
        if not self._turn.acquire(blocking=False):
            self._wire.give_up()
            return
        try:
            self._wire.run(self._dialogue.close())
        finally:
            self._wire.close()
            self._turn.release()

    def _ask(self, request: Request[_T]) -> _T:
        limit, timeout = Limit(request.timeout), request.timeout
        if not self._turn.acquire(timeout=-1 if timeout is None else max(0.0, timeout)):
            raise DeadlineError("time was up while another call was under way")
        try:
            return self._wire.run(request.flow(limit))
        finally:
            if self._dialogue.ended is not None:
                self._wire.close()
            self._turn.release()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
