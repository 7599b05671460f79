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

      # MemberSpecs and Tokens.
      NESTED = [11, 21].freeze

      # Looks at a message before it is decoded, when it still takes no more than its bytes. Groups, which
      # no message here has, are refused: a decoder keeps those that it does not know, however deep.
      # @param data [String] an encoded message
      # @param depth [Integer] how many levels of messages may lie in it
      # @raise [ProtocolError] there is no end to what would come of it
      def self.check(data, depth: 1)
        scan = new
        scan.whole?(data)
        raise ProtocolError, 'not an XLRegMsg' if scan.broken?
        return unless depth.positive?

        count = scan.nested.size
        raise ProtocolError, "more than #{Limits::MAX_CLUSTER} tokens" if count > Limits::MAX_CLUSTER

        scan.nested.each { |inner| check(inner, depth: depth - 1) }
      end

      # Looks at a message that travels inside a bytes field.
      # @param data [String]
      # @raise [ProtocolError] it does not parse, or has groups
      def self.check_nested(data)
        scan = new
        scan.whole?(data)
        raise ProtocolError, 'does not parse' unless scan.done?(data)
      end

      # @param data [String]
      # @return [Boolean] whether it ends where a field does
      def done?(data) = !broken? && @done == data.bytesize

      # @return [Array<String>] the messages that lie in the message
      attr_reader :nested

      def initialize
        @done = 0
        @op = false
        @nested = []
        @broken = false
      end

      # @return [Boolean] whether no message goes on like this
      def broken? = @broken

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

        behind = skip(data, at, kind)
        note(number, kind, data, at...behind) if behind.is_a?(Integer)
        behind
      end

      def note(number, kind, data, place)
        @op ||= number == 1 && kind == VARINT
        return unless kind == BYTES && NESTED.include?(number)

        _, content = varint(data, place.begin)
        @nested << data.byteslice(content...place.end)
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
