"""What the command line says while it waits, and when it is interrupted."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import xlreg
from xlreg import _calls, _cmdsession, cli, errors
from xlreg._flow import Request
from xlreg._form import Formed
from xlreg._pursuit import Progress
from xlreg.testing import RegistryProcess


def exists(registry: RegistryProcess, cluster: str) -> bool:
    """Wait until there is a cluster."""
    for _ in range(3000):
        with contextlib.suppress(errors.NoSuchClusterNameError), xlreg.Client.connect(registry.url) as client:
            return client.cluster(cluster).size == 2
    return False


@pytest.mark.usefixtures("_nodes")
def test_interrupted_wait_says_that_the_seat_is_kept(
    xlreg_registry: RegistryProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is kept: the node is in the roster."""

    form = _calls.form

    def interrupt(*args: Any, progress: Callable[[Progress], None], **kwargs: Any) -> Request[Formed]:
        def told(now: Progress) -> None:
            progress(now)
            raise KeyboardInterrupt

        return form(*args, progress=told, **kwargs)

    join = ["join", "kept", "--create", "--size", "2", "--endpoint", "127.0.0.1:1", "--wait", "60s"]
    monkeypatch.setattr(_calls, "form", interrupt)
    assert cli.run([*join, "--node", "a"]) == cli.INTERRUPTED
    assert capsys.readouterr().err == (
        "xlreg: interrupted; a keeps its place in kept: the same command goes on waiting, "
        "and 'xlreg leave kept --node a' gives it up\n"
    )
    with xlreg.Client.connect(xlreg_registry.url) as client:
        assert [m.name for m in client.members("kept").members] == ["a"]


@pytest.mark.usefixtures("_nodes")
def test_interrupted_by_a_person(xlreg_registry: RegistryProcess) -> None:
    # Who runs the tests may ignore the signal, as a shell does for what is in the background.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "xlreg"]
    command += ["join", "ctrl-c", "--create", "--size", "2", "--node", "a"]
    command += ["--endpoint", "127.0.0.1:1", "--wait", "60s"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as waiting:
        assert exists(xlreg_registry, "ctrl-c")
        waiting.send_signal(signal.SIGINT)
        assert waiting.stderr is not None
        said = waiting.stderr.read()
    assert waiting.returncode == cli.INTERRUPTED
    *before, last = said.splitlines()
    assert last.startswith("xlreg: interrupted")
    assert all(line.startswith("xlreg: waiting for the members of ctrl-c, ") for line in before)


@pytest.mark.usefixtures("_nodes")
def test_waiting_is_told_of(
    xlreg_registry: RegistryProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while, and where scripts do not read it."""
    monkeypatch.setattr(_cmdsession, "_QUIET_SECONDS", 0.1)
    join = ["join", "told", "--create", "--size", "2", "--node", "a", "--endpoint", "127.0.0.1:1"]
    for command in (join, ["get", "told"]):
        assert cli.run([*command, "--wait", "3s"]) == cli.DEADLINE
        first, last = capsys.readouterr().err.splitlines()
        told = r"xlreg: waiting for the members of told(: 1 of 2 joined \(a\), 1 missing)?, [0-3] s left"
        assert re.fullmatch(told, first)
        assert "1 of 2 members joined" in last
        assert cli.run([*command, "--wait", "500ms", "-o", "json"]) == cli.DEADLINE
        (line,) = capsys.readouterr().err.splitlines()
        assert json.loads(line)["exit"] == cli.DEADLINE
