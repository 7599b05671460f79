"""Credentials of a registry: who it is, which keys it has, where to find it (section 2).

They travel as a file, regCred.dat, that deployed clients read too, or as one line
for people that begins with ``xlreg://``.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from . import _atomicfile, limits
from ._errors import EndpointError, FingerprintError, RegCredError, XlregError, quote
from .keys import (
    fingerprint,
    format_fingerprint,
    marshal_ssh,
    parse_fingerprint,
    parse_rsa_key,
    parse_ssh,
    public_der,
)
from .version import DecimalVersion, Protocol, parse_decimal_version
from .vocabulary import CommsKey, Endpoint, NodeID, SigKey, check_name, endpoints_of

_MAX_FILE = 64 << 10
_MAX_URL = 8 << 10
PREFIX = "xlreg://"
"""How a line about a registry begins."""
_TCP = "TcpEndPoint: "
_HEAD = "regCred {"


@dataclass(frozen=True)
class RegCred:
    """The credentials of a registry.

    Attributes:
        name: The registry's name.
        id: Its ID.
        comms_key: Classic clients encrypt to it.
        sig_key: It is what 2.0 clients know the registry by.
        endpoints: Where it is; one at least.
        version: What it speaks; below 2 for an original server.

    Raises:
        RegCredError: They cannot be those of a registry.

    Example:
        >>> cred = RegCred.read("regCred.dat")      # doctest: +SKIP
        >>> cred.url                                # doctest: +SKIP
        'xlreg://203.0.113.7:56789/?sig=…'
    """

    name: str
    id: NodeID
    comms_key: CommsKey = field(repr=False)
    sig_key: SigKey = field(repr=False)
    endpoints: tuple[Endpoint, ...]
    version: DecimalVersion

    def __post_init__(self) -> None:
        """Check all of it; keys may also be given in the form of ssh-keygen, and endpoints as in the file."""
        try:
            values = {
                "name": check_name(self.name),
                "id": NodeID(self.id),
                "comms_key": CommsKey(_key_der(self.comms_key)),
                "sig_key": SigKey(_key_der(self.sig_key)),
                "endpoints": _endpoints(e.removeprefix(_TCP) for e in self.endpoints),
            }
        except XlregError as err:
            raise RegCredError(str(err)) from None
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def parse(cls, text: str | bytes) -> RegCred:
        """Read the content of a regCred.dat.

        Raises:
            RegCredError: The text is not a regCred.dat; the error names the line.
        """
        return _Parser(text).read()

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> RegCred:
        """Read a regCred.dat.

        Raises:
            OSError: The file cannot be read.
            RegCredError: It is not a regCred.dat; the error names the file and the line.
        """
        return cls.parse_file(path, read_file(Path(path)))

    @classmethod
    def parse_file(cls, path: str | os.PathLike[str], data: bytes) -> RegCred:
        """Read what a file holds, whose name errors then begin with."""
        try:
            return cls.parse(data)
        except RegCredError as err:
            raise RegCredError(f"{path}: {err}") from err

    def write(self, path: str | os.PathLike[str]) -> None:
        """Replace a file with these credentials, at once and whole.

        Raises:
            OSError: The file cannot be written.
        """
        _atomicfile.write(Path(path), str(self).encode(), 0o644)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the registry's sig key, SHA256:…"""
        return fingerprint(self.sig_key)

    @property
    def target(self) -> Target:
        """How to find the registry and tell it from others."""
        return Target(self.endpoints, self.fingerprint, self)

    @property
    def url(self) -> str:
        """The one line for people."""
        return self.target.url

    @property
    def protocol(self) -> Protocol:
        """What the registry speaks; of an original server, the one generation that it most likely does."""
        if self.version.get_a() >= 2:
            return Protocol.V20
        return Protocol.V18 if self.version < DecimalVersion(1, 9, 5) else Protocol.V19

    def __str__(self) -> str:
        """Return the content of a regCred.dat, laid out as deployed writers do it."""
        lines = [
            "regCred {",
            f"    Name: {self.name}",
            f"    ID: {self.id}",
            f"    CommsPubKey: {_ssh_line(self.comms_key)}",
            "",
            f"    SigPubKey: {_ssh_line(self.sig_key)}",
            "",
            "    EndPoints {",
            *(f"         {_TCP}{endpoint}" for endpoint in self.endpoints),
            "    }",
            f"    Version: {self.version}",
            "}",
            "",
        ]
        return "\r\n".join(lines)

    # The names that these had before.

    def get_name(self) -> str:
        """Return the name."""
        return self.name

    def get_id(self) -> NodeID:
        """Return the ID."""
        return self.id

    def get_comms_pub_key(self) -> CommsKey:
        """Return the comms key."""
        return self.comms_key

    def get_sig_pub_key(self) -> SigKey:
        """Return the sig key."""
        return self.sig_key

    def get_end_points(self) -> list[str]:
        """Return the endpoints as they stand in the file, ``TcpEndPoint: `` and host:port."""
        return [_TCP + endpoint for endpoint in self.endpoints]

    def get_version(self) -> DecimalVersion:
        """Return the version."""
        return self.version


