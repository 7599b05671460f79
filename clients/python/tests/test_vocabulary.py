"""Names that users of the older Python code know, the tree of errors, and what documentation shows."""

from __future__ import annotations

import doctest
import importlib
import pickle
import pkgutil
import re
from datetime import datetime, timezone

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from vectors import rsa_of

import xlreg
from xlreg import (
    DecimalVersion,
    NodeID,
    RegCred,
    RegCredError,
    classic,
    errors,
    parse_decimal_version,
    parse_reg_cred,
)
from xlreg.errors import EndpointError, IllFormedNameError, IncompleteError, RegistryError, XlregError
from xlreg.roster import Member, Roster
from xlreg.testing import shared_keys
from xlreg.vocabulary import Cluster, ClusterID, Endpoint, Token, check_name, endpoints_of

VERSIONS = [0, 1 | 8 << 8, 0xFFFFFFFF, 0x01020304]


@pytest.mark.parametrize("version", VERSIONS)
def test_old_hello_functions(version: int) -> None:
    """They lead to each other with the arguments and results that they had."""
    ck_priv = rsa_of(shared_keys(0).comms)
    ciphertext, iv1, key1, salt1 = classic.client_encrypt_hello(version, ck_priv.public_key())
    assert (len(ciphertext), len(iv1), len(key1), len(salt1)) == (256, 16, 32, 8)
    assert classic.server_decrypt_hello(ciphertext, ck_priv) == (iv1, key1, salt1, version)
    iv2, key2, salt2, answer = classic.server_encrypt_hello_reply(iv1, key1, salt1, version)
    assert len(answer) == 80
    assert classic.client_decrypt_hello_reply(answer, iv1, key1) == (iv2, key2, salt2, salt1, version)


def test_old_hello_functions_take_what_they_took() -> None:
    keys = shared_keys(0)
    comms = rsa_of(keys.comms)
    ciphertext, iv1, key1, salt1 = classic.client_encrypt_hello(DecimalVersion(1, 8), keys.comms_key)
    assert classic.server_decrypt_hello(bytearray(ciphertext), comms)[3] == 0x0801
    answer = classic.server_encrypt_hello_reply(bytearray(iv1), bytearray(key1), bytearray(salt1), 7)[3]
    assert classic.client_decrypt_hello_reply(answer, bytearray(iv1), bytearray(key1))[3:] == (salt1, 7)
    old_key, old_version = {"ck_": comms.public_key()}, {"version2s": 7}
    named = classic.client_encrypt_hello(7, **old_key)
    assert classic.server_decrypt_hello(named[0], ck_priv=comms)[3] == 7
    assert len(classic.server_encrypt_hello_reply(iv1, key1, salt1, **old_version)[3]) == 80
    assert len(classic.server_encrypt_hello_reply(iv1, key1, salt1, version2=7)[3]) == 80
    for bad in (b"", answer[:-1], answer[:-16], bytes(80)):
        with pytest.raises(XlregError):
            classic.client_decrypt_hello_reply(bad, iv1, key1)
    with pytest.raises(XlregError):
        classic.server_decrypt_hello(bytes(256), comms)
    modern = classic.Hello.make(xlreg.Protocol.V19).encrypt(comms.public_key())
    with pytest.raises(XlregError):
        classic.server_decrypt_hello(modern, comms)


def test_decimal_version() -> None:
    version = DecimalVersion(1, 2, 3, 4)
    assert (version.get_a(), version.get_b(), version.get_c(), version.get_d()) == (1, 2, 3, 4)
    assert version == parse_decimal_version("1.2.3.4") == DecimalVersion.from_value(0x04030201)
    assert version < DecimalVersion(1, 2, 3, 5) < DecimalVersion(1, 3, 4, 5) <= DecimalVersion(2)
    assert version != "1.2.3.4"
    assert repr(version) == "DecimalVersion(1, 2, 3, 4)"
    for value in (0x04030201, "1.2.3.4", version):
        again = DecimalVersion()
        again.value = value
        assert again == version


def test_decimal_version_steps() -> None:
    version = DecimalVersion(1, 2, 3, 4)
    for step, want in (("micro", "1.2.3.5"), ("decimal", "1.2.4"), ("minor", "1.3"), ("major", "2.0")):
        getattr(version, f"step_{step}")()
        assert str(version) == want
    with pytest.raises(RuntimeError):
        DecimalVersion(255).step_major()


@pytest.mark.parametrize("bad", [None, "", " \t", "1", "1.2.3.4.5", "1.256", "1.²"])
def test_versions_that_are_none(bad: str) -> None:
    with pytest.raises(RuntimeError):
        parse_decimal_version(bad)
    with pytest.raises(ValueError, match="version"):
        parse_decimal_version(bad)


def ssh_line(key: rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)


