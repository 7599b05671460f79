"""Names for nodes that were given none: this machine's, with digits of the key that tell them apart."""

from __future__ import annotations

import re
import socket

from .keys import fingerprint, parse_fingerprint
from .vocabulary import SigKey

_MOST = 48  # of the 128 characters that a name can have


def host_name(host: str) -> tuple[str, bool]:
    """Make a name of a host's, and tell whether it tells the machine apart from others.

    Names begin with a letter, which those of containers need not.

    Example:
        >>> host_name("3f2a9c1b77de"), host_name("web-1.example.org"), host_name("localhost")
        (('h-3f2a9c1b77de', True), ('web-1', True), ('localhost', False))
    """
    name = re.sub(r"[^A-Za-z0-9_-]", "-", host.partition(".")[0]).strip("-")[:_MOST]
    if not name:
        return "node", False
    return f"h-{name}" if name[0].isdigit() else name, name.lower() != "localhost"


def new_name(key: SigKey, only_here: bool = False) -> str:
    """Return a name for a new node; only_here says that it is the only one of its user on this machine."""
    name, telling = host_name(socket.gethostname())
    if telling and only_here:
        return name
    return f"{name}-{parse_fingerprint(fingerprint(key))[:3].hex()}"