def parse_reg_cred(text: str | bytes) -> RegCred:
    """Read the content of a regCred.dat; the same as RegCred.parse.

    Raises:
        RegCredError: The text is not a regCred.dat; the error names the line.
    """
    if not text:
        raise RegCredError("end of file where the credentials should be", 1)
    return RegCred.parse(text)


@dataclass(frozen=True)
class Target:
    """What a client needs to find a registry and to tell it from others.

    Attributes:
        endpoints: Where it is.
        fingerprint: That of its sig key, SHA256:…
        cred: Its credentials; None if only a URL was given.

    Example:
        >>> Target.parse("xlreg://reg.example.org/?sig=" + 43 * "A").endpoints
        ('reg.example.org:56789',)
    """

    endpoints: tuple[Endpoint, ...]
    fingerprint: str
    cred: RegCred | None = None

    @classmethod
    def parse(cls, url: str) -> Target:
        """Read ``xlreg://host:port,host:port/?sig=fingerprint``. A host without a port has the default one.

        Raises:
            RegCredError: It is not such a line.
        """
        if len(url) > _MAX_URL:
            raise RegCredError(f"registry url of {len(url)} bytes: at most {_MAX_URL} allowed")
        if _SECRET.search(url):
            raise RegCredError("registry url: this is a ticket, which is for a cluster and may be a secret")
        try:
            return _parse_url("".join(pasted(url).split()))  # terminals break long lines
        except XlregError as err:
            raise RegCredError(f"registry url {quote(url)}: {err}") from None

    @classmethod
    def load(cls, what: Target | RegCred | str | os.PathLike[str]) -> Target:
        """Return the target that what is: an ``xlreg://`` line, the name of a regCred file, or credentials.

        Raises:
            OSError: The file cannot be read.
            RegCredError: It holds no credentials, or the line is not valid.
        """
        if isinstance(what, Target):
            return what
        if isinstance(what, RegCred):
            return what.target
        text = pasted(what) if isinstance(what, str) else ""
        if isinstance(what, str) and not text:
            raise RegCredError(f"{quote(what)} names no registry: want a regCred file or an {PREFIX} line")
        if text.startswith(PREFIX):
            return cls.parse(text)
        if text.startswith(_HEAD):
            return RegCred.parse(text).target
        if _SECRET.search(text):
            raise RegCredError(f"want a regCred file or an {PREFIX} line, and this looks like a ticket")
        path = Path(what)
        if not path.exists() and text:
            _refuse_address(text)
            path = Path(text)
        return cls.read(path)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Target:
        """Read a file that holds credentials, or the ``xlreg://`` line.

        Raises:
            OSError: The file cannot be read.
            RegCredError: It holds neither; the error names the file.
        """
        data = read_file(Path(path))
        if not pasted(data).startswith(PREFIX):
            return RegCred.parse_file(path, data).target
        try:
            return cls.parse(pasted(data))
        except RegCredError as err:
            raise RegCredError(f"{path}: {err}") from err

    @classmethod
    def of(cls, endpoints: tuple[Endpoint, ...], digest: bytes) -> Target:
        """Return the registry at some endpoints whose key has the fingerprint of so many bytes."""
        return cls(endpoints, format_fingerprint(digest))

    @property
    def url(self) -> str:
        """The line that parse reads."""
        digest = base64.urlsafe_b64encode(parse_fingerprint(self.fingerprint)).decode().rstrip("=")
        return f"{PREFIX}{','.join(self.endpoints)}/?sig={digest}"


_QUOTES = "\"'`<>\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb"
# Byte order marks, spaces of no width, and marks that say in which direction to write.
_INVISIBLE = "\ufeff\u200b\u2060\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_ASSIGNMENT = re.compile(r"\A(export\s+)?XLREG_(REGISTRY|TICKET)=")
_SECRET = re.compile(r"\b(owner|invite)=", re.IGNORECASE)


def pasted(text: str | bytes) -> str:
    """Return a text without what surrounds it when people paste it.

    That is blanks, line ends, quotes, a byte order mark, and the variable that it is for.
    """
    if isinstance(text, bytes):
        wide = text.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = text.decode("utf-16" if wide else "utf-8", "replace")
    while (stripped := _ASSIGNMENT.sub("", text.strip().strip(_QUOTES + _INVISIBLE), count=1)) != text:
        text = stripped
    return text


def read_file(path: Path) -> bytes:
    """Return what is in a file with credentials or a line, and not much more than it may hold."""
    with path.open("rb") as file:
        return file.read(_MAX_FILE + 1)


def _refuse_address(text: str) -> None:
    """Say what to do with an address alone, which does not tell a registry from an impostor."""
    try:
        address = Endpoint(text)
    except EndpointError:
        return
    raise RegCredError(
        f"{quote(text)} is an address, which does not say by what key the registry is known: "
        f"get its credentials with 'xlreg cred fetch {address} --out regCred.dat', and name that file"
    )


