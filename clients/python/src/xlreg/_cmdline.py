"""A command line that was read, and checked as far as it alone tells."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from . import limits
from ._address import nobody_at, own_address
from ._cmdticket import TicketSource, is_ticket_argument
from ._flags import TOLD, NoHomeError, UsageError, variable
from ._grammar import COMMANDS, PLACE, SHARED, read, shown
from ._wire.inner import encode_labels
from .certificate import DEFAULT_LIFE
from .errors import Needs20Error, XlregError, quote
from .keys import KEY_KINDS
from .ticket import Ticket
from .version import Protocol
from .vocabulary import ClusterID, ClusterRef, Endpoint, check_name

_ALONE = ("node init", "node show", "cred show", "cred fetch", "cred url")  # these need no registry
_TICKET_SAYS = ("size", "endpoints", "unique", "print_join")  # what create is not told besides a ticket


@dataclass(repr=False)
class Command:
    """A command line, checked as far as it alone tells. What it was given may be secret, and is not shown."""

    command: str
    argument: str = ""
    files: Sequence[str] = ()
    program: Sequence[str] = ()  # what join starts
    output: str = "table"
    registry: str = ""
    node: str = ""
    protocol: Protocol | None = None
    endpoint: Sequence[str] = ()
    endpoints: int = 1
    size: int = 0
    create: bool = False
    unique: bool = False
    print_join: bool = False
    wait: float | None = None
    watch: bool = False
    name: str | None = None
    allow_unverified: bool = False
    key: str = ""
    key_: bool = False
    sig_key: str = ""
    comms_key: str = ""
    cert_life: float = DEFAULT_LIFE.total_seconds()
    sig: str = ""
    out: str = ""
    signed: str = ""
    lease: float = 0.0
    fresh: bool = False
    take_over: bool = False
    offline: bool = False
    offline_after: float = 30.0
    label: Sequence[str] = ()
    dir: str = ""
    on_change: str = ""
    uses: int = 0
    for_: float | None = None
    secret: bool = False
    ban: bool = False
    yes: bool = False
    said: frozenset[str] = frozenset()  # the flags of the line itself, and not of the environment
    source: TicketSource = field(default_factory=TicketSource)
    taken: Ticket | None = None  # the ticket that all of this leads to

    @classmethod
    def parse(cls, args: Sequence[str]) -> Command:
        """Read a command line, and for flags that were not given the environment.

        Raises:
            UsageError: It is wrong.
            TicketError: The ticket is none.
        """
        given, rest, program = read(args)
        said = frozenset(given)
        form = COMMANDS[given["command"]]
        ticket = [rest.pop(0)] if form.takes_ticket and rest and is_ticket_argument(rest[0]) else [""]
        source = TicketSource.of(given.pop("ticket", ""), given.pop("ticket_file", ""), *ticket)
        _add_environment(given)
        line, file = given.pop("ticket", ""), given.pop("ticket_file", "")
        if not source:
            source = TicketSource(line, "" if line else file)
        command = cls(**given, said=said, source=source, program=program)
        command._take_arguments(rest)
        command._load_ticket()
        command._check()
        return command

    def _take_arguments(self, rest: Sequence[str]) -> None:
        """Take what is no flag, and refuse what is too little or too much."""
        wants = COMMANDS[self.command].wants
        if wants.endswith("..."):
            if not rest:
                raise UsageError(f"missing {wants.rstrip('.')}")
            self.files = rest
            return
        if wants == PLACE and self.source.own and rest:
            raise UsageError("a ticket names its cluster: leave the NAME out")
        if len(rest) > bool(wants):
            raise UsageError(f"unexpected argument {quote(shown(rest[bool(wants)]))}")
        if wants and not rest and PLACE not in wants:
            raise UsageError(f"missing {wants}")
        self.argument = rest[0] if rest else ""

    def _load_ticket(self) -> None:
        """Read the ticket, if one is given. What the command line says counts before the environment."""
        form = COMMANDS[self.command]
        if not form.takes_ticket:
            return
        named = (PLACE in form.wants and self.argument) or (
            self.command == "verify" and "registry" in self.said
        )
        if self.source.own and "registry" in self.said:
            raise UsageError("the ticket says which registry it is: leave --registry out")
        if self.source and (self.source.own or not named):
            self._check_ticket_flags()
            self.taken = self.source.load()
        elif PLACE not in form.wants and self.command != "verify":
            raise UsageError(
                "give a ticket: as TICKET, with --ticket-file FILE, in XLREG_TICKET, or - for standard input"
            )

    def _check_ticket_flags(self) -> None:
        """Refuse flags that say what a ticket does, before standard input is read."""
        if self.command == "join" and self.create:
            raise UsageError("--create: a ticket says whether it can create the cluster: leave it out")
        for flag in _TICKET_SAYS:
            if self.command == "create" and flag in self.said:
                raise UsageError(
                    f"--{flag.replace('_', '-')}: the ticket says what the cluster is like: leave it out"
                )

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
        if PLACE in COMMANDS[self.command].wants or self.command == "ticket new":
            self._check_cluster()
        self._check_invite()
        self._check_seat()
        self._check_get()
        self._check_classic()
        if not self.registry and not self.taken:
            raise UsageError("say which registry with --registry FILE|URL, or in XLREG_REGISTRY")

    def _check_cluster(self) -> None:
        making = self.command in ("create", "ticket new")
        if not self.argument and not self.taken and not making:
            raise UsageError(
                f"{self.command}: want a NAME, or a ticket: as TICKET, with --ticket-file FILE, "
                "in XLREG_TICKET, or - for standard input"
            )
        _ = self.ref
        if making and not self.size and not self.taken:
            raise UsageError("say how many members with --size N")
        if self.size and not limits.MIN_CLUSTER <= self.size <= limits.MAX_CLUSTER:
            raise UsageError(f"--size {self.size}: want {limits.MIN_CLUSTER} to {limits.MAX_CLUSTER}")
        if not 1 <= self.endpoints <= limits.MAX_ENDPOINTS:
            raise UsageError(f"--endpoints {self.endpoints}: want 1 to {limits.MAX_ENDPOINTS}")
        if self.create and not self.size:
            raise UsageError("--create needs --size N")
        if self.create and self.ref.id is not None:
            raise UsageError("--create needs a name: an ID is the registry's to give")

    def _check_invite(self) -> None:
        if not 0 <= self.uses <= limits.MAX_USES:
            raise UsageError(f"--uses {self.uses}: want 1 to {limits.MAX_USES}, or 0 for any number")

    def _check_seat(self) -> None:
        """Look at what only a program that is started gives sense."""
        if self.lease and not self.program:
            raise UsageError("--lease is kept for as long as COMMAND runs: give one after --")
        if self.on_change and not self.program:
            raise UsageError("--on-change is for as long as COMMAND runs: give one after --")
        if self.fresh and not self.wait and not self.program:
            raise UsageError("--fresh waits for the others: say how long with --wait TIME")
        if self.offline and self.fresh:
            raise UsageError("--offline starts from what was, and --fresh from what is: leave one out")
        if self.program and self.wait == 0:
            raise UsageError("--wait 0: COMMAND is started when all members are there: give it a time")
        if any("{{" in arg for arg in self.program):
            raise UsageError("COMMAND: templates are for the Go program: read the environment instead")
        _ = self.labels

    def _check_get(self) -> None:
        if self.watch and (self.wait or self.signed):
            raise UsageError("--watch goes on for ever: leave --wait and --signed out")
        if self.signed and self.wait:
            raise UsageError("--signed is of this moment: leave --wait out")

    def _check_classic(self) -> None:
        if not self.classic:
            return
        if self.fresh or self.lease or self.label or self.take_over or self.offline:
            raise UsageError("--fresh, --lease, --label, --take-over and --offline: need protocol 2.0")
        if self.unique or self.command in ("leave", "compare", "verify", "ticket new"):
            raise UsageError(f"{'--unique' if self.unique else self.command}: needs protocol 2.0")
        if self.taken or self.signed or self.watch:
            raise Needs20Error("tickets, watches and signatures: need protocol 2.0")

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
        pairs: dict[str, str] = {}
        for text in self.label:
            key, found, value = text.partition("=")
            if not found:
                raise UsageError(f"--label {quote(text)}: want KEY=VALUE")
            if key in pairs:
                raise UsageError(f"--label {key}: is there twice")
            pairs[key] = value
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
        if is_ticket_argument(self.argument):
            raise UsageError(f"{self.command}: want a NAME, and this is a ticket")
        with contextlib.suppress(XlregError):
            return ClusterRef(ClusterID.parse(self.argument))
        try:
            return ClusterRef(name=check_name(self.argument))
        except XlregError as err:
            if shown(self.argument) != self.argument:
                raise UsageError(f"cluster {quote(shown(self.argument))}: this is no name") from None
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


def _add_environment(given: dict[str, Any]) -> None:
    """Add the flags that are not given from the environment.

    In a program that was started as a member, the variables that describe its cluster are no flags.
    """
    told = TOLD if os.environ.get("XLREG_SELF") else ()
    for name, flag in {**SHARED, **COMMANDS[given["command"]].flags}.items():
        text = os.environ.get(variable(name), "")
        if not text or name in given or variable(name) in told:
            continue
        try:
            given[name] = flag.read(text)
        except argparse.ArgumentTypeError as err:
            raise UsageError(f"{variable(name)}: {err}") from None
