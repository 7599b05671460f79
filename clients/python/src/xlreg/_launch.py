"""A program that runs as a member: what it is told, in files and its environment, and how it ends."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from cryptography.hazmat.primitives.serialization import Encoding

from . import _atomicfile, _output
from ._directory import Directory
from ._offline import Keeper
from ._seatfile import Seats
from .changes import Change
from .errors import ClosedError, Needs20Error, TwinError, UnverifiedError, XlregError
from .keys import encode_private_key
from .membership import Membership
from .node import Node
from .roster import Member, Roster

log = logging.getLogger("xlreg")

_CERT, _KEY, _PEERS, _ROSTER = "cert.pem", "key.pem", "peers.pem", "roster.json"
_KEY_CERT = "keycert.pem"  # certificate and key, for programs that want them in one file
_NOT_FOUND, _CANNOT_RUN, _SIGNALLED = 127, 126, 128  # exit codes as shells have them
_ONE_SIGNAL = 0.025  # within so many seconds two signals count as one: timeout(1) sends its own twice
_GRACE = 10.0  # for a program that was told to end


class ProgramError(Exception):
    """A program did not start, or did not end well; ``status`` is the exit code that shells give."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def write_files(node: Node, roster: Roster, folder: str = "") -> Path:
    """Write the files of a member for programs, each of which only its owner may read, and return where.

    If a member has no certificate there is no TLS among all, and only the roster is written.
    """
    where = _folder(node, roster, folder)
    Directory(where).make()
    files = {_ROSTER: _output.encode(_output.roster_json(roster)).encode()}
    me = roster.by_key(node.keys.sig_key)
    if me is not None and not roster.unverified:
        files |= {
            _CERT: _pem(me),
            _KEY: encode_private_key(node.keys.sig),
            _PEERS: b"".join(map(_pem, roster.members)),
        }
        files[_KEY_CERT] = files[_CERT] + files[_KEY]
    for name in (_CERT, _KEY, _KEY_CERT, _PEERS, _ROSTER):
        _atomicfile.remove_leftovers(where / name)
        if name in files:
            _atomicfile.write(where / name, files[name], 0o600)
        else:
            (where / name).unlink(missing_ok=True)
    return where


def _folder(node: Node, roster: Roster, folder: str) -> Path:
    if folder or node.directory is None:
        return Path(folder or ".").absolute()
    return (node.directory / "clusters" / roster.cluster.name).absolute()


def _pem(member: Member) -> bytes:
    return member.certificate.public_bytes(Encoding.PEM)


def environment(me: Member, roster: Roster, where: Path) -> dict[str, str]:
    """Return what a program finds in its environment.

    A ticket is not among that: programs do not need it, and it may be a secret.
    """
    told = {
        "XLREG_CLUSTER": roster.cluster.name,
        "XLREG_SELF": me.name,
        "XLREG_INDEX": str(me.index),
        "XLREG_SIZE": str(roster.cluster.size),
        "XLREG_ROSTER": str(where / _ROSTER),
        "XLREG_TICKET": "",
        **_endpoints(me, roster),
    }
    if role := me.labels.get("role"):
        told["XLREG_ROLE"] = role.decode(errors="replace")
    if not roster.unverified:
        tls = {"CERT": _CERT, "KEY": _KEY, "PEERS": _PEERS}
        told |= {f"XLREG_TLS_{name}": str(where / file) for name, file in tls.items()}
    return {**os.environ, **told}


def _endpoints(me: Member, roster: Roster) -> dict[str, str]:
    """Return the variables with the member's own endpoints, and with each endpoint of all members.

    There is none of the latter for an endpoint that some member does not have.
    """
    own = {f"XLREG_ENDPOINT_{index}": str(endpoint) for index, endpoint in enumerate(me.endpoints)}
    each = zip(*(member.endpoints for member in roster.members), strict=False)
    told = {f"XLREG_ENDPOINTS_{index}": ",".join(map(str, same)) for index, same in enumerate(each)}
    return {"XLREG_ENDPOINTS": ",".join(map(str, me.endpoints)), **own, **told}


def run(
    args: Sequence[str],
    member: Membership,
    *,
    seats: Seats,
    folder: str,
    on_change: str,
    allow_unverified: bool,
) -> None:
    """Run a program as a member until it ends.

    Raises:
        ProgramError: It did not end well.
        TwinError: Another process has taken the member's place.
    """
    roster, name = member.roster, member.me.name
    if roster.unverified and not allow_unverified:
        names = ", ".join(m.name for m in roster.unverified)
        raise UnverifiedError(
            f"{name} is not started: there is no TLS with these, which are not verified: {names}"
        )
    where = write_files(member.node, roster, folder)
    child = _Child(name)
    with child.passing_signals():
        child.start(args, environment(member.me, roster, where))
        following = _Following(member, seats, folder, on_change, child)
        try:
            code = child.wait()
        finally:
            following.end()
    if following.twin is not None:
        raise following.twin
    _check(name, code)


