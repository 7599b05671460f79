"""``python -m xlreg join|get|create``, for people without the Go program: its flags, exit codes and JSON."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from . import _output, errors, limits
from ._pursuit import Progress
from .client import Client, form, wait_members
from .errors import DeadlineError, XlregError, quote
from .membership import Membership
from .node import Node
from .regcred import Target
from .roster import Roster
from .version import Protocol
from .vocabulary import ClusterAttrs, ClusterID, ClusterRef, Endpoint, check_name

DONE, FAILED, USAGE, DEADLINE, INTERRUPTED = 0, 1, 2, 3, 130

_REQUEST_SECONDS = 10.0  # for a command that does not wait for members

_ADVICE: Sequence[tuple[type[XlregError], str]] = (
    (errors.NoSuchClusterIDError, "make the cluster with 'xlreg create'"),
    (
        errors.NoSuchClusterNameError,
        "make the cluster with 'xlreg create', or with 'xlreg join --create --size N'",
    ),
    (errors.TooFewEndpointsError, "give more with --endpoint HOST:PORT"),
    (errors.MemberNameInUseError, "use a node with another name"),
    (errors.IDInUseError, "use a new node directory, or the keys that this ID belongs to"),
    (errors.ClusterFullError, "take another cluster, or let a member leave"),
    (errors.ClusterSizeError, "ask for the size it has, or take another name"),
    (errors.TooManyRequestsError, "wait, or have the operator raise the limit"),
    (errors.IllFormedNameError, "use a letter or '_' first, then letters, digits, '_', '-' and '.'"),
    (errors.WrongStateError, "an original server shows a cluster to its members only: join it"),
    (errors.TryLaterError, "if that goes on, see whether the registry's disk is full"),
    (errors.OriginalRegistryError, "say which with --protocol"),
    (errors.Needs20Error, "leave --protocol away, if the registry speaks 2.0"),
    (errors.AddressError, "give with --endpoint an address where the others reach this member"),
    (errors.UntrustedError, "if its keys are new, get its credentials anew from someone you trust"),
    (errors.UnreachableError, "see that the registry runs there, and that --registry is the right one"),
    (errors.HandshakeError, "see that it is a registry, and that it speaks the protocol chosen"),
)


class UsageError(Exception):
    """The command line itself is wrong."""


class WaitOverError(Exception):
    """The time that --wait gave has passed."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong by an exception, like all else."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see '{self.prog} --help'")


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def _seconds(text: str) -> float:
    """Read a time as the Go program writes it: 30s, 1m30s, 300ms."""
    parts = re.findall(r"([0-9]+\.?[0-9]*|\.[0-9]+)(h|ms|m|s|us|µs|ns)", text)
    if text != "0" and ("".join(map("".join, parts)) != text.lstrip("+-") or not parts):
        raise argparse.ArgumentTypeError(f"{quote(text)}: want a time such as 30s")
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if text.startswith("-") and total:
        raise argparse.ArgumentTypeError(f"{text}: want 0 or more")
    return total


def _texts(text: str) -> list[str]:
    return text.split(",")


def _protocol(text: str) -> Protocol:
    try:
        return Protocol.of(text)
    except XlregError as err:
        raise argparse.ArgumentTypeError(str(err)) from None


def _switch(text: str) -> bool:
    if text.lower() in ("1", "t", "true"):
        return True
    if text.lower() in ("0", "f", "false"):
        return False
    raise argparse.ArgumentTypeError(f"{quote(text)}: want true or false")


