"""Sizes that the protocol fixes (section 1.7).

Each length that comes from a peer is held against one of these before anything
is made of it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

MAX_NAME: Final = 128
"""Characters of a name."""
MAX_ENDPOINT: Final = 261
"""Bytes of one endpoint."""
MAX_ENDPOINTS: Final = 16
"""Endpoints of one token."""
MIN_CLUSTER: Final = 2
MAX_CLUSTER: Final = 64
"""Members of a cluster."""
MAX_TOKEN: Final = 8 << 10
"""Bytes of an encoded token without its certificate."""
MAX_CERTIFICATE: Final = 4 << 10
"""Bytes of a certificate in DER."""


class KeyBounds(NamedTuple):
    """Which RSA keys are accepted."""

    min_bits: int
    max_bits: int
    max_exponent: int


CLASSIC_KEYS: Final = KeyBounds(1024, 8192, 2**31 - 1)
"""Over a classic carrier."""
MODERN_KEYS: Final = KeyBounds(2048, 4096, 65537)
"""Over 2.0, where every reader of a roster verifies with them. Nothing smaller is ever made."""
MIN_EXPONENT: Final = 3
MAX_CLASSIC: Final = 16384
"""Bytes of ciphertext, IV included, of one classic message."""
MAX_REQUEST: Final = 64 << 10
"""Bytes of one 2.0 message from a client."""
MAX_REPLY: Final = 4 << 20
"""Bytes of one 2.0 message from a server."""
DEFAULT_PORT: Final = 56789
