"""The vectors about saved rosters."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from vector_messages import millis
from vector_owners import known
from vectors import Vector, key, unhex

from xlreg.keys import Keys
from xlreg.node import Node
from xlreg.saved import encode, load_roster
from xlreg.vocabulary import ClusterKey, ClusterRef

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def run_saved(vector: Vector) -> None:
    """A file is a saved roster of that content, or is refused."""
    source, want = vector["input"], vector["want"]
    saved, cluster_key = unhex(source, "saved", "cluster_key")
    node = Node(source["name"], source["endpoints"], keys=Keys(key("node-comms"), key(source["signer"])))
    found = load_roster(
        saved,
        node,
        known(b"", source["fingerprint"]),
        cluster=ClusterRef(name=source.get("cluster_name", ""), key=ClusterKey(cluster_key)),
        now=_EPOCH + timedelta(milliseconds=int(source["now_millis"])),
    )
    roster = found.roster
    assert (roster.cluster.id.hex(), roster.cluster.name) == (want["cluster_id"], want["cluster_name"])
    assert (roster.cluster.key.hex(), str(roster.state.epoch)) == (want["cluster_key"], want["epoch"])
    assert (str(roster.state.revision), roster.sum.hex()) == (want["revision"], want["sum"])
    assert (str(millis(found.heard)), found.me.id.hex()) == (want["heard_millis"], want["node_id"])
    assert roster.pinned == bool(cluster_key)
    assert [
        {"index": m.index, "name": m.name, "sig_key": m.token.sig_key.hex(), "verified": m.verified}
        for m in roster.members
    ] == want["members"]
    if want["canonical"]:
        again = encode(roster, node, source["fingerprint"], found.heard)
        assert unsigned(again) == unsigned(saved)


def unsigned(saved: bytes) -> bytes:
    """Return a saved roster less its signature."""
    at = len("xlreg saved 2.0\0")
    for _ in range(2):
        at += 4 + int.from_bytes(saved[at : at + 4], "big")
    count = int.from_bytes(saved[at + 8 : at + 12], "big")
    at += 12
    for _ in range(count):
        at += 4 + int.from_bytes(saved[at : at + 4], "big")
    return saved[:at]
