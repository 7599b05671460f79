"""``join`` and ``compare``: what a command does as the member of a cluster."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from . import _calls, _launch, _offline, _output, _seatfile
from ._cmdline import Command
from ._cmdsession import (
    REQUEST_SECONDS,
    SeatKeptError,
    WaitOverError,
    open_node,
    registry_of,
    show_roster,
    telling_of_the_wait,
)
from ._flags import UsageError
from ._output import encode
from ._place import new_run
from ._pursuit import Progress
from ._sync import perform
from .client import Client
from .compared import Comparison, Other
from .errors import AddressError, DeadlineError, NotMemberError, OtherRosterError, doing
from .membership import Membership
from .node import Node
from .roster import Roster

_FORM_SECONDS = 300.0  # to wait for the others before a program starts
_MOST_NAMED = 16  # members in a line
_COMPARE_SECONDS = 10.0  # for each member that is asked


class _Watch:
    """Knows how far a formation has come, and without a wait tries no address twice."""

    def __init__(self, command: Command, node: Node) -> None:
        self._waits = bool(command.wait)
        self.away = _offline.away(command, node)
        self.last: Progress | None = None

    def __call__(self, now: Progress) -> None:
        if now.roster is not None or self.last is None:
            self.last = now
        if isinstance(now.error, AddressError) and not self._waits:
            raise now.error
        if self.away is not None:
            self.away.saw(now)

    def known(self) -> str:
        """Say who has joined, as far as that was told."""
        if self.last is None or self.last.roster is None:
            return ""
        names = [member.name for member in self.last.roster.members]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        listed = f" ({' '.join(names[:_MOST_NAMED])}{more})" if names else ""
        missing = max(0, self.last.size - len(names))
        return f": {len(names)} of {self.last.size} joined{listed}, {missing} missing"


def join(command: Command) -> str:
    """Become a member: with a wait until all are there, without one at once; and start a program as that."""
    if command.program:
        _start(replace(command, wait=command.wait or _FORM_SECONDS))
        return ""
    with _open_node(command) as node:
        if command.offline:
            saved = _offline.load(command, node)
            _offline.warn(f"the registry was not asked: this is {_offline.words(saved)}")
            roster = saved.roster
        else:
            with _joined(command, node) as member:
                roster = member.roster
                if command.dir:
                    _offline.keep(member, _seatfile.Seats(node, registry_of(command)))
        if command.dir:
            _launch.write_files(node, roster, command.dir)
        return show_roster(command, roster)


def _start(command: Command) -> None:
    """Join, wait for the others, and run a program as the member until it ends."""
    # The node is closed by then, so that other commands can open it.
    with _open_node(command) as node:
        member, seats = _joined_or_resumed(command, node), _seatfile.Seats(node, registry_of(command))
    with member:
        _launch.run(
            command.program,
            member,
            seats=seats,
            folder=command.dir,
            on_change=command.on_change,
            allow_unverified=command.allow_unverified,
        )


def _open_node(command: Command) -> Node:
    """Open the node. Without the registry it has to be there already."""
    return Node.open(command.directory) if command.offline else open_node(command)


def _joined_or_resumed(command: Command, node: Node) -> Membership:
    """Join and wait for the others, or start from what is kept: at once, or if the registry does not come."""
    run = b"" if command.classic else new_run()  # it is one start, both ways
    if command.offline:
        saved = _offline.load(command, node)
        _offline.warn(f"the registry is not asked: starting from {_offline.words(saved)}")
        return _offline.resumed(command, node, saved, run)
    try:
        return _joined(command, node, run)
    except _offline.AwayError as err:
        return _offline.resumed(command, node, err.saved, run)


def _joined(command: Command, node: Node, run: bytes = b"") -> Membership:
    """Make the node a member, as a start of it that may have a name, and keep how it has joined."""
    if not command.endpoint and not node.endpoints:
        raise UsageError("say where the others find this member with --endpoint HOST:PORT")
    watch, kept = _Watch(command, node), _kept_seat(command, node)
    kept = replace(kept, run=run or kept.run)
    try:
        with telling_of_the_wait(command, watch.known):
            member = _form(command, node, kept, watch)
    except DeadlineError as err:
        if command.wait:
            raise WaitOverError(str(err)) from err
        raise
    except KeyboardInterrupt as err:
        raise _kept(command, node, watch, err) from None
    me = member.me.token
    seat = _seatfile.KeptSeat(me.run, command.lease or kept.lease, command.labels or kept.labels)
    _seatfile.Seats(node, registry_of(command)).write(member.cluster, seat)
    return member


def _kept_seat(command: Command, node: Node) -> _seatfile.KeptSeat:
    """Return what the node asked for when it last joined; of another start only the labels."""
    if command.classic:
        return _seatfile.KeptSeat()
    kept = _seatfile.Seats(node, registry_of(command)).read(command.ref)
    if command.program or command.fresh or command.take_over:
        return replace(kept, run=b"", lease=0.0)
    return kept


def _form(command: Command, node: Node, kept: _seatfile.KeptSeat, watch: _Watch | None = None) -> Membership:
    request = _calls.form(
        registry_of(command),
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
        timeout=command.wait or REQUEST_SECONDS,
        protocol=command.protocol,
        progress=watch,
        no_wait=not command.wait,
    )
    away = watch.away if watch else None
    return Membership(away.perform(request) if away else perform(request))


def _kept(command: Command, node: Node, watch: _Watch, err: KeyboardInterrupt) -> KeyboardInterrupt:
    """Return what to say of a wait that was interrupted: whoever has a place keeps it."""
    last = watch.last
    if last is None or last.roster is None or command.fresh:
        return err
    cluster = last.roster.cluster.name
    text = f"{node.name} keeps its place in {cluster}: the same command goes on waiting"
    if not command.classic:
        flag = f" --node {shlex.quote(command.node)}" if command.node else ""
        words = "TICKET" if command.taken else cluster
        text += f", and 'xlreg leave {words}{flag}' gives it up"
    return SeatKeptError(text)


def compare(command: Command) -> str:
    """Ask the other members what they see, as a node that is a member already."""
    with Node.open(command.directory) as node:
        with Client.connect(registry_of(command), timeout=REQUEST_SECONDS) as client:
            roster = client.members(command.ref, timeout=REQUEST_SECONDS)
        _want_member(node, roster)
        # It joins as it joined before, which changes nothing.
        with _form(command, node, _kept_seat(command, node)) as member:
            try:
                return _show_comparison(command, member.compare(_COMPARE_SECONDS))
            except OtherRosterError as err:
                raise SeenOtherwiseError(_show_comparison(command, err.comparison)) from err


class SeenOtherwiseError(Exception):
    """A member sees another cluster. It has what to print before that is told."""

    def __init__(self, shown: str) -> None:
        super().__init__()
        self.shown = shown


def _want_member(node: Node, roster: Roster) -> None:
    """Keep a node that is no member from becoming one."""
    if roster.by_key(node.keys.sig_key) is None:
        with doing(f"node {node.name}"):
            raise NotMemberError


def _show_comparison(command: Command, found: Comparison) -> str:
    roster = found.roster
    names = [member.name for member in found.same]
    if command.output == "json":
        value = {
            "cluster": _output.cluster_json(roster.cluster),
            "revision": roster.state.revision,
            "sum": roster.short_sum,
            "same": names,
            "other": _others_json(found.other),
            "unknown": _others_json(found.unknown),
        }
        return encode(value)
    rows = [("cluster", roster.cluster.name), ("sum", roster.short_sum)]
    rows += [("the same", " ".join(names))] if names else []
    rows += [("another", f"{other.member.name}: {other.short_sum}") for other in found.other]
    rows += [("unknown", f"{other.member.name}: {_why(other)}") for other in found.unknown]
    return _output.table(rows)


def _why(other: Other) -> str:
    """Return why it is not known what a member sees."""
    if other.error is None:
        return f"another revision, {other.revision}"
    return "".join(c if c.isprintable() else "?" for c in str(other.error))


def _others_json(others: Sequence[Other]) -> list[dict[str, Any]]:
    return [
        {"name": other.member.name, **({"why": _why(other)} if other.error else {"sum": other.short_sum})}
        for other in others
    ]
