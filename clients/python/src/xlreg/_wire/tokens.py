"""Tokens: from the wire to the noun and back."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from .. import limits
from ..errors import FormatError, IllFormedTokenError
from ..version import Protocol
from ..vocabulary import CommsKey, NodeAttrs, NodeID, SigKey, Token, check_token_form
from . import xlreg_pb2 as pb
from .inner import decode_labels

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def text_of(value: str | bytes) -> str:
    """Return a string field. One that is not UTF-8 comes as bytes, or not at all."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def time_of(millis: int) -> datetime | None:
    """Return the time that a field holds; None for none, or one that no calendar has."""
    try:
        return _EPOCH + timedelta(milliseconds=millis) if millis else None
    except OverflowError:
        return None


def token_of(raw: pb.Token, protocol: Protocol, added: int = 0) -> Token:
    """Convert a token as it came, and hold it against every limit but those on keys.

    A registry may have added so many bytes to what a client may send.

    Raises:
        IllFormedTokenError: It breaks a limit.
    """
    _check_size(raw, protocol, added)
    name = text_of(raw.Name)
    endpoints = check_token_form(name, map(text_of, raw.MyEnds))
    try:
        node_id = NodeID(raw.ID) if raw.ID else None
    except FormatError as err:
        raise IllFormedTokenError(str(err)) from None
    token = Token(
        name=name,
        comms_key=CommsKey(raw.CommsKey),
        sig_key=SigKey(raw.SigKey),
        endpoints=endpoints,
        attrs=NodeAttrs(raw.Attrs),
        id=node_id,
        digsig=raw.DigSig or None,
        digsig2=raw.DigSig2 or None,
        certificate=raw.Certificate or None,
        joined=time_of(raw.JoinedMillis),
    )
    return token if protocol.classic else _with_modern(token, raw)


def _with_modern(token: Token, raw: pb.Token) -> Token:
    """Add the fields that are not looked at over a classic carrier."""
    decode_labels(raw.Labels)
    values = vars(token) | {
        "comms_sig": raw.CommsSig or None,
        "labels": raw.Labels,
        "admission": raw.Admission,
        "lease": raw.LeaseMillis / 1000,
        "seen": time_of(raw.SeenMillis),
        "run": raw.Run,
    }
    return Token(**values)


def _check_size(raw: pb.Token, protocol: Protocol, added: int) -> None:
    if len(raw.Certificate) > limits.MAX_CERTIFICATE:
        raise IllFormedTokenError(
            f"certificate of {len(raw.Certificate)} bytes, at most {limits.MAX_CERTIFICATE} allowed"
        )
    alone = pb.Token(Certificate=raw.Certificate) if raw.HasField("Certificate") else pb.Token()
    size = raw.ByteSize() - alone.ByteSize()
    most = limits.MAX_CLASSIC_TOKEN if protocol.classic else limits.MAX_TOKEN
    if size > most + added:
        raise IllFormedTokenError(f"{size} bytes, at most {most} allowed")


def seated_message(token: Token) -> pb.Token:
    """Return a token as a registry sends it, with what it says of the seat."""
    raw = token_message(token)
    raw.ClearField("DigSig")
    if token.joined is not None:
        raw.JoinedMillis = _millis(token.joined)
    if token.admission:
        raw.Admission = token.admission
    if token.lease:
        raw.LeaseMillis = round(token.lease * 1000)
    if token.seen is not None:
        raw.SeenMillis = _millis(token.seen)
    if token.run:
        raw.Run = token.run
    return raw


def _millis(when: datetime) -> int:
    return round((when - _EPOCH) / timedelta(milliseconds=1))


def token_message(token: Token) -> pb.Token:
    """Return a token as a client sends it, without what only a registry says."""
    raw = pb.Token(Name=token.name, Attrs=token.attrs, CommsKey=token.comms_key, SigKey=token.sig_key)
    raw.MyEnds.extend(token.endpoints)
    if token.id is not None:
        raw.ID = token.id
    if token.digsig is not None:
        raw.DigSig = token.digsig
    if token.digsig2 is not None:
        raw.DigSig2 = token.digsig2
    if token.certificate is not None:
        raw.Certificate = token.certificate
    if token.comms_sig is not None:
        raw.CommsSig = token.comms_sig
    if token.labels:
        raw.Labels = token.labels
    return raw
