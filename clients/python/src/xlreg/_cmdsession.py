"""What the commands share: which registry, as which node, and what is told of a wait."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

from . import _output
from ._cmdline import Command
from ._flags import NoHomeError, UsageError
from .client import Client
from .errors import NodeError, NodeExistsError, NodeInUseError
from .node import Node
from .regcred import Target
from .roster import Roster
from .ticket import Ticket

REQUEST_SECONDS = 10.0  # for a command that does not wait for members
_QUIET_SECONDS = 1.0  # a shorter wait is not worth a line
_CHANGED_SECONDS = 5.0  # from one line about a wait to the next, if there is news
_AGAIN_SECONDS = 30.0  # and if there is none


class WaitOverError(Exception):
    """The time that --wait gave has passed."""


class SeatKeptError(KeyboardInterrupt):
    """A wait was interrupted after the node had joined."""


def registry_of(command: Command) -> Ticket | Target:
    """Return the registry, or the ticket that leads to it."""
    return command.taken or Target.load(command.registry)


def open_node(command: Command) -> Node:
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


def open_creator(command: Command) -> Node:
    """Open the node to create as.

    The user's own may be where nothing can be kept, in a container for example, or be at
    work. Then one that is forgotten is as good, as a cluster does not belong to its creator.
    """
    try:
        return open_node(command)
    except (NoHomeError, NodeInUseError):
        if command.node:
            raise
    except NodeError as err:
        if command.node or not isinstance(err.__cause__, OSError):
            raise
    return Node(command.name or "creator")


@contextlib.contextmanager
def asking(command: Command) -> Iterator[Node | None]:
    """Open the node if one is needed: reading over 2.0 takes no identity."""
    if command.command == "get" and not command.classic:
        yield None
        return
    with open_creator(command) if command.command == "create" else open_node(command) as node:
        yield node


@contextlib.contextmanager
def telling_of_the_wait(command: Command, known: Callable[[], str] = str) -> Iterator[None]:
    """Say after a second who is still missing, again when that has changed, and otherwise twice a minute.

    Known says who has joined so far. Scripts get the outcome alone.
    """
    if not command.wait or command.output == "json":
        yield
        return
    over, end = threading.Event(), time.monotonic() + command.wait
    what = command.ref.name or f"{str(command.ref.id)[:12]}..."

    def tell() -> None:
        pause, said, again = _QUIET_SECONDS, None, 0.0
        while not over.wait(pause):
            now, text = time.monotonic(), known()
            pause = _CHANGED_SECONDS
            if text == said and now < again:
                continue
            said, again = text, now + _AGAIN_SECONDS
            left = max(0.0, end - now)
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"xlreg: waiting for the members of {what}{text}, {left:.0f} s left\n")
                sys.stderr.flush()

    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    try:
        yield
    finally:
        over.set()
        telling.join()


@contextlib.contextmanager
def session(command: Command) -> Iterator[Client]:
    """Open a session, as the node where that is needed, and have it registered."""
    target = registry_of(command)
    with (
        asking(command) as node,
        Client.connect(target, node, protocol=command.protocol, timeout=REQUEST_SECONDS) as client,
    ):
        if node is not None:
            client.register(timeout=REQUEST_SECONDS)
        yield client


def show_roster(command: Command, roster: Roster) -> str:
    """Return what to print of a roster."""
    if command.output == "json":
        return _output.encode(_output.roster_json(roster))
    return _output.roster_text(roster, wide=command.output == "wide")


def ask_person(question: str) -> bool:
    """Return whether the person at the terminal says yes."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
