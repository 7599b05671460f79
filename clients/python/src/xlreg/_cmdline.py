"""The command line as data: which commands there are, with which flags, and a line that was read."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from . import limits
from ._address import nobody_at, own_address
from ._version import __version__
from ._wire.inner import encode_labels
from .certificate import DEFAULT_LIFE
from .errors import TicketError, XlregError, quote
from .keys import DEFAULT_KEY_KIND, KEY_KINDS
from .regcred import PREFIX, pasted
from .ticket import Ticket, TicketKind, is_ticket
from .version import Protocol
from .vocabulary import ClusterID, ClusterRef, Endpoint, check_name

PROGRAM = "xlreg-py"


class UsageError(Exception):
    """The command line itself is wrong."""


class NoHomeError(UsageError):
    """Nobody said which node, and this user has no place for one."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong by an exception, like all else."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see '{self.prog} --help'")


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def seconds(text: str) -> float:
    """Read a time as the Go program writes it: 30s, 1m30s, 300ms."""
    parts = re.findall(r"([0-9]+\.?[0-9]*|\.[0-9]+)(h|ms|m|s|us|µs|ns)", text)
    if text != "0" and ("".join(map("".join, parts)) != text.lstrip("+-") or not parts):
        raise argparse.ArgumentTypeError(f"{quote(text)}: want a time with its unit, such as 30s or 5m")
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if text.startswith("-") and total:
        raise argparse.ArgumentTypeError(f"{text}: want 0 or more")
    return total


def _texts(text: str) -> list[str]:
    return text.split(",")


