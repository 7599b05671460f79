"""A node's directory: the files that Go and Ruby read and write too, their permissions, and the lock."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from xlreg import ClusterID, Keys, Node, NodeID, Protocol, Registration, fingerprint, parse_private_key
from xlreg._naming import new_name
from xlreg.certificate import check_shown
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
from xlreg.signatures import verify_classic, verify_token
from xlreg.testing import RegistryProcess, shared_keys
from xlreg.vocabulary import Endpoint, endpoints_of

NOW = datetime.now(timezone.utc)
SIG = fingerprint(shared_keys(9).sig_key)
ID = NodeID(b"i" * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The directory of a node that was made and closed."""
    path = tmp_path / "m0"
    Node.init(path, name="m0", keys=shared_keys(0), endpoints=["127.0.0.1:7001"]).close()
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
    endpoints = "127.0.0.1:7001,[::1]:7002"
    command = [program, "node", "init", str(path), "--name", "g0", "--endpoint", endpoints, "-o", "json"]
    shown = json.loads(subprocess.check_output(command))
    with Node.open(path) as node:
        assert (node.name, node.keys.fingerprint) == ("g0", shown["sig"])
        assert list(node.endpoints) == ["127.0.0.1:7001", "[::1]:7002"]
        before = (path / "cert.pem").read_bytes()
        der = node.certificate()
        assert (path / "cert.pem").read_bytes() == before  # Go's serves
        check_shown(node.token(Protocol.V20, None, NOW)[0], der)


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