def test_reg_cred_as_it_was_made() -> None:
    """Positional arguments, keys as ssh-keygen writes them, endpoints as in the file, and getters."""
    keys = shared_keys(0)
    comms = rsa_of(keys.comms)
    ends = ["TcpEndPoint: 127.0.0.1:4001", "TcpEndPoint: 127.0.0.1:4002"]
    ck, sk = ssh_line(comms.public_key()), ssh_line(rsa_of(keys.sig).public_key())
    cred = RegCred("foo", bytearray(20), ck, sk, ends, DecimalVersion(1, 9, 20))  # type: ignore[arg-type]
    assert (cred.get_name(), cred.get_id(), cred.get_version()) == (
        "foo",
        bytes(20),
        DecimalVersion(1, 9, 20),
    )
    assert (cred.get_comms_pub_key(), cred.get_sig_pub_key()) == (keys.comms_key, keys.sig_key)
    assert cred.get_end_points() == ends
    again = parse_reg_cred(str(cred))
    assert again == cred
    assert str(again) == str(cred)
    for bad in (None, ""):
        with pytest.raises(RegCredError):
            parse_reg_cred(bad)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        RegCred("foo", NodeID(bytes(20)), keys.comms_key, keys.sig_key, (), DecimalVersion(1, 9))


def tree(kind: type[XlregError], depth: int = 0) -> list[tuple[str, int]]:
    found = [(kind.__name__, depth)]
    for sub in kind.__subclasses__():
        if sub.__module__ == "xlreg.errors":
            found += tree(sub, depth + 1)
    return found


def test_the_tree_that_is_drawn_is_the_tree() -> None:
    drawn = re.findall(r"^    ([ │├└─]*)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE)
    assert sorted((name, len(branch) // 4) for branch, name in drawn) == sorted(tree(XlregError))


def test_the_codes_that_are_drawn_are_the_codes() -> None:
    drawn = re.findall(r"(\w+Error) +(\d+)\b", errors.__doc__ or "")
    assert {name: int(code) for name, code in drawn} == {k.__name__: k.code for k in errors.KINDS.values()}


def all_kinds(kind: type[XlregError]) -> list[type[XlregError]]:
    return [kind, *(deeper for sub in kind.__subclasses__() for deeper in all_kinds(sub))]


def test_errors_travel_between_processes() -> None:
    member = Member(0, token("m0"))
    roster = Roster(Cluster(ClusterID(bytes(20)), "web", size=3), (member,))
    samples: list[XlregError] = [
        IncompleteError(roster, 3, errors.TryLaterError("disk", 2.0)),
        errors.UnreachableError([errors.HandshakeError("no")]),
        errors.RegCredError("bad", 7),
        errors.ClusterSizeError("other", cluster=roster.cluster),
    ]
    for err in samples:
        again = pickle.loads(pickle.dumps(err))
        assert type(again) is type(err)
        assert str(again) == str(err)
        assert again.__dict__.keys() == err.__dict__.keys()


def token(name: str) -> Token:
    keys = shared_keys(0)
    joined = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    ends = endpoints_of(["192.0.2.1:1"])
    return Token(name, keys.comms_key, keys.sig_key, ends, id=NodeID(bytes(20)), joined=joined)


@pytest.mark.parametrize("text", ["--version:22", "-v:1", "-:1", "-a.example.org:1"])
def test_host_that_is_an_option_elsewhere(text: str) -> None:
    with pytest.raises(EndpointError):
        Endpoint(text)
    with pytest.raises(IllFormedNameError):
        check_name(text.partition(":")[0])


def test_incomplete_error_text() -> None:
    roster = Roster(
        Cluster(ClusterID(bytes(20)), "web", size=3), (Member(0, token("m0")), Member(2, token("m2")))
    )
    err = IncompleteError(roster, 3, errors.TryLaterError("no room"))
    assert str(err) == (
        "2 of 3 members joined, 1 missing (index 1): time is up; registry never heard; "
        "try again later: no room; "
        "joined: m0 at 192.0.2.1:1 since 2026-01-02T03:04:05Z, m2 at 192.0.2.1:1 since 2026-01-02T03:04:05Z"
    )
    assert str(IncompleteError(None, 0)) == "cluster not found yet: time is up; registry never heard"
    assert str(IncompleteError(None, 3)) == "3 members wanted: time is up; registry never heard"
    assert (IncompleteError(None, 3).missing, err.missing) == (3, 1)


def test_what_is_printed_are_names() -> None:
    """Nobody reads the bytes of a key."""
    roster = Roster(
        Cluster(ClusterID(bytes(20)), "web", size=3), (Member(0, token("m0")), Member(2, token("m2"), True))
    )
    assert repr(roster) == '<Roster of cluster "web", 2 of 3 members: m0, m2>'
    at = "at 192.0.2.1:1 since 2026-01-02T03:04:05Z"
    assert [repr(m) for m in roster.members] == [f"<Member 0: m0 {at}, not verified>", f"<Member 2: m2 {at}>"]
    for shown in (token("m0"), shared_keys(0), xlreg.Node("m", keys=shared_keys(0))):
        assert "\\x" not in repr(shown)
        assert len(repr(shown)) < 250


def test_kinds() -> None:
    assert list(errors.KINDS) == list(range(1, 25))
    assert len({kind.kind_text for kind in errors.KINDS.values()}) == 24
    assert all(issubclass(kind, RegistryError) for kind in errors.KINDS.values())
    assert repr(errors.ClusterFullError("3 of 3")) == "ClusterFullError('cluster is full: 3 of 3')"


def modules() -> list[str]:
    found = pkgutil.walk_packages(xlreg.__path__, "xlreg.")
    return ["xlreg", *(m.name for m in found if not m.name.endswith(("__main__", "_supervise")))]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_everything_exported_is_documented() -> None:
    for name in xlreg.__all__:
        assert getattr(xlreg, name).__doc__, name
    for kind in all_kinds(XlregError):
        assert kind.__doc__, kind
