"""How a node joined a cluster by the command line, kept in its directory. The Go program keeps the same.

A later join of the same node, which only looks, is the same start of it: so a program
that runs as the member does not take it for another one with its key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _atomicfile, limits
from ._output import key_text
from .errors import NodeError
from .node import Node
from .regcred import Target
from .ticket import Ticket
from .vocabulary import Cluster, ClusterID, ClusterKey, ClusterRef

_FOLDER = "seats"
_SAVED_FOLDER, _SAVED = "rosters", ".saved"
_AT = "@"  # no name has it
_PLACE_BYTES = 16


@dataclass(frozen=True)
class KeptSeat:
    """What a node asked for when it last joined."""

    run: bytes = b""
    lease: float = 0.0
    labels: dict[str, str] | None = None


class Seats:
    """What a node keeps of its clusters at one registry.

    A file is named ID@PLACE.json: by the cluster's ID, and by what is known of the cluster before
    it is joined by name. Older programs kept NAME.json, although several clusters can have one name.
    """

    def __init__(self, node: Node, registry: Ticket | Target) -> None:
        """Make it for a node and the registry that it talks to."""
        self._folder = node.directory / _FOLDER if node.directory else None
        target = registry.registry if isinstance(registry, Ticket) else registry
        self._registry = _first_key(node, target.fingerprint)

    def read(self, ref: ClusterRef) -> KeptSeat:
        """Return what is kept of the seat in a cluster, named by name or ID.

        Raises:
            NodeError: The file is damaged.
        """
        if ref.id is not None:
            return self._read_by_id(ref.id)
        for path in self._find(f"*{_AT}{self._place(ref.name, ref.key)}.json"):
            return _seat(path, _load(path))
        for path in self._find(f"{ref.name}.json"):
            return _seat(path, _load(path))
        return KeptSeat()

    def _read_by_id(self, cluster: ClusterID) -> KeptSeat:
        for path in self._find(f"{cluster}{_AT}*.json"):
            kept = _load(path)
            if kept.get("registry") == self._registry:
                return _seat(path, kept)
        for path in self._find("*.json"):
            # A damaged one may be any other cluster's.
            if _AT not in path.name and _cluster_in(path) == str(cluster):
                return _seat(path, _load(path))
        return KeptSeat()

    def write(self, cluster: Cluster, seat: KeptSeat) -> None:
        """Keep how the node has joined, in place of what was kept for the cluster."""
        if self._folder is None or not seat.run:
            return
        kept: dict[str, object] = {"cluster": str(cluster.id), "name": cluster.name}
        if cluster.key:
            kept["key"] = key_text(cluster.key)
        kept |= {"registry": self._registry, "run": seat.run.hex()}
        if seat.lease:
            kept["leaseMillis"] = round(seat.lease * 1000)
        if seat.labels:
            kept["labels"] = seat.labels
        path = self._folder / f"{cluster.id}{_AT}{self._place(cluster.name, cluster.key)}.json"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        _atomicfile.write(path, (json.dumps(kept) + "\n").encode(), 0o600)
        self._remove(cluster, but=path)

    def forget(self, cluster: Cluster) -> None:
        """Keep nothing of a seat that was given up."""
        self._remove(cluster)
        self._remove_saved(cluster)

    def find_saved(self, ref: ClusterRef) -> Path | None:
        """Return where the roster of a cluster is kept for a start without the registry."""
        place = f"{ref.id}{_AT}*" if ref.id is not None else f"*{_AT}{self._place(ref.name, ref.key)}"
        return next(self._find_saved(place), None)

    def save(self, cluster: Cluster, saved: bytes) -> None:
        """Keep a roster in place of what was kept for the cluster."""
        folder = self._saved_folder
        if folder is None:
            return
        path = folder / f"{cluster.id}{_AT}{self._place(cluster.name, cluster.key)}{_SAVED}"
        folder.mkdir(mode=0o700, exist_ok=True)
        _atomicfile.remove_leftovers(path)
        _atomicfile.write(path, saved, 0o600)
        self._remove_saved(cluster, but=path)

    @property
    def _saved_folder(self) -> Path | None:
        return self._folder.parent / _SAVED_FOLDER if self._folder else None

    def _find_saved(self, place: str) -> Iterator[Path]:
        folder = self._saved_folder
        yield from sorted(folder.glob(f"{place}{_SAVED}")) if folder else ()

    def _remove_saved(self, cluster: Cluster, but: Path | None = None) -> None:
        for path in self._find_saved(f"*{_AT}{self._place(cluster.name, cluster.key)}"):
            if path != but:
                path.unlink(missing_ok=True)

    def _remove(self, cluster: Cluster, but: Path | None = None) -> None:
        """Remove the files of a cluster, and of those that had its place before."""
        former = [
            path for path in self._find(f"{cluster.name}.json") if _cluster_in(path) in ("", str(cluster.id))
        ]
        for path in [*self._find(f"*{_AT}{self._place(cluster.name, cluster.key)}.json"), *former]:
            if path != but:
                path.unlink(missing_ok=True)

    def _place(self, name: str, key: ClusterKey) -> str:
        """Return what stands for all that is known of a cluster before it is joined by name."""
        text = "\n".join((self._registry, key_text(key), name))
        return hashlib.sha256(text.encode()).digest()[:_PLACE_BYTES].hex()

    def _find(self, pattern: str) -> Iterator[Path]:
        """Yield the files that match; what a crash has left of a write does not."""
        yield from sorted(self._folder.glob(pattern)) if self._folder else ()


def _first_key(node: Node, sig: str) -> str:
    """Return the sig key from which that of a registry has descended, as far as the node knows.

    It stays the same when the registry gets its next key.
    """
    before = {known.next: known.sig for known in node.registrations if known.next}
    for _ in node.registrations:  # and not for ever, should they lead in a circle
        sig = before.get(sig, sig)
    return sig


def _load(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as err:
        raise _damaged(path, err) from None
    if not isinstance(kept, dict):
        raise _damaged(path, "this is no object")
    return kept


def _seat(path: Path, kept: dict[str, Any]) -> KeptSeat:
    try:
        run, labels = bytes.fromhex(kept.get("run", "")), kept.get("labels") or None
        lease = int(kept.get("leaseMillis", 0)) / 1000
    except (ValueError, TypeError) as err:
        raise _damaged(path, err) from None
    return KeptSeat(run if len(run) <= limits.MAX_RUN else b"", lease, labels)


def _damaged(path: Path, why: object) -> NodeError:
    return NodeError(f"{path}: {why}: remove the file")


def _cluster_in(path: Path) -> str:
    """Return the ID of the cluster in a file that is named by name; empty if it does not say."""
    try:
        return str(_load(path).get("cluster") or "")
    except NodeError:
        return ""