def empty(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).write_text("")

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
    "record empty, and no certificate": (
        empty("node.json", "cert.pem"),
        ["node.json is empty", "power cut", "cert.pem does not tell the name", "xlreg node init --name NAME"],
    ),
    "record no JSON": (replace("node.json", "{"), ["node.json", "not JSON", "backup", "xlreg node init"]),
    "record nested deep": (replace("node.json", "[" * 100_000), ["node.json", "not JSON"]),
    "database of a registry": (
        lambda folder: (folder / "xlreg.db").touch(),
        ["directory of a registry", "xlreg.db", "use another"],
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


@pytest.mark.parametrize("name", DAMAGES)
def test_bad_files_are_named_with_the_remedy(name: str, folder: Path) -> None:
    change, words = DAMAGES[name]
    change(folder)
    for read in (Node.open, Node.load):
        with pytest.raises(NodeError) as caught:
            read(folder)
        assert all(word in str(caught.value) for word in [*words, str(folder)])


@pytest.mark.parametrize("left", ["", "\0" * 200, " \n"], ids=["nothing", "zeros", "blanks"])
def test_name_comes_back_after_a_power_cut(
    left: str, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The certificate has it. A reader changes nothing; whoever opens the node writes node.json anew."""
    moved = folder.rename(tmp_path / "elsewhere")
    (moved / "node.json").write_text(left)
    with Node.load(moved) as read:
        assert (read.name, read.recovered) == ("m0", True)
    assert (moved / "node.json").read_text() == left
    for recovered in (True, False):
        with Node.ensure(moved) as node:
            assert (node.name, node.keys.sig_key) == ("m0", shared_keys(0).sig_key)
            assert (node.recovered, node.registrations) == (recovered, ())
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert all("the name m0 is back from cert.pem" in text and str(moved) in text for text in said)


def test_blank_certificate_is_made_anew(folder: Path) -> None:
    (folder / "cert.pem").write_text("")
    with Node.open(folder) as node:
        assert node.certificate()
    assert (folder / "cert.pem").read_text().startswith("-----BEGIN CERTIFICATE-----")


def test_name_comes_back_without_a_record(folder: Path, tmp_path: Path) -> None:
    moved = folder.rename(tmp_path / "elsewhere")
    (moved / "node.json").unlink()
    with Node.init(moved) as node:
        assert (node.name, node.keys.sig_key) == ("m0", shared_keys(0).sig_key)


def test_name_of_another_key_does_not_come_back(folder: Path, tmp_path: Path) -> None:
    moved = folder.rename(tmp_path / "elsewhere")
    for name in ("node.json", "sig.pem", "comms.pem"):
        (moved / name).unlink()
    with Node.init(moved, keys=shared_keys(1)) as node:
        assert node.name == new_name(shared_keys(1).sig_key)


@pytest.mark.parametrize("arguments", [[], ["--dev"]], ids=["with a database", "in memory"])
def test_directory_of_a_registry(arguments: list[str], tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RegistryProcess(data, arguments=arguments) as registry:
        cred = registry.reg_cred.read_bytes()
    for take in (Node.open, Node.load, Node.ensure):
        with pytest.raises(NodeError, match="is the directory of a registry"):
            take(data)
    (data / "node.json").unlink()
    with pytest.raises(NodeError, match="is the directory of a registry"):
        Node.init(data, name="m0")
    beside = tmp_path / "beside"
    Node.init(beside, keys=shared_keys(0)).close()
    (beside / "regCred.dat").write_bytes(cred)  # another's credentials are no harm
    Node.open(beside).close()


def test_files_of_another_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are refused, for root too."""
    me = os.geteuid()
    for user in (me + 1, 0 if me else 12345):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        for take in (Node.open, Node.load, Node.init):
            with pytest.raises(NodeError, match=f"belongs to user {me}, and this is user {user}: run chown"):
                take(folder)
    monkeypatch.undo()
    if me == 0:
        for name in ("sig.pem", "comms.pem"):
            os.chown(folder / name, 12345, -1)
            with pytest.raises(NodeError, match=rf"{name} belongs to user 12345"):
                Node.open(folder)
            os.chown(folder / name, 0, -1)


def test_key_that_is_a_directory(folder: Path) -> None:
    directory("sig.pem")(folder)
    with pytest.raises(NodeError, match=r"sig\.pem"):
        Node.open(folder)


def test_certificate_of_another(folder: Path, tmp_path: Path) -> None:
    Node.init(tmp_path / "m1", keys=shared_keys(1)).close()
    replace("cert.pem", (tmp_path / "m1" / "cert.pem").read_text())(folder)
    with pytest.raises(NodeError, match="different keys"):
        Node.open(folder)


def test_nodes_in_folders_of_one_name_have_names_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One recipe is for many machines, and machines may have one name, too."""
    for host, wanted in (("web-1.example.org", "web-1"), ("3f2a9c1b77de", "h-3f2a9c1b77de"), ("", "node")):
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        names = []
        for i in range(2):
            path = tmp_path / f"{wanted}-{i}" / "node"
            with Node.ensure(path) if i else Node.init(path, keys=shared_keys(i)) as node:
                names.append(node.name)
                assert re.fullmatch(wanted + "-[0-9a-f]{6}", node.name)
        assert len(set(names)) == 2
    with Node.init(tmp_path / "own", keys=shared_keys(0), only_here=True) as node:
        assert node.name.startswith("node-")  # this host has no name that tells it from others
    monkeypatch.setattr(socket, "gethostname", lambda: "web-1")
    with Node.init(tmp_path / "own2", keys=shared_keys(0), only_here=True) as node:
        assert node.name == "web-1"


def test_where_there_is_no_node(folder: Path, tmp_path: Path) -> None:
    for empty in (tmp_path / "nowhere", tmp_path):
        for read in (Node.open, Node.load):
            with pytest.raises(NoNodeError):
                read(empty)
    assert not (tmp_path / "lock").exists()
    with pytest.raises(NodeExistsError):
        Node.init(folder)
    with pytest.raises(NodeError):
        Node.init(tmp_path / "bad", name="7up")
    assert not (tmp_path / "bad").exists()
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
    with pytest.raises(NodeError, match="kind rsa2048, not rsa3072"):
        Node.init(path, kind="rsa3072")
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
    with pytest.raises(ValueError, match="rsa1024"):
        Keys.generate("rsa1024")


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
        verify_token(token)
    with Node.open(folder) as node:
        assert node.certificate(NOW + timedelta(days=61)) == third
    (folder / "cert.pem").unlink()
    with Node.open(folder) as node:
        assert node.certificate(NOW) != third


def test_tokens_are_signed_for_their_protocol() -> None:
    node = Node("m0", ["127.0.0.1:1"], keys=shared_keys(0), certificate_life=timedelta(days=1))
    modern, der = node.token(Protocol.V20, ID, NOW)
    assert der is not None
    verify_token(modern)
    check_shown(modern, der)
    old, none = node.token(Protocol.V19, ID, NOW)
    assert none is None
    verify_classic(old)
    assert node.token(Protocol.V20, None, NOW)[0].digsig2 == modern.digsig2  # kept while nothing changes
    node.set_endpoints(["127.0.0.1:2"])
    later = node.token(Protocol.V20, None, NOW)[0]
    assert later.digsig2 != modern.digsig2
    assert later.comms_sig == modern.comms_sig  # it depends on the keys alone


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
