# frozen_string_literal: true

module Xlreg
  # Sizes that the protocol fixes (section 1.7). Each length that comes from a peer is
  # held against one of these before anything is made of it.
  module Limits
    # Characters of a name.
    MAX_NAME = 128
    # Bytes of one endpoint.
    MAX_ENDPOINT = 261
    # Endpoints of one token.
    MAX_ENDPOINTS = 16
    # Members of a cluster, at least.
    MIN_CLUSTER = 2
    # Members of a cluster, at most.
    MAX_CLUSTER = 1024
    # Members of a cluster that classic carriers can show or make.
    MAX_CLUSTER_CLASSIC = 64
    # Bytes of a cluster's public key, and of an invite's.
    CLUSTER_KEY = 32
    # Bytes of what names a start of a program, at most.
    MAX_RUN = 32
    # How many keys an invite with a bound can admit.
    MAX_USES = 1000
    # Bytes of an encoded token without its Certificate, over a classic carrier.
    MAX_TOKEN_CLASSIC = 8 << 10
    # Bytes of an encoded token without its Certificate, over 2.0.
    MAX_TOKEN = 12 << 10
    # Bytes of the owner's leave in a member's token.
    MAX_ADMISSION = 512
    # Bytes of a certificate in DER.
    MAX_CERTIFICATE = 4 << 10
    # Bits of an RSA modulus accepted over a classic carrier.
    MIN_KEY_BITS = 1024
    # Bits of an RSA modulus accepted over 2.0, and ever made.
    MIN_KEY_BITS_MODERN = 2048
    # Bits of an RSA modulus, at most.
    MAX_KEY_BITS = 8192
    # Bits of an RSA modulus over 2.0, at most. Those whose signatures are verified choose the key, and with it
    # what that costs.
    MAX_KEY_BITS_MODERN = 4096
    # The least RSA exponent.
    MIN_EXPONENT = 3
    # The greatest RSA exponent.
    MAX_EXPONENT = (2**31) - 1
    # The greatest RSA exponent over 2.0.
    MAX_EXPONENT_MODERN = 65_537
    # Bytes of ciphertext, IV included, of one classic message.
    MAX_CLASSIC = 16_384
    # Bytes of one 2.0 message from a client.
    MAX_REQUEST = 64 << 10
    # Bytes of one 2.0 message from a server.
    MAX_REPLY = 4 << 20
    # The port of a registry that names none.
    DEFAULT_PORT = 56_789
  end
end
