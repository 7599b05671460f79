# frozen_string_literal: true

module Xlreg
  # How messages travel on each carrier, in bytes: frames over 2.0, ciphertext over the classic ones.
  # Each codec has encode(message), feed(data), next (the next message, or nil while there is none) and
  # partial? (whether a message has begun and not come to its end).
  # @api private
  module Codec
    # Says that a message of a client's own is longer than its carrier takes.
    def self.check_length(text, most)
      return if text.bytesize <= most

      raise ArgumentError, "message of #{text.bytesize} bytes: at most #{most} over this carrier"
    end

    # The codec of 2.0: a message behind its length (section 7.4).
    class Framing
      # The limits are those of a client's end.
      def initialize(read_max: Limits::MAX_REPLY, write_max: Limits::MAX_REQUEST)
        @read_max = read_max
        @write_max = write_max
        @data = +''.b
      end

      # @param message [Wire::Message]
      # @return [String] its frame
      def encode(message)
        text = message.encode
        Codec.check_length(text, @write_max)
        [text.bytesize].pack('N') + text
      end

      # @param data [String] bytes that came
      def feed(data) = @data << data

      # @return [Wire::Message, nil]
      # @raise [ProtocolError] the frame is too long, refused before it is there, or no message
      def next = next_text&.then { |text| Wire::Message.decode(text) }

      # @return [String, nil] the bytes of the next message
      # @raise [ProtocolError] the frame is too long, refused before it is there
      def next_text
        length = @data.unpack1('N') or return
        raise ProtocolError, "frame of #{length} bytes, at most #{@read_max} allowed" if length > @read_max
        return if @data.bytesize < 4 + length

        text = @data.byteslice(4, length)
        @data = @data.byteslice((4 + length)..)
        text
      end

      # @return [Boolean]
      def partial? = !@data.empty?
    end

    # The writing direction of a classic session (sections 3.4, 3.5 and 3.7).
    class Sealer
      # @param key [String] key2
      # @param chain [String] iv2 in 1.8, empty in 1.9
      def initialize(key, chain = '')
        @key = key
        @chain = chain
      end

      # @return [String] does not show the key
      def inspect = "#<#{self.class}>"

      # @param text [String] a message
      # @param iv [String] in 1.9, under which it is encrypted
      # @return [String] what travels of it, in one piece
      def seal(text, iv: OpenSSL::Random.random_bytes(Classic::BLOCK))
        head = @chain.empty? ? iv : ''.b
        Codec.check_length(text, Limits::MAX_CLASSIC - head.bytesize - 1)
        data = Classic.encrypt(@key, @chain.empty? ? iv : @chain, Classic.pad(text))
        @chain = data.byteslice(-Classic::BLOCK, Classic::BLOCK) unless @chain.empty?
        head + data
      end
    end

    # The reading direction of a classic session. A message has no length (section 3.6): at each block
    # it is asked whether this is its end. What never will be a message is dropped without a word, and
    # goes on to be until the peer stops sending or time is up: whatever was wrong, it looks the same.
    class Opener
      # @param key [String] key2
      # @param chain [String] iv2 in 1.8, empty in 1.9
      def initialize(key, chain = '')
        @key = key
        @chain = chain
        @data = +''.b # of the message under way and behind it, as it came
        @lost = false
        reset
      end

      # @return [String] does not show the key
      def inspect = "#<#{self.class}>"

      # @param data [String] bytes that came
      def feed(data) = @lost || (@data << data)

      # @return [Boolean]
      def partial? = @lost || !@data.empty?

      # @return [Array(Wire::Message, String), nil] the next message and its plaintext
      def next
        while !@lost && decrypt_block
          text = Classic.unpad(@text)
          return finish(text) if text && @scan.whole?(text)
        end
      end

      private

      def reset
        @cipher = nil # before the first whole block
        @used = 0 # of the data: the IV, and what is decrypted
        @text = +''.b # decrypted, padding included
        @scan = Wire::Scan.new
      end

      # Decrypts one more block; the one behind a message's end is chained otherwise.
      def decrypt_block
        return false unless @cipher || start

        lose if @used >= Limits::MAX_CLASSIC
        block = @data.byteslice(@used, Classic::BLOCK)
        return false if block.nil? || block.bytesize < Classic::BLOCK

        @text << @cipher.update(block)
        @used += Classic::BLOCK
        true
      end

      def start
        head = @chain.empty? ? Classic::BLOCK : 0
        return if @data.bytesize < head + Classic::BLOCK

        @cipher = Classic.cipher(:decrypt, @key, @chain.empty? ? @data.byteslice(0, head) : @chain)
        @used = head
        true
      end

      def finish(text)
        message = Wire::Message.decode(text)
        @chain = @data.byteslice(@used - Classic::BLOCK, Classic::BLOCK) unless @chain.empty?
        @data = @data.byteslice(@used..)
        reset
        [message, text]
      rescue ProtocolError
        lose
        nil
      end

      def lose
        @lost = true
        @data.clear
      end
    end

    # The codec of both classic carriers.
    class Cipher
      # @param reply [Classic::HelloReply]
      def initialize(reply)
        @sealer = Sealer.new(reply.key2, reply.iv2)
        @opener = Opener.new(reply.key2, reply.iv2)
      end

      # @param message [Wire::Message]
      # @return [String] what travels of it
      def encode(message) = @sealer.seal(message.encode)

      # @param data [String] bytes that came
      def feed(data) = @opener.feed(data)

      # @return [Wire::Message, nil]
      def next = @opener.next&.first

      # @return [Boolean]
      def partial? = @opener.partial?
    end
  end
end
