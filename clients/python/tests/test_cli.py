"""``python -m xlreg``: the flags, exit codes and JSON of the Go program."""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from conftest import REPOSITORY
from cryptography import x509

import xlreg
from xlreg import (
    Cluster,
    ClusterID,
    Member,
    Node,
    NodeID,
    RegCred,
    Roster,
    Token,
    _flags,
    _output,
    cli,
    errors,
    fingerprint,
)
from xlreg._cmdsession import WaitOverError
from xlreg.keys import encode_private_key
from xlreg.testing import RegistryProcess, shared_keys
from xlreg.vocabulary import endpoints_of

README = Path(__file__).resolve().parents[1] / "README.md"


def forms(program: str) -> list[str]:
    """Return in which forms both programs print; older ones of Go had another table."""
    helped = subprocess.run([program, "get", "--help"], capture_output=True, text=True, check=True).stdout
    return ["json", "table", "wide"] if "wide" in helped else ["json"]


REVISION = r'"revision": \d+|"sum": "[a-z2-7-]+"|revision \d+|^sum [a-z2-7-]+$'


def ageless(text: str) -> str:
    """Return a table without ages, since two programs do not run at one moment, and with plain line ends."""
    return re.sub(r"\b\d+s ago", "now", text.replace("\r\n", "\n"))


