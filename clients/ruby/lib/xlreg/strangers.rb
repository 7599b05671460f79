# frozen_string_literal: true

module Xlreg
  # Those who answer at the address of a registry that a client was with before, because the address was given to
  # another machine, for example. A new client is told so and stops. This one goes on: otherwise whoever has the address
  # for a second would rid the registry of everybody who follows it. Nothing that the other one says is believed. It is
  # asked seldom, and told of once.
  # @api private
  class Strangers
    FIRST_PAUSE = 1.0
    private_constant :FIRST_PAUSE

    # @param error [Error]
    # @return [HandshakeError, nil] what it says of somebody else at one of the registry's addresses
    def self.in(error)
      failures = error.is_a?(UnreachableError) ? error.failures : [error]
      failures.find do |failure|
        failure.is_a?(NotARegistryError) || (failure.is_a?(UntrustedError) && !failure.is_a?(ClockError))
      end
    end

    # @param longest [Float] seconds of the longest pause
    # @param tell [Proc, nil] told of the first, and with nil when the registry is back
    def initialize(longest, tell = nil)
      @longest = longest
      @tell = tell
      @lease = @backoff = nil # no backoff: the registry itself was the last to answer
    end

    # @return [Numeric, nil] seconds of the lease of the client's seat
    attr_writer :lease

    # Takes note of an error, and tells of it if it is the first.
    # @return [Boolean] whether it says that somebody else answers
    def meet?(error)
      stranger = Strangers.in(error) or return false
      return true if @backoff

      @backoff = Backoff.new([FIRST_PAUSE, @longest].min, most)
      @tell&.call(stranger)
      true
    end

    # Waits until the registry is worth another look.
    # @return [Boolean] false if the limit ended first
    def pause(limit) = @backoff.pause(limit)

    # If a stranger was the last to answer, sees whether the registry is back, without saying who asks: OpenSSL shows a
    # client's certificate before this client can judge the other end.
    # @param options [Options]
    # @raise [Error] it is not
    def look(options, limit)
      Dialogue.open(options.with(unnamed: true), limit, once: true) { nil } if @backoff
    end

    # Notes that the registry has proved its identity.
    def gone
      return unless @backoff

      @backoff = nil
      @tell&.call(nil)
    end

    private

    # A registry that is started again gives each lease a whole term, in which the client has to come back.
    def most = @lease ? [@longest, [FIRST_PAUSE, @lease / 3.0].max].min : @longest
  end
end
