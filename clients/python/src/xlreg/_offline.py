"""``join`` without the registry: from the roster that the node keeps."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from pathlib import Path

from . import _seatfile
from ._cmdline import Command
from ._cmdsession import registry_of
from ._place import new_run
from ._pursuit import Progress
from .client import resume
from .errors import Needs20Error, NodeError, RegistryError, SavedRosterError
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
    """Notices that the registry does not come, from what is told of a formation."""

    def __init__(self, command: Command, node: Node) -> None:
        """Begin to wait for it."""
        self._command, self._node = command, node
        path = _seats(command, node).find_saved(command.ref) if not command.classic else None
        wanted = command.program and command.offline_after and not command.fresh and path is not None
        self._since: float | None = time.monotonic()
        self._over = not wanted

    def saw(self, now: Progress) -> None:
        """Take note of what was told.

        Raises:
            AwayError: It is time to start without the registry.
        """
        if self._over:
            return
        if now.error is None or isinstance(now.error, RegistryError):
            self._since = None
            return
        self._since = self._since or time.monotonic()
        if time.monotonic() - self._since < self._command.offline_after:
            return
        self._over = True
        text = f"the registry cannot be reached for {self._command.offline_after:g} s"
        try:
            saved = load(self._command, self._node)
        except (OSError, NodeError, SavedRosterError) as err:
            warn(f"{text}, and there is no start without it: {err}")
            return
        warn(f"{text}: starting from {words(saved)}")
        raise AwayError(saved)


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
    with path.open("rb") as file:
        return file.read(_MOST)


def _endpoints(command: Command, node: Node) -> list[str]:
    """Return where the node has to be in the roster, as far as this machine alone can tell."""
    if not command.endpoint:
        return list(node.endpoints)
    return [text if _is_host(text) else f":{text.rpartition(':')[2]}" for text in command.endpoint]


def _is_host(text: str) -> bool:
    """Report whether an address has a host, and not what is looked up: an interface, for example."""
    host = text.rpartition(":")[0]
    return "." in host or ":" in host or host == "localhost"


def resumed(command: Command, node: Node, saved: SavedRoster) -> Membership:
    """Make the node a member again by a roster of before."""
    seats = _seats(command, node)
    kept = seats.read(command.ref)
    run, told = new_run(), threading.Event()

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
