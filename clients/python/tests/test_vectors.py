"""Runs every file of docs/vectors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
import vector_messages as vm
import vector_owners as vo
import vector_saved as vs
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from vectors import Vector, check_kind, index, key, load, rsa_key, unhex

from xlreg._chain import check_chain, find_key
from xlreg._codec import Framing, Opener, Sealer
from xlreg._wire.messages import decode
from xlreg.certificate import build, check_shown, field_of, name_of, public_key_of
from xlreg.classic import Hello, carries_tls
from xlreg.errors import (
    KINDS,
    CertificateError,
    HandshakeError,
    IllFormedTokenError,
    ProtocolError,
    RegCredError,
    UntrustedError,
    XlregError,
)
from xlreg.keys import fingerprint, marshal_ssh, parse_public_key, public_der
from xlreg.regcred import RegCred, Target
from xlreg.signatures import sign_login, verify_login
from xlreg.version import DecimalVersion, Protocol, parse_decimal_version
from xlreg.vocabulary import ClusterID, CommsKey, Endpoint, NodeID, SigKey, Token, check_name, endpoints_of


def run_text(vector: Vector) -> None:
    """Each case of a table is taken or refused, and gives what else it holds."""
    check = TABLES[vector["vector"].removeprefix("text/")]
    cases = vector["input"]["cases"]
    assert cases
    for case in cases:
        if case["ok"]:
            check(case)
        else:
            with pytest.raises(ValueError, match=r"."):
                check(case)


def check_id(case: dict[str, Any]) -> None:
    for kind in (NodeID, ClusterID):
        found = kind.parse(case["text"])
        assert found.hex() == str(found) == case["hex"]


def check_one_name(case: dict[str, Any]) -> None:
    assert check_name(case["text"]) == case["text"]


def check_endpoint(case: dict[str, Any]) -> None:
    endpoint = Endpoint(case["text"])
    assert (endpoint, endpoint.host, endpoint.port) == (case["text"], case["host"], case["port"])


def check_version(case: dict[str, Any]) -> None:
    version = parse_decimal_version(case["text"])
    assert version.value.to_bytes(4, "little").hex() == case["wire"]
    assert str(version) == case["written"]


def check_error_text(case: dict[str, Any]) -> None:
    assert KINDS[case["code"]].kind_text == case["text"]
    assert case["code"] <= len(KINDS)


TABLES = {
    "ids": check_id,
    "names": check_one_name,
    "endpoints": check_endpoint,
    "versions": check_version,
    "errors": check_error_text,
}


def run_key(vector: Vector) -> None:
    """A key is of that kind and size, and good for the carriers that the vector says; or is refused."""
    (der,) = unhex(vector["input"], "der")
    found, want = parse_public_key(der), vector["want"]
    rsa = isinstance(found, RSAPublicKey)
    assert (found.key_size, "RSA" if rsa else "P-256") == (want["bits"], want["kind"])
    if isinstance(found, RSAPublicKey):
        assert found.public_numbers().e == want["exponent"]
    assert accepts(der, Protocol.V20) == want["modern"]
    assert accepts(der, Protocol.V19) == rsa


def accepts(der: bytes, protocol: Protocol) -> bool:
    try:
        parse_public_key(der, protocol.key_bounds)
    except XlregError:
        return False
    return True


def run_fingerprint(vector: Vector) -> None:
    """A key has that SSH form and that fingerprint."""
    (der,) = unhex(vector["input"], "sig_key")
    assert fingerprint(der) == vector["want"]["fingerprint"]
    text = str(RegCred("r", NodeID(bytes(20)), CommsKey(der), SigKey(der), endpoints_of(["a:1"]), V2))
    assert f"SigPubKey: {vector['want']['ssh']}\r\n" in text


V2 = parse_decimal_version("2.0")


def run_url(vector: Vector) -> None:
    """A line gives endpoints and fingerprint, and is written again."""
    text, want = vector["input"]["text"], vector.get("want", {})
    target = Target.parse(text)
    assert list(target.endpoints) == want["endpoints"]
    assert target.fingerprint == want["fingerprint"]
    assert (target.url == text) == want.get("canonical", False)


def run_regcred(vector: Vector) -> None:
    """A regCred.dat gives its fields, and is written again."""
    text, want = vector["input"]["text"], vector.get("want", {})
    if vector["layer"] != "success" and "line" in want:
        with pytest.raises(RegCredError, match=rf"line {want['line']}: "):
            RegCred.parse(text)
    cred = RegCred.parse(text)
    assert (cred.name, str(cred.id), str(cred.version)) == (want["name"], want["id"], want["version"])
    assert [cred.comms_key, cred.sig_key] == unhex(want, "comms_key", "sig_key")
    assert list(cred.endpoints) == want["endpoints"]
    assert (cred.fingerprint, cred.url) == (want["fingerprint"], want["url"])
    assert (str(cred) == text) == want.get("canonical", False)


def run_hello(vector: Vector) -> None:
    """A Hello decrypts to its fields, and they make its plaintext again."""
    (ciphertext,) = unhex(vector["input"], "ciphertext")
    want = vector.get("want", {})
    hello = Hello.decrypt(ciphertext, rsa_key(vector["input"]["key"]))
    assert hello.protocol.value == want["generation"]
    assert [hello.iv1, hello.key1, hello.salt1, hello.text] == unhex(
        want, "iv1", "key1", "salt1", "plaintext"
    )
    assert str(DecimalVersion.from_value(hello.version1)) == want["version1"]


def run_helloreply(vector: Vector) -> None:
    """An answer decrypts to its fields, and they make it again."""
    iv1, key1, salt1, wire = unhex(vector["input"], "iv1", "key1", "salt1", "wire")
    want = vector.get("want", {})
    hello = Hello(Protocol.of(vector["input"]["generation"]), key1, salt1, 0, iv1)
    reply = hello.open(wire)
    assert [reply.iv2, reply.key2, reply.salt2] == unhex(want, "iv2", "key2", "salt2")
    assert str(DecimalVersion.from_value(reply.version2)) == want["version2"]
    iv, text = unhex(want, "iv", "plaintext")
    assert hello.reply_text(reply) == text
    assert hello.seal(reply, iv) == wire


def opened(opener: Opener, stream: bytes, cut: int) -> list[bytes]:
    """Return what comes out of a stream that comes in pieces of cut bytes."""
    texts = []
    for at in range(0, len(stream), cut):
        opener.feed(stream[at : at + cut])
        while found := opener.next():
            texts.append(found[1])
    return texts


def run_classic(vector: Vector) -> None:
    """The messages come out, however the stream is cut; encrypting gives it again."""
    key2, iv2 = unhex(vector["input"], "key2", "iv2")
    wires = [bytes.fromhex(wire) for wire in vector["input"]["wire"]]
    plains = [bytes.fromhex(m["plain"]) for m in vector["want"]["messages"]]
    stream = b"".join(wires)
    for cut in {1, 7, 16, 17, 1000, max(1, len(stream))}:
        opener = Opener(key2, iv2)
        assert opened(opener, stream, cut) == plains
        assert opener.partial == (vector["layer"] == "frame")
    if vector["layer"] == "frame":
        raise ProtocolError("it never becomes a message")
    sealer = Sealer(key2, iv2)
    assert [sealer.seal(text, wire[:16]) for text, wire in zip(plains, wires, strict=True)] == wires


def run_frame(vector: Vector) -> None:
    """The messages come out, and then the refusal."""
    (stream,) = unhex(vector["input"], "bytes")
    limit = 64 << 10 if vector["input"]["from"] == "client" else 4 << 20
    plains = [bytes.fromhex(m["plain"]) for m in vector["want"]["messages"]]
    for cut in {1, 5, len(stream)}:
        texts, framing, refusal = frames(stream, limit, cut)
        assert texts == plains
        if refusal is None and framing.partial:
            refusal = ProtocolError("time is up")
    if refusal is not None:
        raise refusal


def frames(stream: bytes, limit: int, cut: int) -> tuple[list[bytes], Framing, ProtocolError | None]:
    framing, texts = Framing(read_max=limit), []
    for at in range(0, len(stream), cut):
        framing.feed(stream[at : at + cut])
        try:
            while message := framing.next():
                texts.append(message.encode())
        except ProtocolError as err:
            return texts, framing, err
    return texts, framing, None


def run_serverchain(vector: Vector) -> None:
    """A chain is accepted, with that key."""
    source = vector["input"]
    chain = [bytes.fromhex(der) for der in source["chain"]]
    now = datetime.fromisoformat(source["now"].replace("Z", "+00:00")).astimezone(timezone.utc)
    (pinned,) = unhex(source, "sig_key")
    sig_key = SigKey(pinned) if pinned else find_key(chain, source["fingerprint"])
    if sig_key is None:
        raise UntrustedError("no such key in the chain")
    found, want = check_chain(chain, sig_key, now), vector["want"]
    assert sig_key == bytes.fromhex(want["sig_key"])
    assert (found is None) == ("next_key" not in want)
    if found is not None:
        assert found.sig_key.hex() == want["next_key"]
        assert found.fingerprint == want["next_fingerprint"]
        assert f"{found.until:%Y-%m-%dT%H:%M:%SZ}" == want["next_until"]


def run_certificate(vector: Vector) -> None:
    """A certificate is the one that follows from the token, or is refused."""
    source = vector["input"]
    der, sig_key, field = unhex(source, "certificate", "sig_key", "field9")
    ends = endpoints_of(source["endpoints"])
    token = Token(source["name"], CommsKey(sig_key), SigKey(sig_key), ends, certificate=field)
    try:
        check_shown(token, der)
    except CertificateError as err:
        raise IllFormedTokenError(str(err)) from None  # as a registry says it
    assert build(token) == der
    assert field_of(der) == field
    assert public_key_of(der) == sig_key
    assert name_of(der) == source["name"]


def run_login(vector: Vector) -> None:
    """A log-in verifies, and signing gives it again."""
    source = vector["input"]
    sig_key, salt2, node_id, digsig = unhex(source, "sig_key", "salt2", "id", "digsig")
    verify_login(SigKey(sig_key), salt2, NodeID(node_id), digsig)
    assert sign_login(key(source["key"]), salt2, NodeID(node_id)) == digsig


def run_recorded(vector: Vector) -> None:
    """Every step of a session between original programs decrypts to what it is."""
    steps = [(s["from"], bytes.fromhex(s["wire"])) for s in vector["input"]["steps"]]
    want = [(s["kind"], bytes.fromhex(s["plain"])) for s in vector["want"]["steps"]]
    assert steps
    hello = Hello.decrypt(steps[0][1], rsa_key(vector["input"]["key"]))
    assert want[0] == ("hello", hello.text)
    assert hello.protocol.value == vector["input"]["generation"]
    reply = hello.open(steps[1][1])
    assert want[1] == ("helloReply", hello.reply_text(reply))
    openers = {side: Opener(reply.key2, reply.iv2) for side in ("client", "server")}
    for (side, wire), (kind, plain) in zip(steps[2:], want[2:], strict=True):
        openers[side].feed(wire)
        found = openers[side].next()
        assert found is not None
        assert (found[0].name, found[1]) == (kind, plain)
        if kind == "Member":
            vm.verify_recorded(decode(plain))


def run_detect(vector: Vector) -> None:
    """The carrier is told from a connection's first bytes, after so many and not sooner."""
    (first,) = unhex(vector["input"], "bytes")
    want = vector["want"]
    told = [carries_tls(first[:n]) for n in range(1, len(first) + 1)]
    assert told[-1] == {"tls": True, "classic": False, "undecided": None}[want["carrier"]]
    assert next((n for n, carrier in enumerate(told, 1) if carrier is not None), 0) == want["decided_after"]


