"""The flags of a command line: how the text of each is read, and what it is called."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from .errors import XlregError, quote
from .version import Protocol
from .vocabulary import check_name


class UsageError(Exception):
    """The command line itself is wrong."""


class NoHomeError(UsageError):
    """Nobody said which node, and this user has no place for one."""


class Parser(argparse.ArgumentParser):
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


def texts(text: str) -> list[str]:
    """Read a list."""
    return text.split(",")


def one(text: str) -> list[str]:
    """Read one entry of a list, which may have a comma in it."""
    return [text]


def number(text: str) -> int:
    """Read a whole number."""
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{quote(text)}: want a whole number")
    return int(text)


def name(text: str) -> str:
    """Read a name."""
    try:
        return check_name(text)
    except XlregError as err:
        raise argparse.ArgumentTypeError(str(err)) from None


def protocol(text: str) -> Protocol:
    """Read a generation of the protocol."""
    try:
        return Protocol.of(text)
    except XlregError as err:
        raise argparse.ArgumentTypeError(str(err)) from None


def output(text: str) -> str:
    """Read in which form to print."""
    if text not in ("table", "wide", "json"):
        raise argparse.ArgumentTypeError(f"{quote(text)}: want table, wide or json")
    return text


def switch(text: str) -> bool:
    """Read whether something is on, which on the command line takes no text."""
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
        if self.read is switch:
            more = {"action": "store_true"}
        if self.read in (texts, one):
            more["action"] = "extend"
        short = ["-o"] if name == "output" else []
        parser.add_argument(*short, "--" + _word(name, "-"), dest=name, help=self.help, **more)


def _word(name: str, between: str) -> str:
    """Return what people call a flag: an underscore at its end keeps it apart from other names here."""
    return name.rstrip("_").replace("_", between)


def variable(name: str) -> str:
    """Return the variable of the environment that stands for a flag."""
    return f"XLREG_{_word(name, '_').upper()}"


# What programs are told that were started as members. Some are spelled like flags.
_TOLD = ("CLUSTER", "SELF", "INDEX", "SIZE", "ROSTER", "ROLE", "ENDPOINTS")
_TOLD_OF_TLS = ("TLS_CERT", "TLS_KEY", "TLS_PEERS")
TOLD = frozenset(f"XLREG_{name}" for name in (*_TOLD, *_TOLD_OF_TLS))
