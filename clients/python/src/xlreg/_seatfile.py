"""How a node joined a cluster by the command line, kept in its directory. The Go program keeps the same.

A later join of the same node, which only looks, is the same start of it: so a program
that runs as the member does not take it for another one with its key.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from . import _atomicfile, limits
from .errors import NodeError
from .node import Node

_FOLDER = "seats"


@dataclass(frozen=True)
class KeptSeat:
    """What a node asked for when it last joined."""

    run: bytes = b""
    lease: float = 0.0
    labels: dict[str, str] | None = None


def _path(node: Node, cluster: str) -> Path | None:
    return node.directory / _FOLDER / f"{cluster}.json" if node.directory and cluster else None


def read(node: Node, cluster: str) -> KeptSeat:
    """Return what the node keeps of its seat in a cluster.

    Raises:
        NodeError: The file is damaged.
    """
    path = _path(node, cluster)
    if path is None or not path.exists():
        return KeptSeat()
    try:
        kept = json.loads(path.read_bytes())
        run, labels = bytes.fromhex(kept.get("run", "")), kept.get("labels") or None
        lease = int(kept.get("leaseMillis", 0)) / 1000
    except (ValueError, TypeError, AttributeError, RecursionError) as err:
        raise NodeError(f"{path}: {err}: remove the file") from None
    return KeptSeat(run if len(run) <= limits.MAX_RUN else b"", lease, labels)


def write(node: Node, cluster: str, seat: KeptSeat) -> None:
    """Keep how the node has joined."""
    path = _path(node, cluster)
    if path is None or not seat.run:
        return
    kept: dict[str, object] = {"run": seat.run.hex()}
    if seat.lease:
        kept["leaseMillis"] = round(seat.lease * 1000)
    if seat.labels:
        kept["labels"] = seat.labels
    path.parent.mkdir(mode=0o700, exist_ok=True)
    _atomicfile.write(path, (json.dumps(kept) + "\n").encode(), 0o600)


def forget(node: Node, cluster: str) -> None:
    """Keep nothing of a seat that was given up."""
    path = _path(node, cluster)
    if path is not None:
        path.unlink(missing_ok=True)
