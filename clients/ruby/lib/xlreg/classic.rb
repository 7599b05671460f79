# frozen_string_literal: true

module Xlreg
  # Hello and its reply, with which a classic session begins (sections 3.2 and 3.3).
  #
  # The classic carriers encrypt, and that is all: nothing detects a message that was changed, replayed
  # or dropped, and anyone who learns the registry's comms key later can read every session ever recorded.
  module Classic
    BLOCK = 16
    KEY = 32
    SALT = 8
    # Bytes of a Hello's plaintext.
    HELLO18 = 60
    HELLO19 = 44
    # How a TLS record and, in one or more of them, a ClientHello begin (section 3.1).
    TLS_HEADER = "\x16\x03".b.freeze
    TLS_HEADER_LENGTH = 5
    CLIENT_HELLO = [0x01, nil, nil, nil, 0x03, 0x03].freeze
    private_constant :TLS_HEADER, :TLS_HEADER_LENGTH, :CLIENT_HELLO

    module_function

    # @param first [String] a connection's first bytes
    # @return [Symbol] :tls, :classic, or :undecided while they could be either's
    def carrier(first)
      at = left = 0 # the next byte; how many bytes of its record are still to come
      CLIENT_HELLO.each do |want|
        if left.zero?
          left = record_length(first.byteslice(at, TLS_HEADER_LENGTH) || '')
          return left if left.is_a?(Symbol)

          at += TLS_HEADER_LENGTH
        end
        return :undecided if at >= first.bytesize
        return :classic if want && first.getbyte(at) != want

        at += 1
        left -= 1
      end
      :tls
    end

    # @param header [String] of a TLS record, as far as it has come
    # @return [Integer, Symbol] how many bytes follow it, or what the carrier is without it
    def record_length(header)
      return :classic unless TLS_HEADER.start_with?(header.byteslice(0, TLS_HEADER.bytesize))
      return :undecided if header.bytesize < TLS_HEADER_LENGTH

      length = header.unpack1('x3n')
      length.zero? ? CLIENT_HELLO.size : length
    end

    # @param text [String]
    # @return [String] text with the padding of PKCS #7
    def pad(text)
      count = BLOCK - (text.bytesize % BLOCK)
      text + ([count] * count).pack('C*')
    end

    # @param text [String] whole blocks
    # @return [String, nil] them without their padding; nil if that is not right
    def unpad(text)
      count = text.empty? ? 0 : text.getbyte(-1)
      return unless count.between?(1, BLOCK) && text.end_with?(([count] * count).pack('C*'))

      text.byteslice(0, text.bytesize - count)
    end

    # @return [OpenSSL::Cipher] AES-256 in CBC mode, without padding of its own
    def cipher(way, key, iv)
      OpenSSL::Cipher.new('aes-256-cbc').public_send(way).tap do |cipher|
        cipher.key = key
        cipher.iv = iv
        cipher.padding = 0
      end
    end

    # @param text [String] whole blocks, at least one
    # @return [String]
    def encrypt(key, iv, text) = cipher(:encrypt, key, iv).update(text)

    # @param data [String] whole blocks, at least one
    # @return [String]
    def decrypt(key, iv, data) = cipher(:decrypt, key, iv).update(data)

    # A registry's answer to a Hello, and what its plaintext holds. iv2 is of 1.8 only.
    HelloReply = Struct.new(:protocol, :key2, :salt2, :version2, :iv2, keyword_init: true) do
      include Value

      # @param protocol [Protocol]
      # @return [HelloReply] one of random values
      def self.make(protocol)
        iv2 = protocol == Protocol::V18 ? OpenSSL::Random.random_bytes(BLOCK) : ''.b
        new(protocol: protocol, key2: OpenSSL::Random.random_bytes(KEY),
            salt2: OpenSSL::Random.random_bytes(SALT), version2: protocol.version.to_i, iv2: iv2)
      end

      # @return [String] does not show the key
      def inspect = "#<#{self.class} #{protocol}>"
    end

    # What a client says first, and what its plaintext holds. iv1 is of 1.8 only.
    Hello = Struct.new(:protocol, :key1, :salt1, :version1, :iv1, keyword_init: true) do
      include Value

      # @param protocol [Protocol]
      # @return [Hello] one of random values, that proposes version 0 as deployed clients do
      def self.make(protocol)
        iv1 = protocol == Protocol::V18 ? OpenSSL::Random.random_bytes(BLOCK) : ''.b
        new(protocol: protocol, key1: OpenSSL::Random.random_bytes(KEY),
            salt1: OpenSSL::Random.random_bytes(SALT), version1: 0, iv1: iv1)
      end

      # @param text [String] a plaintext, whose length tells the generation
      # @return [Hello]
      # @raise [HandshakeError] it has another length
      def self.parse(text)
        generation = { HELLO18 => Protocol::V18, HELLO19 => Protocol::V19 }[text.bytesize]
        raise HandshakeError, "hello of #{text.bytesize} bytes" unless generation

        iv1 = text.byteslice(0, text.bytesize - HELLO19)
        key1, salt1, version1 = text.byteslice(iv1.bytesize, HELLO19).unpack('a32a8V')
        new(protocol: generation, key1: key1, salt1: salt1, version1: version1, iv1: iv1)
      end

      # @param ciphertext [String] a Hello as it came
      # @param key [OpenSSL::PKey::RSA] the registry's private comms key
      # @return [Hello]
      # @raise [HandshakeError] it does not decrypt, or has another length
      def self.decrypt(ciphertext, key)
        parse(key.private_decrypt(ciphertext, OpenSSL::PKey::RSA::PKCS1_OAEP_PADDING))
      rescue OpenSSL::PKey::PKeyError
        raise HandshakeError, 'hello does not decrypt'
      end

      # @return [String] the plaintext
      def text = iv1 + key1 + salt1 + [version1].pack('V')

      # @param key [OpenSSL::PKey::RSA] the registry's comms key
      # @return [String] the Hello as it travels
      def encrypt(key) = key.public_encrypt(text, OpenSSL::PKey::RSA::PKCS1_OAEP_PADDING)

      # @return [Integer] how many bytes answer this Hello
      def reply_length = protocol == Protocol::V18 ? 80 : 64

      # @param reply [HelloReply]
      # @return [String] its plaintext. Only that of 1.8 repeats the salt.
      def reply_text(reply)
        repeated = protocol == Protocol::V18 ? salt1 : ''.b
        reply.iv2 + reply.key2 + reply.salt2 + repeated + [reply.version2].pack('V')
      end

      # @param reply [HelloReply]
      # @param iv [String] in 1.9, under which it is encrypted
      # @return [String] the answer as it travels
      def seal(reply, iv: OpenSSL::Random.random_bytes(BLOCK))
        text = Classic.pad(reply_text(reply))
        protocol == Protocol::V18 ? Classic.encrypt(key1, iv1, text) : iv + Classic.encrypt(key1, iv, text)
      end

      # @param data [String] the answer as it came
      # @return [HelloReply]
      # @raise [HandshakeError] it does not answer this Hello; not said is why
      def open(data)
        reply = open_any(data) if data.bytesize == reply_length
        # It does not say what was wrong, which would help nobody but an attacker.
        reply or raise HandshakeError, 'hello reply does not answer this hello'
      end

      # @return [String] does not show the key
      def inspect = "#<#{self.class} #{protocol}>"

      private

      def open_any(data)
        return open18(Classic.unpad(Classic.decrypt(key1, iv1, data))) if protocol == Protocol::V18

        iv = data.byteslice(0, BLOCK)
        open19(Classic.unpad(Classic.decrypt(key1, iv, data.byteslice(BLOCK..))))
      end

      def open18(text)
        return unless text && text.bytesize == BLOCK + KEY + (2 * SALT) + 4

        iv2, key2, salt2, repeated, version2 = text.unpack('a16a32a8a8V')
        return unless repeated == salt1

        HelloReply.new(protocol: protocol, key2: key2, salt2: salt2, version2: version2, iv2: iv2)
      end

      def open19(text)
        return unless text && text.bytesize == KEY + SALT + 4

        key2, salt2, version2 = text.unpack('a32a8V')
        HelloReply.new(protocol: protocol, key2: key2, salt2: salt2, version2: version2, iv2: ''.b)
      end
    end
  end
end
