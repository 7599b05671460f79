"""What README.md shows is so."""

from __future__ import annotations

import ast
import concurrent.futures
import json
import os
import re
import shlex
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import xlreg
import xlreg.errors
from xlreg.testing import RegistryProcess, shared_keys

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


def test_there_are_blocks() -> None:
    assert len(BLOCKS) == 9


@pytest.mark.parametrize("block", BLOCKS)
def test_names_in_blocks_exist(block: str) -> None:
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Attribute):
            path = ast.unparse(node).split(".")
            if path[0] == "xlreg":
                found: object = xlreg
                for name in path[1:]:
                    if not isinstance(found, type(xlreg)) and not isinstance(found, type):
                        break  # what a call returns is not known here
                    found = getattr(found, re.sub(r"\(.*", "", name))


def commands(of: str) -> list[str]:
    """Return the commands that one section shows."""
    section = README.read_text().split(f"\n## {of}\n")[1].split("\n## ")[0]
    return re.findall(r"^    (\S.*)$", section, re.MULTILINE)


def test_commands(xlreg_registry: RegistryProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the command line, word for word, each in its turn; another member comes along."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("regCred.dat").write_bytes(xlreg_registry.reg_cred.read_bytes())
    export, create, join, get = commands("On the command line")
    monkeypatch.setenv(*export.removeprefix("export ").split("="))

    def run(command: str) -> str:
        return subprocess.run(shlex.split(command), check=True, capture_output=True, text=True).stdout

    assert "web" in run(create)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        other = join.replace("./m0", "./m1").replace("192.0.2.7", "192.0.2.8")
        assert all("2 of 2 members" in shown for shown in pool.map(run, (join, other)))
    shown = json.loads(run(get))
    assert sorted(m["endpoints"][0] for m in shown["members"]) == ["192.0.2.7:4000", "192.0.2.8:4000"]


def test_commands_of_those_who_change_it() -> None:
    """What is quick is done; the rest is what `make` does."""
    assert commands("Changing it")[1:] == [
        "pip install -e '.[dev]'",
        "pytest && mypy && ruff check . && ruff format --check .",
    ]
    folder = README.parent
    for check in (["check", "."], ["format", "--check", "."]):
        subprocess.run([Path(sys.executable).with_name("ruff"), *check], check=True, cwd=folder)
    makefile = (folder.parents[1] / "Makefile").read_text()
    for tool in ("pytest", "mypy", "ruff check .", "--editable 'clients/python[dev,package]'"):
        assert tool in makefile


def test_forming_and_talking(
    xlreg_registry: RegistryProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first block, by three members; then the second, between two of them."""
    ticket = tmp_path / "web.ticket"
    ticket.write_text(xlreg.Ticket.new(xlreg_registry.target, "readme", 3).text())

    def member(i: int) -> dict[str, object]:
        names: dict[str, object] = {}
        block = (
            BLOCKS[0].replace("192.0.2.7", "127.0.0.1").replace("/var/lib/app/node", str(tmp_path / f"m{i}"))
        )
        exec(block.replace("web.ticket", str(ticket)), names)
        return names

    accepting, calling = BLOCKS[1].split("# and where they go out\n")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        members = list(pool.map(member, range(3)))
        printed = sorted(line for line in capsys.readouterr().out.splitlines())
        assert len(printed) == 9
        assert all(
            re.fullmatch(rf"{i // 3} \S+-[0-9a-f]{{6}} 127\.0\.0\.1:\d+", printed[i]) for i in range(9)
        )
        first = next(names for names in members if names["me"].me.index == 0)  # type: ignore[attr-defined]
        caller = next(names for names in members if names["me"].me.index == 1)  # type: ignore[attr-defined]
        accepted = pool.submit(exec, accepting, first)
        exec(calling, caller)
        accepted.result(10)
    for names in (*members, first, caller):
        for name in ("tls", "connection", "listener"):
            if name in names:
                names[name].close()  # type: ignore[attr-defined]


def test_tickets(xlreg_registry: RegistryProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks about tickets and orders; between them the commands, as two other members."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    Path("regCred.dat").write_bytes(xlreg_registry.reg_cred.read_bytes())
    m0 = xlreg.Node("m0", ["127.0.0.1:1"], keys=shared_keys(0, "p256"))
    names: dict[str, object] = {"xlreg": xlreg, "Path": Path, "timedelta": timedelta, "node": m0}
    exec(BLOCKS[2], names)
    for name in ("invite", "reader"):
        Path(f"{name}.ticket").touch(mode=0o600)
        Path(f"{name}.ticket").write_text(names[name].text())  # type: ignore[attr-defined]
    with xlreg.Client.connect("owner.ticket", m0) as client:
        client.register()
        client.create()
    join, get = commands("Clusters with an owner")
    sign, verify = commands("Can the registry lie?")
    for i in (1, 2):
        line = join.replace("./m1", f"./m{i}").replace("192.0.2.8", f"192.0.2.{i}")
        subprocess.run(shlex.split(f"{line} --name m{i}"), check=True)
    shown = [subprocess.check_output(shlex.split(line), text=True) for line in (get, sign, verify)]
    sums = [re.findall(r"^sum +(\S+)$", text, re.MULTILINE) for text in shown]
    assert len(sums[0]) == 1
    assert sums[0] == sums[1] == sums[2]
    exec(BLOCKS[3], names)
    with pytest.raises(xlreg.errors.NoSuchClusterError):
        names["owner"].members()  # type: ignore[attr-defined]


def test_watching(xlreg_registry: RegistryProcess, capsys: pytest.CaptureFixture[str]) -> None:
    """The block about leases and watching, by three members of which one leaves."""
    block = BLOCKS[4].replace("regCred.dat", str(xlreg_registry.reg_cred)).replace('"web"', '"watched"')
    block = block.replace("timeout=60", "timeout=8")

    def member(i: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            node = xlreg.Node(f"m{i}", keys=shared_keys(i, "p256"))
            exec(block if i else block.split("    for")[0] + "    me.leave(10)", locals() | {"xlreg": xlreg})

    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(member, range(3)))
    said = capsys.readouterr().out
    assert len(re.findall(r"^came \(\) went \(<Member \d: m0 .*>,\) changed \(\)$", said, re.MULTILINE)) == 2


def test_tests_for_others(pytester: pytest.Pytester) -> None:
    block = next(block for block in BLOCKS if "xlreg_cluster" in block)
    pytester.makepyfile("import xlreg\n" + block)
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error").assert_outcomes(passed=2)


def test_error_texts() -> None:
    err = xlreg.errors.ClusterFullError()
    with pytest.raises(xlreg.XlregError) as caught, xlreg.errors.doing('join cluster "web"'):
        raise err
    assert f"print(err)  # {caught.value}" in README.read_text()
