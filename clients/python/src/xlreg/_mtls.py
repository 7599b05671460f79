"""Mutual TLS from a roster: each member's own certificate is the anchor for it and nobody else."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from datetime import datetime
from typing import TypeAlias

from ._session import load_pair
from .certificate import dates
from .errors import StrangerError, UnverifiedError
from .node import Node
from .roster import Member

TLSConnection: TypeAlias = ssl.SSLSocket | ssl.SSLObject
"""One end of TLS; a stream writer has it as ``get_extra_info("ssl_object")``."""


def context(purpose: int, node: Node, me: Member, peers: Iterable[Member], now: datetime) -> ssl.SSLContext:
    """Return a context for connections between me and the peers that are verified.

    Names of hosts play no part, and there are no other roots.

    Raises:
        UnverifiedError: I have no certificate that the others know.
    """
    if not me.verified:
        raise UnverifiedError(
            "this node has no certificate that the others know: it joined over a classic carrier"
        )
    made = ssl.SSLContext(purpose)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if purpose == ssl.PROTOCOL_TLS_SERVER:
        made.num_tickets = 0  # each connection proves itself
    load_pair(made, _shown(node, me.certificate_der, now), node.keys.sig)
    anchors = b"".join(p.certificate_der for p in peers if p.verified)
    if anchors:
        made.load_verify_locations(cadata=anchors)
    return made


def _shown(node: Node, registered: bytes, now: datetime) -> bytes:
    """Return the certificate that the others have, or once that has expired the node's next."""
    begin, end = dates(registered)
    if begin <= now <= end:
        return registered
    return node.certificate(now)


def peer(connection: TLSConnection, peers: Iterable[Member]) -> Member:
    """Return which of the peers is on the other end of a connection.

    Raises:
        StrangerError: None of them.
    """
    shown = connection.getpeercert(binary_form=True)
    for member in peers:
        if shown and member.verified and member.certificate_der == shown:
            return member
    raise StrangerError("the other end is no other member of the cluster")
