# frozen_string_literal: true

module Xlreg
  # Tries something again in a new session for as long as that can help: until it succeeds, until time is up,
  # or until the registry refuses for good.
  # @api private
  class Persistence
    FIRST_PAUSE = 0.05
    MOST_PAUSE = 1.0
    LONGEST_RETRY = 60.0 # however long a registry says to wait
    STEADY = 10.0 # after a session that lasted so long the pauses begin anew
    # Another session may not run into these: the registry was not reached, the connection broke, or the registry
    # said to come back later. A registry that refuses the node's certificate will do so again.
    RETRYABLE = [UnreachableError, SessionEndedError, TryLaterError, TooManyRequestsError, RegistryFullError].freeze
    # A classic carrier does not detect damage, so there a message that makes no sense may be a damaged one.
    DAMAGED = [ProtocolError, IllFormedTokenError, BadSignatureError].freeze
    private_constant :FIRST_PAUSE, :MOST_PAUSE, :LONGEST_RETRY, :STEADY, :RETRYABLE, :DAMAGED

    # @param limit [Limit]
    # @param classic [Boolean] whether the sessions are over a classic carrier
    # @param incomplete [Proc] makes the error of having run out of time from the one that came last
    # @param tell [Proc] told of each error that is tried again
    # @param met [Proc] tells whether the registry has answered before. If something else answers after that, a
    #   proxy for example, the registry may come back.
    def initialize(limit, incomplete:, tell:, met:, classic: false)
      @limit = limit
      @retryable = classic ? RETRYABLE + DAMAGED : RETRYABLE
      @incomplete = incomplete
      @tell = tell
      @met = met
      @backoff = Backoff.new(FIRST_PAUSE, MOST_PAUSE)
    end

    # Runs the block until it succeeds, and returns what it does.
    # @raise [Error] one that another session cannot mend
    def run
      began = @limit.now
      yield
    rescue Error => e
      raise @incomplete.call(e) if @limit.over? || e.is_a?(IncompleteError)
      raise unless retryable?(e)

      prepare(e, lasted: @limit.now - began)
      retry
    end

    private

    def retryable?(error)
      @retryable.any? { |kind| error.is_a?(kind) } || (error.is_a?(NotARegistryError) && @met.call)
    end

    # Tells of an error, and lets some time pass before the next try.
    def prepare(error, lasted:)
      @tell.call(error)
      @backoff.reset if lasted > STEADY
      raise @incomplete.call(error) unless @backoff.pause(@limit, least: retry_after(error))
    end

    def retry_after(error) = error.is_a?(RegistryError) ? [error.retry_after, LONGEST_RETRY].min : 0.0
  end
end
