"""Both clients against a fake of the original servers, which is strict where they are (internal/original)."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import REPOSITORY

import xlreg
from xlreg import AsyncMembership, Client, Membership, Node, Progress, RegCred, cli
from xlreg.errors import (
    ClusterSizeError,
    IncompleteError,
    NoSuchClusterNameError,
    OriginalRegistryError,
    TryLaterError,
    WrongStateError,
)
from xlreg.testing import shared_keys

Start = Callable[..., RegCred]
GENERATIONS = pytest.mark.parametrize("protocol", ["1.8", "1.9"])


@pytest.fixture(scope="session")
def originald(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that is the fake, built once."""
    program = tmp_path_factory.mktemp("original") / "originald"
    build = ["go", "build", "-o", str(program), "./internal/original/originald"]
    subprocess.run(build, cwd=REPOSITORY, check=True)
    return program


@pytest.fixture
def original(originald: Path, tmp_path: Path) -> Iterator[Start]:
    """Start an original server, and return its credentials; it ends with the test."""
    with contextlib.ExitStack() as stack:

        def start(protocol: str, *more: str) -> RegCred:
            cred = tmp_path / f"regCred-{protocol}.dat"
            command = [str(originald), "--generation", protocol, "--cred", str(cred), "--stdin", *more]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            assert process.stdin is not None
            assert process.stdout is not None
            stack.callback(process.stdin.close)
            assert process.stdout.readline().strip() == str(cred)
            return RegCred.read(cred)

        yield start


def member(i: int) -> Node:
    return Node(f"m{i}", [f"127.0.0.1:{7000 + i}"], keys=shared_keys(i % 3))


def form(cred: RegCred, protocol: str, i: int, size: int, **more: object) -> Membership:
    arguments: dict[str, object] = {"cluster": "old", "size": size, "timeout": 60, **more}
    return xlreg.form(cred, node=member(i), protocol=protocol, **arguments)  # type: ignore[arg-type]


def form_all(cred: RegCred, protocol: str, size: int, **more: object) -> list[Membership]:
    with concurrent.futures.ThreadPoolExecutor(size) as pool:
        return list(pool.map(lambda i: form(cred, protocol, i, size, **more), range(size)))


def check(memberships: list[Membership] | list[AsyncMembership], size: int) -> None:
    for i, membership in enumerate(memberships):
        assert len(membership.roster.members) == size
        assert (membership.me.name, membership.cluster.size) == (f"m{i}", size)
        assert sorted(m.name for m in membership.roster.members) == sorted(f"m{i}" for i in range(size))


@GENERATIONS
@pytest.mark.parametrize("size", [2, 3, 16, 24])
def test_form(protocol: str, size: int, original: Start) -> None:
    """With 24 members their tokens are more than one message of an original's may have."""
    check(form_all(original(protocol), protocol, size), size)


@GENERATIONS
@pytest.mark.parametrize("size", [2, 24])
def test_aform(protocol: str, size: int, original: Start) -> None:
    cred = original(protocol)

    async def main() -> list[AsyncMembership]:
        forming = (
            xlreg.aform(cred, node=member(i), cluster="old", size=size, protocol=protocol, timeout=60)
            for i in range(size)
        )
        return await asyncio.gather(*forming)

    check(asyncio.run(main()), size)


@GENERATIONS
def test_creator_that_was_too_slow(protocol: str, original: Start) -> None:
    """An original says so in words that are on no list, and finds the cluster the next time."""
    cred, told = original(protocol, "--lose-races"), list[Progress]()
    check(form_all(cred, protocol, 3, progress=told.append), 3)
    lost = [step.error for step in told if step.error is not None]
    assert lost
    assert all(isinstance(err, TryLaterError) and "name already in use" in str(err) for err in lost)


@GENERATIONS
def test_join_only(protocol: str, original: Start) -> None:
    """By name and by ID, with the size known and not; an original tells it to those alone who join."""
    cred = original(protocol)
    with Client.connect(cred, member(9), protocol=protocol) as admin:
        admin.register()
        made = admin.create("old", 3)
    ways: list[dict[str, object]] = [{"size": 0}, {"size": 3}, {"size": 0, "cluster": made.id}]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        forming = [
            pool.submit(form, cred, protocol, i, **{"size": 3, "join_only": True, **way})  # type: ignore[arg-type]
            for i, way in enumerate(ways)
        ]
        memberships = [done.result() for done in forming]
    check(memberships, 3)
    assert [m.name for m in memberships[0].refresh().members] == [
        m.name for m in memberships[0].roster.members
    ]
    assert len(asyncio.run(AsyncMembership(formed(memberships[1])).refresh()).members) == 3
    with pytest.raises(ClusterSizeError):
        form(cred, protocol, 0, 4, join_only=True)
    with pytest.raises(NoSuchClusterNameError):
        form(cred, protocol, 0, 0, join_only=True, cluster="none")


def formed(membership: Membership) -> xlreg._form.Formed:
    return xlreg._form.Formed(membership._options, membership.node, membership.roster, membership._place)


@GENERATIONS
def test_session(protocol: str, original: Start) -> None:
    """Members are asked for by the ID that Join gave, however the cluster is named."""
    cred = original(protocol)
    with Client.connect(cred, member(0), protocol=protocol) as client:
        client.register()
        made = client.create("old", 2)
        client.join()
        for ref in ("old", made.id, made, None):
            assert [m.name for m in client.members(ref).members] == ["m0"]
            assert client.cluster(ref).size == 2
        with pytest.raises(IncompleteError, match=r"1 of 2 members joined"):
            client.wait(timeout=3)
    with Client.connect(cred, member(1), protocol=protocol) as reader:
        reader.register()
        with pytest.raises(WrongStateError):
            reader.members("old")


@GENERATIONS
def test_clusters_without_a_name_are_two(protocol: str, original: Start) -> None:
    cred, names = original(protocol), set[str]()
    for _ in range(2):
        with Client.connect(cred, member(0), protocol=protocol) as client:
            client.register()
            names.add(client.create(size=2).name)
    told: list[Progress] = []
    with pytest.raises(IncompleteError):
        form(cred, protocol, 0, 2, cluster=None, timeout=4, progress=told.append)
    assert told[0].cluster is not None
    names.add(told[0].cluster.name)
    assert len(names) == 3
    assert all(re.fullmatch("c-[a-z2-7]{16}", name) for name in names)


def test_nothing_old_is_spoken_unasked(original: Start) -> None:
    with pytest.raises(OriginalRegistryError, match=r"choose protocol 1\.9"):
        form(original("1.9"), None, 0, 2)  # type: ignore[arg-type]


def test_command_line(original: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cred = original("1.9")
    cred.write(tmp_path / "cred")
    common = ["--registry", str(tmp_path / "cred"), "--protocol", "1.9"]

    def join(i: int) -> int:
        Node.init(tmp_path / f"m{i}", name=f"m{i}", keys=shared_keys(i)).close()
        command = [
            "join",
            "old",
            "--create",
            "--size",
            "2",
            "--node",
            str(tmp_path / f"m{i}"),
            "--wait",
            "30s",
        ]
        return cli.run([*command, "--endpoint", f"127.0.0.1:{i + 1}", *common])

    with concurrent.futures.ThreadPoolExecutor() as pool:
        assert list(pool.map(join, range(2))) == [0, 0]
    assert capsys.readouterr().out.count("2 of 2 members") == 2
    assert cli.run(["get", "old", "--node", str(tmp_path / "m0"), *common]) == cli.FAILED
    assert "shows a cluster to its members only" in capsys.readouterr().err
