"""What a node's directory keeps of how it joined clusters by the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest
from conftest import Run

from xlreg import Node, Target, Ticket
from xlreg._record import Registration
from xlreg._seatfile import KeptSeat, Seats
from xlreg.errors import NodeError
from xlreg.keys import format_fingerprint
from xlreg.testing import RegistryProcess, shared_keys
from xlreg.vocabulary import Cluster, ClusterID, ClusterKey, ClusterRef, NodeID


def _fingerprint(key: str) -> str:
    return format_fingerprint(key.encode() * 32)


def _web(cluster: str, key: str = "") -> Cluster:
    return Cluster(ClusterID(cluster.encode() * 32), "web", key=ClusterKey(key.encode() * 32))


def _by_name(key: str = "") -> ClusterRef:
    return ClusterRef(name="web", key=_web("0", key).key)


def _by_id(cluster: str) -> ClusterRef:
    return ClusterRef(_web(cluster).id)


@dataclass
class Kept:
    """A node, and what it keeps."""

    node: Node

    def at(self, key: str) -> Seats:
        """Return its seats at the registry whose key is called so."""
        return Seats(self.node, Target((), _fingerprint(key)))

    def write(self, registry: str, cluster: Cluster, run: bytes) -> None:
        """Note how it has joined a cluster."""
        self.at(registry).write(cluster, KeptSeat(run))

    @property
    def folder(self) -> Path:
        """Where it keeps them."""
        assert self.node.directory is not None
        return self.node.directory / "seats"

    @property
    def files(self) -> list[str]:
        """What is there."""
        return [path.name for path in self.folder.iterdir()]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    """Make a node that keeps nothing yet."""
    with Node.init(tmp_path / "node", name="a", keys=shared_keys(0, "p256")) as node:
        found = Kept(node)
        found.folder.mkdir()
        yield found


def test_clusters_of_one_name(kept: Kept) -> None:
    """They have a file each, at two registries and of several owners."""
    every = [("1", "A", ""), ("2", "A", "k"), ("3", "A", "l"), ("4", "B", ""), ("5", "B", "k")]
    for cluster, registry, key in every:
        kept.write(registry, _web(cluster, key), cluster.encode())
    for cluster, registry, key in every:
        assert kept.at(registry).read(_by_name(key)).run == cluster.encode()
        assert kept.at(registry).read(_by_id(cluster)).run == cluster.encode()
    for registry, ref in [("C", _by_name()), ("B", _by_name("l")), ("B", _by_id("1"))]:
        assert kept.at(registry).read(ref) == KeptSeat()
    kept.at("A").forget(_web("1"))
    assert kept.at("A").read(_by_name()) == KeptSeat()
    assert kept.at("B").read(_by_name()).run == b"4"
    # A cluster that was deleted and created anew has another ID.
    kept.write("A", _web("6", "k"), b"6")
    assert kept.at("A").read(_by_name("k")).run == b"6"
    assert len(kept.files) == 4


def test_after_next_key(kept: Kept) -> None:
    """A registry is the same one with its next keys, in whichever order they are used."""
    kept.write("A", _web("1"), b"1")
    for old, new in ("AB", "BC"):
        until = datetime.now(timezone.utc)
        known = Registration(_fingerprint(old), "", (), NodeID(b"i" * 32), _fingerprint(new), until)
        kept.node.set_registration(known)
    for key in "ABC":
        assert kept.at(key).read(_by_name()).run == kept.at(key).read(_by_id("1")).run == b"1"
    kept.write("C", _web("1"), b"2")
    assert kept.at("A").read(_by_name()).run == b"2"
    assert kept.at("D").read(_by_name()) == KeptSeat()
    assert len(kept.files) == 1


def test_in_a_circle(kept: Kept) -> None:
    """Two registries that call each other their successors end no program."""
    for old, new in ("AB", "BA"):
        until = datetime.now(timezone.utc)
        known = Registration(_fingerprint(old), "", (), NodeID(b"i" * 32), _fingerprint(new), until)
        kept.node.set_registration(known)
    kept.write("A", _web("1"), b"1")
    assert kept.at("A").read(_by_name()).run == b"1"


@pytest.mark.parametrize("says", [True, False])
def test_from_before(kept: Kept, says: bool) -> None:
    """What programs from before have kept under a cluster's name is taken over by that cluster."""
    former = kept.folder / "web.json"
    text = json.dumps({"run": "07"} | ({"cluster": str(_web("1").id)} if says else {}))
    former.write_text(text)
    assert kept.at("A").read(_by_name()).run == b"\7"
    assert kept.at("A").read(_by_id("1")).run == (b"\7" if says else b"")
    assert kept.at("A").read(_by_id("2")).run == b""
    if says:  # another cluster leaves it alone
        kept.write("B", _web("2"), b"2")
        kept.at("B").forget(_web("2"))
        assert kept.at("A").read(_by_name()).run == b"\7"
    kept.write("A", _web("1"), b"1")
    assert len(kept.files) == 1
    assert not former.exists()
    former.write_text(text)
    assert kept.at("A").read(_by_name()).run == b"1"
    kept.at("A").forget(_web("1"))
    assert kept.files == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"run": 1}', '{"run": "x"}', '{"run": "07", "leaseMillis": []}']
)
def test_damaged(kept: Kept, text: str) -> None:
    """A damaged file is told of to those that need it, and to nobody else."""
    kept.write("A", _web("1"), b"1")
    (damaged,) = kept.files
    for name in (damaged, "web.json", "db.json"):
        (kept.folder / name).write_text(text)
    kept.write("A", _web("2", "k"), b"2")
    assert kept.at("A").read(_by_name("k")).run == kept.at("A").read(_by_id("2")).run == b"2"
    assert kept.at("A").read(_by_id("3")) == kept.at("A").read(ClusterRef(name="other")) == KeptSeat()
    for name, ref in ((damaged, _by_name()), ("db.json", ClusterRef(name="db"))):
        with pytest.raises(NodeError, match=f"{name}: .*: remove the file"):
            kept.at("A").read(ref)
    kept.at("A").forget(_web("1"))
    assert kept.at("A").read(_by_name()) == KeptSeat()