RUNNERS: dict[str, Callable[[Vector], None]] = {
    "admission": vo.run_admission,
    "certificate": run_certificate,
    "classic": run_classic,
    "detect": run_detect,
    "fingerprint": run_fingerprint,
    "frame": run_frame,
    "hello": run_hello,
    "helloreply": run_helloreply,
    "key": run_key,
    "label": vo.run_label,
    "login": run_login,
    "message": vm.run_message,
    "owner": vo.run_owner,
    "recorded": run_recorded,
    "regcred": run_regcred,
    "roster": vm.run_roster,
    "saved": vs.run_saved,
    "serverchain": run_serverchain,
    "set": vo.run_set,
    "signed": vo.run_signed,
    "sum": vo.run_sum,
    "text": run_text,
    "ticket": vo.run_ticket,
    "token": vm.run_token,
    "url": run_url,
}

ALL = [vector for kind in RUNNERS for vector in load(kind)]


def test_none_is_left_out() -> None:
    """There are as many vectors in each class as the index says, and each class has a runner."""
    classes = index()
    assert RUNNERS.keys() == classes.keys()
    assert {kind: len(load(kind)) for kind in RUNNERS} == classes
    assert len(ALL) == sum(classes.values())


@pytest.mark.parametrize("vector", ALL, ids=[v["vector"] for v in ALL])
def test_vector(vector: Vector) -> None:
    """It succeeds, or fails in the way that it says."""
    run = RUNNERS[vector["vector"].split("/")[0]]
    if vector["layer"] == "success":
        run(vector)
        return
    with pytest.raises(XlregError) as caught:
        run(vector)
    check_kind(caught.value, vector)
    if vector["layer"] == "handshake" and vector["vector"].startswith("hello"):
        assert isinstance(caught.value, HandshakeError)


def test_ssh_form_of_a_vector_key() -> None:
    """The SSH form and the DER form of a key lead to each other."""
    public = key("node-sig").public_key()
    assert marshal_ssh(parse_public_key(public_der(public))) == marshal_ssh(public)
