"""The fixtures for others' tests: a registry that ends with them, whatever happens."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from xlreg.testing import NoRegistryError, RegistryProcess

TEST = """
    import os, signal
    from xlreg.testing import _children
    def test_three(xlreg_registry, xlreg_cluster):
        cluster = xlreg_cluster(3)
        assert [m.me.name for m in cluster.memberships] == ["m0", "m1", "m2"]
        assert xlreg_registry.url.startswith("xlreg://127.0.0.1:")
        tls = cluster.memberships[0].server_context()
        print("registry", *_children(xlreg_registry._process.pid))
        {end}
"""


def run(pytester: pytest.Pytester, end: str) -> tuple[pytest.RunResult, int]:
    pytester.makepyfile(TEST.replace("{end}", end))
    result = pytester.runpytest_subprocess("-s", "-p", "no:cacheprovider")
    found = re.search(r"registry (\d+)$", result.stdout.str(), re.MULTILINE)
    assert found is not None
    return result, int(found[1])


def gone(pid: int) -> bool:
    """Report whether a process ends, which the end of its parent must bring about."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(fd) as file:
        return bool(select.select([file], [], [], 15)[0])


@pytest.mark.parametrize(
    "end", ["pass", "assert False", "os._exit(1)", "os.kill(os.getpid(), signal.SIGKILL)"]
)
def test_the_registry_ends_with_the_tests(end: str, pytester: pytest.Pytester) -> None:
    result, pid = run(pytester, end)
    if end in ("pass", "assert False"):
        result.assert_outcomes(passed=int(end == "pass"), failed=int(end != "pass"))
    assert gone(pid)


def test_without_a_program_the_error_says_so(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XLREG_BIN")
    monkeypatch.setenv("PATH", "/nowhere")
    pytester.makepyfile("def test_it(xlreg_registry): pass")
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*NoRegistryError: there is no program xlreg on the PATH: set XLREG_BIN*"])


def test_the_program_is_looked_for_on_the_path(
    program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "xlreg").symlink_to(program)
    monkeypatch.delenv("XLREG_BIN")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with RegistryProcess() as registry:
        assert registry.cred.protocol.value == "2.0"
    assert not registry.reg_cred.exists()
    monkeypatch.setenv("XLREG_BIN", str(tmp_path))
    with pytest.raises(NoRegistryError, match="XLREG_BIN"):
        registry.start()


def test_a_registry_that_does_not_open_says_why(tmp_path: Path) -> None:
    with pytest.raises(NoRegistryError, match="bogus"):
        RegistryProcess(tmp_path, arguments=["--bogus"]).start()


def test_supervisor_ends_what_it_started() -> None:
    command = [sys.executable, "-m", "xlreg._supervise", sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == -signal.SIGTERM % 256
