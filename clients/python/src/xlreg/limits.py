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
MAX_CLUSTER: Final = 1024
"""Members of a cluster."""
MAX_CLASSIC_CLUSTER: Final = 64
"""Members of a cluster that exists over a classic carrier."""
MAX_SET: Final = MAX_CLUSTER // 8
"""Bytes of a set of indexes."""
MAX_TOKEN: Final = 12 << 10
"""Bytes of an encoded token without its Certificate."""
MAX_CLASSIC_TOKEN: Final = 8 << 10
"""The same over a classic carrier."""
MAX_CERTIFICATE: Final = 4 << 10
"""Bytes of a certificate in DER, and of a token's Certificate."""
MAX_LABELS: Final = 32
"""Labels of one token."""
MAX_LABELS_SIZE: Final = 2048
"""Bytes of their keys and values together."""
MAX_RUN: Final = 32
"""Bytes of a run."""
MAX_USES: Final = 1000
"""How many keys an invite can admit, unless it admits any number."""


class KeyBounds(NamedTuple):
    """Which keys are accepted: how large RSA keys may be, and whether keys on P-256 are."""

    min_bits: int
    max_bits: int
    max_exponent: int
    p256: bool


ANY_KEYS: Final = KeyBounds(1024, 8192, 2**31 - 1, p256=True)
"""Anywhere."""
CLASSIC_KEYS: Final = ANY_KEYS._replace(p256=False)
"""Over a classic carrier, and in credentials."""
MODERN_KEYS: Final = KeyBounds(2048, 4096, 65537, p256=True)
"""Over 2.0, where every reader of a roster verifies with them. No smaller RSA key is ever made."""
MIN_EXPONENT: Final = 3
MAX_CLASSIC: Final = 16384
"""Bytes of ciphertext, IV included, of one classic message."""
MAX_REQUEST: Final = 64 << 10
"""Bytes of one 2.0 message from a client."""
MAX_REPLY: Final = 4 << 20
"""Bytes of one 2.0 message from a server."""
DEFAULT_PORT: Final = 56789
