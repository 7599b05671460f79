"""What each command does. All return what to print."""

from __future__ import annotations

import contextlib
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from . import _atomicfile, _output, _seatfile, _sync
from ._cmdline import Command, NoHomeError, UsageError
from ._dial import Options
from ._dialogue import in_session
from ._flow import Request
from ._pursuit import Progress
from .client import Client, form, wait_members
from .errors import (
    AddressError,
    DeadlineError,
    DocumentError,
    FingerprintError,
    NodeError,
    NodeExistsError,
    NodeInUseError,
    RegCredError,
    XlregError,
)
from .keys import Keys, parse_fingerprint, parse_private_key
from .membership import Membership
from .node import Node
from .regcred import RegCred, Target
from .roster import Roster
from .signed import SignedRoster, verify_signed
from .ticket import Ticket
from .version import Protocol
from .vocabulary import ClusterAttrs, Endpoint

_REQUEST_SECONDS = 10.0  # for a command that does not wait for members
_QUIET_SECONDS = 1.0  # a shorter wait is not worth a line
_AGAIN_SECONDS = 30.0  # from one line about a wait to the next


class WaitOverError(Exception):
    """The time that --wait gave has passed."""


class SeatKeptError(KeyboardInterrupt):
    """A wait was interrupted after the node had joined."""


def _target(command: Command) -> Ticket | Target:
    """Return the registry, or the ticket that leads to it."""
    return command.taken or Target.load(command.registry)


def _open_node(command: Command) -> Node:
    """Open the node, and make it if it does not exist."""
    try:
        node = Node.init(command.directory, name=command.name, only_here=not command.node)
    except NodeExistsError:
        node = Node.open(command.directory)
    if command.name and command.name != node.name:
        node.close()
        raise UsageError(
            f"--name {command.name}: the node in {command.directory} is called {node.name}, and nodes keep "
            f"their names: make another with --node NEWDIR --name {command.name}"
        )
    return node


def _open_creator(command: Command) -> Node:
    """Open the node to create as.

    The user's own may be where nothing can be kept, in a container for example, or be at
    work. Then one that is forgotten is as good, as a cluster does not belong to its creator.
    """
    try:
        return _open_node(command)
    except (NoHomeError, NodeInUseError):
        if command.node:
            raise
    except NodeError as err:
        if command.node or not isinstance(err.__cause__, OSError):
            raise
    return Node(command.name or "creator")


@contextlib.contextmanager
def _asking(command: Command) -> Iterator[Node | None]:
    """Open the node if one is needed: reading over 2.0 takes no identity."""
    if command.command == "get" and not command.classic:
        yield None
        return
    with _open_creator(command) if command.command == "create" else _open_node(command) as node:
        yield node


@contextlib.contextmanager
def _telling_of_the_wait(command: Command) -> Iterator[None]:
    """Say after a second, and then twice a minute, that the wait goes on. Scripts get the outcome alone."""
    if not command.wait or command.output == "json":
        yield
        return
    over, end = threading.Event(), time.monotonic() + command.wait
    what = command.ref.name or f"{str(command.ref.id)[:12]}..."

    def tell() -> None:
        pause = _QUIET_SECONDS
        while not over.wait(pause):
            left = max(0.0, end - time.monotonic())
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"xlreg: waiting for the members of {what}, {left:.0f} s left\n")
                sys.stderr.flush()
            pause = _AGAIN_SECONDS

    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    try:
        yield
    finally:
        over.set()
        telling.join()


@contextlib.contextmanager
def _session(command: Command) -> Iterator[Client]:
    """Open a session, as the node where that is needed, and have it registered."""
    target = _target(command)
    with (
        _asking(command) as node,
        Client.connect(target, node, protocol=command.protocol, timeout=_REQUEST_SECONDS) as client,
    ):
        if node is not None:
            client.register(timeout=_REQUEST_SECONDS)
        yield client


def create(command: Command) -> str:
    """Make a cluster."""
    attrs = ClusterAttrs.UNIQUE if command.unique else ClusterAttrs.NONE
    with _session(command) as client:
        made = client.create(
            command.argument,
            command.size,
            endpoint_count=command.endpoints,
            attrs=attrs,
            timeout=_REQUEST_SECONDS,
        )
    if command.output == "json":
        return _output.encode({"cluster": _output.cluster_json(made)})
    return _output.cluster_text(made)


