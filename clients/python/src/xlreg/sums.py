"""The sum of a roster, which is the same for everyone who sees the same cluster (section 11.1)."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterable

from .signatures import lp
from .vocabulary import Cluster, ClusterState, Token

_ROSTER, _SEAT = b"xlreg roster 2.0\x00", b"xlreg seat 2.0\x00"
_SHOWN = 20  # bytes of a sum that people compare
LENGTH = 32
"""Bytes of a sum, all of which programs compare."""


def roster_sum(cluster: Cluster, state: ClusterState, members: Iterable[tuple[int, Token]]) -> bytes:
    """Return the sum of a whole roster, its members given by index and token, in the order of the indexes."""
    seats = [struct.pack(">I", index) + seat_sum(token) for index, token in members]
    head = [cluster.id, cluster.name.encode(), cluster.key]
    numbers = struct.pack(
        ">IIQQQI",
        cluster.size,
        cluster.endpoint_count,
        cluster.attrs,
        state.epoch,
        state.revision,
        len(seats),
    )
    return hashlib.sha256(_ROSTER + b"".join(map(lp, head)) + numbers + b"".join(seats)).digest()


def seat_sum(token: Token) -> bytes:
    """Return the sum of one member, which all that it says goes into, and no times."""
    ends = [endpoint.encode() for endpoint in token.endpoints]
    proofs = [token.digsig2, token.certificate, token.comms_sig, token.labels, token.admission, token.run]
    parts = [
        lp(token.id or b""),
        lp(token.name.encode()),
        struct.pack(">Q", token.attrs),
        lp(token.comms_key),
        lp(token.sig_key),
        struct.pack(">I", len(ends)),
        *map(lp, ends),
        *(lp(proof or b"") for proof in proofs),
    ]
    return hashlib.sha256(_SEAT + b"".join(parts)).digest()


def short_sum(whole: bytes) -> str:
    """Return the first 160 bits of a sum as people compare them.

    Example:
        >>> short_sum(bytes(32))
        'aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa'
    """
    text = base64.b32encode(whole[:_SHOWN]).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))
