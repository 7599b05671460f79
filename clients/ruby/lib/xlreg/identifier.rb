# frozen_string_literal: true

module Xlreg
  # 20 or 32 random bytes; as text, hex (section 1.1). An ID of one kind never equals one of another.
  class Identifier
    # @return [String] the bytes
    attr_reader :bytes

    # @param bytes [String] 20 or 32 of them
    # @raise [IDError] they are no ID
    def initialize(bytes)
      raise IDError, "ill-formed ID: #{bytes.bytesize} bytes, want 20 or 32" unless [20, 32].include?(bytes.bytesize)

      @bytes = bytes.b.freeze
      freeze
    end

    # @param text [String] 40 or 64 hex digits of either case
    # @return [Identifier]
    # @raise [IDError] it is none
    def self.parse(text)
      unless /\A(?:\h{40}|\h{64})\z/.match?(text.scrub('?'))
        raise IDError, "ill-formed ID: #{Text.quote(text)} is not 40 or 64 hex digits"
      end

      new([text].pack('H*'))
    end

    # @return [String] lower-case hex
    def to_s = bytes.unpack1('H*')

    # @return [String]
    def inspect = "#<#{self.class} #{self}>"

    # @param other [Object]
    # @return [Boolean]
    def ==(other) = other.instance_of?(self.class) && other.bytes == bytes
    alias eql? ==

    # @return [Integer]
    def hash = [self.class, bytes].hash
  end

  # Names a node for as long as its registry lives.
  class NodeID < Identifier; end

  # Names a cluster.
  class ClusterID < Identifier; end

  # Names of registries, nodes and clusters (section 1.2).
  module Name
    FORM = /\A[A-Za-z_][A-Za-z0-9_.-]*\z/
    BASE32 = [*'a'..'z', *'2'..'7'].freeze
    MADE_UP_BYTES = 10
    private_constant :FORM, :BASE32, :MADE_UP_BYTES

    # @return [String] a name in the form in which registries make them up: new, distinct and not to be guessed
    def self.made_up
      bits = OpenSSL::Random.random_bytes(MADE_UP_BYTES).unpack1('B*')
      "c-#{bits.scan(/.{5}/).map { |five| BASE32[five.to_i(2)] }.join}"
    end

    # @param name [String]
    # @return [String] name, if it is one: a letter or '_', then letters, digits, '_', '-' and '.'
    # @raise [IllFormedNameError] it is none; the text says why
    def self.check(name)
      raise IllFormedNameError, 'a name cannot be empty' if name.empty?

      if name.size > Limits::MAX_NAME
        raise IllFormedNameError,
              "#{name.size} characters, at most #{Limits::MAX_NAME} allowed"
      end
      return name if name.valid_encoding? && FORM.match?(name)

      raise IllFormedNameError, "#{Text.quote(name)}: want a letter or '_', then letters, digits, '_', '-' and '.'"
    end
  end
end
