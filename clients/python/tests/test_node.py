"""A node's directory: the files that Go and Ruby read and write too, their permissions, and the lock."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from xlreg import ClusterID, Keys, Node, NodeID, Protocol, Registration, fingerprint, parse_private_key
from xlreg.certificate import check_certificate
from xlreg.errors import (
    FormatError,
    NodeError,
    NodeExistsError,
    NodeInUseError,
    NodeReadOnlyError,
    NoNodeError,
    PrivateKeyError,
    XlregError,
)
from xlreg.keys import encode_private_key
from xlreg.regcred import RegCred
from xlreg.signatures import verify_classic, verify_token
from xlreg.testing import shared_keys
from xlreg.version import parse_decimal_version
from xlreg.vocabulary import Endpoint, endpoints_of

NOW = datetime.now(timezone.utc)
SIG = fingerprint(shared_keys(9).sig_key)
ID = NodeID(b"i" * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The directory of a node that was made and closed."""
    path = tmp_path / "m0"
    Node.init(path, keys=shared_keys(0), endpoints=["127.0.0.1:7001"]).close()
    return path


def test_files_and_permissions(folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == [
        "cert.pem",
        "comms.pem",
        "lock",
        "node.json",
        "sig.pem",
    ]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {0o600}
    assert json.loads((folder / "node.json").read_text()) == {
        "version": 1,
        "name": "m0",
        "attrs": 0,
        "endpoints": ["127.0.0.1:7001"],
        "registries": [],
    }


def test_go_reads_what_python_writes(folder: Path, program: str) -> None:
    with Node.open(folder) as node:
        node.set_registration(Registration(SIG, "reg", endpoints_of(["127.0.0.1:1"]), ID))
        shown = json.loads(subprocess.check_output([program, "node", "show", str(folder), "-o", "json"]))
        assert (shown["name"], shown["sig"], shown["endpoints"]) == (
            "m0",
            node.keys.fingerprint,
            list(node.endpoints),
        )
        assert [(r["sig"], r["id"]) for r in shown["registries"]] == [(SIG, str(ID))]


def test_python_reads_what_go_writes(program: str, tmp_path: Path) -> None:
    path = tmp_path / "g0"
    command = [program, "node", "init", str(path), "--endpoint", "127.0.0.1:7001,[::1]:7002", "-o", "json"]
    shown = json.loads(subprocess.check_output(command))
    with Node.open(path) as node:
        assert (node.name, node.keys.fingerprint) == ("g0", shown["sig"])
        assert list(node.endpoints) == ["127.0.0.1:7001", "[::1]:7002"]
        before = (path / "cert.pem").read_bytes()
        der = node.certificate()
        assert (path / "cert.pem").read_bytes() == before  # Go's serves
        check_certificate(der, node.token(Protocol.V20, None, NOW)[0])


def test_what_is_kept_comes_back(folder: Path) -> None:
    with Node.open(folder) as node:
        assert node.registration(SIG) is None
        assert node.registration("nonsense") is None
        node.set_registration(Registration(SIG, "reg", endpoints_of(["127.0.0.1:1"]), ID))
        node.set_endpoints(["192.0.2.1:1", "host:2"])
    with Node.load(folder) as node:
        assert node.endpoints == ("192.0.2.1:1", "host:2")
        kept = node.registration(SIG.removeprefix("SHA256:"))
        assert kept is not None
        assert (kept.id, kept.name, kept.endpoints) == (ID, "reg", ("127.0.0.1:1",))
        assert node.registrations == (kept,)


def test_members_of_others_are_kept(folder: Path) -> None:
    record = json.loads((folder / "node.json").read_text())
    entry = {"sig": SIG, "name": "reg", "endpoints": [], "id": str(ID), "seen": [1.5]}
    (folder / "node.json").write_text(json.dumps({**record, "registries": [entry], "colour": {"r": 1}}))
    with Node.open(folder) as node:
        node.set_endpoints(["127.0.0.1:9"])
        node.set_registration(Registration(SIG, "reg2", (), ID))
    record = json.loads((folder / "node.json").read_text())
    assert record["colour"] == {"r": 1}
    assert record["registries"] == [{**entry, "name": "reg2"}]


def test_one_writer_at_a_time(folder: Path, program: str) -> None:
    with Node.open(folder) as node:
        with pytest.raises(NodeInUseError, match="in use by another process"):
            Node.open(folder)
        with pytest.raises(NodeInUseError):
            Node.ensure(folder)
        other = [
            program,
            "create",
            "x",
            "--size",
            "2",
            "--node",
            str(folder),
            "--registry",
            "xlreg://a:1/?sig=" + 43 * "A",
        ]
        refused = subprocess.run(other, capture_output=True, text=True, check=False)
        assert "in use by another process" in refused.stderr
        with Node.load(folder) as reader:  # reading is free
            with pytest.raises(NodeReadOnlyError):
                reader.set_endpoints(["127.0.0.1:9"])
            assert reader.endpoints == node.endpoints
    node.close()
    with pytest.raises(NodeReadOnlyError):
        node.set_endpoints(["127.0.0.1:9"])
    Node.open(folder).close()


def test_the_lock_goes_with_its_process(folder: Path) -> None:
    code = f"import xlreg, os; xlreg.Node.open({str(folder)!r}); os._exit(0)"
    subprocess.run([sys.executable, "-c", code], check=True)
    Node.open(folder).close()


def test_leftovers_of_a_crash_are_removed(folder: Path) -> None:
    (folder / ".node.json.abc.tmp").write_text("half")
    Node.open(folder).close()
    assert not list(folder.glob(".*.tmp"))


def test_a_failed_save_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with Node.open(folder) as node:
        before = (folder / "node.json").read_bytes()
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(NodeError, match="No space left"):
            node.set_endpoints(["127.0.0.1:9"])
        assert node.endpoints == ("127.0.0.1:7001",)
    assert (folder / "node.json").read_bytes() == before
    assert not list(folder.glob(".*.tmp"))


def replace(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text(text)

    return change


def chmod(name: str, mode: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).chmod(mode)

    return change


def remove(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()

    return change


def directory(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return change


ENTRY = json.dumps({"sig": SIG, "id": str(ID)})
DAMAGES: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "key readable by the group": (chmod("sig.pem", 0o640), ["sig.pem", "chmod 600"]),
    "key readable by all": (chmod("comms.pem", 0o644), ["comms.pem", "chmod 600"]),
    "directory writable by all": (chmod(".", 0o777), ["chmod 700"]),
    "directory, by the group": (chmod(".", 0o770), ["chmod 700"]),
    "key damaged": (
        replace("sig.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ["sig.pem", "backup"],
    ),
    "key empty": (replace("comms.pem", ""), ["comms.pem", "backup"]),
    "key missing": (remove("comms.pem"), ["comms.pem", "put the key there"]),
    "key endless": (replace("sig.pem", "a" * ((1 << 20) + 1)), ["sig.pem", "bytes"]),
    "certificate damaged": (replace("cert.pem", "nonsense"), ["cert.pem", "remove it"]),
    "certificate half": (
        replace("cert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ["cert.pem", "remove it"],
    ),
    "record of another program": (
        replace("node.json", "x"),
        ["node.json", "from a backup", "xlreg node init"],
    ),
    "record newer": (
        replace("node.json", '{"version":2,"name":"m0"}'),
        ["node.json", "version 2", "newer program"],
    ),
    "record without version": (replace("node.json", '{"name":"m0"}'), ["node.json", 'no "version"']),
    "record of version 0": (replace("node.json", '{"version":0,"name":"m0"}'), ["node.json", "version 0"]),
    "record a list": (replace("node.json", "[]"), ["node.json"]),
    "no name": (replace("node.json", '{"version":1}'), ["node.json", "ill-formed name"]),
    "name a number": (replace("node.json", '{"version":1,"name":7}'), ["node.json", "name"]),
    "unknown attrs": (replace("node.json", '{"version":1,"name":"m0","attrs":8}'), ["node.json", "attrs"]),
    "bad endpoint": (
        replace("node.json", '{"version":1,"name":"m0","endpoints":["a:0"]}'),
        ["node.json", "a:0"],
    ),
    "registry without id": (
        replace("node.json", f'{{"version":1,"name":"m0","registries":[{{"sig":"{SIG}"}}]}}'),
        ["node.json", "registries[0]", "ill-formed ID"],
    ),
    "registry twice": (
        replace("node.json", f'{{"version":1,"name":"m0","registries":[{ENTRY},{ENTRY}]}}'),
        ["node.json", "registries[1]", "twice"],
    ),
}


@pytest.mark.parametrize("left", ["", "\0" * 300])
def test_the_name_comes_back_from_the_certificate(left: str, folder: Path) -> None:
    """A power cut can leave a file that has its name and nothing in it."""
    replace("node.json", left)(folder)
    assert Node.load(folder).name == "m0"
    assert (folder / "node.json").read_text() == left
    with pytest.warns(RuntimeWarning, match="the name m0 is back from cert.pem"), Node.open(folder) as node:
        assert (node.name, node.registrations) == ("m0", ())
    with Node.open(folder) as node:
        assert node.name == "m0"


@pytest.mark.parametrize("change", [remove("cert.pem"), replace("cert.pem", "")])
def test_the_name_does_not_come_back(change: Callable[[Path], None], folder: Path) -> None:
    replace("node.json", "")(folder)
    change(folder)
    with pytest.raises(NodeError, match=r"node\.json is empty.*from a backup.*xlreg node init"):
        Node.open(folder)
    assert (folder / "node.json").read_text() == ""


def test_the_name_does_not_come_back_from_anothers_certificate(folder: Path, tmp_path: Path) -> None:
    Node.init(tmp_path / "m1", keys=shared_keys(1)).close()
    replace("cert.pem", (tmp_path / "m1" / "cert.pem").read_text())(folder)
    replace("node.json", "")(folder)
    with pytest.raises(NodeError, match=r"node\.json is empty"):
        Node.open(folder)


def test_the_directory_of_a_registry(folder: Path) -> None:
    record = json.loads((folder / "node.json").read_text())
    own = {"sig": fingerprint(shared_keys(0).sig_key), "id": str(ID)}
    for more in ({"serve": {"data": ""}}, {"registries": [own]}):
        (folder / "node.json").write_text(json.dumps({**record, **more}))
        with pytest.raises(NodeError, match="directory of a registry: use another"):
            Node.open(folder)
    (folder / "node.json").write_text("")
    keys, endpoints = shared_keys(0), endpoints_of(["127.0.0.1:1"])
    cred = RegCred("reg", ID, keys.comms_key, keys.sig_key, endpoints, parse_decimal_version("2.0.0"))
    cred.write(folder / "regCred.dat")
    with pytest.raises(NodeError, match="directory of a registry: use another"):
        Node.open(folder)
    (folder / "node.json").unlink()
    with pytest.raises(NodeError, match="directory of a registry: use another"):
        Node.init(folder)
    other = shared_keys(1)
    cred = dataclasses.replace(cred, comms_key=other.comms_key, sig_key=other.sig_key)
    cred.write(folder / "regCred.dat")
    Node.init(folder).close()


def test_files_of_others_are_refused(folder: Path) -> None:
    """Only root can give files away; all others see that those of root are taken."""
    assert Path("/").stat().st_uid == 0
    if os.geteuid() != 0:
        return
    for name in (".", "sig.pem", "comms.pem", "node.json", "cert.pem"):
        os.chown(folder / name, 4711, -1)
        with pytest.raises(NodeError, match=r"belongs to another user \(uid 4711\)"):
            Node.open(folder)
        os.chown(folder / name, 0, -1)
    Node.open(folder).close()


def test_the_parents_of_a_new_directory_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    really = os.fsync

    def fsync(fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{fd}").resolve())
        really(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    Node.init(tmp_path / "a" / "m0", keys=shared_keys(0)).close()
    assert {tmp_path, tmp_path / "a", tmp_path / "a" / "m0"} <= set(synced)


@pytest.mark.parametrize("name", DAMAGES)
def test_bad_files_are_named_with_the_remedy(name: str, folder: Path) -> None:
    change, words = DAMAGES[name]
    change(folder)
    for read in (Node.open, Node.load):
        with pytest.raises(NodeError) as caught:
            read(folder)
        assert all(word in str(caught.value) for word in [*words, str(folder)])


def test_key_that_is_a_directory(folder: Path) -> None:
    directory("sig.pem")(folder)
    with pytest.raises(NodeError, match=r"sig\.pem"):
        Node.open(folder)


def test_certificate_of_another(folder: Path, tmp_path: Path) -> None:
    Node.init(tmp_path / "m1", keys=shared_keys(1)).close()
    replace("cert.pem", (tmp_path / "m1" / "cert.pem").read_text())(folder)
    with pytest.raises(NodeError, match="different keys"):
        Node.open(folder)


def test_where_there_is_no_node(folder: Path, tmp_path: Path) -> None:
    for empty in (tmp_path / "nowhere", tmp_path):
        for read in (Node.open, Node.load):
            with pytest.raises(NoNodeError):
                read(empty)
    assert not (tmp_path / "lock").exists()
    with pytest.raises(NodeExistsError):
        Node.init(folder)
    with pytest.raises(NodeError):
        Node.init(tmp_path / "7up")
    with Node.ensure(folder, name="another") as node:
        assert node.name == "m0"


def test_keys_given_or_made_and_kept(tmp_path: Path) -> None:
    """Keys that somebody put there are used, in any form; those that contradict are an error."""
    path = tmp_path / "m0"
    path.mkdir()
    keys = shared_keys(0)
    pkcs1 = keys.sig.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    openssh = keys.comms.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    for name, pem in (("sig.pem", pkcs1), ("comms.pem", openssh)):
        (path / name).write_bytes(pem)
        (path / name).chmod(0o600)
    path.chmod(0o700)
    with pytest.raises(NodeError, match="another key than given: move it away"):
        Node.init(path, keys=shared_keys(1))
    with pytest.raises(NodeError, match="2048 bits, not of 3072"):
        Node.init(path, bits=3072)
    with Node.init(path) as node:
        assert (node.keys.sig_key, node.keys.comms_key) == (keys.sig_key, keys.comms_key)


def test_private_keys_that_are_none() -> None:
    keys = shared_keys(0)
    encrypted = keys.sig.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    with pytest.raises(PrivateKeyError, match="passphrase"):
        parse_private_key(encrypted)
    for bad in (b"", b"nonsense", encode_private_key(keys.sig)[:100]):
        with pytest.raises(PrivateKeyError):
            parse_private_key(bad)
    with pytest.raises(ValueError, match="1024 bits"):
        Keys.generate(1024)


def test_certificate_is_renewed(folder: Path) -> None:
    """It is, with less than a third of its life left, and when the hosts change."""
    with Node.open(folder) as node:
        first = node.certificate(NOW)
        assert node.certificate(NOW + timedelta(days=59)) == first
        second = node.certificate(NOW + timedelta(days=61))
        assert second != first
        node.set_endpoints(["127.0.0.1:8000"])
        assert node.certificate(NOW + timedelta(days=61)) == second  # the host is the same
        node.set_endpoints(["example.org:8000"])
        third = node.certificate(NOW + timedelta(days=61))
        assert third != second
        token, shown = node.token(Protocol.V20, None, NOW + timedelta(days=61))
        assert shown == third
        verify_token(token, third)
    with Node.open(folder) as node:
        assert node.certificate(NOW + timedelta(days=61)) == third
    (folder / "cert.pem").unlink()
    with Node.open(folder) as node:
        assert node.certificate(NOW) != third


def test_tokens_are_signed_for_their_protocol() -> None:
    node = Node("m0", ["127.0.0.1:1"], keys=shared_keys(0), certificate_life=timedelta(days=1))
    modern, der = node.token(Protocol.V20, ID, NOW)
    assert der is not None
    verify_token(modern, der)
    check_certificate(der, modern)
    old, none = node.token(Protocol.V19, ID, NOW)
    assert none is None
    verify_classic(old)
    assert node.token(Protocol.V20, None, NOW)[0].digsig2 == modern.digsig2  # kept while nothing changes
    node.set_endpoints(["127.0.0.1:2"])
    assert node.token(Protocol.V20, None, NOW)[0].digsig2 != modern.digsig2


def test_arguments_that_make_no_sense() -> None:
    for make in (
        lambda: Node("a b"),
        lambda: Node("m0", ["nowhere"]),
        lambda: Node("m0", ["a:1"] * 17),
        lambda: Registration("nonsense", "", (), ID),
        lambda: Registration(SIG, "a b", (), ID),
    ):
        with pytest.raises(XlregError):
            make()
    with pytest.raises(ValueError, match="certificate life"):
        Node("m0", keys=shared_keys(0), certificate_life=timedelta(minutes=1))
    with pytest.raises(FormatError):
        ClusterID(bytes(19))
    assert Endpoint("[::1]:1").address is not None
    assert repr(Node("m0", keys=shared_keys(0))) == "<Node m0>"
