"""A registry with several servers, as a client sees it: relays to one registry stand for them."""

from __future__ import annotations

import concurrent.futures
import contextlib
import queue
import random
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from fake import OTHER_ID, FakeRegistry, error
from relay import Relay
from test_connection import BOTH, PATIENT, join_other, names, plan, quicken

import xlreg
from xlreg import Client, Progress, Protocol, Target
from xlreg._flow import Limit
from xlreg._form import Formed
from xlreg._form import form as form_flow
from xlreg._route import Age, Route
from xlreg._times import Times
from xlreg._wire.messages import Op
from xlreg.errors import SessionEndedError, TryLaterError
from xlreg.testing import RegistryProcess, shared_keys
from xlreg.vocabulary import Endpoint

A, B, C = (Endpoint(f"192.0.2.{i}:1") for i in range(1, 4))


def as_given() -> Route:
    return Route(shuffle=lambda _: None)


class Servers:
    """Relays to one registry, and the target that has all of them."""

    def __init__(self, relays: list[Relay]) -> None:
        self.relays = relays
        self.target = at(relays[0].cred.target, *(relay.cred.endpoints[0] for relay in relays))


def at(target: Target, *endpoints: str) -> Target:
    return replace(target, endpoints=tuple(map(Endpoint, endpoints)))


@pytest.fixture
def servers(xlreg_registry: RegistryProcess) -> Iterator[Servers]:
    with contextlib.ExitStack() as stack:
        yield Servers([stack.enter_context(Relay(xlreg_registry.cred)) for _ in range(3)])


def test_sessions_spread(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch, Times(apart=60, spread=600))  # no second one is tried where a busy machine is slow
    clients = 64
    for _ in range(clients):
        Client.connect(servers.target).close()
    served = [relay.served for relay in servers.relays]
    assert min(served) > 0
    assert max(served) <= 2 * clients / len(served)


@BOTH
def test_a_server_is_killed_while_a_member_waits(
    perform: Callable[..., Formed], xlreg_registry: RegistryProcess, servers: Servers
) -> None:
    """It waits again elsewhere, without a pause."""
    name, told = f"killed-{perform.__name__}", queue.Queue[Progress]()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        wanted = plan(xlreg_registry.cred, name, told, times=PATIENT)
        wanted = replace(wanted, options=replace(wanted.options, target=servers.target, route=as_given()))
        forming = pool.submit(perform, lambda limit: form_flow(wanted, limit), 60)
        assert told.get(timeout=30).roster is not None
        servers.relays[0].vanish()
        killed = time.monotonic()
        assert isinstance(told.get(timeout=30).error, SessionEndedError)
        assert told.get(timeout=30).roster is not None
        assert time.monotonic() - killed < 20  # on a busy machine; the goal is one second
        join_other(xlreg_registry, name)
        assert names(forming.result(30).roster) == ["m0", "m1"]
    assert [relay.served for relay in servers.relays] == [1, 1, 0]


@BOTH
def test_a_hung_server_costs_half_a_second(
    perform: Callable[..., Formed], xlreg_registry: RegistryProcess, servers: Servers
) -> None:
    """It accepts connections, and says nothing. The next session does not begin with it."""
    name = f"hung-{perform.__name__}"
    join_other(xlreg_registry, name)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        target = at(servers.target, f"127.0.0.1:{mute.getsockname()[1]}", *servers.target.endpoints)
        wanted = plan(xlreg_registry.cred, name, times=Times())
        wanted = replace(wanted, options=replace(wanted.options, target=target, route=as_given()))
        began = time.monotonic()
        formed = perform(lambda limit: form_flow(wanted, limit), 60)
        took = time.monotonic() - began
    assert names(formed.roster) == ["m0", "m1"]
    assert 0.5 <= took < 8  # with patience for a busy machine, but not for a handshake of 10 s
    assert wanted.options.route.order(target.endpoints)[-1] == target.endpoints[0]