@pytest.mark.usefixtures("_nodes")
def test_same_as_go(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever either prints of the same cluster, node and registry is the same, in all forms."""

    def go(*args: str) -> str:
        return ageless(subprocess.run([program, *args], capture_output=True, text=True, check=True).stdout)

    def python(*args: str) -> str:
        assert cli.run(args) == cli.DONE
        return ageless(capsys.readouterr().out)

    def both(form: str, *args: str) -> None:
        ours, theirs = python(*args, "-o", form), go(*args, "-o", form)
        if args[0] == "get" and ours != theirs:  # a column gets wider when an age has one more digit
            ours, theirs = python(*args, "-o", form), go(*args, "-o", form)
        if args[0] == "join":  # each is another start of the member, and so another revision
            ours, theirs = (re.sub(REVISION, "", text, flags=re.MULTILINE) for text in (ours, theirs))
        assert ours == theirs

    cred = os.environ["XLREG_REGISTRY"]
    for form in forms(program):
        both(form, "create", "cli", "--size", "2", "--node", "a")
        both(form, "get", "cli")
        join = ("join", "cli", "--node", "a", "--endpoint", "127.0.0.1:1,localhost:2")
        both(form, *join)
    python("join", "cli", "--node", "b", "--endpoint", "[::1]:3", "--protocol", "1.9", "--wait", "10s")
    for form in forms(program):
        for more in ([], ["--wait", "5s"], ["--protocol", "1.8", "--node", "c"]):
            both(form, "get", "cli", *more)
    for form in ("json", "table"):
        both(form, "node", "show", "a")
        both(form, "cred", "show", cred)
        both(form, "cred", "url", cred)
        sig = json.loads(python("cred", "show", cred, "-o", "json"))["sig"]
        both(form, "cred", "fetch", RegCred.read(cred).endpoints[0], "--sig", sig)
    shown = json.loads(python("get", "cli", "-o", "json"))
    assert [m.get("unverified") for m in shown["members"]] == [None, True]
    # A column is as wide as its longest age, which may have grown meanwhile.
    by_id, by_name = (python("get", cluster) for cluster in (shown["cluster"]["id"], "cli"))
    assert by_id.split() == by_name.split()


@pytest.mark.usefixtures("_nodes")
def test_leave(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        cli.run(["join", "left", "--create", "--size", "2", "--node", "a", "--endpoint", "127.0.0.1:1"])
        == cli.DONE
    )
    capsys.readouterr()
    assert cli.run(["leave", "left", "--node", "a"]) == cli.DONE
    assert capsys.readouterr().out == "left left\n"
    assert cli.run(["leave", "left", "--node", "a"]) == cli.FAILED
    assert "not a member" in capsys.readouterr().err
    assert cli.run(["leave", "left", "--node", "b"]) == cli.FAILED
    assert "not registered" in capsys.readouterr().err
    assert cli.run(["leave", "left", "--node", "nowhere"]) == cli.FAILED
    assert "no node here" in capsys.readouterr().err
    assert not Path("nowhere").exists()


def test_node_init(
    program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for which, key in (("sig", shared_keys(0).sig), ("comms", shared_keys(0).comms)):
        Path(f"{which}.key").write_bytes(encode_private_key(key))
    line = "node init ./m0 --name m0 --endpoint 192.0.2.7:1,[::1]:2 --sig-key sig.key --comms-key comms.key"
    assert cli.run([*line.split(), "--cert-life", "48h", "-o", "json"]) == cli.DONE
    made = json.loads(capsys.readouterr().out)
    by_go = subprocess.check_output([program, "node", "show", "m0", "-o", "json"], text=True)
    assert made == json.loads(by_go)
    assert (made["name"], made["sig"]) == ("m0", shared_keys(0).fingerprint)
    with Node.load("m0") as node:
        certificate = x509.load_der_x509_certificate(node.certificate())
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        assert life.total_seconds() == 48 * 3600
    assert cli.run(["node", "init", "./m0"]) == cli.FAILED
    assert "there is a node already" in capsys.readouterr().err
    assert cli.run(["node", "init", "./m1", "--key", "p256"]) == cli.DONE
    assert re.search(r"^name +\S+-[0-9a-f]{6}$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.usefixtures("_nodes")
def test_name_of_a_new_node(capsys: pytest.CaptureFixture[str]) -> None:
    end = ["--endpoint", "127.0.0.1:1", "--create", "--size", "2"]
    assert cli.run(["join", "named", "--node", "new", "--name", "called-so", *end]) == cli.DONE
    assert "called-so" in capsys.readouterr().out
    assert cli.run(["join", "named", "--node", "new", "--name", "otherwise", *end]) == cli.USAGE
    assert "is called called-so, and nodes keep their names" in capsys.readouterr().err
    assert cli.run(["join", "named", "--node", "new2", "--name", "called-so", *end]) == cli.FAILED
    assert "join CLUSTER --node NEWDIR --name NAME" in capsys.readouterr().err


def test_cred_fetch_asks_whether_to_trust(
    xlreg_registry: RegistryProcess,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody but a person can say so, and is told the key's fingerprint."""
    fetch = ["cred", "fetch", xlreg_registry.cred.endpoints[0]]
    assert cli.run(fetch) == cli.USAGE
    said = capsys.readouterr().err
    assert "nobody is here to be asked" in said
    assert xlreg_registry.cred.fingerprint in said
    for answer, code in (("n\n", cli.FAILED), ("", cli.FAILED), ("yes\n", cli.DONE)):
        stdin = io.StringIO(answer)
        for stream in (stdin, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(sys, "stdin", stdin)
        assert cli.run([*fetch, "--out", str(tmp_path / "fetched")]) == code
        assert f"\n  {xlreg_registry.cred.fingerprint}\n" in capsys.readouterr().err
        assert (tmp_path / "fetched").exists() == (code == cli.DONE)
    assert RegCred.read(tmp_path / "fetched") == xlreg_registry.cred
    wrong = fingerprint(shared_keys(7).sig_key)
    assert cli.run([*fetch, "--sig", wrong]) == cli.FAILED
    assert "no certificate has a key with fingerprint" in capsys.readouterr().err


def roster(*ends: str) -> Roster:
    joined = datetime.now(timezone.utc) - timedelta(minutes=5)
    comms, sig, endpoints = shared_keys(0).comms_key, shared_keys(0).sig_key, endpoints_of(ends)
    tokens = [
        Token(f"m{i}", comms, sig, endpoints, id=NodeID(bytes([i]) * 32), joined=joined) for i in range(2)
    ]
    members = tuple(Member(i, token, verified=not i) for i, token in enumerate(tokens))
    return Roster(Cluster(ClusterID(b"c" * 32), "web", size=3), members)


def test_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = ("host-1.example.org:7001", "host-2.example.org:7002")
    for columns in (80, 50):
        monkeypatch.setenv("COLUMNS", str(columns))
        text = _output.roster_text(roster("192.0.2.7:7001"))
        assert max(map(len, text.splitlines())) <= columns
        assert text.splitlines()[3:] == [
            "INDEX  NAME  ENDPOINTS       JOINED  VERIFIED",
            "0      m0    192.0.2.7:7001  5m ago  yes",
            "1      m1    192.0.2.7:7001  5m ago  no",
        ]
    monkeypatch.setenv("COLUMNS", "60")
    assert _output.roster_text(roster(*ends)).splitlines()[4:6] == [
        "0      m0    host-1.example.org:7001  5m ago  yes",
        "             host-2.example.org:7002",
    ]
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert _output.roster_text(roster(*ends)).splitlines()[3:7] == [
        "0  m0",
        "   host-1.example.org:7001",
        "   host-2.example.org:7002",
        "   joined 5m ago, verified: yes",
    ]
    wide = _output.roster_text(roster(*ends), wide=True)
    assert shared_keys(0).fingerprint in wide
    assert str(NodeID(bytes([1]) * 32)) in wide


@pytest.mark.usefixtures("_nodes")
def test_errors_in_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for line, wanted in (
        ("get none -o json", {"exit": 1, "kind": "cannot find cluster with this name"}),
        ("get none --output=json", {"exit": 1, "kind": "cannot find cluster with this name"}),
        ("get -ojson", {"exit": 2}),
        ("get 7up -o=json", {"exit": 2}),
        ("get nowhere -o json --registry nowhere.dat", {"exit": 1}),
    ):
        assert cli.run(line.split()) == wanted["exit"]
        shown = json.loads(capsys.readouterr().err)
        assert shown.pop("error")
        assert shown == wanted
    monkeypatch.setenv("XLREG_OUTPUT", "json")
    assert cli.run(["foo"]) == cli.USAGE
    assert json.loads(capsys.readouterr().err)["exit"] == cli.USAGE
    busy = errors.TooManyRequestsError("new nodes", 2.5)
    late = WaitOverError("time is up")
    late.__cause__ = errors.IncompleteError(None, 2, busy)
    assert cli._error_json(late, 3, "x") == {
        "error": "x",
        "exit": 3,
        "kind": busy.kind_text,
        "retryMillis": 2500,
    }
    assert "come back in 2 s; if that goes on" in cli._one_line(late)


@pytest.mark.usefixtures("_nodes")
def test_ascii_terminal() -> None:
    """Nothing that is printed needs more than a terminal has."""
    plain = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "xlreg", *args]
        return subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **plain}, check=False
        )

    join = ("join", "ascii", "--create", "--size", "2", "--node", "a", "--endpoint", "127.0.0.1:1")
    for args in (join, ("get", "ascii"), ("get", "ascii", "-o", "json"), ("--help",), ("join", "--help")):
        done = run(*args)
        assert (done.returncode, done.stderr) == (0, ""), args
        assert done.stdout.isascii()
    assert "..." in run("get", "ascii").stdout
    failed = run("get", "xlreg://\u00e4:1/?sig=…")
    assert failed.returncode == cli.FAILED
    assert failed.stderr.isascii()