def get(command: Command) -> str:
    """Show the members of a cluster."""
    if command.signed:
        with _session(command) as client:
            signed = client.signed(command.ref, timeout=_REQUEST_SECONDS)
        _atomicfile.write(Path(command.signed), signed.document, 0o644)
        return _show(command, signed.roster)
    if not command.wait:
        with _session(command) as client:
            return _show(command, client.members(command.ref, timeout=_REQUEST_SECONDS))
    target = _target(command)
    with _asking(command) as node, _telling_of_the_wait(command):
        try:
            roster = wait_members(
                target, command.ref, node=node, protocol=command.protocol, timeout=command.wait
            )
        except DeadlineError as err:
            raise WaitOverError(str(err)) from err
    return _show(command, roster)


class _JoinedError(Exception):
    """Calls a formation off, as soon as the node has its place."""

    def __init__(self, roster: Roster) -> None:
        super().__init__()
        self.roster = roster


class _Watch:
    """Knows how far a formation has come, and without a wait calls it off when the node has joined."""

    def __init__(self, command: Command) -> None:
        self._waits = bool(command.wait)
        self.last: Progress | None = None

    def __call__(self, now: Progress) -> None:
        self.last = now
        if isinstance(now.error, AddressError) and not self._waits:
            raise now.error
        if now.roster is not None and not self._waits:
            raise _JoinedError(now.roster)


def join(command: Command) -> str:
    """Become a member: with a wait until all are there, without one at once."""
    target, watch = _target(command), _Watch(command)
    with _open_node(command) as node:
        if not command.endpoint and not node.endpoints:
            raise UsageError("say where the others find this member with --endpoint HOST:PORT")
        try:
            with _telling_of_the_wait(command):
                formed = _form(command, target, node, watch)
            formed.close()
            return _seated(command, node, formed.roster)
        except _JoinedError as done:
            return _seated(command, node, done.roster)
        except DeadlineError as err:
            if command.wait:
                raise WaitOverError(str(err)) from err
            raise
        except KeyboardInterrupt as err:
            raise _kept(command, node, watch, err) from None


def _seated(command: Command, node: Node, roster: Roster) -> str:
    """Keep how the node has joined, and show who is there."""
    me = roster.by_key(node.keys.sig_key)
    kept = _kept_seat(command, node)
    if me is not None:
        seat = _seatfile.KeptSeat(me.token.run, command.lease or kept.lease, command.labels or kept.labels)
        _seatfile.write(node, roster.cluster.name, seat)
    return _show(command, roster)


def _kept_seat(command: Command, node: Node) -> _seatfile.KeptSeat:
    """Return what the node asked for when it last joined; of another start only the labels."""
    kept = _seatfile.KeptSeat() if command.classic else _seatfile.read(node, command.ref.name)
    if command.fresh or command.take_over:
        return replace(kept, run=b"", lease=0.0)
    return kept


def _form(command: Command, target: Ticket | Target, node: Node, watch: _Watch) -> Membership:
    kept = _kept_seat(command, node)
    return form(
        target,
        node=node,
        cluster=command.ref,
        size=command.size,
        advertise=command.endpoint,
        join_only=not command.create and command.taken is None,
        allow_unverified=command.allow_unverified,
        lease=command.lease or kept.lease,
        run=kept.run,
        fresh=command.fresh,
        take_over=command.take_over,
        labels=command.labels or kept.labels,
        timeout=command.wait or _REQUEST_SECONDS,
        protocol=command.protocol,
        progress=watch,
    )


def _kept(command: Command, node: Node, watch: _Watch, err: KeyboardInterrupt) -> KeyboardInterrupt:
    """Return what to say of a wait that was interrupted: whoever has a place keeps it."""
    last = watch.last
    if last is None or last.roster is None:
        return err
    cluster = last.roster.cluster.name
    text = f"{node.name} keeps its place in {cluster}: the same command goes on waiting"
    if not command.classic:
        flag = f" --node {shlex.quote(command.node)}" if command.node else ""
        text += f", and 'xlreg leave {cluster}{flag}' gives it up"
    return SeatKeptError(text)


def verify(command: Command) -> str:
    """Verify signed rosters, each on its own and then against the others."""
    target, found = _target(command), []
    for file in command.files:
        try:
            found.append(verify_signed(Path(file).read_bytes(), target))
        except DocumentError as err:
            raise DocumentError(f"{file}: {err}") from None
    for i, one in enumerate(found):
        for j, other in enumerate(found[:i]):
            if one.contradicts(other):
                raise DocumentError(_conviction(command.files[j], other, command.files[i], one))
    if command.output == "json":
        documents = [_output.document_json(f, s) for f, s in zip(command.files, found, strict=True)]
        return _output.encode({"documents": documents})
    return "\n".join(_output.document_text(f, s) for f, s in zip(command.files, found, strict=True))


