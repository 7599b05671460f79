"""The command line as data: which commands there are, with which arguments and flags."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._flags import Flag, Parser, UsageError, name, number, one, output, protocol, seconds, switch, texts
from ._version import __version__
from .keys import DEFAULT_KEY_KIND, KEY_KINDS

PROGRAM = "xlreg-py"

SHARED = {
    "output": Flag(output, "FORMAT", "table, wide or json"),
    "registry": Flag(str, "FILE|URL", "a regCred file or an xlreg:// line"),
    "node": Flag(str, "DIR", "the node's directory, made if it does not exist (default the user's own)"),
    "protocol": Flag(protocol, "GENERATION", "2.0, 1.9 or 1.8 (default 2.0)"),
}
"""The flags that every command has."""

_ENDPOINT = Flag(texts, "HOST:PORT", "where the others find it, repeatable")
_OWN_ENDPOINT = Flag(
    texts,
    "HOST:PORT",
    "where the others find it, repeatable; INTERFACE:PORT or :PORT find the host, observed:PORT takes the "
    "one that the registry sees",
)
_WAIT = Flag(seconds, "TIME", "such as 30s, for all members")
_TICKETS = {
    "ticket": Flag(str, "TICKET", "the cluster's ticket, or - to read it from standard input"),
    "ticket_file": Flag(str, "FILE", "read the ticket from FILE"),
}
_NEW_TICKET = {
    "out": Flag(
        str,
        "FILE",
        "write the ticket to the new FILE, which only you can read (default standard output)",
    )
}
_NEW_NAME = Flag(
    name, "NAME", "of a node that is made now (default this machine's, if need be with digits of the key)"
)
_SIZE = Flag(number, "MEMBERS", "how many it is made for, 2 to 1024")
_ENDPOINTS = Flag(number, "ADDRESSES", "how many each member must have, 1 to 16 (default 1)")

PLACE = "NAME|TICKET"
"""What names a cluster: its own name, or a ticket, which may come from elsewhere."""


@dataclass(frozen=True)
class Form:
    """What a command looks like.

    Attributes:
        wants: What it must be given besides a ticket; in brackets if it need not be, with dots if more
            may follow.
        help: What it does.
        flags: Its own flags.
    """

    wants: str
    help: str
    flags: dict[str, Flag]

    @property
    def takes_ticket(self) -> bool:
        """Whether it is about the cluster of a ticket."""
        return "ticket" in self.flags

    @property
    def arguments(self) -> str:
        """Its arguments, for the help."""
        ticket = self.takes_ticket and PLACE not in self.wants
        return " ".join(filter(None, ["[TICKET]" if ticket else "", self.wants]))


COMMANDS = {
    "join": Form(
        PLACE,
        "become a member of a cluster, and start a program as that: join ... [-- COMMAND ARG...]",
        {
            **_TICKETS,
            "endpoint": _OWN_ENDPOINT,
            "size": Flag(number, "MEMBERS", "how many it must be made for"),
            "create": Flag(switch, "", "make it, of --size members, if it is not there"),
            "wait": _WAIT,
            "name": _NEW_NAME,
            "allow_unverified": Flag(switch, "", "take members of classic carriers too"),
            "lease": Flag(
                seconds,
                "TIME",
                "lose the place if COMMAND, or this machine, is gone for so long (default never)",
            ),
            "fresh": Flag(switch, "", "meet only members of this start"),
            "take_over": Flag(switch, "", "take the place although another process has it"),
            "offline": Flag(
                switch, "", "start from the roster that the node keeps, and join when the registry is there"
            ),
            "offline_after": Flag(
                seconds,
                "TIME",
                "do so if the registry cannot be reached for so long (default 30s; 0 is never)",
            ),
            "label": Flag(one, "KEY=VALUE", "what to tell the others besides, repeatable"),
            "dir": Flag(
                str, "DIR", "write the files for programs in DIR (default clusters/NAME in the node's)"
            ),
            "on_change": Flag(
                str,
                "CMD",
                "run this shell command while COMMAND runs each time that the members have changed",
            ),
        },
    ),
    "get": Form(
        PLACE,
        "show who is in a cluster, given by name, ID or ticket",
        {
            **_TICKETS,
            "wait": _WAIT,
            "watch": Flag(switch, "", "go on, and tell each change, until Ctrl-C"),
            "signed": Flag(str, "FILE", "write to FILE what the registry signs, for verify"),
        },
    ),
    "verify": Form(
        "FILE...",
        "verify what get --signed has written, without asking the registry",
        _TICKETS,
    ),
    "compare": Form(
        PLACE,
        "ask the other members whether they see the same cluster as the member that --node names",
        _TICKETS,
    ),
    "create": Form(
        f"[{PLACE}]",
        "make a cluster; without a name one is made up, and the owner's ticket says all of it",
        {
            **_TICKETS,
            "size": _SIZE,
            "endpoints": _ENDPOINTS,
            "unique": Flag(switch, "", "append to the name what makes it new"),
            "print_join": Flag(switch, "", "print the command that joins it, and nothing else"),
            "name": _NEW_NAME,
        },
    ),
    "leave": Form(PLACE, "give up a place in a cluster", _TICKETS),
    "ticket new": Form(
        "NAME",
        "make the owner's ticket of a new cluster, without asking the registry",
        {"size": _SIZE, "endpoints": _ENDPOINTS, **_NEW_TICKET},
    ),
    "ticket invite": Form(
        "",
        "make an invite of the owner's ticket, by which others become members",
        {
            **_TICKETS,
            "uses": Flag(number, "NODES", "how many it admits, up to 1000 (default any number)"),
            "for_": Flag(seconds, "TIME", "such as 24h, within which it admits new nodes (default for ever)"),
            **_NEW_TICKET,
        },
    ),
    "ticket admit": Form(
        "NODE",
        "make a ticket that admits one node, given by its directory, its public key or, if it is a member, "
        "its fingerprint",
        {**_TICKETS, **_NEW_TICKET},
    ),
    "ticket reader": Form("", "make a ticket that admits nobody, of any other", {**_TICKETS, **_NEW_TICKET}),
    "ticket show": Form(
        "",
        "show what a ticket is for, without what is secret in it",
        {**_TICKETS, "secret": Flag(switch, "", "show the ticket itself, too")},
    ),
    "evict": Form(
        "MEMBER",
        "put a member, given by name or fingerprint, out of a cluster, as its owner",
        {**_TICKETS, "ban": Flag(switch, "", "keep its key out for good, and revoke its invite")},
    ),
    "revoke": Form(
        "INVITE",
        "take an invite back, given by its key or the file that holds it, as the owner of a cluster",
        _TICKETS,
    ),
    "reopen": Form("", "free all places of a cluster, as its owner", _TICKETS),
    "delete": Form(
        "",
        "delete a cluster for good, as its owner",
        {**_TICKETS, "yes": Flag(switch, "", "do not ask")},
    ),
    "node init": Form(
        "DIR",
        "make a node, with new keys or with keys you have",
        {
            "name": Flag(name, "NAME", "its name (default this machine's, with digits of the key)"),
            "endpoint": _ENDPOINT,
            "key": Flag(str, "KIND", f"of new keys: {', '.join(KEY_KINDS)} (default {DEFAULT_KEY_KIND})"),
            "sig_key": Flag(str, "FILE", "take the key for signatures from FILE"),
            "comms_key": Flag(str, "FILE", "take the key for encryption from FILE"),
            "cert_life": Flag(seconds, "TIME", "for how long its certificates are valid (default 2160h)"),
        },
    ),
    "node show": Form(
        "DIR",
        "show a node",
        {"key_": Flag(switch, "", "print the public key alone, for ticket admit")},
    ),
    "cred show": Form("FILE", "show registry credentials", {}),
    "cred fetch": Form(
        "HOST:PORT",
        "get the credentials of a 2.0 registry from itself",
        {
            "sig": Flag(str, "FINGERPRINT", "of the registry's key, SHA256:...; without it you are asked"),
            "out": Flag(str, "FILE", "write to FILE (default standard output)"),
        },
    ),
    "cred url": Form("FILE", "print the xlreg:// line by which a registry is found and known", {}),
}

_GROUPS = {
    "ticket": "make and show tickets, which admit to a cluster",
    "node": "make and show nodes",
    "cred": "show and fetch registry credentials",
}


def _parser() -> Parser:
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    for key, flag in SHARED.items():
        flag.add(shared, key)
    parser = Parser(
        prog=PROGRAM,
        parents=[shared],
        allow_abbrev=False,
        description="Join clusters, show and make them.",
        epilog="Every flag can be set in the environment: --registry is XLREG_REGISTRY, and so on. A ticket "
        "in XLREG_TICKET, in a file or on standard input (-) is safer than one that is an argument, which "
        "every user of this machine can see. "
        "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 deadline passed, 130 interrupted; "
        "join -- COMMAND exits like the COMMAND.",
    )
    parser.add_argument("-v", "--version", action="version", version=f"xlreg {__version__}")
    names = "|".join(dict.fromkeys(command.split()[0] for command in COMMANDS))
    top = parser.add_subparsers(dest="command", required=True, metavar=names)
    groups: dict[str, Any] = {}
    for command, form in COMMANDS.items():
        group = command.rpartition(" ")[0]
        if group and group not in groups:
            made = top.add_parser(group, help=_GROUPS[group], allow_abbrev=False)
            actions = "|".join(c.split()[1] for c in COMMANDS if c.startswith(group + " "))
            groups[group] = made.add_subparsers(dest="action", required=True, metavar=actions)
        _add_command(groups.get(group, top), command, form, shared)
    return parser


def _add_command(parsers: Any, command: str, form: Form, shared: argparse.ArgumentParser) -> None:
    sub = parsers.add_parser(
        command.split()[-1],
        help=form.help,
        description=form.help,
        usage=f"{PROGRAM} {command} {form.arguments} [flags]".replace("  ", " "),
        parents=[shared],
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    sub.add_argument("rest", nargs="*", default=[], help=argparse.SUPPRESS)
    for key, flag in form.flags.items():
        flag.add(sub, key)


def read(args: Sequence[str]) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return the flags of a command line, its arguments, and those of the program that it is to start.

    Raises:
        UsageError: There is no such command, or it has no such flag.
    """
    dash = args.index("--") if "--" in args else len(args)
    found, more = _parser().parse_known_args(args[:dash])
    given = vars(found)
    given["command"] = " ".join(filter(None, [given["command"], given.pop("action", "")]))
    for arg in more:
        if arg.startswith("-"):
            raise UsageError(f"unrecognized arguments: {shown(arg)}")
    rest, after = [*given.pop("rest"), *more], list(args[dash + 1 :])
    if given["command"] != "join":
        return given, rest + after, []
    if dash < len(args) and not after:
        raise UsageError("say what to start after --")
    return given, rest, after


_LONGEST_SHOWN = 128


def shown(arg: str) -> str:
    """Return an argument as an error may show it: one that could be a part of a ticket is not."""
    return arg[:8] + "…" if "://" in arg or len(arg) > _LONGEST_SHOWN else arg


def wants_json(args: Sequence[str]) -> bool:
    """Report whether JSON is asked for, also by a command line that is wrong."""
    found = os.environ.get("XLREG_OUTPUT", "")
    for i, arg in enumerate(args):
        if arg == "--":
            break
        if arg in ("-o", "--output"):
            found = "".join(args[i + 1 : i + 2])
        elif arg.startswith(("--output=", "-o")):
            found = arg.removeprefix("--output").removeprefix("-o").removeprefix("=")
    return found == "json"
