"""Forming against a registry that does as it is told: what is tried again, and what is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import vectors
from fake import (
    CLUSTER,
    NODE_ID,
    OTHER_ID,
    OTHER_KEYS,
    Answer,
    FakeRegistry,
    Script,
    cluster_reply,
    error,
    reply,
)

import xlreg
from xlreg import Cluster, ClusterAttrs, Membership, Node, Progress, Protocol
from xlreg._wire.messages import Message, Op
from xlreg.errors import (
    BadSignatureError,
    ClusterFullError,
    ClusterSizeError,
    IncompleteError,
    NoSuchClusterIDError,
    NotMemberError,
    ProtocolError,
    RegistryError,
    RegistryFullError,
    SessionEndedError,
    TooManyRequestsError,
    TryLaterError,
    XlregError,
)

MakeNode = Callable[..., Node]


class Formation:
    """A fake registry, a node, and another that is a member already."""

    def __init__(self, fake: FakeRegistry, node: Node, other: Node) -> None:
        self.fake, self.node = fake, node
        self.told: list[Progress] = []
        fake.join(other, OTHER_ID)

    def form(self, **arguments: object) -> Membership:
        known: dict[str, object] = {"node": self.node, "cluster": "web", "size": 2, "timeout": 20}
        known |= {"protocol": self.fake.protocol, "progress": self.told.append, **arguments}
        return xlreg.form(self.fake.cred, **known)  # type: ignore[arg-type]

    @property
    def errors(self) -> list[type[XlregError]]:
        return [type(step.error) for step in self.told if step.error is not None]


@pytest.fixture
def formation(make_node: MakeNode) -> Callable[..., Formation]:
    """Make formations whose registry is given as a context."""

    def make(fake: FakeRegistry) -> Formation:
        return Formation(fake, make_node("m0"), make_node("m1", 1))

    return make


def first(answer: Callable[[], Answer], then: Callable[[Message], Answer]) -> Callable[[Message], Answer]:
    """Return what answers once like this and then like that."""
    answers = [answer]

    def reply_once(message: Message) -> Answer:
        return answers.pop()() if answers else then(message)

    return reply_once


STEPS = [Op.MEMBER, Op.CREATE, Op.JOIN, Op.GET_CLUSTER]


@pytest.mark.parametrize("protocol", list(Protocol), ids=str)
@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.name)
def test_carries_on_after_a_lost_connection(
    protocol: Protocol, step: Op, formation: Callable[..., Formation]
) -> None:
    with FakeRegistry(protocol) as fake:
        f = formation(fake)
        fake.script[step] = first(lambda: None, fake.script[step])
        membership = f.form()
        assert f.errors == [SessionEndedError]
        assert membership.me.id == NODE_ID
        assert [m.name for m in membership.others] == ["m1"]
        assert f.node.registrations[0].id == NODE_ID


@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.name)
@pytest.mark.parametrize(
    "refusal", [TryLaterError("disk", 0.01), TooManyRequestsError("", 0.01), RegistryFullError("nodes", 0.01)]
)
def test_comes_back_when_told(step: Op, refusal: RegistryError, formation: Callable[..., Formation]) -> None:
    with FakeRegistry(Protocol.V20) as fake:
        f = formation(fake)
        fake.script[step] = first(lambda: error(refusal), fake.script[step])
        assert f.form().roster.missing == 0
        assert f.errors == [type(refusal)]


@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.name)
def test_ends_with_an_error_of_the_registry(step: Op, formation: Callable[..., Formation]) -> None:
    with FakeRegistry(Protocol.V20, {step: lambda message: error(ClusterFullError())}) as fake:
        f = formation(fake)
        with pytest.raises(ClusterFullError, match='form cluster "web": '):
            f.form()
        assert f.errors == []


# What may be left of a message that was changed on its way: another one, or one without sense.
DAMAGE: dict[str, Callable[[], Answer]] = {
    "another message": lambda: reply(Op.ACK),
    "no ID": lambda: reply(Op.CLUSTER_MEMBERS, ClusterID=b"short"),
    "no message, says the registry": lambda: error(ProtocolError("not an XLRegMsg")),
    "no signature, says the registry": lambda: error(BadSignatureError()),
}


@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.parametrize("protocol", [Protocol.V18, Protocol.V19], ids=str)
def test_damage_that_no_classic_carrier_notices_is_tried_again(
    name: str, protocol: Protocol, formation: Callable[..., Formation]
) -> None:
    with FakeRegistry(protocol) as fake:
        f = formation(fake)
        fake.script[Op.GET_CLUSTER] = first(DAMAGE[name], fake.script[Op.GET_CLUSTER])
        assert f.form().roster.missing == 0
        assert f.errors[0] in (ProtocolError, BadSignatureError)


def test_damaged_key_is_tried_again(formation: Callable[..., Formation]) -> None:
    with FakeRegistry(Protocol.V19) as fake:
        f = formation(fake)

        def damaged() -> Message:
            message = fake.roster()
            message.raw.Tokens[0].SigKey = bytes(message.raw.Tokens[0].SigKey[:-1])
            return message

        fake.script[Op.GET_CLUSTER] = first(damaged, fake.script[Op.GET_CLUSTER])
        assert f.form().roster.missing == 0
        assert f.errors == [ProtocolError]


@pytest.mark.parametrize("asked", ["web", CLUSTER.id], ids=["by name", "by ID"])
def test_damaged_id_is_tried_again(asked: str | xlreg.ClusterID, formation: Callable[..., Formation]) -> None:
    """An ID that the registry gave it has to know; one that was asked for need not exist."""
    with FakeRegistry(Protocol.V19) as fake:
        f = formation(fake)
        fake.script[Op.JOIN] = first(lambda: error(NoSuchClusterIDError()), fake.script[Op.JOIN])
        if asked == "web":
            assert f.form(cluster=asked).roster.missing == 0
        else:
            with pytest.raises(NoSuchClusterIDError):
                f.form(cluster=asked)


def test_damage_without_end_is_the_cause_at_the_deadline(formation: Callable[..., Formation]) -> None:
    with FakeRegistry(Protocol.V19, {Op.JOIN: lambda message: reply(Op.ACK)}) as fake:
        with pytest.raises(IncompleteError, match="Ack in answer to Join") as caught:
            formation(fake).form(timeout=3)
        assert isinstance(caught.value.cause, ProtocolError)


@pytest.mark.parametrize("name", DAMAGE)
def test_what_makes_no_sense_over_tls_is_final(name: str, formation: Callable[..., Formation]) -> None:
    """There it is no damage, since TLS notices that."""
    with FakeRegistry(Protocol.V20) as fake:
        f = formation(fake)
        fake.script[Op.GET_CLUSTER] = first(DAMAGE[name], fake.script[Op.GET_CLUSTER])
        with pytest.raises((ProtocolError, BadSignatureError)):
            f.form()
        assert f.errors == []


def test_the_id_is_saved_before_it_joins(formation: Callable[..., Formation]) -> None:
    with FakeRegistry(Protocol.V20, {Op.JOIN: lambda message: error(ClusterFullError())}) as fake:
        f = formation(fake)
        with pytest.raises(ClusterFullError):
            f.form()
        assert [(r.id, r.name) for r in f.node.registrations] == [(NODE_ID, "fake")]


def test_another_size_is_refused_before_it_joins(formation: Callable[..., Formation]) -> None:
    bigger: Script = {
        Op.CREATE: lambda message: cluster_reply(Op.CREATE_REPLY, Cluster(CLUSTER.id, "web", size=3)),
        Op.GET_CLUSTER: lambda message: reply(
            Op.CLUSTER_MEMBERS, ClusterID=CLUSTER.id, ClusterName="web", ClusterMaxSize=3
        ),
    }
    with FakeRegistry(Protocol.V20, bigger) as fake:
        f = formation(fake)
        for join_only in (False, True):
            with pytest.raises(ClusterSizeError):
                f.form(join_only=join_only)
        assert Op.JOIN not in fake.said


def test_join_only_does_not_create(formation: Callable[..., Formation]) -> None:
    with FakeRegistry(Protocol.V20) as fake:
        f = formation(fake)
        for size in (0, 2):
            assert f.form(join_only=True, size=size).cluster == CLUSTER
        assert f.form(cluster=CLUSTER.id).cluster == CLUSTER
        assert Op.CREATE not in fake.said


def test_a_unique_name_is_made_up_once(formation: Callable[..., Formation]) -> None:
    asked: list[tuple[str, int]] = []

    def create(message: Message) -> Message:
        asked.append((message.raw.ClusterName, message.raw.ClusterAttrs))
        return cluster_reply(Op.CREATE_REPLY)

    with FakeRegistry(Protocol.V20, {Op.CREATE: create}) as fake:
        f = formation(fake)
        fake.script[Op.JOIN] = first(lambda: None, fake.script[Op.JOIN])
        f.form(cluster="we", attrs=ClusterAttrs.UNIQUE)
        assert asked == [("we", ClusterAttrs.UNIQUE), ("web", 0)]


def test_it_looks_for_itself(formation: Callable[..., Formation], make_node: MakeNode) -> None:
    with FakeRegistry(Protocol.V20) as fake:
        f = formation(fake)
        fake.join(make_node("m2", 2), xlreg.NodeID(b"3" * 32))

        def without_me(message: Message) -> Message:
            del fake.tokens[NODE_ID]
            return fake.roster()

        fake.script[Op.GET_CLUSTER] = without_me
        with pytest.raises(NotMemberError):
            f.form()


def test_it_looks_for_its_own_key(formation: Callable[..., Formation], make_node: MakeNode) -> None:
    with FakeRegistry(Protocol.V20) as fake:
        f = formation(fake)

        def another_key(message: Message) -> Message:
            fake.join(make_node("m0", OTHER_KEYS), NODE_ID)
            return fake.roster()

        fake.script[Op.GET_CLUSTER] = another_key
        with pytest.raises(BadSignatureError, match="another key as that of this node"):
            f.form()


def test_the_registration_by_url_asks_for_the_name(make_node: MakeNode) -> None:
    with FakeRegistry(Protocol.V20) as fake:
        node = make_node("m0")
        for _ in range(2):
            with xlreg.Client.connect(fake.cred.url, node) as client:
                assert client.register() == NODE_ID
        assert [(r.name, r.endpoints) for r in node.registrations] == [("fake", fake.cred.endpoints)]
        asked = [op for op in fake.said if op in (Op.MEMBER, Op.REG_CRED_REQUEST)]
        assert asked[asked.index(Op.MEMBER) :].count(Op.MEMBER) == 2


def test_short_keys_are_refused_before_anything_is_said() -> None:
    short = vectors.key("small-sig")
    node = Node("m0", keys=xlreg.Keys(short, short))
    with FakeRegistry(Protocol.V20) as fake:
        with pytest.raises(xlreg.errors.PrivateKeyError, match=r"not for protocol 2\.0: .* 1024 bits"):
            xlreg.Client.connect(fake.cred, node)
        assert fake.said == []
    with FakeRegistry(Protocol.V19) as old, xlreg.Client.connect(old.cred, node, protocol="1.9") as client:
        assert client.register() == NODE_ID
