"""The command line with tickets, leases, labels and signed rosters."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import Run

import xlreg
from xlreg import Client, Node, Ticket, cli
from xlreg.testing import RegistryProcess, shared_keys


def test_tickets(run: Run, ticket: Ticket, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a file, standard input, the environment or the line itself, in place of registry and name."""
    owner = Path("owner.ticket")
    owner.touch(mode=0o600)
    owner.write_text(ticket.text() + "\n")
    joined = run(f"join --ticket-file {owner} --node a --endpoint 127.0.0.1:1")
    assert re.search(r"^sum (\w{4}-){7}\w{4}$", joined, re.MULTILINE)
    assert "not pinned" not in joined
    run("join - --node b --endpoint 127.0.0.1:2 --wait 10s", stdin=ticket.invite().text())
    monkeypatch.setenv("XLREG_TICKET", ticket.reader().text())
    shown = json.loads(run("get -o json"))
    assert [m["name"] for m in shown["members"]] == ["a", "b"]
    assert shown["state"]["pinned"]
    assert ticket.reader().text().endswith(shown["cluster"]["key"])
    assert "2 of 2 members" in run("get --wait 5s")
    assert "key " in run("get -o wide")
    assert ticket.cluster in run("leave --node b")
    monkeypatch.delenv("XLREG_TICKET")
    assert "1 of 2" in run(f"get {ticket.reader().text()}")
    owner.chmod(0o644)
    assert "warning: others may read the ticket in owner.ticket" in run(f"get --ticket-file {owner}")


def test_nothing_secret_is_shown(run: Run, ticket: Ticket, monkeypatch: pytest.MonkeyPatch) -> None:
    line = ticket.text()
    secret = line.partition("owner=")[2]
    Path("bad.ticket").write_text(line + "A")
    for code, args in (
        (cli.USAGE, f"create {line} --size 2"),
        (cli.USAGE, f"create {line} --registry x"),
        (cli.FAILED, f"get {line}A"),
        (cli.FAILED, f"ticket show {line}&x=1"),
        (cli.USAGE, f"ticket show x{line}"),
        (cli.USAGE, f"ticket new {line} --size 2 --registry x"),
        (cli.USAGE, f"ticket show --ticket-file {line}"),
        (cli.USAGE, f"get x{line}"),
        (cli.USAGE, f"get web {line}"),
        (cli.USAGE, f"get web --wait {line}"),
        (cli.USAGE, f"get {line} more"),
        (cli.USAGE, f"get {line} --ticket-file bad.ticket"),
        (cli.FAILED, "get --ticket-file bad.ticket"),
        (cli.FAILED, f"get --ticket {line[3:]}"),
        (cli.USAGE, f"join {line} --create --size 2 --node a --endpoint a:1"),
        (cli.USAGE, f"leave web {line}"),
        (cli.FAILED, f"get {line} --signed x --protocol 1.9"),
        (cli.FAILED, f"get web --registry {line}"),
        (cli.USAGE, f"evict {line} m1 {line}"),
        (cli.FAILED, f"evict {line} {line}"),
        (cli.FAILED, f"revoke {line} {line}"),
        (cli.USAGE, f"revoke {line} --ban{line}"),
        (cli.FAILED, f"ticket admit {line} {line}"),
        (cli.USAGE, line),
    ):
        for form in ("", " -o json"):
            said = run(args + form, code)
            assert secret[:12] not in said, args
            assert secret[-12:] not in said, args
    monkeypatch.setenv("XLREG_TICKET", line + "A")
    assert secret[:12] not in run("get", cli.FAILED)


