"""What an owner does on the command line: tickets made and shown, orders, and who is kept out by them."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run

from xlreg import Node, Ticket, TicketKind, cli, fingerprint
from xlreg._cmdline import Command
from xlreg.testing import RegistryProcess, shared_keys

KEY = r"[A-Za-z0-9_-]{43}"


def go(program: str, *args: str) -> str:
    return subprocess.run([program, *args], capture_output=True, text=True, check=True).stdout


class Terminal(io.StringIO):
    """What a person sits at."""

    def isatty(self) -> bool:
        return True


def test_tickets_are_made_offline(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here is no registry at all."""
    monkeypatch.setenv("XLREG_REGISTRY", f"xlreg://203.0.113.7:56789/?sig={43 * 'A'}")
    line = run("ticket new web --size 3")
    assert re.fullmatch(
        rf"xlreg://203\.0\.113\.7:56789/\?sig=A{{43}}&cluster=web&size=3&endpoints=1&owner={KEY}\n", line
    )
    shown = json.loads(run("ticket new big --size 1024 --endpoints 2 -o json"))
    assert (shown["kind"], shown["size"], shown["endpointCount"]) == ("owner", 1024, 2)
    assert Ticket.parse(shown["ticket"]).kind is TicketKind.OWNER
    shown_only = run("ticket new web --size 3 --out new.ticket")
    assert "owner=" not in shown_only
    assert re.search(r"^ticket +owner$", shown_only, re.MULTILINE)
    made = Path("new.ticket")
    assert made.stat().st_mode & 0o777 == 0o600
    before = made.read_text()
    assert "new.ticket is there already" in run("ticket new web --size 3 --out new.ticket", cli.FAILED)
    assert made.read_text() == before
    for line, text in (
        ("ticket", "new|invite|admit|reader|show"),
        ("ticket new", "missing NAME"),
        ("ticket new web", "how many members with --size N"),
        ("ticket new web --size 1", "--size 1: want 2 to 1024"),
        ("ticket new web --size 3 --endpoints 17", "--endpoints 17: want 1 to 16"),
        ("ticket new 7up --size 3", "letter"),
        ("ticket new web --size 3 --protocol 1.9", "needs protocol 2.0"),
        ("ticket new web more --size 3", 'unexpected argument "more"'),
        ("ticket show", "give a ticket: as TICKET, with --ticket-file FILE, in XLREG_TICKET, or - for"),
        ("ticket show - --ticket-file new.ticket", "more than one ticket: give it once"),
        ("ticket invite --ticket-file new.ticket --uses 1001", "--uses 1001: want 1 to 1000"),
        ("ticket invite --ticket-file new.ticket --for=-1h", "--for"),
        ("ticket invite --ticket-file new.ticket --for 0", "--for 0: want more than 0"),
        ("ticket admit --ticket-file new.ticket", "missing NODE"),
    ):
        assert text in run(line, cli.USAGE), line
    monkeypatch.delenv("XLREG_REGISTRY")
    assert "--registry FILE|URL" in run("ticket new web --size 3", cli.USAGE)


