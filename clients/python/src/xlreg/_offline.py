"""``join`` without the registry: from the roster that the node keeps."""

from __future__ import annotations

import contextlib
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import _seatfile
from ._cmdline import Command
from ._cmdsession import registry_of
from ._flow import Request, T
from ._pursuit import Progress
from ._sync import Errand
from .client import resume
from .errors import Needs20Error, NodeError, RegistryError, SavedRosterError, XlregError
from .membership import Membership
from .node import Node
from .saved import SavedRoster, load_roster

_MOST = 33 << 20  # bytes of a file: more than a saved roster has
_SAVE_EVERY = 3600.0  # seconds, if nothing changes but the time when the registry was heard


class AwayError(Exception):
    """The registry cannot be reached for so long that the member starts from what it has saved."""

    def __init__(self, saved: SavedRoster) -> None:
        super().__init__()
        self.saved = saved


class Away:
    """Notices that the registry does not come, and calls a formation off for that.

    It has a clock of its own: an attempt to reach a machine that says nothing at all can
    take longer than the registry may be away.
    """

    def __init__(self, patience: float, load: Callable[[], SavedRoster | None]) -> None:
        """Allow the registry so many seconds. Load gives what to start from then; None is nothing."""
        self._patience, self._load = patience, load
        self._errand: Errand[Any] | None = None
        self._mutex = threading.Lock()
        # Guarded by the mutex.
        self._clock: threading.Timer | None = None  # None while the registry is there
        self._ended = False
        self._saved: SavedRoster | None = None

    def perform(self, request: Request[T]) -> T:
        """Perform a request, of whose progress saw is told.

        Raises:
            AwayError: It is time to start without the registry.
        """
        errand: Errand[T] = Errand(request)
        self._errand = errand
        with self._mutex:
            self._start()
        try:
            return errand.run()
        except (XlregError, OSError):
            self._end()
            if self._saved is not None:
                raise AwayError(self._saved) from None
            raise
        finally:
            self._end()

    def saw(self, now: Progress) -> None:
        """Take note of what was told. An error that the registry has sent is a sign of life, too."""
        answered = now.error is None or isinstance(now.error, RegistryError)
        with self._mutex:
            if answered:
                self._stop()
            elif self._clock is None and not self._ended:
                self._start()

    def _start(self) -> None:
        self._clock = threading.Timer(self._patience, self._over)
        self._clock.daemon = True
        self._clock.start()

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
        self._clock = None

    def _over(self) -> None:
        """Run, in the clock's thread, when the patience is at its end."""
        with self._mutex:
            if self._clock is not threading.current_thread():
                return  # the registry came at the last moment
            self._saved = self._load()
            if self._saved is not None and self._errand is not None:
                self._errand.call_off()

    def _end(self) -> None:
        with self._mutex:
            self._ended = True
            clock = self._clock
            self._stop()
        if clock is not None:
            clock.join()


def away(command: Command, node: Node) -> Away | None:
    """Return what notices that the registry does not come; None where nobody needs it."""
    if not command.program or not command.offline_after or command.fresh or command.classic:
        return None
    if _seats(command, node).find_saved(command.ref) is None:
        return None
    return Away(command.offline_after, lambda: _load_in_need(command, node))


def _load_in_need(command: Command, node: Node) -> SavedRoster | None:
    text = f"the registry cannot be reached for {command.offline_after:g} s"
    try:
        saved = load(command, node)
    except (OSError, NodeError, SavedRosterError) as err:
        warn(f"{text}, and this node cannot start without it: {err}")
        return None
    warn(f"{text}: starting from {words(saved)}")
    return saved


def warn(text: str) -> None:
    """Tell of something on standard error, in one line."""
    _say(f"warning: {' '.join(text.split())}")


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"xlreg: {text}\n")
        sys.stderr.flush()


def words(saved: SavedRoster) -> str:
    """Say of a saved roster from when it is."""
    members, size = saved.roster.members, saved.roster.cluster.size
    return f"the roster of {saved.heard:%Y-%m-%dT%H:%M:%SZ}, {len(members)} of {size} members"


def _seats(command: Command, node: Node) -> _seatfile.Seats:
    return _seatfile.Seats(node, registry_of(command))


def load(command: Command, node: Node) -> SavedRoster:
    """Read the roster that the node keeps of the cluster.

    Raises:
        NodeError: It keeps none.
        SavedRosterError: It does not hold.
    """
    path = _seats(command, node).find_saved(command.ref)
    if path is None:
        raise NodeError(
            f"no roster of the cluster is kept here: {node.name} has to join it while the registry is there, "
            "once"
        )
    try:
        return load_roster(
            _read(path), node, registry_of(command), cluster=command.ref, endpoints=_endpoints(command, node)
        )
    except SavedRosterError as err:
        raise SavedRosterError(f"{path}: {err}") from None


def _read(path: Path) -> bytes:
    """Read a file. What is no regular one, a pipe for example, might never end."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise SavedRosterError("saved roster cannot be read: it is not a regular file")
        with path.open("rb") as file:
            return file.read(_MOST)
    except OSError as err:
        why = (err.strerror or str(err)).lower()
        raise SavedRosterError(f"saved roster cannot be read: {why}") from None


def _endpoints(command: Command, node: Node) -> list[str]:
    """Return where the node has to be in the roster, as far as this machine alone can tell."""
    if not command.endpoint:
        return list(node.endpoints)
    return [text if _is_host(text) else f":{text.rpartition(':')[2]}" for text in command.endpoint]


def _is_host(text: str) -> bool:
    """Report whether an address has a host, and not what is looked up: an interface, for example."""
    host = text.rpartition(":")[0]
    return "." in host or ":" in host or host == "localhost"


def resumed(command: Command, node: Node, saved: SavedRoster, run: bytes) -> Membership:
    """Make the node a member again by a roster of before, as this start of it."""
    seats = _seats(command, node)
    kept = seats.read(command.ref)
    told = threading.Event()

    def joined(now: Progress) -> None:
        if now.error is None and now.roster is not None and not told.is_set():
            told.set()
            _say(f"the registry is back, and {node.name} follows {saved.roster.cluster.name} again")

    labels = command.labels or kept.labels
    member = resume(
        saved,
        node=node,
        lease=command.lease,
        run=run,
        take_over=command.take_over,
        labels=labels,
        allow_unverified=command.allow_unverified,
        progress=joined,
    )
    seats.write(member.cluster, _seatfile.KeptSeat(run, command.lease, labels))
    return member


def keep(member: Membership, seats: _seatfile.Seats) -> None:
    """Keep a member's roster as it is now for a start without the registry."""
    try:
        seats.save(member.cluster, member.save())
    except Needs20Error:
        return
    except OSError as err:
        warn(f"the roster is not kept for a start without the registry: {err}")


class Keeper:
    """Keeps a member's roster, and now and then the time when the registry was heard."""

    def __init__(self, member: Membership, seats: _seatfile.Seats) -> None:
        """Keep it from now on, until end."""
        self._member, self._seats = member, seats
        self._over = threading.Event()
        self._mutex = threading.Lock()
        self.save()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def save(self) -> None:
        """Keep it as it is now."""
        with self._mutex:
            keep(self._member, self._seats)

    def end(self) -> None:
        """Stop, and wait for that."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_SAVE_EVERY):
            self.save()
