# frozen_string_literal: true

module Xlreg
  # The client's end of a session with a registry, without a socket. Bytes that came are given to
  # receive, bytes to send are taken from outgoing, and next_message returns what the registry said.
  #
  #     :shaking ──► :open ──► :ended
  # @api private
  module Session
    # What both kinds have in common.
    class Base
      # @return [Protocol]
      attr_reader :protocol
      # @return [Symbol] where the session stands
      attr_reader :state
      # @return [String] what a classic log-in signs
      attr_reader :salt2

      # @return [RegistryCertificate::Verified, nil] what the registry's certificates said, over 2.0
      attr_reader :verified

      def initialize(protocol)
        @protocol = protocol
        @state = :shaking
        @salt2 = ''.b
        @out = +''.b
        @codec = nil
      end

      # @return [String] does not show the keys
      def inspect = "#<#{self.class} #{protocol} #{state}>"

      # @return [Boolean]
      def open? = state == :open

      # Says a message.
      # @param message [Wire::Message]
      def say(message)
        raise SessionEndedError, 'session is not open' unless open?

        @out << @codec.encode(message)
      end

      # @return [String] the bytes to send, once
      def outgoing = @out.tap { @out = +''.b }

      # @return [Wire::Message, nil] what the registry said next; nil while that is not there
      # @raise [ProtocolError] what came is no message
      def next_message = @codec&.next

      # @return [Boolean] whether a message has begun to come
      def partial? = @codec ? @codec.partial? : false

      # Ends the session, since the registry closed the connection.
      # @raise [HandshakeError] no session had come about
      # @raise [SessionEndedError] it was open
      def closed
        shaking = state == :shaking
        @state = :ended
        raise HandshakeError, 'closed by the registry before there was a session' if shaking

        raise SessionEndedError, 'session closed by the registry'
      end
    end

    # A session over 1.8 or 1.9. It begins with a Hello under the registry's comms key.
    class Classic < Base
      def initialize(protocol, comms_key)
        super(protocol)
        @hello = Xlreg::Classic::Hello.make(protocol)
        @out << @hello.encrypt(PublicKey.parse_rsa(comms_key))
        @reply = +''.b
      end

      # @param data [String] bytes that came
      # @raise [HandshakeError] the answer to the Hello is none
      def receive(data)
        return @codec.feed(data) if @codec

        @reply << data
        length = @hello.reply_length
        begin_with(@hello.open(@reply.byteslice(0, length)), @reply.byteslice(length..)) if @reply.bytesize >= length
      rescue HandshakeError
        @state = :ended
        raise
      end

      private

      def begin_with(reply, rest)
        @codec = Codec::Cipher.new(reply)
        @codec.feed(rest)
        @salt2 = reply.salt2
        @state = :open
      end
    end

    # What goes inside the TLS of a session over 2.0.
    class Modern < Base
      ALPN = 'xlreg/2'

      # @param fingerprint [String] that of the registry's sig key
      # @param sig_key [String, nil] the key itself, if it is known
      # @param succession [Registration, nil] says which key follows that one, if that is known
      def initialize(fingerprint:, sig_key: nil, succession: nil)
        super(Protocol::V20)
        @fingerprint = fingerprint
        @sig_key = sig_key
        @succession = succession if succession&.next
      end

      # Checks that the server is the registry wanted, right after the handshake, before a byte is sent or
      # believed (section 7.2).
      # @param chain [Array<String>] certificates in DER, leaf first
      # @param alpn [String, nil] the protocol agreed
      # @param now [Time]
      # @raise [UntrustedError] it is another
      # @raise [NotARegistryError] it is something else
      def secured(chain:, alpn:, now:)
        raise NotARegistryError, "this is no registry: it speaks TLS, but not #{ALPN}" unless alpn == ALPN

        @verified = verify(chain, now)
        @codec = Codec::Framing.new
        @state = :open
      rescue HandshakeError
        @state = :ended
        raise
      end

      # @param data [String] bytes that came inside TLS
      def receive(data) = @codec.feed(data)

      private

      # A registry whose next key is known is known by that; and as long as the old key has vouched for it, by the
      # old one, too.
      def verify(chain, now)
        return verify_known(chain, now) unless @succession

        RegistryCertificate.check(chain, fingerprint: @succession.next, now: now)
      rescue UntrustedError => e
        raise if @succession.nil? || e.is_a?(ClockError) || now > @succession.next_until

        verify_known(chain, now)
      end

      def verify_known(chain, now)
        RegistryCertificate.check(chain, sig_key: @sig_key, fingerprint: @fingerprint, now: now)
      end
    end
  end
end
