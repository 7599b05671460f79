"""A node's place in a cluster that is complete."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from . import _async, _sync
from ._flow import Limit, Request
from ._form import Formed
from ._membership import BaseMembership
from .changes import Change
from .compared import Comparison
from .comparison import ALPN, Seen, framing
from .errors import (
    ClosedError,
    XlregError,
)
from .roster import Member, Roster

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter


class Membership(BaseMembership):
    """A node's place in a cluster that form made complete.

    Without a lease it holds no connection: the registry is called when it is asked
    something. With one, and while somebody watches, a thread follows the cluster until
    ``close``. It is a context manager that closes itself.

    Example:
        >>> for member in membership.others:            # doctest: +SKIP
        ...     print(member.index, member.name, member.endpoints[0])
    """

    def __init__(self, formed: Formed) -> None:
        """Hold a place; use form."""
        super().__init__(formed)
        self._bell = _sync.Bell()
        self._turn = threading.Lock()  # held by whoever starts or stops the thread
        self._work: _sync.Background | None = None
        if self.lease or self._again is not None:
            self._acquire()

    def _ring(self) -> None:
        self._bell.ring()

    def _acquire(self) -> None:
        """Have the cluster followed until release."""
        with self._turn:
            if self._closed:
                raise ClosedError
            if self._work is None and self._fate is None:
                self._work = _sync.Background(self._follow(), self._ended)
            self._users += 1

    def _release(self) -> None:
        with self._turn:
            self._users -= 1
            if not self._users and not self._closed:
                self._stop()

    def _stop(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work.stop()

    def watch(self, timeout: float | None = None) -> Iterator[Change]:
        """Yield each change of the cluster once, through reconnects and restarts of the registry.

        It begins with what is different from the roster that form returned. Changes that come
        quickly one after another may come as one. ``roster`` and the contexts of
        ``server_context`` have a change already when it is yielded.

        Args:
            timeout: Seconds after which it ends; None watches for good.

        Raises:
            TwinError: Another process with the node's key has taken its seat.
            NewEpochError: The cluster has started anew.
            NotMemberError: The node left, was evicted, or lost its lease.
            NoSuchClusterError: The cluster is gone.
            ClosedError: The membership was closed.
            Needs20Error: Over a classic carrier there is nothing to watch.

        Example:
            >>> for change in membership.watch():       # doctest: +SKIP
            ...     print(change)
        """
        limit, seen = Limit(timeout), self._formed
        self._acquire()
        try:
            while True:
                count = self._bell.count
                change = self._news(seen)
                if change is not None:
                    seen = change.roster
                    if change:
                        yield change
                elif not self._bell.wait(count, None if timeout is None else limit.left()):
                    return
        finally:
            self._release()

    def refresh(self, timeout: float | None = None) -> Roster:
        """Ask the registry for the current members, keep the roster, and return it.

        Args:
            timeout: Seconds; by default 30 for each step.

        Raises:
            NotMemberError: The node itself is no longer in it; what was known before is kept.
            TwinError: Another process has its seat.
            XlregError: See Client.connect, login and members.
        """
        return _sync.perform(Request(self._refresh, timeout))

    def leave(self, timeout: float | None = None) -> None:
        """Give up the node's place, and close the membership. The roster stays as it was.

        Args:
            timeout: Seconds; by default 30 for each step.

        Raises:
            NotMemberError: The node is not in the cluster.
            Needs20Error: Over a classic carrier there is no leaving.
            XlregError: See Client.connect and login.
        """
        self.close()
        _sync.perform(Request(self._leave, timeout))

    def compare(self, timeout: float = 10.0) -> Comparison:
        """Ask every other member, over mutual TLS and without the registry, what it sees of the cluster.

        A registry could show each of them another one. It asks at the first endpoint of
        each, and takes a newer revision from the registry, once, if somebody has one.

        Args:
            timeout: Seconds for each of them.

        Raises:
            OtherRosterError: One sees another cluster at the same revision; it names it, and has
                the whole comparison.
            UnverifiedError: Members have no certificate to be known by.
        """
        seen = self._ask_all(timeout)
        if self._is_behind(seen.values()):
            self.refresh(timeout)
            seen = self._ask_all(timeout)
        return self._compared(seen)

    def _ask_all(self, timeout: float) -> dict[Member, Seen | XlregError]:
        others = self.others
        answers = _sync.perform_all(self._questions(others, timeout))
        return dict(zip(others, answers, strict=True))

    def serve_sum(self, connection: ssl.SSLSocket, timeout: float = 10.0) -> bool:
        """Answer another member that compares; False, at once, if the connection is for something else.

        It returns when the other end has closed, or said nothing for so many seconds.

        Example:
            >>> tls = context.wrap_socket(connection, server_side=True)  # doctest: +SKIP
            >>> if not membership.serve_sum(tls):                       # doctest: +SKIP
            ...     serve(tls)
        """
        if connection.selected_alpn_protocol() != ALPN:
            return False
        codec = framing()
        with contextlib.suppress(OSError, XlregError), connection:
            connection.settimeout(timeout)
            while data := connection.recv(1 << 16):
                codec.feed(data)
                while (question := codec.next()) is not None:
                    connection.sendall(codec.encode(self._answer(question)))
        return True

    def close(self) -> None:
        """End what goes on in the background, and wait for that. May be called again.

        The place stays until its lease runs out, or for good: leave gives it up.
        """
        with self._turn:
            self._closed = True
            self._stop()
        self._ring()

    def __enter__(self) -> Membership:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncMembership(BaseMembership):
    """A node's place in a cluster that aform made complete; see Membership. A task follows the cluster."""

    def __init__(self, formed: Formed) -> None:
        """Hold a place; use aform."""
        super().__init__(formed)
        self._bell = _async.Bell()
        self._work: _async.Background | None = None
        if self.lease or self._again is not None:
            self._acquire()

    def _ring(self) -> None:
        self._bell.ring()

    def _acquire(self) -> None:
        if self._closed:
            raise ClosedError
        if self._work is None and self._fate is None:
            self._work = _async.Background(self._follow(), self._ended)
        self._users += 1

    async def _release(self) -> None:
        self._users -= 1
        if not self._users and not self._closed:
            await self._stop()

    async def _stop(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            await work.stop()

    async def watch(self, timeout: float | None = None) -> AsyncIterator[Change]:
        """Yield each change of the cluster once; see Membership.watch."""
        limit, seen = Limit(timeout), self._formed
        self._acquire()
        try:
            while True:
                count = self._bell.count
                change = self._news(seen)
                if change is not None:
                    seen = change.roster
                    if change:
                        yield change
                elif not await self._bell.wait(count, None if timeout is None else limit.left()):
                    return
        finally:
            await self._release()

    async def refresh(self, timeout: float | None = None) -> Roster:
        """Ask the registry for the current members; see Membership.refresh."""
        return await _async.perform(Request(self._refresh, timeout))

    async def leave(self, timeout: float | None = None) -> None:
        """Give up the node's place; see Membership.leave."""
        await self.close()
        await _async.perform(Request(self._leave, timeout))

    async def compare(self, timeout: float = 10.0) -> Comparison:
        """Ask every other member what it sees of the cluster; see Membership.compare."""
        seen = await self._ask_all(timeout)
        if self._is_behind(seen.values()):
            await self.refresh(timeout)
            seen = await self._ask_all(timeout)
        return self._compared(seen)

    async def _ask_all(self, timeout: float) -> dict[Member, Seen | XlregError]:
        others = self.others
        answers = await _async.perform_all(self._questions(others, timeout))
        return dict(zip(others, answers, strict=True))

    async def serve_sum(self, reader: StreamReader, writer: StreamWriter, timeout: float = 10.0) -> bool:
        """Answer another member that compares; see Membership.serve_sum."""
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() != ALPN:
            return False
        codec = framing()
        with contextlib.suppress(OSError, XlregError):
            while data := await _async.within(timeout, reader.read(1 << 16)):
                codec.feed(data)
                while (question := codec.next()) is not None:
                    writer.write(codec.encode(self._answer(question)))
                    await _async.within(timeout, writer.drain())
        writer.close()
        return True

    async def close(self) -> None:
        """End what goes on in the background, and wait for that; see Membership.close."""
        self._closed = True
        await self._stop()
        self._ring()

    async def __aenter__(self) -> AsyncMembership:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
