"""Members that start while their registry is away, from the roster that they have saved."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import Run, own_address
from test_cli_live import Started, start

import xlreg
from xlreg import Endpoint, Ticket, _sync, cli
from xlreg._flow import Connect, Effect, Flow, Limit, Race, Request, Resolve, Sleep
from xlreg._offline import Away
from xlreg._pursuit import Progress
from xlreg._times import Times
from xlreg.errors import NotMemberError, SavedRosterError, TryLaterError, UnreachableError
from xlreg.testing import RegistryProcess, find_program

__all__ = ["start"]
_LEASE = 20.0


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryProcess]:
    """A registry that can be killed, and started again on the same data and port."""
    with RegistryProcess(tmp_path / "data", listen=own_address()) as running:
        yield running


@pytest.fixture
def joined(run: Run, registry: RegistryProcess) -> list[str]:
    """Join as b, and return how a joins."""
    file = Path("owner.ticket")
    file.touch(mode=0o600)
    file.write_text(Ticket.new(registry.target, "web", 2).text() + "\n")
    run(f"join --ticket-file {file} --node b --endpoint 127.0.0.1:2")
    return ["join", "--ticket-file", str(file), "--node", "a", "--endpoint", "127.0.0.1:1"]


def go(args: list[str]) -> str:
    """Run the Go program."""
    return subprocess.run(  # the program that the tests are about
        [find_program(), *args], capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_start_without_the_registry(
    run: Run, joined: list[str], registry: RegistryProcess, start: Callable[..., Started]
) -> None:
    """It has the roster of before, and follows the cluster again when the registry is back."""
    program = ["--", "sh", "-c", "echo $XLREG_INDEX $(grep -c BEGIN $XLREG_TLS_PEERS)"]
    assert "no roster of the cluster is kept here" in run([*joined, "--offline", *program], cli.FAILED)
    run([*joined, *program])
    (kept,) = Path("a/rosters").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    good = kept.read_bytes()
    registry.kill()

    assert "2 of 2 members" in run([*joined, "--offline"])
    os.mkfifo("end")
    live = start(
        *[*joined, "--lease", "20s", "--offline", "--on-change", "echo $XLREG_CHANGED", "--"],
        *["sh", "-c", "echo $XLREG_INDEX $(grep -c BEGIN $XLREG_TLS_PEERS); read x <end"],
    )
    assert live.line() == "1 2\n"
    registry.start()
    assert live.line() == "a\n"  # its run is new
    Path("end").write_text("\n")
    code, _, said = live.end()
    assert code == cli.DONE
    assert re.search(r"^xlreg: warning: the registry is not asked: starting from the roster of 2", said)
    assert "xlreg: the registry is back, and a follows web again\n" in said

    registry.kill()
    late = start(*joined, "--offline-after", "500ms", *program)
    assert late.line() == "1 2\n"
    assert "the registry cannot be reached for 0.5 s: starting from the roster of" in late.end()[2]
    for spoilt, why in (
        (good[:-1], "cut short"),
        (good[:400] + bytes([good[400] ^ 1]) + good[401:], "has been changed since"),
        (b"", "no saved roster"),
    ):
        kept.write_bytes(spoilt)
        said = run([*joined, "--offline", *program], cli.FAILED)
        assert why in said
        assert "join again while the registry is there, and the file is made anew" in said
    kept.unlink()
    os.mkfifo(kept)
    assert "cannot be read: it is not a regular file; join" in run([*joined, "--offline"], cli.FAILED)
    kept.unlink()
    kept.symlink_to(kept.name)
    assert "read: too many levels of symbolic links; join again" in run([*joined, "--offline"], cli.FAILED)
    kept.unlink()
    elsewhere = [*joined[:-1], "127.0.0.1:9", "--offline"]
    kept.write_bytes(good)
    assert "it can move only while the registry is there" in run(elsewhere, cli.FAILED)
    assert "leave one out" in run([*joined, "--offline", "--fresh", *program], cli.USAGE)


def test_a_registry_that_says_nothing(
    joined: list[str], registry: RegistryProcess, run: Run, start: Callable[..., Started]
) -> None:
    """It is on time although one attempt takes much longer: connections are accepted, and no more."""
    run([*joined, "--", "true"])
    endpoint = registry.target.endpoints[0]
    registry.kill()
    with socket.create_server((endpoint.host, endpoint.port)):
        wait = f"{Times().shake - 1}s"  # the attempt alone may take longer
        late = start(*joined, "--offline-after", "500ms", "--wait", wait, "--", "printenv", "XLREG_INDEX")
        assert late.line() == "1\n"
    said = late.end()[2]
    assert said.count("the registry cannot be reached for 0.5 s: starting from the roster of") == 1


def test_the_time_starts_anew_when_the_registry_answers() -> None:
    """Any answer counts, even an error."""
    asked = threading.Event()
    before = set(threading.enumerate())  # other tests may have left some
    away = Away(1, asked.set)

    def flow(_: Limit) -> Flow[str]:
        away.saw(Progress(None, None, 0, TryLaterError()))
        yield Sleep(1.5)
        assert not asked.is_set()
        away.saw(Progress(None, None, 0, UnreachableError([])))
        assert asked.wait(60)
        return "there"

    assert away.perform(Request(flow)) == "there"  # since there was nothing to start from
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("effect", [Sleep(60), Resolve("a.name"), Connect(Endpoint("127.0.0.1:1"), 60, 60)])
def test_what_is_called_off(effect: Effect, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends at once."""
    over = threading.Event()
    monkeypatch.setattr(_sync, "resolve", lambda _: over.wait(60))
    monkeypatch.setattr(socket, "create_connection", lambda *_: over.wait(60))

    def flow(_: Limit) -> Flow[None]:
        yield Race([entrant()], 0) if isinstance(effect, Connect) else effect

    def entrant() -> Flow[None]:
        yield effect

    errand = _sync.Errand(Request(flow))
    timer = threading.Timer(0.1, errand.call_off)
    timer.start()
    with pytest.raises(ConnectionAbortedError):
        errand.run()
    assert not over.is_set()
    over.set()
    timer.join()


