"""Client of the xlreg cluster registry: n processes become a cluster in which all know each other.

Most programs need one call, ``form`` (``aform`` in asyncio). It registers the node,
creates or finds the cluster, joins it with the addresses of the listening sockets
given, waits until every member has joined, and returns the roster with every signature
verified. It survives restarts of the registry. Its result makes TLS contexts for
connections among the members.

It is built on ``Client`` and ``AsyncClient``, which are one session with a registry and
have a method for each request of the protocol. ``xlreg.errors`` shows what can go wrong.

Example:
    >>> import socket, xlreg                                        # doctest: +SKIP
    >>> listener = socket.create_server(("192.0.2.7", 0))           # doctest: +SKIP
    >>> with xlreg.Node.ensure("/var/lib/app/node") as node:        # doctest: +SKIP
    ...     membership = xlreg.form("xlreg://reg.example.org/?sig=…", node=node,
    ...                             cluster="web", size=3, listeners=[listener])
"""

from ._pursuit import Progress
from ._record import Registration
from ._version import __version__
from .aio import AsyncClient, aform, aresume, await_members, awatch
from .changes import Change
from .client import Client, form, resume, wait_members, watch
from .compared import Comparison
from .errors import RegCredError, XlregError
from .keys import Keys, fingerprint, parse_private_key
from .membership import AsyncMembership, Membership
from .node import Node
from .owner import AsyncOwner, Owner
from .regcred import RegCred, Target, parse_reg_cred
from .roster import Member, Roster
from .saved import SavedRoster, load_roster
from .signed import SignedRoster, verify_signed
from .ticket import Ticket, TicketKind
from .version import DecimalVersion, Protocol, parse_decimal_version
from .vocabulary import (
    Cluster,
    ClusterAttrs,
    ClusterID,
    ClusterKey,
    ClusterRef,
    ClusterState,
    CommsKey,
    Endpoint,
    NodeAttrs,
    NodeID,
    SigKey,
    Token,
)

__all__ = [
    "AsyncClient",
    "AsyncMembership",
    "AsyncOwner",
    "Change",
    "Client",
    "Cluster",
    "ClusterAttrs",
    "ClusterID",
    "ClusterKey",
    "ClusterRef",
    "ClusterState",
    "CommsKey",
    "Comparison",
    "DecimalVersion",
    "Endpoint",
    "Keys",
    "Member",
    "Membership",
    "Node",
    "NodeAttrs",
    "NodeID",
    "Owner",
    "Progress",
    "Protocol",
    "RegCred",
    "RegCredError",
    "Registration",
    "Roster",
    "SavedRoster",
    "SigKey",
    "SignedRoster",
    "Target",
    "Ticket",
    "TicketKind",
    "Token",
    "XlregError",
    "__version__",
    "aform",
    "aresume",
    "await_members",
    "awatch",
    "fingerprint",
    "form",
    "load_roster",
    "parse_decimal_version",
    "parse_private_key",
    "parse_reg_cred",
    "resume",
    "verify_signed",
    "wait_members",
    "watch",
]