@pytest.mark.usefixtures("_nodes")
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no full device")
def test_full_device() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "xlreg", "cred", "show", os.environ["XLREG_REGISTRY"]]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == cli.FAILED
    assert done.stderr.count("\n") == 1
    assert "No space left" in done.stderr


@pytest.mark.usefixtures("_nodes")
def test_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    """They are lines of their own, and JSON where that is wanted."""
    join = ["join", "warned", "--create", "--size", "2", "--endpoint", "169.254.1.1:1"]
    assert cli.run([*join, "--node", "a"]) == cli.DONE
    link_local = "169.254.1.1:1 is a link-local address: only machines on the same link can reach it"
    assert capsys.readouterr().err == f"xlreg: warning: {link_local}\n"
    assert cli.run([*join, "--node", "b", "-o", "json"]) == cli.DONE
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    shared = "a and b both say that they are at 169.254.1.1:1: give each an address of its own"
    assert said == [{"warning": link_local}, {"warning": shared}]


@pytest.mark.usefixtures("_nodes")
def test_own_addresses(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as with Go: of the interface, and of the way to the registry."""

    def go(args: Sequence[str]) -> int:
        return subprocess.run([program, *args], check=False).returncode

    for runs in (cli.run, go):
        line = "join addresses --create --size 2 --node a --endpoint :7001,lo:7002"
        assert runs(line.split()) == cli.DONE
        with Node.load("a") as node:
            assert node.endpoints == ("127.0.0.1:7001", "127.0.0.1:7002")
        assert runs(line.replace("7001", "0").split()) == cli.USAGE
        assert runs(line.replace("lo:7002", "lo:x").split()) == cli.USAGE
        assert runs(["node", "init", "new", "--endpoint", ":7001"]) == cli.USAGE


def test_creating_needs_no_home(
    xlreg_registry: RegistryProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor one that can be written: a cluster does not belong to whoever made it."""
    (tmp_path / "file").touch()
    for environment in ({"HOME": str(tmp_path / "file")}, {"XDG_CONFIG_HOME": str(tmp_path / "file")}):
        command = [sys.executable, "-m", "xlreg", "create", "--size", "2", "--registry", xlreg_registry.url]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **environment}, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        command[3:4] = ["join", "none"]
        command[5:7] = ["--endpoint", "127.0.0.1:1"]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **environment}, check=False
        )
        assert done.returncode == cli.FAILED
        assert "Not a directory" in done.stderr