def test_tickets_are_shown_as_by_go(
    run: Run, program: str, owner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing secret of them is, unless that is asked for."""
    run(f"ticket invite --ticket-file {owner} --uses 2 --for 24h --out invite.ticket")
    Path("reader.ticket").write_text(run("ticket reader -", stdin=Path("invite.ticket").read_text()))
    Path("admit.ticket").write_text(run(f"ticket admit --ticket-file {owner} a"))
    for kind in ("owner", "invite", "reader", "admit"):
        for more in ([], ["-o", "json"], ["--secret"], ["--secret", "-o", "json"]):
            args = ["ticket", "show", "--ticket-file", f"{kind}.ticket", *more]
            said = run(args)
            assert said == go(program, *args)
            secret = re.search(r"(owner|invite)=[A-Za-z0-9_-]{43}", said)
            assert bool(secret) == ("--secret" in more and kind in ("owner", "invite"))
    line = Path("invite.ticket").read_text()
    shown = run("ticket show --ticket-file invite.ticket")
    monkeypatch.setenv("XLREG_TICKET", line)
    assert run("ticket show") == shown
    assert re.search(r"^ticket +owner$", run(f"ticket show --ticket-file {owner}"), re.MULTILINE)
    assert "a ticket names a cluster, too" in run(f"ticket show {line.partition('&')[0]}", cli.FAILED)
    assert "No such file" in run("ticket show --ticket-file nowhere.ticket", cli.FAILED)
    for command in ("invite", "admit a", "reader x"):
        code = cli.USAGE if "x" in command else cli.FAILED
        said = run(f"ticket {command.split()[0]} - {' '.join(command.split()[1:])}", code, stdin=line)
        assert "unexpected argument" in said if "x" in command else "only the owner's ticket can do" in said


def test_one_node_is_admitted(run: Run, program: str, owner: Path) -> None:
    """By its directory, its public key, or if it is a member by its fingerprint."""
    by_directory = run(f"ticket admit --ticket-file {owner} a")
    key = run("node show a --key")
    assert key == go(program, "node", "show", "a", "--key")
    assert json.loads(run("node show a --key -o json")) == {"key": key.strip()}
    assert run("node show a") == go(program, "node", "show", "a")
    Path("a.pub").write_text(key)
    for node in ("a", "a.pub", key.strip()):
        assert run(["ticket", "admit", "--ticket-file", str(owner), node]) == by_directory
        assert go(program, "ticket", "admit", "--ticket-file", str(owner), node) == by_directory
    sig = fingerprint(shared_keys(0, "p256").sig_key)
    run(f"create --ticket-file {owner} --node c")
    refused = run(f"ticket admit --ticket-file {owner} {sig}", cli.FAILED)
    assert f"no member of {Ticket.load(owner).cluster} has the key {sig}, and the fingerprint" in refused
    Path("a.ticket").write_text(by_directory)
    assert "it admits another node" in run(
        "join --ticket-file a.ticket --node b --endpoint 127.0.0.1:2", cli.FAILED
    )
    assert "1 of 2 members" in run("join --ticket-file a.ticket --node a --endpoint 127.0.0.1:1")
    assert run(f"ticket admit --ticket-file {owner} {sig}") == by_directory
    for node in ("nowhere", str(owner)):
        said = run(f"ticket admit --ticket-file {owner} {node}", cli.FAILED)
        assert "want a node's directory, or its public key" in said
    run(f"ticket admit --ticket-file {owner} SHA256:short", cli.USAGE)


def test_the_owner_creates(run: Run, owner: Path, xlreg_registry: RegistryProcess) -> None:
    Path("invite.ticket").write_text(Ticket.load(owner).invite().text())
    refused = run("create --ticket-file invite.ticket --node a", cli.FAILED)
    assert "only the owner's ticket can do this; ask the cluster's owner" in refused
    assert re.search(r"^size +2$", run(f"create --ticket-file {owner} --node a"), re.MULTILINE)
    assert "0 of 2 members" in run(f"get --ticket-file {owner}")
    for flag in ("size", "endpoints"):
        said = run(f"create --ticket-file {owner} --{flag} 2", cli.USAGE)
        assert f"--{flag}: the ticket says what the cluster is like: leave it out" in said
    said = run(f"get --ticket-file {owner} --registry {xlreg_registry.reg_cred}", cli.USAGE)
    assert "the ticket says which registry it is: leave --registry out" in said
    run(f"join --ticket-file {owner} --size 5 --node a --endpoint 127.0.0.1:1", cli.FAILED)


@pytest.mark.usefixtures("_nodes")
def test_print_join(capsys: pytest.CaptureFixture[str], program: str) -> None:
    """It says all that there is to know, and is the command of Go but for the program's name."""
    args = ["create", "printed", "--size", "2", "--endpoints", "2", "--node", "a", "--print-join"]
    for form in ([], ["-o", "json"]):
        assert cli.run([*args, *form]) == cli.DONE
        assert capsys.readouterr().out.replace("xlreg-py", "xlreg") == go(program, *args, *form)


def test_orders(run: Run, owner: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to = Ticket.load(owner)
    for name in ("first", "second"):
        Path(f"{name}.ticket").touch(mode=0o600)
        Path(f"{name}.ticket").write_text(to.invite().text())
    run(f"create --ticket-file {owner} --node c")
    for i, name in enumerate("ab"):
        run(f"join --ticket-file first.ticket --node {name} --endpoint 127.0.0.1:{i + 1}")

    assert "only the owner's ticket can do this" in run("evict --ticket-file first.ticket a", cli.FAILED)
    assert f'not a member: {to.cluster} has no member "nobody"' in run(
        f"evict --ticket-file {owner} nobody", cli.FAILED
    )
    assert "missing MEMBER" in run(f"evict --ticket-file {owner}", cli.USAGE)
    sig = fingerprint(shared_keys(0, "p256").sig_key)
    assert run(f"evict --ticket-file {owner} {sig}") == f"evicted a from {to.cluster}\n"
    assert "1 of 2" in run(f"get --ticket-file {owner}")
    assert "2 of 2" in run("join --ticket-file first.ticket --node a")

    # A ban keeps a key out, and revokes the invite that it came with.
    done = json.loads(run(f"evict --ticket-file {owner} --ban a -o json"))
    assert done == {"order": "ban", "cluster": to.cluster, "member": "a", "sig": sig}
    assert "admission refused: banned" in run("join --ticket-file first.ticket --node a", cli.FAILED)
    refused = run("join --ticket-file first.ticket --node c --endpoint 127.0.0.1:3", cli.FAILED)
    assert "admission refused: revoked" in refused

    # An invite is taken back by its key, by itself, or by its file.
    second = Ticket.load(Path("second.ticket"))
    assert second.invite_of is not None
    key = json.loads(run("ticket show --ticket-file second.ticket -o json"))["invite"]["key"]
    assert run(f"revoke --ticket-file {owner} second.ticket") == f"revoked the invite {key}\n"
    assert run(["revoke", to.text(), second.text()]) == f"revoked the invite {key}\n"
    done = json.loads(run(f"revoke --ticket-file {owner} -o json -- {key}"))
    assert done == {"order": "revoke", "cluster": to.cluster, "invite": key}
    run("join --ticket-file second.ticket --node c --endpoint 127.0.0.1:3", cli.FAILED)
    Path("other.ticket").write_text(Ticket.new(to.registry, "other", 2).invite().text())
    for invite, text in (
        ("nowhere", '"nowhere" is neither the key of an invite'),
        (str(owner), "this is no invite, but a ticket of kind owner"),
        ("other.ticket", "the invite is for another cluster, other"),
    ):
        assert text in run(f"revoke --ticket-file {owner} {invite}", cli.FAILED)

    assert run(f"reopen --ticket-file {owner}") == f"reopened {to.cluster}\n"
    assert "0 of 2 members\n" in run(f"get --ticket-file {owner}")
    asked = "nobody is here to be asked, and what is deleted cannot be made again: say --yes"
    assert asked in run(f"delete --ticket-file {owner}", cli.USAGE)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", Terminal("n\n"))
        patch.setattr(sys, "stderr", asking := Terminal())
        assert cli.run(["delete", "--ticket-file", str(owner)]) == cli.FAILED
    assert asking.getvalue() == f"Delete the cluster {to.cluster} for good? [y/N] xlreg: nothing deleted\n"
    assert run(f"delete --ticket-file {owner} --yes -o json").count("delete") == 1
    assert "admission refused: deleted" in run(
        f"join --ticket-file {owner} --node c --endpoint 127.0.0.1:3", cli.FAILED
    )


def test_no_registry(run: Run, owner: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers: what is made offline is made, and the rest says so without a secret."""
    monkeypatch.setattr("xlreg._ticketing.REQUEST_SECONDS", 0.5)
    monkeypatch.setattr("xlreg._cmdsession.REQUEST_SECONDS", 0.5)
    monkeypatch.setattr("xlreg._orders.REQUEST_SECONDS", 0.5)
    text = re.sub(r"//[^/]*/", "//127.0.0.1:1/", owner.read_text())
    owner.write_text(text)
    assert "kind" in run(f"ticket invite --ticket-file {owner} -o json")
    secret = text.partition("owner=")[2].strip()
    for line in ("get", "evict a", "reopen", "create --node a", "ticket admit SHA256:" + 43 * "A"):
        said = run(f"{line} --ticket-file {owner}", cli.FAILED)
        assert "see that the registry runs there" in said
        assert secret not in said


def test_secrets_are_not_in_what_is_logged_or_shown(owner: Path) -> None:
    """Nor in the representation of what a command line becomes."""
    secret = owner.read_text().partition("owner=")[2].strip()
    command = Command.parse(["get", owner.read_text().strip()])
    assert command.taken is not None
    assert secret not in repr(command)
    node = Node("m0", keys=shared_keys(0, "p256"))
    invite = command.taken.invite()
    for shown in (command.taken, command.taken.owner, invite, invite.invite_of, command.taken.admit(node)):
        assert secret not in repr(shown)
        assert invite.text().partition("invite=")[2][:43] not in repr(shown)