@BOTH
def test_try_later_leads_to_another_server(perform: Callable[..., Formed]) -> None:
    """The one that says so is left at once, however long it says to stay away."""
    with FakeRegistry(Protocol.V20) as fake, FakeRegistry(Protocol.V20) as other:
        later = error(TryLaterError("the registry is stopping", retry=60))
        fake.script[Op.JOIN] = lambda _: later
        target = at(fake.cred.target, *fake.cred.endpoints, *other.cred.endpoints)
        told = queue.Queue[Progress]()
        wanted = plan(fake.cred, "web", told, times=Times())
        wanted = replace(wanted, options=replace(wanted.options, target=target, route=as_given()))
        other.join(xlreg.Node("m1", ["127.0.0.1:7002"], keys=shared_keys(1)), OTHER_ID)
        formed = perform(lambda limit: form_flow(wanted, limit), 30)
        assert names(formed.roster) == ["m0", "m1"]
        errors = [step.error for step in (told.get() for _ in range(told.qsize())) if step.error]
        assert [type(err) for err in errors] == [TryLaterError]


def test_a_watch_goes_on_with_another_server(xlreg_registry: RegistryProcess, servers: Servers) -> None:
    """It tells each change once, and never of an older revision."""
    name = "watched-through-servers"
    join_other(xlreg_registry, name)
    changes = xlreg.watch(servers.target, name, timeout=60)
    first = next(changes)
    assert [m.name for m in first.came] == ["m1"]
    for relay in servers.relays[:2]:
        relay.vanish()
    with Client.connect(xlreg_registry.url, xlreg.Node("m0", ["127.0.0.1:7001"])) as client:
        client.register()
        client.join(name)
    second = next(changes)
    assert ([m.name for m in second.came], second.went, second.changed) == (["m0"], (), ())
    assert second.roster.state.revision > first.roster.state.revision


# The order of endpoints, with a clock that is turned by hand.


class Hand:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_those_that_failed_come_last() -> None:
    clock = Hand()
    route = Route(shuffle=lambda _: None, clock=clock)
    assert route.order((A, B, C)) == [A, B, C]
    route.pass_by([A])
    assert route.order((A, B, C)) == [B, C, A]
    assert route.another() == (False, 0)  # nobody has turned the client away
    route.leave(B)
    assert route.order((A, B, C)) == [C, A, B]
    assert route.another() == (True, 0)
    assert route.another() == (False, 0)  # once for each time
    clock.now = 10
    assert route.order((A, B, C)) == [A, B, C]


def test_all_have_said_try_later() -> None:
    route = as_given()
    route.order((A, B, C))
    for endpoint, told, expected in ((A, 20.0, (True, 0)), (B, 3.0, (True, 0)), (C, 90.0, (False, 3.0))):
        route.leave(endpoint, told)
        assert route.another() == expected
    assert route.order((A, B, C)) == [A, B, C]


def test_the_order_is_random() -> None:
    """It is that of the source that is given, and comes with each endpoint first."""
    route, again = (Route(shuffle=random.Random(7).shuffle) for _ in range(2))
    orders = [route.order((A, B, C)) for _ in range(64)]
    assert orders == [again.order((A, B, C)) for _ in range(64)]
    firsts = [order[0] for order in orders]
    assert max(map(firsts.count, (A, B, C))) <= 2 * 64 / 3
    assert set(firsts) == {A, B, C}


def test_an_older_revision_is_believed_after_a_while() -> None:
    clock = Hand()
    limit, age = Limit(None, clock), Age()
    assert not age.is_behind(5, 5, limit)
    assert age.is_behind(5, 4, limit)
    clock.now = 2.9
    assert age.is_behind(5, 4, limit)
    clock.now = 3
    assert not age.is_behind(5, 4, limit)
    assert not age.is_behind(5, 6, limit)
    assert age.is_behind(6, 5, limit)