def _number(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{quote(text)}: want a whole number")
    return int(text)


def _name(text: str) -> str:
    try:
        return check_name(text)
    except XlregError as err:
        raise argparse.ArgumentTypeError(str(err)) from None


def _protocol(text: str) -> Protocol:
    try:
        return Protocol.of(text)
    except XlregError as err:
        raise argparse.ArgumentTypeError(str(err)) from None


def _output(text: str) -> str:
    if text not in ("table", "wide", "json"):
        raise argparse.ArgumentTypeError(f"{quote(text)}: want table, wide or json")
    return text


def _switch(text: str) -> bool:
    if text.lower() in ("1", "t", "true"):
        return True
    if text.lower() in ("0", "f", "false"):
        return False
    raise argparse.ArgumentTypeError(f"{quote(text)}: want true or false")


@dataclass(frozen=True)
class Flag:
    """A flag: how its text is read, what stands for that in the help, and what it does."""

    read: Callable[[str], Any]
    metavar: str
    help: str

    def add(self, parser: argparse.ArgumentParser, name: str) -> None:
        """Let a parser know it."""
        more: dict[str, Any] = {"type": self.read, "metavar": self.metavar}
        if self.read is _switch:
            more = {"action": "store_true"}
        if self.read is _texts:
            more["action"] = "extend"
        short = ["-o"] if name == "output" else []
        parser.add_argument(*short, "--" + name.replace("_", "-"), help=self.help, **more)


SHARED = {
    "output": Flag(_output, "FORMAT", "table, wide or json"),
    "registry": Flag(str, "FILE|URL", "a regCred file or an xlreg:// line"),
    "node": Flag(str, "DIR", "the node's directory, made if it does not exist (default the user's own)"),
    "protocol": Flag(_protocol, "GENERATION", "2.0, 1.9 or 1.8 (default 2.0)"),
}
"""The flags that every command has."""

_ENDPOINT = Flag(_texts, "HOST:PORT", "where the others find it, repeatable")
_OWN_ENDPOINT = Flag(
    _texts, "HOST:PORT", "where the others find it, repeatable; INTERFACE:PORT or :PORT find the host"
)
_WAIT = Flag(seconds, "TIME", "such as 30s, for all members")
_TICKETS = {
    "ticket": Flag(str, "TICKET", "the cluster's ticket, or - to read it from standard input"),
    "ticket_file": Flag(str, "FILE", "read the ticket from FILE"),
}
_NEW_NAME = Flag(
    _name, "NAME", "of a node that is made now (default this machine's, if need be with digits of the key)"
)


@dataclass(frozen=True)
class Form:
    """What a command looks like: its argument, what it does, and its own flags."""

    argument: str
    help: str
    flags: dict[str, Flag]


COMMANDS = {
    "join": Form(
        "[NAME|TICKET]",
        "become a member of a cluster, given by name, ID or ticket",
        {
            **_TICKETS,
            "endpoint": _OWN_ENDPOINT,
            "size": Flag(_number, "MEMBERS", "how many it must be made for"),
            "create": Flag(_switch, "", "make it, of --size members, if it is not there"),
            "wait": _WAIT,
            "name": _NEW_NAME,
            "allow_unverified": Flag(_switch, "", "take members of classic carriers too"),
            "lease": Flag(seconds, "TIME", "for how long to be a member, such as 1h (default for good)"),
            "fresh": Flag(_switch, "", "meet only members of this start, with --wait"),
            "take_over": Flag(_switch, "", "take the place although another process has it"),
            "label": Flag(_texts, "KEY=VALUE", "what to tell the others besides, repeatable"),
        },
    ),
    "get": Form(
        "[NAME|TICKET]",
        "show who is in a cluster, given by name, ID or ticket",
        {
            **_TICKETS,
            "wait": _WAIT,
            "signed": Flag(str, "FILE", "write to FILE what the registry signs, for verify"),
        },
    ),
    "verify": Form(
        "FILE...",
        "verify what get --signed has written, without asking the registry",
        _TICKETS,
    ),
    "create": Form(
        "[NAME]",
        "make a cluster; without a name one is made up",
        {
            "size": Flag(_number, "MEMBERS", "how many it is made for, 2 to 1024"),
            "endpoints": Flag(_number, "ADDRESSES", "how many each member must have"),
            "unique": Flag(_switch, "", "append to the name what makes it new"),
            "name": _NEW_NAME,
        },
    ),
    "leave": Form("[NAME|TICKET]", "give up a place in a cluster", _TICKETS),
    "node init": Form(
        "DIR",
        "make a node, with new keys or with keys you have",
        {
            "name": Flag(_name, "NAME", "its name (default this machine's, with digits of the key)"),
            "endpoint": _ENDPOINT,
            "key": Flag(str, "KIND", f"of new keys: {', '.join(KEY_KINDS)} (default {DEFAULT_KEY_KIND})"),
            "sig_key": Flag(str, "FILE", "take the key for signatures from FILE"),
            "comms_key": Flag(str, "FILE", "take the key for encryption from FILE"),
            "cert_life": Flag(seconds, "TIME", "for how long its certificates are valid (default 2160h)"),
        },
    ),
    "node show": Form("DIR", "show a node", {}),
    "cred show": Form("FILE", "show registry credentials", {}),
    "cred fetch": Form(
        "HOST:PORT",
        "get the credentials of a 2.0 registry from itself",
        {
            "sig": Flag(str, "FINGERPRINT", "of the registry's key, SHA256:…; without it you are asked"),
            "out": Flag(str, "FILE", "write to FILE (default standard output)"),
        },
    ),
    "cred url": Form("FILE", "print the xlreg:// line by which a registry is found and known", {}),
}

_GROUPS = {"node": "make and show nodes", "cred": "show and fetch registry credentials"}
_ALONE = ("node init", "node show", "cred show", "cred fetch", "cred url")  # these need no registry


def _parser() -> _Parser:
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    for name, flag in SHARED.items():
        flag.add(shared, name)
    parser = _Parser(
        prog=PROGRAM,
        parents=[shared],
        allow_abbrev=False,
        description="Join clusters, show and make them.",
        epilog="Every flag can be set in the environment: --registry is XLREG_REGISTRY, and so on. "
        "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 deadline passed, 130 interrupted.",
    )
    parser.add_argument("-v", "--version", action="version", version=f"xlreg {__version__}")
    names = "|".join(dict.fromkeys(command.split()[0] for command in COMMANDS))
    top = parser.add_subparsers(dest="command", required=True, metavar=names)
    groups: dict[str, Any] = {}
    for command, form in COMMANDS.items():
        group, _, action = command.rpartition(" ")
        if group and group not in groups:
            made = top.add_parser(group, help=_GROUPS[group], allow_abbrev=False)
            actions = "|".join(c.split()[1] for c in COMMANDS if c.startswith(group + " "))
            groups[group] = made.add_subparsers(dest="action", required=True, metavar=actions)
        sub = groups.get(group, top).add_parser(
            action, help=form.help, parents=[shared], allow_abbrev=False, argument_default=argparse.SUPPRESS
        )
        more: dict[str, Any] = {"metavar": form.argument.strip("[].")}
        if form.argument.startswith("["):
            more |= {"nargs": "?", "default": ""}
        if form.argument.endswith("..."):
            more["nargs"] = "+"
        sub.add_argument("files" if "FILE..." in form.argument else "argument", **more)
        for name, flag in form.flags.items():
            flag.add(sub, name)
    return parser


def wants_json(args: Sequence[str]) -> bool:
    """Report whether JSON is asked for, also by a command line that is wrong."""
    found = os.environ.get("XLREG_OUTPUT", "")
    for i, arg in enumerate(args):
        if arg in ("-o", "--output"):
            found = "".join(args[i + 1 : i + 2])
        elif arg.startswith(("--output=", "-o")):
            found = arg.removeprefix("--output").removeprefix("-o").removeprefix("=")
    return found == "json"


_MAX_TICKET = 16 << 10


def _is_ticket_argument(text: str) -> bool:
    """Report whether an argument stands for a ticket: names and IDs never look like one."""
    return text == "-" or pasted(text).startswith(PREFIX)


def _take_ticket(given: dict[str, Any]) -> bool:
    """Put a ticket that stands where a name can be where it belongs; whether the line itself gives one."""
    said = [name for name in ("ticket", "ticket_file") if given.get(name)]
    if _is_ticket_argument(given.get("argument", "")) and given["command"] in ("join", "get", "leave"):
        given["ticket"], given["argument"] = given.pop("argument"), ""
        said.append("argument")
    if len(said) > 1:
        raise UsageError("more than one ticket: give it once")
    if said and given.get("argument"):
        raise UsageError("a ticket names its cluster: leave the NAME away")
    if said == ["ticket_file"]:
        given["ticket"] = ""  # so that none of the environment comes before it
    elif said:
        given["ticket_file"] = ""
    return bool(said)


def _one_line(text: str) -> str:
    """Return the line of a ticket, which no file can be meant by.

    Raises:
        TicketError: It is none.
    """
    if not is_ticket(text):
        raise TicketError(f"want a line that begins with {PREFIX} and has cluster= in it")
    return text


def _warn_of_readers(path: str, ticket: Ticket) -> None:
    """Warn if others can read a secret. Some systems hand secrets to programs in such files."""
    secret = ticket.kind in (TicketKind.OWNER, TicketKind.INVITE)
    if secret and Path(path).stat().st_mode & 0o077:
        logging.getLogger("xlreg").warning(
            "others may read the ticket in %s, which is a secret: run chmod 600 %s", path, path
        )


@dataclass
class Command:
    """A command line, checked as far as it alone tells."""

    command: str
    argument: str = ""
    files: Sequence[str] = ()
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
    name: str | None = None
    allow_unverified: bool = False
    key: str = ""
    sig_key: str = ""
    comms_key: str = ""
    cert_life: float = DEFAULT_LIFE.total_seconds()
    sig: str = ""
    out: str = ""
    signed: str = ""
    lease: float = 0.0
    fresh: bool = False
    take_over: bool = False
    label: Sequence[str] = ()
    ticket: str = ""
    ticket_file: str = ""
    taken: Ticket | None = None  # the ticket that all of this leads to

    @classmethod
    def parse(cls, args: Sequence[str]) -> Command:
        """Read a command line, and for flags that were not given the environment.

        Raises:
            UsageError: It is wrong.
        """
        given = vars(_parser().parse_args(args))
        given["command"] = " ".join(filter(None, [given["command"], given.pop("action", "")]))
        own = _take_ticket(given)
        for name, flag in {**SHARED, **COMMANDS[given["command"]].flags}.items():
            variable = f"XLREG_{name.upper()}"
            text = os.environ.get(variable, "")
            if not text or name in given:
                continue
            try:
                given[name] = flag.read(text)
            except argparse.ArgumentTypeError as err:
                raise UsageError(f"{variable}: {err}") from None
        command = cls(**given)
        command._load_ticket(own)
        command._check()
        return command

    def _check(self) -> None:
        for text in self.endpoint:
            self._check_endpoint(text)
        if len(self.endpoint) > limits.MAX_ENDPOINTS:
            raise UsageError(
                f"--endpoint: {len(self.endpoint)} addresses, at most {limits.MAX_ENDPOINTS} allowed"
            )
        if self.command in _ALONE:
            self._check_alone()
            return
        if self.command != "verify":
            self._check_cluster()
        if self.fresh and not self.wait:
            raise UsageError("--fresh: say how long to wait for the others with --wait TIME")
        _ = self.labels
        if self.classic and (self.taken or self.lease or self.fresh or self.signed):
            raise UsageError("tickets, leases, fresh starts and signatures need protocol 2.0")
        if self.classic and (self.unique or self.command == "leave"):
            raise UsageError(f"{'--unique' if self.unique else 'leave'}: needs protocol 2.0")
        if not self.registry and not self.taken:
            raise UsageError("say which registry with --registry FILE|URL, or in XLREG_REGISTRY")

    def _load_ticket(self, own: bool) -> None:
        """Read the ticket, if one is given. What the command line says counts before the environment."""
        optional = COMMANDS[self.command].flags.keys() >= _TICKETS.keys()
        if not optional or (not own and (self.argument or (self.command == "verify" and self.registry))):
            return
        try:
            if self.ticket == "-":
                self.taken = Ticket.load(_one_line(sys.stdin.read(_MAX_TICKET)))
            elif self.ticket:
                self.taken = Ticket.load(_one_line(self.ticket))
            elif self.ticket_file:
                self.taken = Ticket.load(Path(self.ticket_file))
                _warn_of_readers(self.ticket_file, self.taken)
        except TicketError as err:
            raise UsageError(str(err)) from None

    def _check_cluster(self) -> None:
        if not self.argument and not self.taken and self.command != "create":
            raise UsageError(
                f"{self.command}: want a NAME, or a ticket: as TICKET, with --ticket-file FILE, "
                "in XLREG_TICKET, or - for standard input"
            )
        if self.taken and (self.create or self.size):
            raise UsageError("--create and --size: a ticket says them: leave them away")
        _ = self.ref
        if self.command == "create" and not self.size:
            raise UsageError("say how many members with --size N")
        if self.size and not limits.MIN_CLUSTER <= self.size <= limits.MAX_CLUSTER:
            raise UsageError(f"--size {self.size}: want {limits.MIN_CLUSTER} to {limits.MAX_CLUSTER}")
        if not 1 <= self.endpoints <= limits.MAX_ENDPOINTS:
            raise UsageError(f"--endpoints {self.endpoints}: want 1 to {limits.MAX_ENDPOINTS}")
        if self.create and not self.size:
            raise UsageError("--create needs --size N")
        if self.create and self.ref.id is not None:
            raise UsageError("--create needs a name: an ID is the registry's to give")

    def _check_alone(self) -> None:
        if self.key and self.key not in KEY_KINDS:
            raise UsageError(f"--key {self.key}: want {', '.join(KEY_KINDS[:-1])} or {KEY_KINDS[-1]}")
        if bool(self.sig_key) != bool(self.comms_key):
            raise UsageError("give both --sig-key and --comms-key, or neither")
        if self.command == "cred fetch":
            try:
                Endpoint(self.argument)
            except XlregError as err:
                raise UsageError(str(err)) from None

    def _check_endpoint(self, text: str) -> None:
        try:
            if self.command == "join" and own_address(text):
                return
            address = Endpoint(text).address
        except XlregError as err:
            raise UsageError(f"--endpoint: {err}") from None
        if address is not None and (stands_for := nobody_at(address)):
            raise UsageError(f"--endpoint {text}: {stands_for}; give one where others reach it")

    @property
    def labels(self) -> dict[str, str] | None:
        """What to tell the other members; None for nothing."""
        if not self.label:
            return None
        pairs = dict(text.partition("=")[::2] for text in self.label)
        try:
            encode_labels({key: value.encode() for key, value in pairs.items()})
        except XlregError as err:
            raise UsageError(f"--label: {err}") from None
        return pairs

    @property
    def classic(self) -> bool:
        """Whether a classic protocol is chosen."""
        return self.protocol is not None and self.protocol.classic

    @property
    def life(self) -> timedelta:
        """For how long a new node's certificates are valid."""
        return timedelta(seconds=self.cert_life)

    @property
    def ref(self) -> ClusterRef:
        """The cluster that is meant, by name or ID."""
        if self.taken:
            return self.taken.ref
        if self.command == "create" and not self.argument:
            return ClusterRef()
        if _is_ticket_argument(self.argument):
            raise UsageError(f"{self.command}: want a NAME, and this is a ticket")
        with contextlib.suppress(XlregError):
            return ClusterRef(ClusterID.parse(self.argument))
        try:
            return ClusterRef(name=check_name(self.argument))
        except XlregError as err:
            raise UsageError(f"cluster {quote(self.argument)}: {err}") from None

    @property
    def directory(self) -> Path:
        """Where the node is: as given, or the user's own."""
        if self.node:
            return Path(self.node).absolute()
        try:
            config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        except RuntimeError:
            raise NoHomeError("say which node with --node DIR: this user has no home directory") from None
        return Path(config, "xlreg", "node")
