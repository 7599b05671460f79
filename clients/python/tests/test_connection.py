"""Connections that end, break, go silent, are slow, or never come about: what a client makes of each."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import queue
import re
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from conftest import own_address
from fake import FakeRegistry, SilenceError
from relay import Line, Relay

import xlreg
from xlreg import Client, Node, Progress, Protocol, RegCred, Roster, _async, _sync
from xlreg._creation import Creation
from xlreg._dial import Options
from xlreg._dialogue import Dialogue, in_session
from xlreg._flow import Flow, Limit, Request, T
from xlreg._form import Formed, Plan
from xlreg._form import form as form_flow
from xlreg._reading import Reading
from xlreg._times import Times
from xlreg._wire.messages import Message, Op
from xlreg.errors import (
    ClockError,
    DeadlineError,
    IncompleteError,
    SessionEndedError,
    UnreachableError,
)
from xlreg.testing import RegistryProcess, shared_keys
from xlreg.vocabulary import ClusterRef

QUICK = Times(connect=0.5, shake=0.5, shaken=3, dial=0.5, silence=0.6, wait=0.3, whole=30, bye=0.2)
"""As the defaults are to each other, but for tests that have no half minutes."""

PATIENT = replace(QUICK, connect=30, shake=30, shaken=60, dial=30, silence=3)
"""For tests that count sessions: a busy machine ends none before its time."""

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()


def blocking(flow: Callable[[Limit], Flow[T]], timeout: float | None) -> T:
    return _sync.perform(Request(flow, timeout))


def in_asyncio(flow: Callable[[Limit], Flow[T]], timeout: float | None) -> T:
    return asyncio.run(_async.perform(Request(flow, timeout)))


BOTH = pytest.mark.parametrize("perform", [blocking, in_asyncio])


def plan(cred: RegCred, name: str, told: queue.Queue[Progress] | None = None, **options: object) -> Plan:
    """Return the plan of member m0 of a cluster of two."""
    node = Node("m0", ["127.0.0.1:7001"], keys=shared_keys(0))
    known: dict[str, object] = {"times": QUICK, **options}
    return Plan(
        options=replace(Options(cred.target, node), **known),  # type: ignore[arg-type]
        ref=ClusterRef(name=name),
        size=2,
        progress=told.put if told else None,
    )


def join_other(registry: RegistryProcess, name: str) -> None:
    """Have m1 take its place in a cluster of two."""
    with Client.connect(registry.url, Node("m1", ["127.0.0.1:7002"], keys=shared_keys(1))) as client:
        client.register()
        client.create(name, 2)
        client.join()


def names(roster: Roster) -> list[str]:
    return sorted(member.name for member in roster.members)


@pytest.mark.parametrize("protocol", list(Protocol), ids=str)
def test_cut_anywhere(protocol: Protocol, xlreg_registry: RegistryProcess) -> None:
    """Wherever a connection ends, within a message too, the next one goes on."""
    cut, served = 0, 2
    while served == 2:
        cut += 100
        name = f"cut-{protocol}-{cut}".replace(".", "")
        join_other(xlreg_registry, name)
        with Relay(xlreg_registry.cred, Line(cut=cut)) as relay:
            wanted = plan(relay.cred, name, protocol=protocol, times=PATIENT)
            formed = blocking(lambda limit: form_flow(wanted, limit), 60)  # noqa: B023
            assert names(formed.roster) == ["m0", "m1"], cut
            served = relay.served
    assert cut > 1500, "the last is the one that was not cut"


@pytest.mark.parametrize("protocol", [Protocol.V18, Protocol.V19], ids=str)
@pytest.mark.parametrize("at", [40, 100, 250, 700, 1000, 1300])
def test_corrupted_unnoticed(at: int, protocol: Protocol, xlreg_registry: RegistryProcess) -> None:
    """A classic carrier notices nothing, so what makes no sense, or never ends, counts as damage."""
    name = f"garbled-{protocol}-{at}".replace(".", "")
    join_other(xlreg_registry, name)
    with Relay(xlreg_registry.cred, Line(flip=at)) as relay:
        formed = blocking(lambda limit: form_flow(plan(relay.cred, name, protocol=protocol), limit), 30)
        assert len(formed.roster.members) == 2


@pytest.mark.parametrize("at", range(150, 5000, 450))
def test_corrupted_anywhere(at: int, xlreg_registry: RegistryProcess) -> None:
    """TLS notices each changed byte. That is a broken connection, and no fault of the registry."""
    name = f"flip-{at}"
    join_other(xlreg_registry, name)
    with Relay(xlreg_registry.cred, Line(flip=at)) as relay:
        wanted = plan(relay.cred, name, times=PATIENT)
        formed = blocking(lambda limit: form_flow(wanted, limit), 60)
        assert names(formed.roster) == ["m0", "m1"]
        assert relay.served == 2


@BOTH
@pytest.mark.parametrize("protocol", [Protocol.V20, Protocol.V19], ids=str)
def test_half_open(
    perform: Callable[..., Formed], protocol: Protocol, xlreg_registry: RegistryProcess
) -> None:
    """A connection that stays open and carries nothing any more is dead: it is dialled again, in time."""
    name, told = f"half-{perform.__name__}-{protocol}", queue.Queue[Progress]()
    with Relay(xlreg_registry.cred) as relay, concurrent.futures.ThreadPoolExecutor() as pool:
        wanted = plan(relay.cred, name, told, protocol=protocol, times=PATIENT)
        forming = pool.submit(perform, lambda limit: form_flow(wanted, limit), None)
        assert told.get(timeout=30).roster is not None  # it has joined, and waits
        relay.freeze()
        join_other(xlreg_registry, name)
        assert names(forming.result(30).roster) == ["m0", "m1"]
        steps = [told.get() for _ in range(told.qsize())]
        assert [type(step.error) for step in steps if step.error] == [SessionEndedError]
        assert relay.served == 2


def test_half_open_for_a_reader(xlreg_registry: RegistryProcess) -> None:
    name, told = "half-read", queue.Queue[Progress]()
    with Client.connect(xlreg_registry.url, Node("m0", ["127.0.0.1:1"], keys=shared_keys(0))) as client:
        client.register()
        client.create(name, 2)
        client.join()
    with Relay(xlreg_registry.cred) as relay, concurrent.futures.ThreadPoolExecutor() as pool:
        options = Options(relay.cred.target, times=QUICK)
        reading = pool.submit(
            lambda: blocking(Reading(options, ClusterRef(name=name), 0, told.put).run, None)
        )
        assert told.get(timeout=30).roster is not None
        relay.freeze()
        join_other(xlreg_registry, name)
        assert names(reading.result(30)) == ["m0", "m1"]


@BOTH
def test_endpoints_that_are_dead_or_mute(
    perform: Callable[..., Formed], xlreg_registry: RegistryProcess
) -> None:
    """None of them makes the one that answers wait for its turn, be it the last of all."""
    name = f"dead-{perform.__name__}"
    join_other(xlreg_registry, name)
    with contextlib.ExitStack() as stack:
        mute = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(13)]
        ends = [f"127.0.0.1:{listener.getsockname()[1]}" for listener in mute]
        ends += ["nobody.invalid:1", "127.0.0.1:1", xlreg_registry.cred.endpoints[0]]
        cred = replace(xlreg_registry.cred, endpoints=tuple(map(xlreg.Endpoint, ends)))
        times = Times(connect=600, shake=600, shaken=600)  # nobody's turn is over before the limit
        formed = perform(lambda limit: form_flow(plan(cred, name, times=times), limit), 60)
    assert names(formed.roster) == ["m0", "m1"]


@BOTH
def test_all_endpoints_dead(perform: Callable[..., Formed], xlreg_registry: RegistryProcess) -> None:
    """All of them are tried, and told of in their order."""
    ends = [xlreg.Endpoint(f"127.0.0.1:{port}") for port in (1, 2, 3)]
    cred = replace(xlreg_registry.cred, endpoints=tuple(ends))
    with pytest.raises(IncompleteError) as caught:
        perform(lambda limit: form_flow(plan(cred, "none"), limit), 2)
    assert isinstance(caught.value.cause, UnreachableError)
    assert [str(failure).rpartition(": ")[0] for failure in caught.value.cause.failures] == ends


@BOTH
def test_address_gone_and_back(perform: Callable[..., Formed], xlreg_registry: RegistryProcess) -> None:
    name, told = f"gone-{perform.__name__}", queue.Queue[Progress]()
    with Relay(xlreg_registry.cred) as relay, concurrent.futures.ThreadPoolExecutor() as pool:
        forming = pool.submit(perform, lambda limit: form_flow(plan(relay.cred, name, told), limit), None)
        assert told.get(timeout=30).roster is not None
        relay.vanish()
        while not isinstance(told.get(timeout=30).error, UnreachableError):
            pass
        join_other(xlreg_registry, name)
        relay.return_()
        assert names(forming.result(30).roster) == ["m0", "m1"]


@BOTH
def test_no_deadline_is_none_for_dialling_either(perform: Callable[..., Formed], tmp_path: Path) -> None:
    """A formation without one tries for as long as it takes, also if there never was a registry."""
    told: queue.Queue[Progress] = queue.Queue()
    with (
        RegistryProcess(tmp_path / "data", listen=own_address()) as registry,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        join_other(registry, "late")
        registry.kill()
        times = replace(QUICK, dial=0.01)
        wanted = plan(registry.cred, "late", told, times=times)
        forming = pool.submit(perform, lambda limit: form_flow(wanted, limit), None)
        for _ in range(4):
            assert isinstance(told.get(timeout=30).error, UnreachableError)
        registry.start()
        assert names(forming.result(60).roster) == ["m0", "m1"]


@BOTH
def test_slow_line(perform: Callable[..., Formed], xlreg_registry: RegistryProcess) -> None:
    """What counts is time without a byte. The rosters come much slower than the longest silence."""
    name = f"slow-{perform.__name__}"
    join_other(xlreg_registry, name)
    with Relay(xlreg_registry.cred, Line(rate=1000)) as relay:
        times = replace(QUICK, shake=1.5, shaken=30, silence=1.5)
        began = time.monotonic()
        formed = perform(lambda limit: form_flow(plan(relay.cred, name, times=times), limit), 60)
        assert names(formed.roster) == ["m0", "m1"]
        assert (relay.served, time.monotonic() - began > 2 * times.silence) == (1, True)


@BOTH
def test_answer_that_never_ends(perform: Callable[..., Roster], xlreg_registry: RegistryProcess) -> None:
    """One that trickles is given up, too."""
    join_other(xlreg_registry, "trickle")
    times = replace(QUICK, shake=2, shaken=60, whole=0.5)
    with Relay(xlreg_registry.cred, *[Line(rate=2000)] * 50) as relay:
        options = Options(relay.cred.target, times=times)
        with pytest.raises(IncompleteError) as caught:
            perform(Reading(options, ClusterRef(name="trickle"), 0, None).run, 2)
        assert isinstance(caught.value.cause, SessionEndedError | UnreachableError)


def options_of(made: socket.socket) -> list[int]:
    tcp = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT", "TCP_NODELAY")
    alive = made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    return [alive, *(made.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in tcp)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of them")
def test_the_system_looks_after_connections(xlreg_registry: RegistryProcess) -> None:
    """A machine that was switched off and on says so when it is asked, which the system does by itself."""
    with Client.connect(xlreg_registry.url) as client:
        made = client._wire._socket
        assert made is not None
        assert options_of(made) == [1, 10, 5, 4, 30_000, 1]

    async def main() -> None:
        async with await xlreg.AsyncClient.connect(xlreg_registry.url) as client:
            assert client._wire._streams is not None
            assert options_of(client._wire._streams[1].get_extra_info("socket")) == [1, 10, 5, 4, 30_000, 1]

    asyncio.run(main())


# Clocks.


@BOTH
def test_clock_that_is_set_meanwhile(perform: Callable[..., Formed], xlreg_registry: RegistryProcess) -> None:
    """A machine that begins in 1970 is told so, and forms its cluster once it knows the time."""
    name, told = f"clock-{perform.__name__}", queue.Queue[Progress]()
    join_other(xlreg_registry, name)
    clock = [datetime(1970, 1, 1, 0, 1, tzinfo=timezone.utc)]
    wanted = plan(xlreg_registry.cred, name, told, now=lambda: clock[0])
    with concurrent.futures.ThreadPoolExecutor() as pool:
        forming = pool.submit(perform, lambda limit: form_flow(wanted, limit), 60)
        failure = told.get(timeout=30).error
        assert isinstance(failure, UnreachableError)
        assert isinstance(failure.failures[0], ClockError)
        assert re.search(r"clock of this machine is behind the registry's by 2\d{4} days", str(failure))
        clock[0] = datetime.now(timezone.utc)
        assert names(forming.result(60).roster) == ["m0", "m1"]


def test_clock_of_another_member(xlreg_registry: RegistryProcess, caplog: pytest.LogCaptureFixture) -> None:
    """A certificate that is not valid yet has its member named."""
    ahead = Node("ahead", ["127.0.0.1:7002"], keys=shared_keys(1))
    later = replace(
        Options(xlreg_registry.target, ahead), now=lambda: datetime.now(timezone.utc) + timedelta(hours=5)
    )

    def join(dialogue: Dialogue) -> Flow[None]:
        yield from dialogue.register(Limit(10))
        yield from dialogue.create(Creation("ahead", 2), Limit(10))
        yield from dialogue.join(ClusterRef(name="ahead"), Limit(10))

    blocking(lambda limit: in_session(later, limit, join), 20)
    with Client.connect(xlreg_registry.url) as client:
        for _ in range(2):
            assert names(client.members("ahead")) == ["ahead"]
    said = [record.getMessage() for record in caplog.records]
    assert [text for text in said if "ahead" in text] == said
    assert len(said) == 1
    assert re.search(r'certificate of member "ahead" is valid from .* UTC, 4 hours from now', said[0])


# What the error says when the time is up.


def silent(message: Message) -> None:
    raise SilenceError


def incomplete(fake: FakeRegistry) -> IncompleteError:
    """Form until the time is up, which is when something has to be tried again or a roster has come."""
    ahead = [0.0]
    limit = Limit(60, lambda: time.monotonic() + ahead[0])
    wanted = replace(plan(fake.cred, "web", times=PATIENT), progress=lambda _: ahead.append(ahead.pop() + 60))
    with pytest.raises(IncompleteError) as caught:
        blocking(lambda _: form_flow(wanted, limit), None)
    return caught.value


def test_error_of_a_registry_that_was_never_heard() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        cred = RegistryAt(nobody)
        with pytest.raises(IncompleteError) as caught:
            blocking(lambda limit: form_flow(plan(cred, "web"), limit), 0.3)
    err = caught.value
    assert (err.joined, err.index, err.silent) == (False, None, None)
    assert str(err).startswith(
        'form cluster "web": 2 members wanted: time is up; this node has not joined; registry never heard; '
    )


def RegistryAt(listener: socket.socket) -> RegCred:  # noqa: N802
    with FakeRegistry(Protocol.V20) as fake:
        return replace(fake.cred, endpoints=(xlreg.Endpoint(f"127.0.0.1:{listener.getsockname()[1]}"),))


def test_error_of_one_that_joined_and_heard_no_more() -> None:
    """Who has a place is told so, even if the roster never came."""
    with FakeRegistry(Protocol.V20, {Op.GET_CLUSTER: silent}) as fake:
        err = incomplete(fake)
    assert (err.joined, err.index) == (True, None)
    assert err.silent is not None
    assert re.search(r"; this node joined; registry last heard \d+\.\d s ago", str(err))


def test_error_of_one_that_waits() -> None:
    with FakeRegistry(Protocol.V20) as fake:
        err = incomplete(fake)
    assert (err.joined, err.index, err.missing) == (True, 0, 1)
    assert "1 of 2 members joined, 1 missing (index 1): time is up; this node joined with index 0; " in str(
        err
    )
    assert str(err).count("missing") == 1


def test_error_before_joining() -> None:
    with FakeRegistry(Protocol.V20, {Op.JOIN: silent}) as fake:
        err = incomplete(fake)
    assert err.joined is False
    assert "this node has not joined; registry last heard" in str(err)


# The table in README.md: how long each call can take.


def test_table_is_that_of_the_defaults() -> None:
    rows = re.findall(r"^\| (\S.*?) \| (.*?) \|$", README, re.MULTILINE)
    table = {call: [float(n) for n in re.findall(r"(\d+) s", most)] for call, most in rows if "s" in most}
    t = Times()
    assert table["`Client.connect`"] == [t.dial]
    calls = "`register`, `login`, `create`, `cluster`, `join`, `leave`, `registry`, `signed`, `observed`"
    assert table[calls] == [t.silence, t.whole]
    assert table["the orders of an `Owner`"] == [t.dial]
    assert table["`members`"] == [t.silence, t.whole]
    assert table["`wait`"] == [t.silence]
    assert table["`close`"] == [t.bye]
    assert table["`form`, `wait_members`"] == []
    assert table["`refresh`, `leave` of a membership"] == [t.dial, t.silence, t.whole]
    # With these a dead connection is noticed, and another made, within 35 seconds.
    assert t.wait < t.silence
    assert t.silence + t.spread <= 33
    assert t.shake + 2 * t.spread <= 34  # the last of many endpoints went silent in its handshake


def quicken(monkeypatch: pytest.MonkeyPatch, times: Times) -> Times:
    """Have clients that are made as users make them take no longer than this."""
    original = Options.__init__

    def init(self: Options, *args: object, **kwargs: object) -> None:
        original(self, *args, **{"times": times, **kwargs})  # type: ignore[arg-type]

    monkeypatch.setattr(Options, "__init__", init)
    return times


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Times:
    """Have clients give up soon where nobody answers at all."""
    return quicken(monkeypatch, Times(connect=0.2, shake=0.2, shaken=1, dial=0.4))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Times:
    """Have clients give up soon on a session, for which a busy machine needs more time."""
    return quicken(monkeypatch, Times(dial=4, silence=0.4, wait=0.2, whole=2, bye=0.2))


SLACK = 10.0  # for a machine that is busy; the defaults would take longer


def took(call: Callable[[], object], kind: type[Exception] | None) -> float:
    began = time.monotonic()
    if kind is None:
        call()
    else:
        with pytest.raises(kind):
            call()
    return time.monotonic() - began


def test_connect_takes_no_longer(hasty: Times) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        cred = RegistryAt(nobody)
        assert took(lambda: Client.connect(cred), UnreachableError) < hasty.dial + SLACK
        assert (
            took(lambda: asyncio.run(xlreg.AsyncClient.connect(cred)), UnreachableError) < hasty.dial + SLACK
        )


REQUESTS: dict[Op, Callable[[Client], object]] = {
    Op.MEMBER: lambda c: c.register(),
    Op.CREATE: lambda c: c.create("web", 2),
    Op.JOIN: lambda c: c.join("web"),
    Op.GET_CLUSTER: lambda c: c.members("web"),
    Op.LEAVE: lambda c: c.leave("web"),
    Op.REG_CRED_REQUEST: lambda c: c.registry(),
}


@pytest.mark.parametrize("op", REQUESTS, ids=lambda op: op.name)
def test_request_takes_no_longer(op: Op, quick: Times) -> None:
    with FakeRegistry(Protocol.V20, {op: silent}) as fake:
        with Client.connect(fake.cred, Node("m", keys=shared_keys(0))) as client:
            assert took(lambda: REQUESTS[op](client), SessionEndedError) < quick.silence + SLACK


def test_wait_takes_no_longer(quick: Times) -> None:
    with FakeRegistry(Protocol.V20, {Op.GET_CLUSTER: silent}) as fake, Client.connect(fake.cred) as client:
        assert took(lambda: client.wait("web", 2), SessionEndedError) < quick.silence + SLACK


def test_close_takes_no_longer(quick: Times) -> None:
    with FakeRegistry(Protocol.V20, {Op.BYE: silent}) as fake:
        assert took(Client.connect(fake.cred).close, None) < quick.bye + SLACK


def test_form_takes_no_longer_than_it_may(quick: Times) -> None:
    with FakeRegistry(Protocol.V20, {Op.GET_CLUSTER: silent, Op.BYE: silent}) as fake:
        node = Node("m", ["127.0.0.1:1"], keys=shared_keys(0))

        def form() -> None:
            xlreg.form(fake.cred, node=node, cluster="web", size=2, timeout=0.5)

        def wait() -> None:
            xlreg.wait_members(fake.cred, "web", timeout=0.5)

        assert took(form, IncompleteError) < 0.5 + quick.bye + SLACK
        assert took(wait, IncompleteError) < 0.5 + quick.bye + SLACK


def test_a_membership_takes_no_longer(quick: Times) -> None:
    with FakeRegistry(Protocol.V20) as fake:
        node = Node("m0", ["127.0.0.1:1"], keys=shared_keys(0))
        fake.join(Node("m1", ["127.0.0.1:2"], keys=shared_keys(1)), xlreg.NodeID(b"o" * 32))
        membership = xlreg.form(fake.cred, node=node, cluster="web", size=2, timeout=20)
        fake.script[Op.GET_CLUSTER] = fake.script[Op.LEAVE] = silent
        for call in (membership.refresh, membership.leave):
            assert took(call, SessionEndedError) < quick.dial + quick.silence + SLACK
    assert took(membership.refresh, DeadlineError) < quick.dial + SLACK
