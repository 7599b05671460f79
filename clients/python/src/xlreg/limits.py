"""Sizes that the protocol fixes, and times (section 1.7).

Each length that comes from a peer is held against one of these before anything
is made of it.
"""

from __future__ import annotations

from typing import Final

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
MIN_KEY_BITS: Final = 1024
"""RSA modulus accepted over a classic carrier."""
MIN_KEY_BITS_20: Final = 2048
"""RSA modulus accepted over 2.0, and ever made."""
MAX_KEY_BITS: Final = 8192
MAX_KEY_BITS_20: Final = 4096
"""RSA modulus accepted over 2.0."""
MIN_EXPONENT: Final = 3
MAX_EXPONENT: Final = 2**31 - 1
MAX_EXPONENT_20: Final = 2**16 + 1
"""RSA exponent accepted over 2.0."""
MAX_CLASSIC: Final = 16384
"""Bytes of ciphertext, IV included, of one classic message."""
MAX_REQUEST: Final = 64 << 10
"""Bytes of one 2.0 message from a client."""
MAX_REPLY: Final = 4 << 20
"""Bytes of one 2.0 message from a server."""
DEFAULT_PORT: Final = 56789
MESSAGE_SECONDS: Final = 10.0
"""From a message's first byte to its last, and for a peer to take one."""
