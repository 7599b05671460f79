# frozen_string_literal: true

module Xlreg
  # Tries something again, in a new session, as long as that can help: until it is done, until time is up,
  # or until the registry refuses for good.
  # @api private
  class Persistence
    FIRST_PAUSE = 0.05
    MOST_PAUSE = 1.0
    LONGEST_RETRY = 60.0 # however long a registry says to wait
    STEADY = 10.0 # after a session that lasted so long the pauses begin anew
    # These may be gone in another session: the connection broke, or the registry says to come back
    # later. A registry that refuses the node's certificate will again.
    RETRYABLE = [SessionEndedError, TryLaterError, TooManyRequestsError].freeze
    private_constant :FIRST_PAUSE, :MOST_PAUSE, :LONGEST_RETRY, :STEADY, :RETRYABLE

    # @param limit [Limit]
    # @param incomplete [Proc] makes the error of having run out of time from the one that came last
    # @param tell [Proc] told of each error that is tried again
    def initialize(limit, incomplete:, tell:)
      @limit = limit
      @incomplete = incomplete
      @tell = tell
      @backoff = Backoff.new(FIRST_PAUSE, MOST_PAUSE)
    end

    # Runs the block until it succeeds, and returns what it does.
    # @raise [Error] one that another session cannot mend
    def run
      loop do
        began = @limit.now
        return yield
      rescue Error => e
        raise @incomplete.call(e) if @limit.over? || e.is_a?(IncompleteError)
        raise unless RETRYABLE.any? { |kind| e.is_a?(kind) }

        @tell.call(e)
        @backoff.reset if @limit.now - began > STEADY
        raise @incomplete.call(e) unless @backoff.pause(@limit, least: retry_after(e))
      end
    end

    private

    def retry_after(error) = error.is_a?(RegistryError) ? [error.retry_after, LONGEST_RETRY].min : 0.0
  end
end