def _parser() -> _Parser:
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("-o", "--output", choices=("table", "json"), help="table or json")
    shared.add_argument("--registry", metavar="FILE|URL", help="a regCred file or an xlreg:// line")
    shared.add_argument("--node", metavar="DIR", help="the node's directory, made if it does not exist")
    shared.add_argument(
        "--protocol", type=_protocol, metavar="GENERATION", help="2.0, 1.9 or 1.8 (default 2.0)"
    )
    parser = _Parser(
        prog="python -m xlreg",
        parents=[shared],
        allow_abbrev=False,
        description="Join clusters, show and make them.",
        epilog="Every flag can be set in the environment: --registry is XLREG_REGISTRY, and so on. "
        "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 deadline passed, 130 interrupted.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="join|get|create")
    more: dict[str, Any] = {"parents": [shared], "allow_abbrev": False, "argument_default": argparse.SUPPRESS}
    join = commands.add_parser("join", help="become a member of a cluster", **more)
    join.add_argument("name", metavar="NAME", help="the cluster's name or ID")
    join.add_argument("--endpoint", type=_texts, action="extend", metavar="HOST:PORT", help="repeatable")
    join.add_argument("--size", type=int, metavar="MEMBERS", help="how many it must be made for")
    join.add_argument("--create", action="store_true", help="make it, of --size members, if it is not there")
    get = commands.add_parser("get", help="show who is in a cluster", **more)
    get.add_argument("name", metavar="NAME", help="the cluster's name or ID")
    for command in (join, get):
        command.add_argument("--wait", type=_seconds, metavar="TIME", help="such as 30s, for all members")
    create = commands.add_parser("create", help="make a cluster", **more)
    create.add_argument("name", metavar="NAME", nargs="?", default="", help="a made-up one by default")
    create.add_argument("--size", type=int, metavar="MEMBERS", help="how many it is made for, 2 to 64")
    create.add_argument("--endpoints", type=int, metavar="ADDRESSES", help="how many each member must have")
    create.add_argument("--unique", action="store_true", help="append to the name what makes it new")
    return parser


_FROM_ENVIRONMENT: dict[str, tuple[Callable[[str], Any], frozenset[str]]] = {
    "output": (str, frozenset({"join", "get", "create"})),
    "registry": (str, frozenset({"join", "get", "create"})),
    "node": (str, frozenset({"join", "get", "create"})),
    "protocol": (_protocol, frozenset({"join", "get", "create"})),
    "endpoint": (_texts, frozenset({"join"})),
    "size": (int, frozenset({"join", "create"})),
    "create": (_switch, frozenset({"join"})),
    "wait": (_seconds, frozenset({"join", "get"})),
    "endpoints": (int, frozenset({"create"})),
    "unique": (_switch, frozenset({"create"})),
}


@dataclass
class Command:
    """A command line, checked as far as it alone tells."""

    command: str
    name: str
    output: str = "table"
    registry: str = ""
    node: str = ""
    protocol: Protocol | None = None
    endpoint: Sequence[str] = ()
    endpoints: int = 1
    size: int = 0
    create: bool = False
    unique: bool = False
    wait: float = 0.0

    @classmethod
    def parse(cls, args: Sequence[str]) -> Command:
        """Read a command line, and for flags that were not given the environment.

        Raises:
            UsageError: It is wrong.
        """
        given = vars(_parser().parse_args(args))
        for flag, (read, commands) in _FROM_ENVIRONMENT.items():
            variable = f"XLREG_{flag.upper()}"
            text = os.environ.get(variable, "")
            if not text or flag in given or given["command"] not in commands:
                continue
            try:
                given[flag] = read(text)
            except (ValueError, argparse.ArgumentTypeError) as err:
                raise UsageError(f"{variable}: {err}") from None
        command = cls(**given)
        command._check()
        return command

    def _check(self) -> None:
        if self.output not in ("table", "json"):
            raise UsageError(f"--output {quote(self.output)}: want table or json")
        _ = self.ref
        if self.command == "create" and not self.size:
            raise UsageError("say how many members with --size N")
        if self.size and not limits.MIN_CLUSTER <= self.size <= limits.MAX_CLUSTER:
            raise UsageError(f"--size {self.size}: want {limits.MIN_CLUSTER} to {limits.MAX_CLUSTER}")
        if not 1 <= self.endpoints <= limits.MAX_ENDPOINTS:
            raise UsageError(f"--endpoints {self.endpoints}: want 1 to {limits.MAX_ENDPOINTS}")
        if self.unique and self.protocol is not None and self.protocol.classic:
            raise UsageError("--unique: needs protocol 2.0")
        if self.command == "join":
            self._check_join()
        if not self.registry:
            raise UsageError("say which registry with --registry FILE|URL, or in XLREG_REGISTRY")

    def _check_join(self) -> None:
        if self.create and not self.size:
            raise UsageError("--create needs --size N")
        if self.create and self.ref.id is not None:
            raise UsageError("--create needs a name: an ID is the registry's to give")
        if len(self.endpoint) > limits.MAX_ENDPOINTS:
            raise UsageError(
                f"--endpoint: {len(self.endpoint)} addresses, at most {limits.MAX_ENDPOINTS} allowed"
            )
        for text in self.endpoint:
            self._check_endpoint(text)

    def _check_endpoint(self, text: str) -> None:
        try:
            address = Endpoint(text).address
        except XlregError as err:
            raise UsageError(f"--endpoint: {err}") from None
        if address is not None and address.is_unspecified:
            remedy = "give one where others reach it"
            raise UsageError(f"--endpoint {text}: stands for all addresses of a machine; {remedy}")

    @property
    def ref(self) -> ClusterRef:
        """The cluster that is meant, by name or ID."""
        if self.command == "create" and not self.name:
            return ClusterRef()
        with contextlib.suppress(XlregError):
            return ClusterRef(ClusterID.parse(self.name))
        try:
            return ClusterRef(name=check_name(self.name))
        except XlregError as err:
            raise UsageError(f"cluster {quote(self.name)}: {err}") from None

    def open_node(self) -> Node:
        """Open the node, and make it if it does not exist; by default the user's own."""
        directory, name = self._node_directory()
        return Node.ensure(directory, name=name)

    def _node_directory(self) -> tuple[Path, str]:
        if self.node:
            path = Path(self.node).resolve()
            return path, path.name
        config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        host = socket.gethostname().partition(".")[0]
        with contextlib.suppress(XlregError):
            return Path(config, "xlreg", "node"), check_name(host)
        return Path(config, "xlreg", "node"), "node"

    @contextlib.contextmanager
    def asking(self) -> Iterator[Node | None]:
        """Open the node if one is needed: to read over 2.0 nobody has to say who they are."""
        if self.command == "get" and (self.protocol is None or not self.protocol.classic):
            yield None
            return
        with self.open_node() as node:
            yield node

    @contextlib.contextmanager
    def session(self, target: Target) -> Iterator[Client]:
        """Open a session, as the node where that is needed, and have it registered."""
        with (
            self.asking() as node,
            Client.connect(target, node, protocol=self.protocol, timeout=_REQUEST_SECONDS) as client,
        ):
            if node is not None:
                client.register(timeout=_REQUEST_SECONDS)
            yield client


def create(command: Command, target: Target) -> str:
    """Make a cluster, and return what to print."""
    attrs = ClusterAttrs.UNIQUE if command.unique else ClusterAttrs.NONE
    with command.session(target) as client:
        made = client.create(
            command.name,
            command.size,
            endpoint_count=command.endpoints,
            attrs=attrs,
            timeout=_REQUEST_SECONDS,
        )
    if command.output == "json":
        return _output.encode({"cluster": _output.cluster_json(made)})
    return _output.cluster_text(made)


def get(command: Command, target: Target) -> str:
    """Look who is in a cluster, and return what to print."""
    if not command.wait:
        with command.session(target) as client:
            return _show(command, client.members(command.ref, timeout=_REQUEST_SECONDS))
    return _show(command, _wait(command, target))


def _wait(command: Command, target: Target) -> Roster:
    """Wait for the whole roster, through restarts of the registry."""
    with command.asking() as node:
        try:
            return wait_members(
                target, command.ref, node=node, protocol=command.protocol, timeout=command.wait
            )
        except DeadlineError as err:
            raise WaitOverError(str(err)) from err


class _JoinedError(Exception):
    """Calls a formation off, as soon as the node has its place."""

    def __init__(self, roster: Roster) -> None:
        super().__init__()
        self.roster = roster


def _call_off(now: Progress) -> None:
    if now.roster is not None:
        raise _JoinedError(now.roster)


def join(command: Command, target: Target) -> str:
    """Become a member, and return what to print: the roster when all are there, or without a wait at once."""
    with command.open_node() as node:
        if not command.endpoint and not node.endpoints:
            raise UsageError("say where the others find this member with --endpoint HOST:PORT")
        try:
            return _show(command, _form(command, target, node).roster)
        except _JoinedError as done:
            return _show(command, done.roster)
        except DeadlineError as err:
            if command.wait:
                raise WaitOverError(str(err)) from err
            raise


def _form(command: Command, target: Target, node: Node) -> Membership:
    return form(
        target,
        node=node,
        cluster=command.ref,
        size=command.size,
        advertise=command.endpoint,
        join_only=not command.create,
        allow_unverified=True,  # what is printed says who is not verified
        timeout=command.wait or _REQUEST_SECONDS,
        protocol=command.protocol,
        progress=None if command.wait else _call_off,
    )


def _show(command: Command, roster: Roster) -> str:
    return (
        _output.encode(_output.roster_json(roster))
        if command.output == "json"
        else _output.roster_text(roster)
    )


def _one_line(err: BaseException) -> str:
    text = "; ".join(str(err).splitlines())
    cause = err.__cause__ if isinstance(err, WaitOverError) else err
    advice = next((advice for kind, advice in _ADVICE if isinstance(cause, kind)), "")
    text = f"{text}; {advice}" if advice else text
    return "".join(c if c.isprintable() else "?" for c in text)


def run(args: Sequence[str]) -> int:
    """Execute one command line, and return its exit code. Errors go to standard error, one line each."""
    commands = {"create": create, "get": get, "join": join}
    try:
        command = Command.parse(args)
        text = commands[command.command](command, Target.load(command.registry))
        sys.stdout.write(text)
        sys.stdout.flush()
    except UsageError as err:
        code, line = USAGE, _one_line(err)
    except WaitOverError as err:
        code, line = DEADLINE, _one_line(err)
    except KeyboardInterrupt:
        code, line = INTERRUPTED, "interrupted"
    except (XlregError, OSError, ValueError) as err:
        code, line = FAILED, _one_line(err)
    else:
        return DONE
    sys.stderr.write(f"xlreg: {line}\n")
    return code


def main() -> NoReturn:
    """Run the program."""
    sys.exit(run(sys.argv[1:]))
