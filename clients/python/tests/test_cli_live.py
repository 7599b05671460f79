"""What goes on while a cluster lives: changes that are told, programs that run as members, and twins."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Run
from cryptography import x509
from test_compare import Server

import xlreg
from xlreg import Membership, Node, Ticket, cli
from xlreg.comparison import Seen
from xlreg.testing import shared_keys

_PATIENCE = 60.0


class Started:
    """A command line in a process of its own."""

    def __init__(self, *args: str) -> None:
        # Who runs the tests may ignore the signal, as a shell does for what is in the background.
        command = ["env", "--default-signal=INT", sys.executable, "-m", "xlreg", *args]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
        )

    def line(self) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self, number: int = 0) -> tuple[int, str, str]:
        """Return its exit code and what else it says, perhaps after a signal."""
        if number:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=_PATIENCE)
        return self.process.returncode, out, err


@pytest.fixture
def start() -> Iterator[Callable[..., Started]]:
    """Start command lines, none of which outlives the test."""
    all_started: list[Started] = []

    def begin(*args: str) -> Started:
        all_started.append(Started(*args))
        return all_started[-1]

    yield begin
    for started in all_started:
        if started.process.poll() is None:
            started.process.kill()
        started.process.communicate()


def test_watching(run: Run, owner: Path, start: Callable[..., Started]) -> None:
    """It tells each change to people and, in a line each, to scripts, until it is interrupted."""
    cluster = Ticket.load(owner).cluster
    run(f"create --ticket-file {owner} --node a")
    people = start("get", "--ticket-file", str(owner), "--watch")
    scripts = start("get", "--ticket-file", str(owner), "--watch", "-o", "json")
    assert people.line().startswith(f"cluster {cluster}  ")
    assert people.line() == "0 of 2 members\n"
    first = json.loads(scripts.line())
    assert {**first, "time": 0, "revision": 0, "sum": 0} == {
        "time": 0,
        "cluster": cluster,
        "epoch": 1,
        "revision": 0,
        "sum": 0,
        "members": 0,
        "size": 2,
        "came": [],
        "went": [],
        "changed": [],
    }
    run(f"join --ticket-file {owner} --node a --endpoint 127.0.0.1:1 --label role=db")
    came = json.loads(scripts.line())
    assert (came["members"], came["went"]) == (1, [])
    assert came["came"][0]["labels"] == {"role": "db"}
    assert came["came"][0]["sig"] == shared_keys(0, "p256").fingerprint
    assert any(re.fullmatch(r"\d\d:\d\d:\d\d  \+ a  127\.0\.0\.1:1\n", people.line()) for _ in range(3))
    assert re.fullmatch(r"\d\d:\d\d:\d\d  1 of 2 members  [a-z2-7-]{39}\n", people.line())
    run(f"join --ticket-file {owner} --node a --endpoint 127.0.0.1:2")
    assert "  ~ a  127.0.0.1:2\n" in people.line()
    assert [m["name"] for m in json.loads(scripts.line())["changed"]] == ["a"]
    run(f"leave --ticket-file {owner} --node a")
    people.line()
    assert "  - a  127.0.0.1:2\n" in people.line()
    assert [m["name"] for m in json.loads(scripts.line())["went"]] == ["a"]
    code, _, said = people.end(signal.SIGINT)
    assert (code, said) == (cli.INTERRUPTED, "xlreg: interrupted\n")
    run(f"delete --ticket-file {owner} --yes")
    code, _, said = scripts.end()
    assert code == cli.FAILED
    assert json.loads(said)["exit"] == cli.FAILED
    for more in ("--wait 3s", "--signed x"):
        assert "--watch goes on for ever" in run(f"get --ticket-file {owner} --watch {more}", cli.USAGE)
    assert "leave --wait out" in run(f"get --ticket-file {owner} --signed x --wait 3s", cli.USAGE)


def test_watched_as_by_go(run: Run, program: str, owner: Path, start: Callable[..., Started]) -> None:
    run(f"join --ticket-file {owner} --node a --endpoint 127.0.0.1:1 --label role=db")
    args = ("get", "--ticket-file", str(owner), "--watch", "-o", "json")
    ours = json.loads(start(*args).line())
    with subprocess.Popen([program, *args], stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        theirs = json.loads(watching.stdout.readline())
        watching.terminate()
    assert list(ours) == list(theirs)
    assert {**ours, "time": ""} == {**theirs, "time": ""}


def complete(run: Run, owner: Path) -> None:
    """Have b be there, so that the cluster is complete when a joins."""
    run(f"create --ticket-file {owner} --node c")
    run(f"join --ticket-file {owner} --node b --endpoint 127.0.0.1:2")


def test_a_program_as_a_member(run: Run, owner: Path) -> None:
    """It is told who it is, exits for the command, and finds files for mutual TLS. It gets no ticket."""
    complete(run, owner)
    join = f"join --ticket-file {owner} --node a --endpoint 127.0.0.1:1 --label role=db".split()
    names = "XLREG_CLUSTER XLREG_SELF XLREG_INDEX XLREG_SIZE XLREG_TICKET XLREG_TLS_CERT XLREG_ROSTER "
    names += "XLREG_ROLE XLREG_ENDPOINTS XLREG_ENDPOINT_0 XLREG_ENDPOINTS_0"
    script = "; ".join(f'echo "${name}"' for name in names.split()) + "; exit 5"
    os.environ["XLREG_TICKET"] = owner.read_text()
    try:
        said = run([*join, "--", "sh", "-c", f"{{ {script.replace('; exit 5', '')}; }} >told; exit 5"], 5)
    finally:
        del os.environ["XLREG_TICKET"]
    assert said == "xlreg: a ended with exit status 5\n"
    files = Path("a").absolute() / "clusters" / Ticket.load(owner).cluster
    told = Path("told").read_text().splitlines()
    paths = [str(files / "cert.pem"), str(files / "roster.json")]
    addresses = ["127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:2,127.0.0.1:1"]
    assert told == [files.name, "a", "1", "2", "", *paths, "db", *addresses]
    assert json.loads((files / "roster.json").read_text())["members"][0]["name"] == "b"
    peers = x509.load_pem_x509_certificates((files / "peers.pem").read_bytes())
    assert len(peers) == 2
    assert x509.load_pem_x509_certificate((files / "cert.pem").read_bytes()) in peers
    assert (files / "key.pem").stat().st_mode & 0o777 == 0o600
    both = (files / "cert.pem").read_bytes() + (files / "key.pem").read_bytes()
    assert (files / "keycert.pem").read_bytes() == both
    assert run([*join, "--", "true"]) == ""
    assert "no such program: install it" in run([*join, "--", "nowhere-to-be-found"], 127)
    Path("data").touch()
    assert "cannot be run" in run([*join, "--", "./data"], 126)
    assert "a was ended by a signal: killed" in run([*join, "--", "sh", "-c", "kill -KILL $$"], 137)
    run([*join, "--dir", "elsewhere"])
    assert Path("elsewhere/peers.pem").exists()


def test_on_change(run: Run, owner: Path, start: Callable[..., Started]) -> None:
    """The files of a running member follow the cluster, and a command is told each time."""
    complete(run, owner)
    os.mkfifo("end")
    script = (
        'echo "came:$XLREG_CAME went:$XLREG_WENT self:$XLREG_SELF ticket:$XLREG_TICKET '
        'peers:$(grep -c BEGIN $XLREG_TLS_PEERS)"'
    )
    join = ["join", "--ticket-file", str(owner), "--node", "a", "--endpoint", "127.0.0.1:1"]
    live = start(*join, "--on-change", script, "--", "sh", "-c", "echo up; read x <end; exit 3")
    assert live.line() == "up\n"
    run(f"leave --ticket-file {owner} --node b")
    assert live.line() == "came: went:b self:a ticket: peers:1\n"
    run(f"join --ticket-file {owner} --node b --endpoint 127.0.0.1:2")
    assert live.line() == "came:b went: self:a ticket: peers:2\n"
    assert "2 of 2" in run(f"join --ticket-file {owner} --node a")  # to look makes no twin
    Path("end").write_text("\n")
    assert live.end() == (3, "", "xlreg: a ended with exit status 3\n")


def test_signals_are_the_programs(run: Run, owner: Path, start: Callable[..., Started]) -> None:
    complete(run, owner)
    join = ["join", "--ticket-file", str(owner), "--node", "a", "--endpoint", "127.0.0.1:1", "--"]
    for number, status in ((signal.SIGTERM, 7), (signal.SIGINT, 8)):
        trap = f"trap 'exit {status}' {int(number)}; echo up; while :; do sleep 0.1; done"
        live = start(*join, "sh", "-c", trap)
        assert live.line() == "up\n"
        assert live.end(number)[0] == status
    live = start(*join, "sh", "-c", "echo up; exec sleep 1000")
    assert live.line() == "up\n"
    assert live.end(signal.SIGTERM) == (143, "", "xlreg: a was ended by a signal: terminated\n")


def test_twins(run: Run, owner: Path, start: Callable[..., Started]) -> None:
    """With a lease it is the newer one that ends, unless it is meant. Then the older one is told."""
    complete(run, owner)
    Node.init("copy", name="a", keys=shared_keys(0, "p256")).close()
    leased = ["join", "--ticket-file", str(owner), "--endpoint", "127.0.0.1:1", "--lease", "6s"]
    older = start(*leased, "--node", "a", "--", "sh", "-c", "echo up; exec sleep 1000")
    assert older.line() == "up\n"
    said = run([*leased, "--node", "copy", "--", "true"], cli.FAILED)
    assert "another process runs as this node, with its key, at 127.0.0.1:1" in said
    assert "make a new node for one of them with --node NEWDIR" in said
    assert run([*leased, "--node", "copy", "--take-over", "--", "true"]) == ""
    code, _, said = older.end()
    assert code == cli.FAILED
    assert "another process runs as this node" in said
    roster = xlreg.wait_members(Ticket.load(owner).reader(), timeout=_PATIENCE, size=1)
    for change in xlreg.watch(Ticket.load(owner).reader(), timeout=_PATIENCE):
        roster = change.roster
        if len(roster.members) == 1:
            break  # the seat of a program that is gone is free after a while
    assert [member.name for member in roster.members] == ["b"]


@pytest.fixture
def other(run: Run, owner: Path) -> Iterator[Membership]:
    """A member b that answers comparisons, beside the member a of the command line."""
    run(f"join --ticket-file {owner} --node a --endpoint 127.0.0.1:1")
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Node("b", keys=shared_keys(1, "p256")) as node,
        xlreg.form(owner, node=node, listeners=[listener], timeout=30) as member,
    ):
        server = Server(member, listener)
        yield member
        server.close()


def test_compare(run: Run, owner: Path, other: Membership) -> None:
    said = run(f"compare --ticket-file {owner} --node a")
    assert re.search(r"^the same +b$", said, re.MULTILINE)
    assert re.search(rf"^sum +{other.roster.short_sum}$", said, re.MULTILINE)
    found = json.loads(run(f"compare --ticket-file {owner} --node a -o json"))
    assert (found["same"], found["other"], found["unknown"]) == (["b"], [], [])
    assert other.error is None
    assert "node c: not a member" in run(f"compare --ticket-file {owner} --node c", cli.FAILED)
    assert "no node here" in run(f"compare --ticket-file {owner} --node nowhere", cli.FAILED)
    assert "needs protocol 2.0" in run("compare web --registry x --protocol 1.9", cli.USAGE)

    lie = replace(other.roster, sum=os.urandom(32))
    other._roster, other._sums = lie, {lie.state.revision: Seen.of(lie)}
    said = run(f"compare --ticket-file {owner} --node a", cli.FAILED)
    assert re.search(rf"^another +b: {lie.short_sum}$", said, re.MULTILINE)
    assert '"b" sees another cluster' in said
    assert "compare the files with 'xlreg verify'" in said
    found = json.loads(
        run(f"compare --ticket-file {owner} --node a -o json", cli.FAILED).partition("\n}\n")[0] + "}"
    )
    assert found["other"] == [{"name": "b", "sum": lie.short_sum}]


def test_compare_with_whoever_does_not_answer(run: Run, owner: Path) -> None:
    complete(run, owner)
    run(f"join --ticket-file {owner} --node a --endpoint 127.0.0.1:1")
    said = run(f"compare --ticket-file {owner} --node a")
    assert re.search(r"^unknown +b: .*refused", said, re.MULTILINE)