def test_go_and_python_read_what_the_other_saved(
    run: Run, joined: list[str], registry: RegistryProcess
) -> None:
    """They keep it in one place, too."""
    run([*joined, "--", "true"])
    (kept,) = Path("a/rosters").iterdir()
    registry.kill()
    assert go([*joined, "--offline", "--", "echo", "{{.Self.Index}} {{len .Members}}"]) == "1 2\n"
    registry.start()
    kept.unlink()
    assert go([*joined, "--", "echo", "{{.Self.Index}}"]) == "1\n"
    assert list(Path("a/rosters").iterdir()) == [kept]
    registry.kill()
    assert run([*joined, "--offline", "--", "true"]).startswith("xlreg: warning: the registry is not asked")


def test_resume(joined: list[str], registry: RegistryProcess, run: Run) -> None:
    """A program has the same without the command line, and is told when its seat is gone."""
    run(joined)
    owner = Ticket.load("owner.ticket")
    with xlreg.Node.open("a") as node:
        member = xlreg.form(owner, node=node, timeout=30, lease=_LEASE)
        saved = member.save()
        member.close()
        registry.kill()
        found = xlreg.load_roster(saved, node, owner)
        assert (found.me.name, found.roster.pinned) == ("a", True)
        assert abs(found.heard - member.heard) < timedelta(milliseconds=1)
        with xlreg.resume(found, node=node, lease=_LEASE) as again:
            assert again.roster == found.roster
            assert [other.name for other in again.others] == ["b"]
            again.server_context()
            registry.start()
            change = next(again.watch(30))
            assert [m.name for m in change.changed] == ["a"]
            assert again.lease == _LEASE
            assert again.heard > found.heard
        with pytest.raises(SavedRosterError, match="another registry"):
            xlreg.load_roster(saved, node, xlreg.Target.of((xlreg.Endpoint("127.0.0.1:1"),), bytes(32)))


def test_a_seat_that_was_taken_away(joined: list[str], registry: RegistryProcess, run: Run) -> None:
    """Who left without a lease does not come back by itself."""
    run(joined)
    owner = Ticket.load("owner.ticket")
    with xlreg.Node.open("a") as node:
        member = xlreg.form(owner, node=node, timeout=30)
        found = xlreg.load_roster(member.save(), node, owner)
        member.leave(30)
        with xlreg.resume(found, node=node) as again, pytest.raises(NotMemberError):
            for _ in again.watch(30):
                pass
    assert [m.name for m in xlreg.wait_members(owner.reader(), size=1, timeout=30).members] == ["b"]
