"""``python -m xlreg``: the flags, exit codes and JSON of the Go program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from xlreg import Node, cli
from xlreg.testing import RegistryProcess, shared_keys


@pytest.fixture
def _nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, xlreg_registry: RegistryProcess) -> None:
    """Nodes a, b and c with keys, and the registry in the environment."""
    for i, name in enumerate("abc"):
        Node.init(tmp_path / name, name=name, keys=shared_keys(i)).close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XLREG_REGISTRY", str(xlreg_registry.reg_cred))


@pytest.mark.usefixtures("_nodes")
def test_same_as_go(program: str, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> None:
    """Whatever either prints of the same cluster is the same, in both forms."""

    def go(*args: str) -> str:
        return subprocess.run([program, *args], capture_output=True, text=True, check=True).stdout

    def python(*args: str) -> str:
        assert cli.run(args) == cli.DONE
        return capsys.readouterr().out

    for form in ("json", "table"):
        assert python("create", "cli", "--size", "2", "--node", "a", "-o", form) == go(
            "create", "cli", "--size", "2", "--node", "a", "-o", form
        )
        assert python("get", "cli", "-o", form) == go("get", "cli", "-o", form)
        assert python(
            "join", "cli", "--node", "a", "--endpoint", "127.0.0.1:1,localhost:2", "-o", form
        ) == go("join", "cli", "--node", "a", "-o", form)
    python("join", "cli", "--node", "b", "--endpoint", "[::1]:3", "--protocol", "1.9", "--wait", "10s")
    for form in ("json", "table"):
        for more in ([], ["--wait", "5s"], ["--protocol", "1.8", "--node", "c"]):
            assert python("get", "cli", "-o", form, *more) == go("get", "cli", "-o", form, *more)
    shown = json.loads(python("get", "cli", "-o", "json"))
    assert [m.get("unverified") for m in shown["members"]] == [None, True]
    assert python("get", shown["cluster"]["id"]) == go("get", "cli")


@pytest.mark.usefixtures("_nodes")
def test_exit_codes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """0 done, 1 refused or failed, 2 usage, 3 deadline passed; errors are one line each."""
    cases: list[tuple[int, str, str]] = [
        (0, "create codes --size 2 --node a", ""),
        (0, "create --size 2 --unique some --node a", ""),
        (0, "create --size 2 --node a", ""),
        (3, "get codes --wait 300ms", "0 of 2 members joined, 2 missing (index 0-1): time is up"),
        (
            3,
            "join codes --node a --endpoint 127.0.0.1:1 --wait 0.3s",
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
        (2, "", "join|get|create"),
        (2, "foo", "invalid choice"),
        (2, "get", "NAME"),
        (2, "get a b", "unrecognized"),
        (2, "get 7up", "letter"),
        (2, "get codes --wait soon", "30s"),
        (2, "get codes --wait -3s", "--wait"),
        (2, "get codes --output xml", "--output"),
        (2, "get codes --protocol 3.0", "want 2.0, 1.9 or 1.8"),
        (2, "create codes --node a", "how many members with --size N"),
        (2, "create codes --size 65", "--size 65: want 2 to 64"),
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
        assert said.err.count("\n") == (1 if code else 0), line
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


def test_times() -> None:
    for text, seconds in (("30s", 30), ("1m30s", 90), ("300ms", 0.3), ("1.5h", 5400), ("0", 0)):
        assert cli._seconds(text) == pytest.approx(seconds)


@pytest.mark.usefixtures("_nodes")
def test_as_a_module() -> None:
    command = [sys.executable, "-m", "xlreg"]
    done = subprocess.run([*command, "get", "none"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    helped = subprocess.run([*command, "join", "--help"], capture_output=True, text=True, check=True)
    assert "--endpoint HOST:PORT" in helped.stdout