def _conviction(one: str, first: SignedRoster, two: str, second: SignedRoster) -> str:
    revision, cluster = first.roster.state.revision, first.roster.cluster
    return (
        f"{one} and {two} convict the registry: it has signed two different rosters for revision {revision} "
        f"of {cluster}: {first.roster.short_sum}, signed at {first.signed:%Y-%m-%dT%H:%M:%SZ}, and "
        f"{second.roster.short_sum}, signed at {second.signed:%Y-%m-%dT%H:%M:%SZ}"
    )


def leave(command: Command) -> str:
    """Give up a place."""
    target = _target(command)
    with (
        Node.open(command.directory) as node,
        Client.connect(target, node, protocol=command.protocol, timeout=_REQUEST_SECONDS) as client,
    ):
        client.login(timeout=_REQUEST_SECONDS)
        left = client.cluster(command.ref, timeout=_REQUEST_SECONDS)
        client.leave(left, timeout=_REQUEST_SECONDS)
        _seatfile.forget(node, left.name)
    if command.output == "json":
        return _output.encode({"cluster": _output.cluster_json(left)})
    return f"left {left.name}\n"


def _show(command: Command, roster: Roster) -> str:
    if command.output == "json":
        return _output.encode(_output.roster_json(roster))
    return _output.roster_text(roster, wide=command.output == "wide")


# Nodes.


def node_init(command: Command) -> str:
    """Make a node."""
    keys = None
    if command.sig_key:
        files = (command.comms_key, command.sig_key)
        keys = Keys(*(parse_private_key(Path(file).read_bytes()) for file in files))
    made = Node.init(
        command.argument,
        name=command.name,
        endpoints=command.endpoint,
        keys=keys,
        kind=command.key,
        certificate_life=command.life,
    )
    with made:
        return _show_node(command, made)


def node_show(command: Command) -> str:
    """Show a node."""
    with Node.load(command.argument) as node:
        return _show_node(command, node)


def _show_node(command: Command, node: Node) -> str:
    if command.output == "json":
        return _output.encode(_output.node_json(node))
    return _output.node_text(node)


# Credentials.


def cred_show(command: Command) -> str:
    """Show credentials."""
    return _show_cred(command, RegCred.read(command.argument))


def cred_url(command: Command) -> str:
    """Print the line for people."""
    cred = RegCred.read(command.argument)
    if cred.protocol is not Protocol.V20 and command.protocol is not Protocol.V20:
        raise RegCredError(
            f"{command.argument} is of a registry of version {cred.version}, for which clients need the file "
            "itself; if it has been upgraded since, say --protocol 2.0"
        )
    return _output.encode({"url": cred.url}) if command.output == "json" else cred.url + "\n"


def cred_fetch(command: Command) -> str:
    """Get a registry's credentials from itself, if it is trusted."""
    endpoint = Endpoint(command.argument)
    if command.sig:
        try:
            digest = parse_fingerprint(command.sig)
        except FingerprintError as err:
            raise UsageError(f"--sig: {err}") from None
        with Client.connect(Target.of((endpoint,), digest), timeout=_REQUEST_SECONDS) as client:
            cred = client.registry(timeout=_REQUEST_SECONDS)
    else:
        cred = _claimed(endpoint)
        _ask_trust(endpoint, cred.fingerprint)
    if command.out:
        cred.write(command.out)
    return _show_cred(command, cred) if command.out or command.output == "json" else str(cred)


def _claimed(endpoint: Endpoint) -> RegCred:
    """Return what a registry says of itself. It has to match the handshake, but nobody vouches for it."""
    options = Options(Target((endpoint,), ""), unknown=True)
    request = Request(lambda limit: in_session(options, limit, lambda d: d.registry(limit)), _REQUEST_SECONDS)
    return _sync.perform(request)


def _ask_trust(endpoint: Endpoint, sig: str) -> None:
    """Ask the person at the terminal."""
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        raise UsageError(
            f"nobody is here to be asked, and the registry at {endpoint} only claims to have the key {sig}: "
            "give the fingerprint it should have with --sig"
        )
    sys.stderr.write(
        f"The registry at {endpoint} says its key is\n\n  {sig}\n\n"
        "It is the right one only if that is what its operator told you.\nTrust it? [y/N] "
    )
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise _NotTrustedError("not trusted, nothing fetched")


class _NotTrustedError(XlregError):
    """Somebody was asked and said no."""


def _show_cred(command: Command, cred: RegCred) -> str:
    return _output.encode(_output.cred_json(cred)) if command.output == "json" else _output.cred_text(cred)


COMMANDS: dict[str, Callable[[Command], str]] = {
    "create": create,
    "get": get,
    "join": join,
    "leave": leave,
    "verify": verify,
    "node init": node_init,
    "node show": node_show,
    "cred show": cred_show,
    "cred fetch": cred_fetch,
    "cred url": cred_url,
}
