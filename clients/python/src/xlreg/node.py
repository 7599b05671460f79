"""A node: one party to registries, in memory or kept in a directory."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType

from . import certificate as certs
from ._directory import CERTIFICATE, COMMS, RECORD, SIG, Directory, node_errors
from ._errors import (
    CertificateError,
    NodeError,
    NodeExistsError,
    NodeReadOnlyError,
    XlregError,
)
from ._naming import new_name
from ._nodekeys import fill_keys, is_modern, read_key
from ._record import Record, Registration
from ._wire.inner import decode_labels, encode_labels
from .keys import Keys, public_der
from .regcred import RegCred
from .signatures import sign_classic, sign_comms, sign_token
from .version import Protocol
from .vocabulary import Endpoint, NodeAttrs, NodeID, SigKey, Token, check_name, endpoints_of

log = logging.getLogger("xlreg")

_CREDENTIALS = "regCred.dat"
_MIN_LIFE = timedelta(hours=2)  # or a new certificate would be due for renewal at once


@dataclass(frozen=True)
class _Certificate:
    """One that a node has for itself, read once."""

    der: bytes
    field: bytes  # what a token has of it
    begin: datetime
    end: datetime

    @classmethod
    def load(cls, der: bytes) -> _Certificate:
        return cls(der, certs.field_of(der), *certs.dates(der))

    @property
    def life(self) -> timedelta:
        return self.end - self.begin

    def serves(self, now: datetime) -> bool:
        """Report whether it is valid and has more than a third of its life before it."""
        return self.begin <= now and self.end - now > self.life / 3

    def fits(self, token: Token) -> bool:
        """Report whether it is the one that follows from token."""
        try:
            certs.check_shown(replace(token, certificate=self.field), self.der)
        except CertificateError:
            return False
        return True


class Node:
    """One party to registries: a name, keys, endpoints, a certificate, and an ID from each registry.

    It lives in memory (the constructor), or in a directory (init, open, load, ensure)
    that the Go and Ruby clients can use as well. It may be used from several threads.
    It is a context manager that closes itself.

    Args:
        name: Its name.
        endpoints: Where it is; form finds them out itself.
        keys: Its keys; new ones by default.
        attrs: Its attributes.
        certificate_life: For how long its certificates are valid; two hours at least.

    Raises:
        XlregError: The name or an endpoint is not valid.
        ValueError: The certificate's life is too short.

    Example:
        >>> Node("m0").name
        'm0'
        >>> with Node.ensure("/var/lib/app/node", name="m0") as node:  # doctest: +SKIP
        ...     membership = xlreg.form(...)
    """

    def __init__(
        self,
        name: str,
        endpoints: Iterable[str] = (),
        *,
        keys: Keys | None = None,
        attrs: NodeAttrs = NodeAttrs.NONE,
        certificate_life: timedelta = certs.DEFAULT_LIFE,
    ) -> None:
        """Make a node that lives in memory only."""
        record = Record(check_name(name), attrs, endpoints_of(endpoints))
        self._setup(keys or Keys.generate(), record, certificate_life)

    def _setup(self, keys: Keys, record: Record, life: timedelta) -> None:
        if life < _MIN_LIFE:
            raise ValueError(f"certificate life of {life}: want at least {_MIN_LIFE}")
        self._keys = keys
        self._directory: Directory | None = None
        self._recovered = False
        self._mutex = threading.RLock()
        # Guarded by the mutex, as is all below.
        self._lock: int | None = None
        self._record = record
        self._life = life
        self._certificate: _Certificate | None = None
        self._labels = b""
        self._signatures: dict[str, bytes] = {}  # by field, while nothing changes that they cover

    @classmethod
    def init(
        cls,
        directory: str | os.PathLike[str],
        *,
        name: str | None = None,
        endpoints: Iterable[str] = (),
        keys: Keys | None = None,
        kind: str = "",
        attrs: NodeAttrs = NodeAttrs.NONE,
        certificate_life: timedelta = certs.DEFAULT_LIFE,
        only_here: bool = False,
    ) -> Node:
        """Make a node in a directory, creating that if need be, and take the writer's lock.

        Key files that are there already are used, whether an earlier try or a person left
        them; it is an error if they contradict the arguments.

        Args:
            directory: Where; only its owner may write to it.
            name: The node's name. By default it is that in cert.pem, if there is one for the
                key in the directory, and otherwise this machine's with digits of the key.
            endpoints: Where the node is.
            keys: Its keys; new ones by default.
            kind: That of new keys: rsa2048, which is the default, rsa3072, rsa4096 or p256.
            attrs: Its attributes.
            certificate_life: For how long its certificates are valid.
            only_here: It is the only node on this machine, whose name is then enough.

        Raises:
            NodeExistsError: There is one already.
            NodeInUseError: Another process has the lock.
            NodeError: Something else is wrong with the directory, the name or an endpoint.
        """
        path = Path(directory)
        with node_errors(f"make node in {path}"):
            files = Directory(path)
            name = name or _name_in_certificate(files)
            ends = endpoints_of(endpoints)
            if name:
                check_name(name)
            files.make()
            lock = files.lock()
            with _closing_on_error(lock):
                if files.has_record():
                    raise NodeExistsError("there is a node already")
                node, keys = cls.__new__(cls), fill_keys(files, keys, kind)
                _refuse_registry(files, keys)
                record = Record(name or new_name(keys.sig_key, only_here), attrs, ends)
                node._setup(keys, record, certificate_life)
                node._directory, node._lock = files, lock
                files.remove_certificate()  # of an earlier try, perhaps under another name
                if is_modern(node.keys):
                    node.certificate()
                files.write_record(record)
        return node

    @classmethod
    def open(cls, directory: str | os.PathLike[str]) -> Node:
        """Open the node in a directory, and take the writer's lock.

        Raises:
            NoNodeError: There is no node.
            NodeInUseError: Another process has the lock.
            NodeError: A file is damaged, open to others, or too new; the text names it and the remedy.
        """
        files = Directory(Path(directory))
        with node_errors("open node"):
            files.check_node()
            lock = files.lock()
            with _closing_on_error(lock):
                node = cls._read(files)
                if node.recovered:
                    files.write_record(node._record)
                node._lock = lock
        return node

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Node:
        """Read the node in a directory without taking the lock. Nothing can be saved with it.

        Raises:
            NoNodeError: There is no node.
            NodeError: A file is damaged, open to others, or too new; the text names it and the remedy.
        """
        files = Directory(Path(directory))
        with node_errors("load node"):
            files.check_node()
            return cls._read(files)

    @classmethod
    def ensure(cls, directory: str | os.PathLike[str], *, name: str | None = None) -> Node:
        """Open the node in a directory, and make it first if there is none; see open and init.

        Args:
            directory: Where.
            name: The name of a new one; by default this machine's with digits of the key.
                One that is there keeps its own.
        """
        if Directory(Path(directory)).has_record():
            return cls.open(directory)
        return cls.init(directory, name=name)

    @classmethod
    def _read(cls, files: Directory) -> Node:
        record = files.read_record()
        keys = Keys(read_key(files, COMMS), read_key(files, SIG))
        node = cls.__new__(cls)
        _refuse_registry(files, keys)
        node._setup(keys, record or _lost_record(files), certs.DEFAULT_LIFE)
        node._directory, node._recovered = files, record is None
        node._read_certificate(files)
        return node

    def _read_certificate(self, files: Directory) -> None:
        """Take over the certificate that is there. It can be replaced, so only another node's is an error."""
        der = files.read_certificate()
        if der is None:
            return
        try:
            begin, end = certs.dates(der)
            key = SigKey(certs.public_key_of(der))
        except CertificateError as err:
            raise NodeError(f"{files.path / 'cert.pem'}: {err}: remove it, and it is made anew") from None
        if key != self._keys.sig_key:
            remedy = "if the latter is right, remove the former, and it is made anew"
            raise NodeError(f"{files.path / 'cert.pem'} and {SIG} hold different keys: {remedy}")
        self._life = max(end - begin, _MIN_LIFE)
        with contextlib.suppress(CertificateError):
            kept = _Certificate.load(der)
            self._certificate = kept if kept.fits(self._token()) else None

    @property
    def directory(self) -> Path | None:
        """Where the node lives; None in memory."""
        return self._directory.path if self._directory else None

    @property
    def recovered(self) -> bool:
        """Whether node.json was found empty, as after a power cut.

        The name was recovered from the certificate. The endpoints, and the IDs that registries
        had given the node, are lost, and it gets new ones.
        """
        return self._recovered

    @property
    def keys(self) -> Keys:
        """The node's keys."""
        return self._keys

    @property
    def name(self) -> str:
        """The node's name."""
        return self._record.name

    @property
    def attrs(self) -> NodeAttrs:
        """The node's attributes."""
        return self._record.attrs

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where the node is."""
        return self._record.endpoints

    @property
    def registrations(self) -> tuple[Registration, ...]:
        """What the node knows of every registry it has been to."""
        return self._record.registrations

    def registration(self, sig: str) -> Registration | None:
        """Return what the node knows of the registry whose sig key has the fingerprint sig."""
        return self._record.find(sig)

    def set_endpoints(self, endpoints: Iterable[str]) -> None:
        """Replace the node's endpoints; they are on disk when this returns, or nothing has changed.

        Raises:
            EndpointError: One of them is not valid.
            NodeError: They cannot be saved.
        """
        with self._mutex:
            record = replace(self._record, endpoints=endpoints_of(endpoints))
            if record.endpoints == self._record.endpoints:
                return
            self._save(record, "set endpoints")
            self._forget("digsig", "digsig2")
            if self._certificate is not None and not self._certificate.fits(self._token()):
                self._certificate = None

    @property
    def labels(self) -> dict[str, bytes]:
        """What the node tells the others besides its addresses."""
        return decode_labels(self._labels)

    def set_labels(self, labels: Mapping[str, str | bytes]) -> None:
        """Replace the node's labels, for rosters that are read after it joins the next time.

        They are not saved: a program says them at each start.

        Args:
            labels: Keys have the form of names, values are any bytes or text.

        Raises:
            IllFormedTokenError: There are too many, or they are too long, or a key is no name.
        """
        encoded = encode_labels({k: v.encode() if isinstance(v, str) else v for k, v in labels.items()})
        with self._mutex:
            if encoded != self._labels:
                self._labels = encoded
                self._forget("digsig2")

    def set_registration(self, registration: Registration) -> None:
        """Keep what is known of a registry, in place of what was; on disk when this returns.

        Raises:
            NodeError: It cannot be saved.
        """
        with self._mutex:
            if self._record.find(registration.sig) != registration:
                self._save(self._record.keeping(registration), "set registration")

    def _save(self, record: Record, what: str) -> None:
        if self._directory is not None:
            with node_errors(what):
                if self._lock is None:
                    raise NodeReadOnlyError("node is open for reading only")
                self._directory.write_record(record)
        self._record = record

    def certificate(self, now: datetime | None = None) -> bytes:
        """Return the node's certificate, in DER.

        A new one is made if there is none yet, if hosts have changed, or if a third
        of its life or less is left.

        Raises:
            NodeError: A new one cannot be saved.
        """
        now = now or datetime.now(timezone.utc)
        with self._mutex:
            if self._certificate is not None and self._certificate.serves(now):
                return self._certificate.der
            token = self._token()
            field = certs.new_field(self._keys.sig, token, now, self._life)
            der = certs.build(replace(token, certificate=field))
            if self._lock is not None and self._directory is not None:
                with node_errors("save certificate"):
                    self._directory.write_certificate(der)
            self._certificate = _Certificate.load(der)
            self._forget("digsig2")
            return der

    def token(self, protocol: Protocol, node_id: NodeID | None, now: datetime) -> tuple[Token, bytes | None]:
        """Return the node's token, signed for protocol, and over 2.0 the certificate it is bound to.

        The certificate is the one to show in the handshake. Signatures are kept
        until something that they cover changes.
        """
        with self._mutex:
            token = self._token(node_id)
            sig, comms = self._keys.sig, self._keys.comms
            if protocol.classic:
                return replace(token, digsig=self._signed("digsig", lambda: sign_classic(sig, token))), None
            der = self.certificate(now)
            modern = replace(token, certificate=certs.field_of(der))
            digsig2 = self._signed("digsig2", lambda: sign_token(sig, modern))
            comms_sig = self._signed("comms_sig", lambda: sign_comms(comms, modern))
            return replace(modern, digsig2=digsig2, comms_sig=comms_sig), der

    def _signed(self, field: str, sign: Callable[[], bytes]) -> bytes:
        if field not in self._signatures:
            self._signatures[field] = sign()
        return self._signatures[field]

    def _forget(self, *fields: str) -> None:
        for field in fields:
            self._signatures.pop(field, None)

    def _token(self, node_id: NodeID | None = None) -> Token:
        r, keys = self._record, self._keys
        token = Token(r.name, keys.comms_key, keys.sig_key, r.endpoints, r.attrs, node_id)
        return replace(token, labels=self._labels)

    def close(self) -> None:
        """Give up the lock: nothing can be changed any more. May be called again."""
        with self._mutex:
            lock, self._lock = self._lock, None
            if lock is not None:
                os.close(lock)

    def __enter__(self) -> Node:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        where = f" in {self.directory}" if self.directory else ""
        return f"<Node {self.name}{where}>"


@contextlib.contextmanager
def _closing_on_error(fd: int) -> Iterator[None]:
    try:
        yield
    except BaseException:
        os.close(fd)
        raise


def _name_in_certificate(files: Directory) -> str | None:
    """Return the name of a node whose node.json is lost, from its certificate and key."""
    try:
        der = files.read_certificate()
        if der is not None and certs.public_key_of(der) == public_der(files.read_key(SIG).public_key()):
            return certs.name_of(der)
    except (OSError, XlregError):
        pass
    return None


def _lost_record(files: Directory) -> Record:
    """Make a record in place of an empty one, of what another file proves to belong to the keys."""
    name = _name_in_certificate(files)
    if name is None:
        raise NodeError(files.record_lost())
    record = Record(name)
    log.warning(
        "%s was empty, as after a power cut: the name %s is back from %s; the IDs that registries gave this "
        "node are lost, and it gets new ones",
        files.path / RECORD,
        name,
        CERTIFICATE,
    )
    return record


def _refuse_registry(files: Directory, keys: Keys) -> None:
    """Refuse the directory of a registry that keeps its data in memory: its credentials hold its own key."""
    try:
        cred = RegCred.read(files.path / _CREDENTIALS)
    except (OSError, XlregError):
        return
    if cred.sig_key == keys.sig_key:
        raise NodeError(files.is_registry(_CREDENTIALS))
