"""A registry goes over to another key, for which the known one vouches (section 12)."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from fake import REGISTRY_ID, FakeRegistry, Wire

from xlreg import Client, Node, Protocol, RegCred, Token
from xlreg._codec import Codec, Framing
from xlreg._wire import xlreg_pb2 as pb
from xlreg._wire.messages import Message, Op
from xlreg._wire.tokens import token_message
from xlreg.errors import UntrustedError
from xlreg.keys import Keys, PrivateKey, fingerprint
from xlreg.testing import shared_keys

OLD, NEW, OTHER = 90, 93, 94


def certificate(
    subject: object, signer: PrivateKey, days: int = 7, ca: bool = False, leaf: bool = False
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake")])
    begin = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .public_key(subject)  # type: ignore[arg-type]
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if leaf:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(usage, critical=False)
    return builder.sign(signer, hashes.SHA256())


class Changed(FakeRegistry):
    """A registry that has another key than it had, and shows by which it is vouched for."""

    def __init__(self, now: Keys, voucher: Keys, days: int = 180, ca: bool = True) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.chain = [
            certificate(self._key.public_key(), now.sig, leaf=True),
            certificate(now.sig.public_key(), now.sig),
            certificate(now.sig.public_key(), voucher.sig, days, ca),
            certificate(voucher.sig.public_key(), voucher.sig),
        ]
        super().__init__(Protocol.V20, handshake=lambda _, connection: self.shake(connection))
        self.keys = now
        self.script[Op.REG_CRED_REQUEST] = lambda _: self.tell()

    def shake(self, connection: socket.socket) -> tuple[Wire, Codec]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0
        context.set_alpn_protocols(["xlreg/2"])
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = Path(os.environ["XLREG_TEST_SCRATCH"], f"{os.urandom(8).hex()}.pem")
        path.write_bytes(pem + b"".join(c.public_bytes(serialization.Encoding.PEM) for c in self.chain))
        context.load_cert_chain(path)
        path.unlink()
        tls = context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=True)
        return tls, Framing(read_max=64 << 10, write_max=4 << 20)

    def tell(self) -> Message:
        token = Token("fake", self.keys.comms_key, self.keys.sig_key, self.cred.endpoints, id=REGISTRY_ID)
        raw = pb.XLRegMsg(Op=Op.REG_CRED_REPLY, MemberSpecs=token_message(token), Version=2)
        raw.Chain.extend(c.public_bytes(serialization.Encoding.DER) for c in self.chain)
        return Message(raw)


def known_as(fake: FakeRegistry, keys: Keys) -> RegCred:
    """Return the credentials of a registry as they were when it had other keys."""
    cred, version = fake.cred, Protocol.V20.version
    return RegCred("fake", REGISTRY_ID, keys.comms_key, keys.sig_key, cred.endpoints, version)


@pytest.mark.parametrize("how", ["key", "fingerprint"])
def test_next_key(how: str, caplog: pytest.LogCaptureFixture) -> None:
    """The client says so, and the node keeps the new fingerprint beside the old one."""
    old, new = shared_keys(OLD), shared_keys(NEW)
    node = Node("m0", ["127.0.0.1:1"], keys=shared_keys(0, "p256"))
    fake = Changed(new, old)
    with fake:
        cred = known_as(fake, old)
        with caplog.at_level(logging.WARNING, "xlreg"):
            with Client.connect(cred if how == "key" else cred.url, node) as client:
                client.register()
                assert client.registry().sig_key == new.sig_key
        said = (
            f"the registry has a new key, {fingerprint(new.sig_key)}, for which the one that you know vouches"
        )
        assert said in caplog.text
        kept = node.registration(cred.fingerprint)
        assert kept is not None
        assert kept.next == fingerprint(new.sig_key)
        assert kept.next_until == fake.chain[2].not_valid_after_utc


def test_next_key_is_known_when_nobody_vouches_any_more() -> None:
    """A node that has kept it goes on; another does not, and neither takes the old key then."""
    old, new = shared_keys(OLD), shared_keys(NEW)
    node = Node("m0", ["127.0.0.1:1"], keys=shared_keys(0, "p256"))
    with Changed(new, old) as fake:
        cred = known_as(fake, old)
        with Client.connect(cred, node) as client:
            client.register()
        kept = node.registrations[0]
    with Changed(new, shared_keys(OTHER)) as fake:
        cred = known_as(fake, old)
        with Client.connect(cred, node) as client:
            assert client.login()
        with pytest.raises(UntrustedError):
            Client.connect(cred, timeout=5)
    passed = type(kept)(
        kept.sig,
        kept.name,
        kept.endpoints,
        kept.id,
        kept.next,
        datetime.now(timezone.utc) - timedelta(days=1),
    )
    node.set_registration(passed)
    with FakeRegistry(Protocol.V20) as still_old:
        assert still_old.cred.sig_key == old.sig_key
        with pytest.raises(UntrustedError):
            Client.connect(still_old.cred, node, timeout=5)


@pytest.mark.parametrize("how", ["key", "fingerprint"])
@pytest.mark.parametrize(
    ("voucher", "days", "ca"), [(OTHER, 180, True), (OLD, 0, True), (OLD, 180, False)], ids=str
)
def test_who_is_not_vouched_for(how: str, voucher: int, days: int, ca: bool) -> None:
    with Changed(shared_keys(NEW), shared_keys(voucher), days, ca) as fake:
        cred = known_as(fake, shared_keys(OLD))
        with pytest.raises(UntrustedError):
            Client.connect(cred if how == "key" else cred.url, timeout=5)


def test_kept_on_disk(tmp_path: Path) -> None:
    old, new = shared_keys(OLD), shared_keys(NEW)
    with Changed(new, old) as fake:
        cred = known_as(fake, old)
        with Node.init(tmp_path / "n", name="m0", keys=shared_keys(0, "p256")) as node:
            with Client.connect(cred, node) as client:
                client.register()
            kept = node.registrations[0]
        with Node.open(tmp_path / "n") as node:
            assert node.registrations == (kept,)
            assert node.registrations[0].next_until == kept.next_until