def test_who_is_not_admitted(run: Run, ticket: Ticket) -> None:
    with Client.connect(ticket, Node("owner", keys=shared_keys(3, "p256"))) as client:
        client.register()
        client.create()
    other = Ticket.new(ticket.registry, ticket.cluster, 2)
    refused = run(f"join {ticket.reader().text()} --node a --endpoint 127.0.0.1:1", cli.FAILED)
    assert "looking at the cluster only" in refused
    assert "cannot find cluster" in run(f"get {other.text()}", cli.FAILED)
    spent = ticket.invite(uses=1).text()
    run(f"join {spent} --node a --endpoint 127.0.0.1:1")
    said = run(f"join {spent} --node b --endpoint 127.0.0.1:1", cli.FAILED)
    assert "admission refused" in said
    assert "ask the cluster's owner for an invite, or for a ticket for this node" in said


def test_leases_and_labels(run: Run, ticket: Ticket) -> None:
    line = ticket.text()
    run(f"join {ticket.invite().text()} --node b --endpoint 127.0.0.1:2 --wait 1ms", cli.DEADLINE)
    run(f"create {line} --node c")
    run(f"join {line} --node b --endpoint 127.0.0.1:2")
    labels = "--label role=worker --label zone=b,c"
    run(f"join {line} --node a --endpoint 127.0.0.1:1 --lease 1h {labels} -- true")
    member = json.loads(run(f"get {line} -o json"))["members"][1]
    assert member["labels"] == {"role": "worker", "zone": "b,c"}
    assert member["leaseMillis"] == 3600_000
    assert member["seen"].endswith("Z")
    table = run(f"get {line} -o wide")
    assert "SEEN" in table
    assert 'role=worker,zone="b,c"' in table
    for flags, said in (
        ("--fresh", "--fresh waits for the others: say how long with --wait TIME"),
        ("--label 7=x", "--label"),
        ("--label role", '--label "role": want KEY=VALUE'),
        ("--label a=1 --label a=2", "--label a: is there twice"),
        ("--lease 15s", "--lease is kept for as long as COMMAND runs: give one after --"),
        ("--on-change true", "--on-change is for as long as COMMAND runs"),
        ("--fresh --wait 3s --protocol 1.9", "protocol 2.0"),
        ("--", "say what to start after --"),
        ("-- echo {{.Self.Index}}", "templates are for the Go program"),
    ):
        assert said in run(f"join {line} --node a --endpoint 127.0.0.1:1 {flags}", cli.USAGE)


def test_signed_rosters(run: Run, ticket: Ticket, xlreg_registry: RegistryProcess) -> None:
    line, cred = ticket.text(), xlreg_registry.reg_cred
    run(f"join {line} --node a --endpoint 127.0.0.1:1")
    sum_ = re.search(r"^sum (\S+)$", run(f"get {line} --signed one.roster"), re.MULTILINE)
    assert sum_ is not None
    shown = run(f"verify one.roster --registry {cred}")
    assert re.search(rf"^sum +{sum_[1]}$", shown, re.MULTILINE)
    assert "not pinned" in shown
    assert "not pinned" not in run(f"verify --ticket {line} one.roster one.roster")
    document = json.loads(run(f"verify one.roster --ticket {line} -o json"))["documents"][0]
    assert (document["sum"], document["members"], document["pinned"]) == (sum_[1], 1, True)
    run(f"join {line} --node b --endpoint 127.0.0.1:1")
    run(f"get {line} --signed two.roster")
    run(f"verify one.roster two.roster --registry {cred}")  # of two revisions nothing can be said
    changed = Path("one.roster").read_bytes().replace(b"127.0.0.1:1", b"127.0.0.1:2")
    Path("changed.roster").write_bytes(changed)
    assert "changed.roster: " in run(f"verify changed.roster --registry {cred}", cli.FAILED)
    Path("cut.roster").write_bytes(changed[:-1])
    assert "cut short" in run(f"verify cut.roster --registry {cred}", cli.FAILED)
    other = Ticket.new(ticket.registry, "other", 2)
    assert "another key" in run(f"verify one.roster --ticket {other.text()}", cli.FAILED)
    assert "--registry" in run("verify one.roster", cli.USAGE)
    with pytest.raises(xlreg.errors.DocumentError, match="no part"):
        xlreg.verify_signed(b"", xlreg_registry.cred)
