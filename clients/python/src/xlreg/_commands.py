"""What each command does. All return what to print, at once or as it comes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from . import _atomicfile, _output, _seatfile, _sync
from ._cmdline import Command
from ._cmdsession import (
    REQUEST_SECONDS,
    WaitOverError,
    ask_person,
    asking,
    registry_of,
    session,
    show_roster,
    telling_of_the_wait,
)
from ._dial import Options
from ._dialogue import in_session
from ._flags import UsageError
from ._flow import Request
from ._grammar import PROGRAM
from ._joining import compare, join
from ._orders import delete, evict, reopen, revoke
from ._ticketing import ticket_admit, ticket_invite, ticket_new, ticket_reader, ticket_show
from ._watching import watch
from .client import Client, wait_members
from .errors import (
    DeadlineError,
    DocumentError,
    FingerprintError,
    NotOwnerError,
    RegCredError,
    XlregError,
    doing,
)
from .keys import Keys, parse_fingerprint, parse_private_key, public_ssh
from .node import Node
from .regcred import RegCred, Target
from .signed import SignedRoster, verify_signed
from .ticket import TicketKind
from .version import Protocol
from .vocabulary import Cluster, ClusterAttrs, Endpoint

_FIRST_PORT = 7001  # an example, as the examples in the docs have it


def create(command: Command) -> str:
    """Make a cluster, which with a ticket is the owner's."""
    ticket, attrs = command.taken, ClusterAttrs.UNIQUE if command.unique else ClusterAttrs.NONE
    if ticket is not None and ticket.kind is not TicketKind.OWNER:
        with doing(f"create {ticket.cluster}"):
            raise NotOwnerError
    with session(command) as client:
        if ticket is not None:
            made = client.create(timeout=REQUEST_SECONDS)
        else:
            made = client.create(
                command.argument,
                command.size,
                endpoint_count=command.endpoints,
                attrs=attrs,
                timeout=REQUEST_SECONDS,
            )
    if command.print_join:
        return _print_join(command, made)
    if command.output == "json":
        return _output.encode({"cluster": _output.cluster_json(made)})
    return _output.cluster_text(made)


def _print_join(command: Command, made: Cluster) -> str:
    """Return the command that joins a cluster: which says all there is to know."""
    registry = command.registry if command.classic else Target.load(command.registry).url
    ends = ",".join(f":{_FIRST_PORT + i}" for i in range(max(1, made.endpoint_count)))
    line = (
        f"{PROGRAM} join {made.name} --registry {shlex.quote(registry)} --create --size {made.size} "
        f"--endpoint {ends} --wait 5m"
    )
    if command.classic:
        line += f" --protocol {command.protocol}"
    if command.output == "json":
        return _output.encode({"cluster": _output.cluster_json(made), "join": line})
    return line + "\n"


def get(command: Command) -> str | Iterator[str]:
    """Show the members of a cluster."""
    if command.watch:
        return watch(command)
    if command.signed:
        with session(command) as client:
            signed = client.signed(command.ref, timeout=REQUEST_SECONDS)
        _atomicfile.write(Path(command.signed), signed.document, 0o644)
        return show_roster(command, signed.roster)
    if not command.wait:
        with session(command) as client:
            return show_roster(command, client.members(command.ref, timeout=REQUEST_SECONDS))
    target = registry_of(command)
    with asking(command) as node, telling_of_the_wait(command):
        try:
            roster = wait_members(
                target, command.ref, node=node, protocol=command.protocol, timeout=command.wait
            )
        except DeadlineError as err:
            raise WaitOverError(str(err)) from err
    return show_roster(command, roster)


class ContradictionError(DocumentError):
    """Two signed rosters convict their registry."""


def verify(command: Command) -> Iterator[str]:
    """Verify signed rosters, each on its own and then against the others."""
    target, found = registry_of(command), []
    for file in command.files:
        try:
            found.append(verify_signed(Path(file).read_bytes(), target))
        except DocumentError as err:
            raise DocumentError(f"{file}: {err}") from None
    yield _show_documents(command, found)
    for i, one in enumerate(found):
        for j, other in enumerate(found[:i]):
            if one.contradicts(other):
                raise ContradictionError(_conviction(command.files[j], other, command.files[i], one))


def _show_documents(command: Command, found: Sequence[SignedRoster]) -> str:
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
    target = registry_of(command)
    with (
        Node.open(command.directory) as node,
        Client.connect(target, node, protocol=command.protocol, timeout=REQUEST_SECONDS) as client,
    ):
        client.login(timeout=REQUEST_SECONDS)
        left = client.cluster(command.ref, timeout=REQUEST_SECONDS)
        client.leave(left, timeout=REQUEST_SECONDS)
        _seatfile.Seats(node, target).forget(left)
    if command.output == "json":
        return _output.encode({"cluster": _output.cluster_json(left)})
    return f"left {left.name}\n"


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
        if not command.key_:
            return _show_node(command, node)
        line = public_ssh(node.keys.sig.public_key())
    return _output.encode({"key": line}) if command.output == "json" else line + "\n"


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
        with Client.connect(Target.of((endpoint,), digest), timeout=REQUEST_SECONDS) as client:
            cred = client.registry(timeout=REQUEST_SECONDS)
    else:
        cred = _claimed(endpoint)
        _ask_trust(endpoint, cred.fingerprint)
    if command.out:
        cred.write(command.out)
    return _show_cred(command, cred) if command.out or command.output == "json" else str(cred)


def _claimed(endpoint: Endpoint) -> RegCred:
    """Return what a registry says of itself. It has to match the handshake, but nobody vouches for it."""
    options = Options(Target((endpoint,), ""), unknown=True)
    request = Request(lambda limit: in_session(options, limit, lambda d: d.registry(limit)), REQUEST_SECONDS)
    return _sync.perform(request)


def _ask_trust(endpoint: Endpoint, sig: str) -> None:
    """Ask the person at the terminal."""
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        raise UsageError(
            f"nobody is here to be asked, and the registry at {endpoint} only claims to have the key {sig}: "
            "give the fingerprint it should have with --sig"
        )
    trusted = ask_person(
        f"The registry at {endpoint} says its key is\n\n  {sig}\n\n"
        "It is the right one only if that is what its operator told you.\nTrust it? [y/N] "
    )
    if not trusted:
        raise _NotTrustedError("not trusted, nothing fetched")


class _NotTrustedError(XlregError):
    """Somebody was asked and said no."""


def _show_cred(command: Command, cred: RegCred) -> str:
    return _output.encode(_output.cred_json(cred)) if command.output == "json" else _output.cred_text(cred)


COMMANDS: dict[str, Callable[[Command], str | Iterator[str]]] = {
    "create": create,
    "get": get,
    "join": join,
    "leave": leave,
    "verify": verify,
    "compare": compare,
    "ticket new": ticket_new,
    "ticket invite": ticket_invite,
    "ticket admit": ticket_admit,
    "ticket reader": ticket_reader,
    "ticket show": ticket_show,
    "evict": evict,
    "revoke": revoke,
    "reopen": reopen,
    "delete": delete,
    "node init": node_init,
    "node show": node_show,
    "cred show": cred_show,
    "cred fetch": cred_fetch,
    "cred url": cred_url,
}
