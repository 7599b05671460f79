"""A node's directory: its files, their permissions, and the writer's lock.

The Go client reads and writes the same. node.json is written last when a node is
made: where it is, all that is needed is.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from . import _atomicfile, _record
from ._errors import NodeError, NodeInUseError, NoNodeError, PrivateKeyError, XlregError
from .keys import PrivateKey, encode_private_key, parse_private_key

RECORD, COMMS, SIG, CERTIFICATE, LOCK = "node.json", "comms.pem", "sig.pem", "cert.pem", "lock"

_MAX_FILE = 1 << 20  # nothing that a node keeps comes near
_DATABASE = "xlreg.db"  # what only a registry has
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


class Directory:
    """The files of one node."""

    def __init__(self, path: Path) -> None:
        """Stand for the node in a directory; nothing is read or written yet."""
        self.path = path

    def make(self) -> None:
        """Make the directory, or take an empty one for the node alone.

        One that holds other things keeps its permissions, if they are no danger.
        """
        missing = [path for path in (self.path, *self.path.parents) if not path.exists()]
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in missing:
            _atomicfile.sync_dir(path.parent)
        if any(self.path.iterdir()):
            self.check()
            self._refuse_registry()
        else:
            _check_owner(self.path, self.path.stat())
            self.path.chmod(0o700)

    def check(self) -> None:
        """Make sure that the directory is there and that nobody else can put files into it."""
        try:
            info = self.path.stat()
        except FileNotFoundError:
            raise NoNodeError(self._no_node()) from None
        if not stat.S_ISDIR(info.st_mode):
            raise NodeError(f"{self.path} is not a directory")
        _check_owner(self.path, info)
        if info.st_mode & 0o022:
            raise NodeError(f"others may write to {self.path}: run chmod 700 {self.path}")

    def check_node(self) -> None:
        """Make sure that the directory holds a node."""
        self.check()
        self._refuse_registry()
        if not (self.path / RECORD).exists():
            raise NoNodeError(self._no_node())

    def _refuse_registry(self) -> None:
        if (self.path / _DATABASE).exists():
            raise NodeError(self.is_registry(_DATABASE))

    def is_registry(self, file: str) -> str:
        """Return the text of the error for a directory that a file shows to be a registry's."""
        return f"{self.path} is the directory of a registry, as {file} in it shows: use another for the node"

    def _no_node(self) -> str:
        return f"{self.path}: there is no node here: make one with Node.init, or xlreg node init"

    def lock(self) -> int:
        """Take the writer's lock, then clear away what a writer that crashed left; return what close takes.

        Raises:
            NodeInUseError: Someone else has it.
        """
        fd = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for name in (RECORD, COMMS, SIG, CERTIFICATE):
                _atomicfile.remove_leftovers(self.path / name)
        except BlockingIOError:
            os.close(fd)
            remedy = "wait for it, stop it or use another directory"
            raise NodeInUseError(
                f"{self.path}: node directory is in use by another process: {remedy}"
            ) from None
        except BaseException:
            os.close(fd)
            raise
        return fd

    def read_record(self) -> _record.Record | None:
        """Read node.json; None if it is blank."""
        data = self._read(RECORD)
        if _is_blank(data.decode("latin-1")):
            return None
        try:
            return _record.parse(data)
        except XlregError as err:
            raise NodeError(f"{self.path / RECORD}: {err}") from None

    def record_lost(self) -> str:
        """Return the text of the error for an empty node.json that nothing makes up for."""
        return (
            f"{self.path / RECORD} is empty, as after a power cut, and {CERTIFICATE} does not tell the name: "
            + _record.REMEDY
        )

    def write_record(self, record: _record.Record) -> None:
        """Write node.json; it is on disk when this returns."""
        self._write(RECORD, record.encode())

    def has_record(self) -> bool:
        """Report whether there is a node.json."""
        return os.path.lexists(self.path / RECORD)

    def read_key(self, name: str) -> PrivateKey:
        """Read one of the two keys, which must belong to this user and be readable by nobody else.

        Raises:
            FileNotFoundError: It is not there.
            NodeError: It is not a key, or others can read it.
        """
        data = self._read(name, 0o077)
        try:
            return parse_private_key(data)
        except PrivateKeyError as err:
            remedy = "put the right file there from a backup, or make a new node"
            raise NodeError(f"{self.path / name}: {err}: {remedy}") from None

    def write_key(self, name: str, key: PrivateKey) -> None:
        """Write one of the two keys."""
        self._write(name, encode_private_key(key))

    def read_certificate(self) -> bytes | None:
        """Return the DER of the certificate that is there, if one is. A blank file is as good as none."""
        path = self.path / CERTIFICATE
        try:
            text = self._read(CERTIFICATE).decode("ascii", "replace")
        except FileNotFoundError:
            return None
        if _is_blank(text):
            return None
        _, begin, rest = text.partition(_BEGIN)
        digits, end, _ = rest.partition(_END)
        with contextlib.suppress(ValueError):
            if begin and end:
                return base64.b64decode("".join(digits.split()), validate=True)
        raise NodeError(f"{path} holds no certificate: remove it, and it is made anew")

    def write_certificate(self, der: bytes) -> None:
        """Write the certificate."""
        digits = base64.b64encode(der).decode()
        lines = [digits[i : i + 64] for i in range(0, len(digits), 64)]
        self._write(CERTIFICATE, "\n".join([_BEGIN, *lines, _END, ""]).encode())

    def remove_certificate(self) -> None:
        """Remove the certificate, if one is there."""
        (self.path / CERTIFICATE).unlink(missing_ok=True)

    def _write(self, name: str, data: bytes) -> None:
        _atomicfile.write(self.path / name, data, 0o600)

    def _read(self, name: str, forbidden: int = 0) -> bytes:
        """Return what is in a file, unless one of the forbidden permissions is given on it."""
        path = self.path / name
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise NodeError(f"{path} is not a regular file")
            if mode & forbidden:
                shown = f"{stat.S_IMODE(mode):#o}"
                raise NodeError(
                    f"others may read or write {path}, its permissions are {shown}: run chmod 600 {path}"
                )
            if forbidden:
                _check_owner(path, os.fstat(file.fileno()))
            data = file.read(_MAX_FILE + 1)
        if len(data) > _MAX_FILE:
            raise NodeError(f"{path} has more than {_MAX_FILE} bytes")
        return data


def _is_blank(text: str) -> bool:
    """Report whether a file reads as one of which a power cut left the name alone: nothing, or zeros."""
    return not text.strip("\0 \r\n\t")


def _check_owner(path: Path, info: os.stat_result) -> None:
    """Refuse what belongs to another user, who could replace the keys, even for root."""
    if info.st_uid != os.geteuid():
        raise NodeError(
            f"{path} belongs to user {info.st_uid}, and this is user {os.geteuid()}: "
            f"run chown {os.geteuid()} {path} if it is yours, or use another directory"
        )


@contextlib.contextmanager
def node_errors(what: str) -> Iterator[None]:
    """Make a NodeError, that says what was being done, of whatever goes wrong with files."""
    try:
        yield
    except NodeError as err:
        err._doing = (what, *err._doing)
        raise
    except (OSError, XlregError) as err:
        raise NodeError(f"{what}: {err}") from err