def _check(name: str, code: int) -> None:
    if code < 0:
        said = (signal.strsignal(-code) or f"signal {-code}").lower()
        raise ProgramError(f"{name} was ended by a signal: {said}", _SIGNALLED - code)
    if code:
        raise ProgramError(f"{name} ended with exit status {code}", code)


class _Child:
    """A program in a process group of its own, which gets the signals that this one is sent."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._early = 0  # a signal that came before it was started
        self._signalled = 0.0  # when the first signal came; 0 until one has

    def start(self, args: Sequence[str], env: dict[str, str]) -> None:
        # A terminal is only for programs in its foreground.
        stdin = subprocess.DEVNULL if sys.stdin is None or sys.stdin.isatty() else None
        try:
            self._process = subprocess.Popen(list(args), env=env, stdin=stdin, start_new_session=True)  # noqa: S603
        except FileNotFoundError:
            raise ProgramError(
                f"{args[0]}: no such program: install it, or give its path", _NOT_FOUND
            ) from None
        except OSError as err:
            raise ProgramError(
                f"{args[0]}: cannot be run: {err.strerror}: see that it is an executable file", _CANNOT_RUN
            ) from None
        if self._early:
            self._send(self._early)

    def wait(self) -> int:
        if self._process is None:
            raise AssertionError("it was started")
        return self._process.wait()

    def stop(self) -> None:
        """Tell it to end, and after a while make it."""
        self._send(signal.SIGTERM)
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE)
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _pass(self, number: int, _: FrameType | None) -> None:
        """Pass the first signal on, and kill at the second."""
        now = time.monotonic()
        if self._process is None:
            self._early = number
        elif not self._signalled:
            self._send(number)
        elif now - self._signalled > _ONE_SIGNAL:
            self._send(signal.SIGKILL)
        self._signalled = self._signalled or now

    @contextlib.contextmanager
    def passing_signals(self) -> Iterator[None]:
        """Pass on the signals that would end this process. What nohup has ignored stays so."""
        before = {}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN or number != signal.SIGHUP:
                before[number] = signal.signal(number, self._pass)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Following:
    """Keeps a member's files as the cluster is now, while its program runs."""

    def __init__(self, member: Membership, seats: Seats, folder: str, on_change: str, child: _Child) -> None:
        self._keeper = Keeper(member, seats)
        self._member, self._folder, self._on_change, self._child = member, folder, on_change, child
        self._mutex = threading.Lock()
        # Guarded by the mutex.
        self._over = False
        self._told: subprocess.Popen[bytes] | None = None  # the command of --on-change
        # Owned by the thread until it has ended.
        self.twin: TwinError | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop following, and wait for that."""
        with self._mutex:
            self._over = True
            if self._told is not None and self._told.poll() is None:
                self._told.kill()
        self._member.close()
        self._thread.join()
        self._keeper.end()

    def _follow(self) -> None:
        """Follow until the node is no member any more. Then its program goes on with what it has.

        It does not if another process has taken its place.
        """
        try:
            for change in self._member.watch():
                self._take(change)
        except (ClosedError, Needs20Error):
            return
        except TwinError as err:
            self.twin = err
            self._child.stop()
        except XlregError as err:
            log.warning("%s", err)

    def _take(self, change: Change) -> None:
        """Write the files anew, and tell who wants to know."""
        self._keeper.save()
        roster, node = change.roster, self._member.node
        me = roster.by_key(node.keys.sig_key)
        try:
            where = write_files(node, roster, self._folder)
            if self._on_change and me is not None:
                self._tell({**environment(me, roster, where), **_names(change)})
        except (OSError, XlregError) as err:
            log.warning("%s", err)

    def _tell(self, env: dict[str, str]) -> None:
        with self._mutex:
            if self._over:
                return
            # Running what the user says is what it is for.
            told = self._told = subprocess.Popen(["sh", "-c", self._on_change], env=env)  # noqa: S603, S607
        code = told.wait()
        with self._mutex:
            if code and not self._over:
                log.warning("--on-change %s: exit status %d", shlex.quote(self._on_change), code)


def _names(change: Change) -> dict[str, str]:
    """Return what the command of --on-change finds in its environment besides what COMMAND does."""
    lists = {"CAME": change.came, "WENT": change.went, "CHANGED": change.changed}
    return {f"XLREG_{key}": " ".join(m.name for m in members) for key, members in lists.items()}
