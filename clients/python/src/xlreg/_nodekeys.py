"""The keys of a node that lives in a directory."""

from __future__ import annotations

from . import limits
from ._directory import COMMS, SIG, Directory
from ._errors import NodeError, PublicKeyError
from .keys import DEFAULT_KEY_KIND, Keys, PrivateKey, kind_of, parse_public_key, same_key


def read_key(files: Directory, name: str) -> PrivateKey:
    """Read one of the two keys.

    Raises:
        NodeError: It is not there, or not a key.
    """
    try:
        return files.read_key(name)
    except FileNotFoundError as err:
        raise NodeError(f"{err}: put the key there, or make a new node") from None


def is_modern(keys: Keys) -> bool:
    """Report whether keys are for protocol 2.0."""
    try:
        parse_public_key(keys.sig_key, limits.MODERN_KEYS)
        parse_public_key(keys.comms_key, limits.MODERN_KEYS)
    except PublicKeyError:
        return False
    return True


def fill_keys(files: Directory, keys: Keys | None, kind: str) -> Keys:
    """Return the keys of a new node: those in its directory, those given, or new ones of a kind."""
    comms = _existing_key(files, COMMS, keys.comms if keys else None, kind)
    sig = _existing_key(files, SIG, keys.sig if keys else None, kind)
    if comms is None or sig is None:
        made = keys or Keys.generate(kind or DEFAULT_KEY_KIND)
        if comms is None:
            comms = made.comms
            files.write_key(COMMS, comms)
        if sig is None:
            sig = made.sig
            files.write_key(SIG, sig)
    return Keys(comms, sig)


def _existing_key(files: Directory, name: str, given: PrivateKey | None, kind: str) -> PrivateKey | None:
    """Return the key in a file of a directory that holds no node yet, or None."""
    try:
        key = files.read_key(name)
    except FileNotFoundError:
        return None
    path = files.path / name
    if given is not None and not same_key(given, key):
        raise NodeError(f"{path} is there and holds another key than given: move it away")
    if given is None and kind and kind_of(key) != kind:
        raise NodeError(f"{path} is there and holds a key of kind {kind_of(key)}, not {kind}: move it away")
    return key
