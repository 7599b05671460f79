# frozen_string_literal: true

module Xlreg
  # Sets of indexes (section 4.2), as integers in which bit n stands for index n.
  # @api private
  module Seats
    # Every index that there can be, over a classic carrier and over 2.0.
    CLASSIC = (1 << Limits::MAX_CLUSTER_CLASSIC) - 1
    ALL = (1 << Limits::MAX_CLUSTER) - 1

    module_function

    # @param size [Integer]
    # @return [Integer] the seats of a cluster of so many members
    def below(size) = (1 << size) - 1

    # @param indexes [Array<Integer>]
    # @return [Integer]
    def of(indexes) = indexes.sum { |index| 1 << index }

    # @param set [Integer]
    # @return [Array<Integer>] the indexes in it, the lowest first
    def list(set) = (0...set.bit_length).select { |index| set[index] == 1 }

    # @param bytes [String] as a set travels, the lowest bit and byte first
    # @return [Integer]
    # @raise [ProtocolError] they are more than a set has
    def read(bytes)
      raise ProtocolError, "set of #{bytes.bytesize} bytes" if bytes.bytesize > Limits::MAX_CLUSTER / 8

      bytes.reverse.unpack1('H*').hex
    end

    # @param set [Integer]
    # @return [String] it without zero bytes at the end
    def write(set)
      return ''.b if set.zero?

      hex = set.to_s(16)
      [hex.rjust(hex.size + (hex.size % 2), '0')].pack('H*').reverse
    end
  end
end
