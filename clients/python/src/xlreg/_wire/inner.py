"""The messages that travel inside bytes fields: they are kept, signed and handed on as they came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from .. import limits
from .._errors import AdmissionRefusedError, BadSignatureError, IllFormedTokenError, XlregError
from ..owning import NO_INVITE, Admission, Invite, Order
from ..vocabulary import ClusterKey, check_name
from . import xlreg_pb2 as pb
from .scan import has_group

_M = TypeVar("_M", bound=Message)


class _BrokenError(Exception):
    """Bytes that are no message."""


def _parse(data: bytes, into: _M) -> _M:
    if has_group(data):
        raise _BrokenError
    try:
        into.ParseFromString(data)
    except (DecodeError, ValueError):
        raise _BrokenError from None
    return into


def decode_labels(data: bytes) -> dict[str, bytes]:
    """Read field 17 of a token; their order is that of their keys.

    Raises:
        IllFormedTokenError: They break a form or a limit.
    """
    try:
        raw = _parse(data, pb.Labels())
    except _BrokenError:
        raise IllFormedTokenError("labels do not parse") from None
    pairs = [(label.Key, label.Value) for label in raw.Label]
    check_labels(pairs)
    return dict(pairs)


def check_labels(pairs: list[tuple[str, bytes]]) -> None:
    """Hold labels against their form and limits (section 1.8).

    Raises:
        IllFormedTokenError: They break one.
    """
    if len(pairs) > limits.MAX_LABELS:
        raise IllFormedTokenError(f"{len(pairs)} labels, at most {limits.MAX_LABELS} allowed")
    for key, _ in pairs:
        try:
            check_name(key if isinstance(key, str) else "")
        except XlregError as err:
            raise IllFormedTokenError(f"label: {err}") from None
    size = sum(len(key) + len(value) for key, value in pairs)
    if size > limits.MAX_LABELS_SIZE:
        raise IllFormedTokenError(f"labels of {size} bytes, at most {limits.MAX_LABELS_SIZE} allowed")
    keys = [key for key, _ in pairs]
    if keys != sorted(set(keys)):
        raise IllFormedTokenError("labels that are not sorted, or there twice")


def encode_labels(labels: Mapping[str, bytes]) -> bytes:
    """Return labels as they travel.

    Raises:
        IllFormedTokenError: They break a form or a limit.
    """
    pairs = sorted(labels.items())
    check_labels(pairs)
    raw = pb.Labels()
    for key, value in pairs:
        raw.Label.append(pb.Label(Key=key, Value=value))
    return raw.SerializeToString(deterministic=True)


def decode_admission(data: bytes) -> Admission:
    """Read an Admission. Whether it verifies is another question.

    Raises:
        AdmissionRefusedError: It is none.
    """
    try:
        raw = _parse(data, pb.Admission())
    except _BrokenError:
        raise AdmissionRefusedError("ill-formed admission") from None
    if not raw.InviteKey:
        return Admission(raw.Sig)
    invite = Invite(ClusterKey(raw.InviteKey), raw.NotAfterMillis, raw.Uses, raw.InviteSig)
    return Admission(raw.Sig, invite)


def encode_admission(admission: Admission) -> bytes:
    """Return an Admission as it travels."""
    invite = admission.invite
    raw = pb.Admission(Sig=admission.sig)
    if invite != NO_INVITE:
        raw.InviteKey, raw.InviteSig = invite.key, invite.sig
    if invite.not_after:
        raw.NotAfterMillis = invite.not_after
    if invite.uses:
        raw.Uses = invite.uses
    return raw.SerializeToString(deterministic=True)


def decode_order(data: bytes) -> Order:
    """Read an OwnerOrder.

    Raises:
        BadSignatureError: It is none, or lacks what its kind needs.
    """
    try:
        raw = _parse(data, pb.OwnerOrder())
    except _BrokenError:
        raise BadSignatureError("ill-formed order") from None
    order = Order(raw.ClusterID, raw.Serial, raw.Kind, raw.SigKeySum, raw.InviteKey)
    order.check()
    return order


def encode_order(order: Order) -> bytes:
    """Return an OwnerOrder as it travels."""
    raw = pb.OwnerOrder(ClusterID=order.cluster, Serial=order.serial, Kind=order.kind)
    if order.sig_key_sum:
        raw.SigKeySum = order.sig_key_sum
    if order.invite_key:
        raw.InviteKey = order.invite_key
    return raw.SerializeToString(deterministic=True)