def test_creating_without_any_home(
    xlreg_registry: RegistryProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    assert cli.run(["create", "--size", "2", "--registry", xlreg_registry.url]) == cli.DONE
    assert cli.run(["leave", "x", "--registry", xlreg_registry.url]) == cli.USAGE
    assert "--node DIR" in capsys.readouterr().err


def test_one_version_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("--version", "-v"):
        with pytest.raises(SystemExit) as done:
            cli.run([flag])
        assert done.value.code == 0
        assert capsys.readouterr().out == f"xlreg {xlreg.__version__}\n"
    about = importlib.metadata.metadata("xlreg")
    assert about["Version"] == xlreg.__version__
    ruby = (REPOSITORY / "clients" / "ruby" / "lib" / "xlreg" / "version.rb").read_text()
    assert f"VERSION = '{xlreg.__version__}'" in ruby


def test_what_the_package_says_of_itself() -> None:
    about = importlib.metadata.metadata("xlreg")
    assert about["Author"] == "the xlreg authors"
    assert about["License-Expression"] == "MIT"
    assert {line.partition(",")[0] for line in about.get_all("Project-URL") or []} >= {"Homepage", "Source"}
    assert (REPOSITORY / "LICENSE").read_text() == (README.parent / "LICENSE").read_text()
    (script,) = [e for e in importlib.metadata.entry_points(group="console_scripts") if e.name == "xlreg-py"]
    assert script.load() is cli.main
    program = Path(sys.executable).with_name("xlreg-py")
    assert subprocess.check_output([program, "--version"], text=True) == f"xlreg {xlreg.__version__}\n"


@pytest.mark.usefixtures("_nodes")
def test_exit_codes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """0 done, 1 refused or failed, 2 usage, 3 deadline passed; errors are one line each."""
    # So that no wait is long enough to be told of.
    monkeypatch.setattr("xlreg._cmdsession._QUIET_SECONDS", 600)
    cases: list[tuple[int, str, str]] = [
        (0, "create codes --size 2 --node a", ""),
        (0, "create --size 2 --unique some --node a", ""),
        (0, "create --size 2 --node a", ""),
        (3, "get codes --wait 3000ms", "0 of 2 members joined, 2 missing (index 0-1): time is up"),
        (
            3,
            "join codes --node a --endpoint 127.0.0.1:1 --wait 3s",
            "1 of 2 members joined, 1 missing (index 1): time is up; this node joined with index 0;",
        ),
        (0, "join codes --node b --endpoint 127.0.0.1:2", ""),
        (
            1,
            "join codes --node c --endpoint 127.0.0.1:3",
            "cluster is full; take another cluster, or let",
        ),
        (1, "create codes --size 3 --node a", "made for 2 members, not 3; ask for the size it has"),
        (1, "get none", "cannot find cluster with this name; make the cluster"),
        (1, "get none --wait 20s", "cannot find cluster"),
        (1, "get codes --registry nowhere.dat", "nowhere.dat"),
        (1, "get codes --registry xlreg://127.0.0.1:1/?sig=short", "fingerprint"),
        (2, "", "join|get|verify|compare|create|leave|ticket|evict|revoke|reopen|delete|node|cred"),
        (2, "node", "init|show"),
        (2, "node foo a", "invalid choice"),
        (2, "cred", "show|fetch|url"),
        (2, "cred fetch nowhere", "host:port"),
        (2, "cred fetch a:1 --sig nonsense", "--sig"),
        (2, "node init x --key rsa1024", "--key rsa1024"),
        (2, "node init x --sig-key a", "both --sig-key and --comms-key"),
        (2, "leave codes --protocol 1.9", "needs protocol 2.0"),
        (2, "create codes --size many", "want a whole number"),
        (1, "cred show nowhere.dat", "nowhere.dat"),
        (1, "node show nowhere", "no node here"),
        (1, "get codes --registry a:1", "xlreg cred fetch a:1"),
        (2, "foo", "invalid choice"),
        (2, "get", "NAME"),
        (2, "get a b", 'unexpected argument "b"'),
        (2, "get a --frist", "unrecognized arguments: --frist"),
        (2, "get 7up", "letter"),
        (2, "get codes --wait soon", "30s"),
        (2, "get codes --wait -3s", "--wait"),
        (2, "get codes --output xml", "--output"),
        (2, "get codes --protocol 3.0", "want 2.0, 1.9 or 1.8"),
        (2, "create codes --node a", "how many members with --size N"),
        (2, "create codes --size 1025", "--size 1025: want 2 to 1024"),
        (2, "create codes --size 2 --endpoints 17", "--endpoints 17: want 1 to 16"),
        (2, "create codes --size 2 --unique --protocol 1.9", "needs protocol 2.0"),
        (2, "join codes --node d", "--endpoint HOST:PORT"),
        (2, "join codes --endpoint 0.0.0.0:1", "stands for all addresses"),
        (2, "join codes --endpoint a:0", "port"),
        (2, "join codes --create --endpoint a:1", "--create needs --size N"),
        (2, f"join {'0' * 40} --create --size 2 --endpoint a:1", "--create needs a name"),
    ]
    for code, line, text in cases:
        assert cli.run(line.split()) == code, line
        said = capsys.readouterr()
        assert text in said.err, line
        lines = [one for one in said.err.splitlines() if not one.startswith("xlreg: waiting for ")]
        assert len(lines) == (1 if code else 0), line
        assert said.err.startswith("xlreg: ") == bool(code), line
        assert bool(said.out) == (code == 0), line
    monkeypatch.delenv("XLREG_REGISTRY")
    assert cli.run(["get", "codes"]) == cli.USAGE
    assert "XLREG_REGISTRY" in capsys.readouterr().err


@pytest.mark.usefixtures("_nodes")
def test_flags_from_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {
        "NODE": "a",
        "SIZE": "2",
        "CREATE": "true",
        "ENDPOINT": "127.0.0.1:1,127.0.0.1:2",
        "OUTPUT": "json",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"XLREG_{name}", value)
    assert cli.run(["join", "environment"]) == cli.DONE
    shown = json.loads(capsys.readouterr().out)
    assert shown["members"][0]["endpoints"] == ["127.0.0.1:1", "127.0.0.1:2"]
    monkeypatch.setenv("XLREG_WAIT", "soon")
    assert cli.run(["get", "environment"]) == cli.USAGE
    assert "XLREG_WAIT" in capsys.readouterr().err
    assert cli.run(["get", "environment", "--wait", "0"]) == cli.DONE
    monkeypatch.delenv("XLREG_WAIT")
    monkeypatch.setenv("XLREG_SELF", "m0")  # a program that was started as a member is told these
    monkeypatch.setenv("XLREG_SIZE", "many")
    monkeypatch.setenv("XLREG_ENDPOINTS", "127.0.0.1:1")
    assert cli.run(["create", "told", "--size", "2"]) == cli.DONE


def test_times() -> None:
    for text, seconds in (("30s", 30), ("1m30s", 90), ("300ms", 0.3), ("1.5h", 5400), ("0", 0)):
        assert _flags.seconds(text) == pytest.approx(seconds)


@pytest.mark.usefixtures("_nodes")
def test_as_a_module() -> None:
    command = [sys.executable, "-m", "xlreg"]
    done = subprocess.run([*command, "get", "none"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    helped = subprocess.run([*command, "join", "--help"], capture_output=True, text=True, check=True)
    assert "--endpoint HOST:PORT" in helped.stdout
