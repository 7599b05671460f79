# frozen_string_literal: true

module Xlreg
  module Wire
    # Follows an encoded message that is still arriving and has no length of its own, without decoding
    # it. It tells at which lengths the message can be whole, and looks at each byte once, however
    # often it is asked.
    # @api private
    class Scan
      VARINT = 0
      FIXED64 = 1
      BYTES = 2
      FIXED32 = 5
      MAX_NUMBER = (1 << 29) - 1
      # The value that is cut short.
      SHORT = :short

      # @return [Integer] how many Tokens there were at the top
      attr_reader :tokens

      # @param data [String] an encoded message
      # @return [Scan] what there is to say of it, up to where it is broken
      def self.all(data) = new.tap { |scan| scan.whole?(data) }

      # @return [Boolean] no message begins like this
      def broken? = @broken

      def initialize
        @done = 0
        @op = false
        @tokens = 0
        @broken = false
      end

      # Reports whether data can be a whole message with an Op. It begins with that of every earlier
      # call. False is certain. True is for the decoder to confirm, and if that refuses data, it
      # refuses everything that begins with it.
      # @param data [String]
      # @return [Boolean]
      def whole?(data)
        while @done < data.bytesize && !@broken
          found = step(data)
          return false if found == SHORT

          found ? @done = found : @broken = true
        end
        @op && !@broken && @done == data.bytesize
      end

      private

      # Returns the place behind the next field, SHORT, or nil if no message goes on like this.
      def step(data)
        tag, at = varint(data, @done)
        return tag unless at

        number = tag >> 3
        kind = tag & 7
        return unless number.between?(1, MAX_NUMBER)

        behind = skip(data, at, kind) # no message has groups, which nest without bound
        note(number, kind) if behind.is_a?(Integer)
        behind
      end

      def note(number, kind)
        @op ||= number == 1 && kind == VARINT
        @tokens += 1 if number == 21 && kind == BYTES
      end

      def skip(data, at, kind)
        behind = case kind
                 when VARINT then return varint(data, at).then { |value, place| place || value }
                 when BYTES then behind_bytes(data, at)
                 when FIXED64 then at + 8
                 when FIXED32 then at + 4
                 end
        behind.is_a?(Integer) && behind > data.bytesize ? SHORT : behind
      end

      def behind_bytes(data, at)
        length, behind = varint(data, at)
        behind ? behind + length : length
      end

      # Returns the varint and the place behind it; SHORT alone if it is cut short, nil if it is none.
      def varint(data, at)
        value = 0
        10.times do |i|
          byte = data.getbyte(at + i) or return SHORT
          value |= (byte & 0x7F) << (7 * i)
          next if byte >= 0x80

          return value < 1 << 64 ? [value, at + i + 1] : nil
        end
        nil
      end
    end
  end
end
