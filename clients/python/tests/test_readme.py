"""What README.md shows is so."""

from __future__ import annotations

import ast
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import xlreg
import xlreg.errors
from xlreg.testing import RegistryProcess

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


def test_there_are_blocks() -> None:
    assert len(BLOCKS) == 6


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
    for tool in ("pytest", "mypy", "ruff check .", "--editable 'clients/python[dev]'"):
        assert tool in makefile


def test_forming_and_talking(
    xlreg_registry: RegistryProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first block, by three members; then the second, between two of them."""

    def member(i: int) -> dict[str, object]:
        names: dict[str, object] = {}
        block = (
            BLOCKS[0].replace("192.0.2.7", "127.0.0.1").replace("/var/lib/app/node", str(tmp_path / f"m{i}"))
        )
        exec(block.replace("regCred.dat", str(xlreg_registry.reg_cred)).replace('"web"', '"readme"'), names)
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


def test_tests_for_others(pytester: pytest.Pytester) -> None:
    block = next(block for block in BLOCKS if "xlreg_cluster" in block)
    pytester.makepyfile("import xlreg\n" + block)
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error").assert_outcomes(passed=2)


def test_error_texts() -> None:
    err = xlreg.errors.ClusterFullError()
    with pytest.raises(xlreg.XlregError) as caught, xlreg.errors.doing('join cluster "web"'):
        raise err
    assert f"print(err)  # {caught.value}" in README.read_text()
