# frozen_string_literal: true

module Xlreg
  # A version a.b.c.d: four numbers of 0 to 255 (section 1.4).
  #
  #     Xlreg::DecimalVersion.parse('1.9.0.0').to_s  # => "1.9"
  class DecimalVersion
    include Comparable

    # @return [Array<Integer>] the four parts
    attr_reader :parts

    # @param parts [Array<Integer>] most significant first; those left out are 0
    # @raise [VersionError] a part is not a number from 0 to 255
    def initialize(*parts)
      unless parts.size <= 4 && parts.all? { |part| part.is_a?(Integer) && part.between?(0, 255) }
        raise VersionError, "version #{parts.inspect}: want numbers from 0 to 255"
      end

      @parts = [*parts, 0, 0, 0, 0].first(4).freeze
      freeze
    end

    # Reads 2 to 4 decimal parts of 0 to 255, separated by dots.
    # @param text [String]
    # @return [DecimalVersion]
    # @raise [VersionError] it is no such text
    def self.parse(text)
      unless /\A\d{1,8}(\.\d{1,8}){1,3}\z/.match?(text.scrub('?'))
        raise VersionError, "version #{Text.quote(text)}: want 2 to 4 numbers from 0 to 255"
      end

      new(*text.split('.').map(&:to_i))
    end

    # @param value [Integer] the number on the wire
    # @return [DecimalVersion]
    def self.from_i(value)
      raise VersionError, "version #{value}: want a number of 32 bits" unless value.between?(0, (2**32) - 1)

      new(*[value].pack('V').bytes)
    end

    # @return [Integer] the number that travels: a + b·2^8 + c·2^16 + d·2^24
    def to_i = parts.pack('C4').unpack1('V')

    # @return [String] the parts with dots between them, less zeros at the end beyond the second
    def to_s = parts.join('.').sub(/\A(\d+\.\d+(?:\.\d+)*?)(?:\.0)*\z/, '\1')

    # @param other [DecimalVersion]
    # @return [Integer, nil]
    def <=>(other) = other.is_a?(DecimalVersion) ? parts <=> other.parts : nil

    # @return [Integer]
    def hash = parts.hash

    # @param other [Object]
    # @return [Boolean]
    def eql?(other) = other.is_a?(DecimalVersion) && parts == other.parts
  end

  # One generation of the wire. 1.8 and 1.9 are the classic ones: they have no integrity check and no
  # forward secrecy, and exist for deployed peers.
  class Protocol
    # @return [String] "1.8", "1.9" or "2.0"
    attr_reader :to_s

    # @param text [String]
    def initialize(text)
      @to_s = text
      freeze
    end
    private_class_method :new

    # The written specification, the Go programs to 1.8.x and the Python code.
    V18 = new('1.8')
    # The Go programs from 1.9.5 on.
    V19 = new('1.9')
    # The one to use.
    V20 = new('2.0')
    # All of them.
    ALL = [V18, V19, V20].freeze

    # @param what [Protocol, String]
    # @return [Protocol] the generation that what names
    # @raise [VersionError] there is no such generation
    def self.of(what)
      ALL.find { |protocol| protocol.to_s == what.to_s } or
        raise VersionError, "protocol #{Text.quote(what)}: want 2.0, 1.9 or 1.8"
    end

    # @return [Boolean] whether it is one of the generations before 2.0
    def classic? = !equal?(V20)

    # @return [DecimalVersion] the version that stands for it
    def version = DecimalVersion.parse(to_s)

    # @return [String]
    def inspect = "#<Xlreg::Protocol #{self}>"
  end
end
