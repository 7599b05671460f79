"""``xlreg-py``, for people without the Go program: its commands, flags, exit codes and JSON."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, TextIO

from . import errors
from ._cmdline import Command
from ._cmdsession import SeatKeptError, WaitOverError
from ._commands import COMMANDS, ContradictionError
from ._flags import UsageError
from ._grammar import wants_json
from ._joining import SeenOtherwiseError
from ._launch import ProgramError
from .errors import RegistryError, UnreachableError, XlregError

DONE, FAILED, USAGE, DEADLINE, INTERRUPTED = 0, 1, 2, 3, 130

_ADVICE: Sequence[tuple[type[XlregError], str]] = (
    (ContradictionError, "keep both files, they are the proof; trust this registry no more"),
    (
        errors.DocumentError,
        "see that --registry or the ticket is that of the registry which signed it, and that the file is "
        "whole",
    ),
    (errors.SavedRosterError, "join again while the registry is there, and the file is made anew"),
    (
        errors.OtherRosterError,
        "keep what 'xlreg get --signed' writes on each machine, and compare the files with 'xlreg verify'",
    ),
    (errors.NewEpochError, "start it again, and it joins the new epoch"),
    (errors.NotOwnerError, "ask the cluster's owner"),
    (
        errors.MemberIDInUseError,
        "if the other one is a copy of this machine, make a new node for one of them with --node NEWDIR; if "
        "it is an old start of this program, stop it or say --take-over",
    ),
    (
        errors.AdmissionRefusedError,
        "ask the cluster's owner for an invite, or for a ticket for this node",
    ),
    (
        errors.OrdersChangedError,
        "the owner's ticket was used elsewhere at the same time: look with 'xlreg get' and order again",
    ),
    (
        errors.RegistryFullError,
        "ask the registry's operator for more room, or delete clusters that are not needed",
    ),
    (errors.KeyNotAdmittedError, "this registry takes the keys that it was started with, and no others"),
    (errors.NoSuchClusterIDError, "make the cluster with 'xlreg create'"),
    (
        errors.NoSuchClusterNameError,
        "make the cluster with 'xlreg create', or with 'xlreg join --create --size N'",
    ),
    (errors.TooFewEndpointsError, "give more with --endpoint HOST:PORT"),
    (
        errors.MemberNameInUseError,
        "join as a new node of another name: 'xlreg join CLUSTER --node NEWDIR --name NAME'",
    ),
    (errors.IDInUseError, "use a new node directory, or the keys that this ID belongs to"),
    (errors.ClusterFullError, "take another cluster, or let a member leave"),
    (errors.ClusterSizeError, "ask for the size it has, or take another name"),
    (errors.TooManyRequestsError, "if that goes on, ask the registry's operator for a higher limit"),
    (errors.IllFormedNameError, "use a letter or '_' first, then letters, digits, '_', '-' and '.'"),
    (errors.WrongStateError, "an original server shows a cluster to its members only: join it"),
    (errors.TryLaterError, "if that goes on, see whether the registry's disk is full"),
    (errors.OriginalRegistryError, "say which with --protocol"),
    (errors.Needs20Error, "leave --protocol out, if the registry speaks 2.0"),
    (errors.AddressError, "give with --endpoint an address where the others reach this member"),
    (errors.UnverifiedError, "let those members join over 2.0, or accept them with --allow-unverified"),
    (errors.ClockError, "set the clock, or have it set by NTP"),
    (errors.UntrustedError, "if its keys are new, get its credentials anew from someone you trust"),
    (errors.UnreachableError, "see that the registry runs there, and that --registry is the right one"),
    (errors.HandshakeError, "see that it is a registry, and that it speaks the protocol chosen"),
)


def _causes(err: BaseException) -> Iterator[BaseException]:
    """Yield what an error came of, the most telling first."""
    if isinstance(err, WaitOverError) and err.__cause__ is not None:
        yield from _causes(err.__cause__)
    if isinstance(err, UnreachableError):
        yield from (failure for failure in err.failures if isinstance(failure, errors.ClockError))
    cause = getattr(err, "cause", None)
    if isinstance(cause, BaseException):
        yield from _causes(cause)
    yield err


def _one_line(err: BaseException) -> str:
    text = "; ".join(str(err).splitlines())
    for cause in _causes(err):
        retry = cause.retry if isinstance(cause, RegistryError) else 0.0
        if retry:
            text += f"; come back in {max(1, round(retry))} s"
        advice = next((advice for kind, advice in _ADVICE if isinstance(cause, kind)), "")
        if advice:
            text += f"; {advice}"
            break
    return _printable(text)


_SECRET = re.compile(r"\b(owner|invite)=[^&\s]+", re.IGNORECASE)


def _printable(text: str) -> str:
    """Return text in one line, fit for a terminal and without what a ticket must not show."""
    return _SECRET.sub(r"\1=...", "".join(c if c.isprintable() else "?" for c in text))


def _json_line(value: dict[str, Any]) -> str:
    return json.dumps(value) + "\n"


def _error_json(err: BaseException, code: int, line: str) -> dict[str, Any]:
    """Return an error as scripts read it."""
    shown: dict[str, Any] = {"error": line, "exit": code}
    for cause in _causes(err):
        if isinstance(cause, RegistryError) and cause.kind_text:
            shown["kind"] = cause.kind_text
            if cause.retry:
                shown["retryMillis"] = round(cause.retry * 1000)
            break
    return shown


def _write(stream: TextIO, text: str) -> None:
    """Write to a stream whose encoding may lack characters of the text."""
    encoding = stream.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.replace("…", "...").encode(encoding, "backslashreplace").decode(encoding)
    stream.write(text)
    stream.flush()


def _print(text: str) -> None:
    """Write to standard output; if that fails, nothing of it is tried again when this process ends."""
    try:
        _write(sys.stdout, text)
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
        raise


class _Warnings(logging.Handler):
    """Tells what is logged on standard error, in a line each."""

    def __init__(self, as_json: bool) -> None:
        super().__init__(logging.WARNING)
        self._as_json = as_json

    def emit(self, record: logging.LogRecord) -> None:
        text = _printable(record.getMessage())
        line = _json_line({"warning": text}) if self._as_json else f"xlreg: warning: {text}\n"
        with contextlib.suppress(OSError, ValueError):
            _write(sys.stderr, line)


@contextlib.contextmanager
def _warnings(as_json: bool) -> Iterator[None]:
    """Have what is logged while a command runs be told."""
    log, handler = logging.getLogger("xlreg"), _Warnings(as_json)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _perform(command: Command) -> None:
    """Do what a command says, and print what comes of it, as it comes."""
    try:
        texts = COMMANDS[command.command](command)
        for text in [texts] if isinstance(texts, str) else texts:
            _print(text)
    except SeenOtherwiseError as err:
        _print(err.shown)
        if err.__cause__ is not None:
            raise err.__cause__ from None
        raise


def run(args: Sequence[str]) -> int:
    """Execute one command line, and return its exit code. Errors go to standard error, one line each."""
    failure: BaseException
    try:
        with _warnings(wants_json(args)):
            command = Command.parse(args)
            _perform(command)
            return DONE
    except UsageError as err:
        code, failure = USAGE, err
    except WaitOverError as err:
        code, failure = DEADLINE, err
    except ProgramError as err:
        code, failure = err.status, err
    except SeatKeptError as err:
        code, failure = INTERRUPTED, KeyboardInterrupt(f"interrupted; {err}")
    except KeyboardInterrupt:
        code, failure = INTERRUPTED, KeyboardInterrupt("interrupted")
    except (XlregError, OSError, ValueError) as err:
        code, failure = FAILED, err
    line = _one_line(failure)
    if wants_json(args):
        _write(sys.stderr, _json_line(_error_json(failure, code, line)))
    else:
        _write(sys.stderr, f"xlreg: {line}\n")
    return code


def main() -> NoReturn:
    """Run the program."""
    sys.exit(run(sys.argv[1:]))