def _runs(folder: str) -> set[str]:
    return {json.loads(path.read_bytes())["run"] for path in Path(folder, "seats").iterdir()}


def test_two_registries_and_an_owner(run: Run, xlreg_registry: RegistryProcess) -> None:
    """A join that only looks is the same start, whichever cluster of that name was joined last."""
    name = f"seats-{os.urandom(4).hex()}"
    Path("owner.ticket").touch(mode=0o600)
    Path("owner.ticket").write_text(Ticket.new(xlreg_registry.target, name, 2).text() + "\n")
    with RegistryProcess() as second:
        joins = [
            f"join {name} --registry {cred} --create --size 2 --node a --endpoint 127.0.0.1:1"
            for cred in (xlreg_registry.reg_cred, second.reg_cred)
        ]
        joins.append("join --ticket-file owner.ticket --node a --endpoint 127.0.0.1:1")
        for line in joins:
            run(line)
        before = _runs("a")
        assert len(before) == 3
        for line in joins:
            run(line)
        assert _runs("a") == before
        kept = [json.loads(path.read_bytes()) for path in Path("a/seats").iterdir()]
        (known,) = [
            one["cluster"]
            for one in kept
            if "key" not in one and one["registry"] == xlreg_registry.target.fingerprint
        ]
        run(f"join {known} --registry {xlreg_registry.reg_cred} --node a")
        assert _runs("a") == before
        run(f"leave {name} --registry {second.reg_cred} --node a")
        assert len(_runs("a") & before) == 2
        run("leave --ticket-file owner.ticket --node a")
        assert len(_runs("a") & before) == 1