def _parse_url(url: str) -> Target:
    if not url.startswith(PREFIX):
        raise RegCredError(f"want {PREFIX}host:port/?sig=…")
    hosts, found, query = url.removeprefix(PREFIX).partition("/?")
    if not found:
        raise RegCredError("no /?sig=… after the hosts: without it the registry cannot be told from another")
    endpoints = _endpoints(map(_with_port, hosts.split(",")))
    digest = ""
    for parameter in query.split("&"):
        key, _, value = parameter.partition("=")
        if key != "sig":
            raise RegCredError(f"unknown parameter {quote(key)}" if key else "no sig")
        if digest:
            raise RegCredError("sig is there twice")
        digest = value
        if not digest:
            raise FingerprintError("sig is empty")
    return Target(endpoints, format_fingerprint(parse_fingerprint(digest)))


def _with_port(host: str) -> str:
    return host if ":" in host and not host.endswith("]") else f"{host}:{limits.DEFAULT_PORT}"


def _endpoints(texts: Iterable[str]) -> tuple[Endpoint, ...]:
    endpoints = endpoints_of(texts)
    if not endpoints:
        raise EndpointError("no endpoint")
    return endpoints


def _ssh_line(der: bytes) -> str:
    return "ssh-rsa " + base64.b64encode(marshal_ssh(parse_rsa_key(der))).decode()


def _key_der(key: bytes | str) -> bytes:
    """Return a key in DER that may be given in the form of ssh-keygen."""
    text = key.encode() if isinstance(key, str) else bytes(key)
    if text.startswith(b"ssh-rsa "):
        return _parse_ssh_line(text.decode("ascii", "replace"))
    return public_der(parse_rsa_key(text))


def _parse_ssh_line(text: str) -> bytes:
    algorithm, _, rest = text.partition(" ")
    if algorithm != "ssh-rsa":
        raise RegCredError("want ssh-rsa and a key in base64")
    digits = rest.split(" ")[0]
    try:
        form = base64.b64decode(digits, validate=True)
    except (binascii.Error, ValueError) as err:
        raise RegCredError(str(err)) from None
    if base64.b64encode(form).decode() != digits:
        raise RegCredError("not the one base64 form of the key")
    return public_der(parse_ssh(form))


class _Parser:
    """Goes through the lines of a regCred.dat that are not blank."""

    def __init__(self, data: str | bytes) -> None:
        if len(data) > _MAX_FILE:
            raise RegCredError(f"more than {_MAX_FILE} bytes")
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        if not text.startswith(_HEAD):
            before, found, _ = text.partition(_HEAD)
            text = "\n" * (before.count("\n") if found else 0) + pasted(data)
        self._lines = [line.strip() for line in text.split("\n")]
        if not self._lines[-1]:
            self._lines.pop()
        self._at = 0  # of the line that is being read, from 1

    def _next(self, wanted: str) -> str:
        while self._at < len(self._lines):
            self._at += 1
            if self._lines[self._at - 1]:
                return self._lines[self._at - 1]
        raise RegCredError(f"end of file where {quote(wanted)} should be")

    def _want(self, word: str) -> None:
        line = self._next(word)
        if line != word:
            raise RegCredError(f"{quote(line[:40])} where {quote(word)} should be")

    def _value(self, key: str) -> str:
        line = self._next(key)
        if not line.startswith(key + ": "):
            raise RegCredError(f"{quote(line[:40])} where {quote(key)} should be")
        return line.removeprefix(key + ": ")

    def read(self) -> RegCred:
        try:
            return self._read()
        except XlregError as err:
            raise RegCredError(str(err), max(1, self._at)) from None

    def _read(self) -> RegCred:
        self._want("regCred {")
        name = check_name(self._value("Name"))
        node_id = NodeID.parse(self._value("ID"))
        comms = CommsKey(_parse_ssh_line(self._value("CommsPubKey")))
        sig = SigKey(_parse_ssh_line(self._value("SigPubKey")))
        endpoints = self._endpoints()
        version = parse_decimal_version(self._value("Version"))
        self._want("}")
        if any(self._lines[self._at :]):
            raise RegCredError(f"{quote(self._next('')[:40])} after the end")
        return RegCred(name, node_id, comms, sig, endpoints, version)

    def _endpoints(self) -> tuple[Endpoint, ...]:
        self._want("EndPoints {")
        endpoints: list[Endpoint] = []
        while (line := self._next("TcpEndPoint")) != "}":
            if not line.startswith(_TCP):
                raise RegCredError(f"{quote(line[:40])} where {quote('TcpEndPoint')} should be")
            endpoints.append(Endpoint(line.removeprefix(_TCP)))
            if len(endpoints) > limits.MAX_ENDPOINTS:
                raise EndpointError(f"more than {limits.MAX_ENDPOINTS} endpoints")
        return _endpoints(endpoints)
