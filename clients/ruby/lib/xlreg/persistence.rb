# frozen_string_literal: true

module Xlreg
  # Tries something again in a new session for as long as that can help: until it succeeds, until time is up,
  # or until the registry refuses for good.
  # @api private
  class Persistence
    FIRST_PAUSE = 0.05
    MOST_PAUSE = 1.0
    STEADY = 10.0 # after a session that lasted so long the pauses begin anew
    # Another session may not run into these: the registry was not reached, the connection broke, or the registry
    # said to come back later. A registry that refuses the node's certificate will do so again.
    RETRYABLE = [UnreachableError, SessionEndedError, TryLaterError, TooManyRequestsError, RegistryFullError].freeze
    # A classic carrier does not detect damage, so there a message that makes no sense may be a damaged one.
    DAMAGED = [ProtocolError, IllFormedTokenError, BadSignatureError].freeze
    private_constant :STEADY, :RETRYABLE, :DAMAGED

    # @param limit [Limit]
    # @param route [Route] of the registry that the sessions are with
    # @param classic [Boolean] whether the sessions are over a classic carrier
    # @param incomplete [Proc] makes the error of having run out of time from the one that came last
    # @param tell [Proc] told of each error that is tried again
    # @param met [Proc] tells whether the registry has answered before. If something else answers after that, a
    #   proxy for example, the registry may come back.
    # @param strangers [Strangers, nil] who may answer after that without an end; nil: nobody
    def initialize(limit, incomplete:, tell:, met:, route: Route.new, classic: false, strangers: nil)
      @limit = limit
      @route = route
      @retryable = classic ? RETRYABLE + DAMAGED : RETRYABLE
      @incomplete = incomplete
      @tell = tell
      @met = met
      @strangers = strangers
      @backoff = Backoff.new(FIRST_PAUSE, MOST_PAUSE)
    end

    # Runs the block until it succeeds, and returns what it does.
    # @raise [Error] one that another session cannot mend
    def run
      began = @limit.now
      yield
    rescue Error => e
      raise @incomplete.call(e) if @limit.over? || e.is_a?(IncompleteError)

      if stranger?(e)
        raise @incomplete.call(e) unless @strangers.pause(@limit)
      else
        raise unless retryable?(e)

        prepare(e, lasted: @limit.now - began)
      end
      retry
    end

    private

    def stranger?(error) = !@strangers.nil? && @met.call && @strangers.meet?(error)

    def retryable?(error)
      @retryable.any? { |kind| error.is_a?(kind) } || (error.is_a?(NotARegistryError) && @met.call)
    end

    # Tells of an error, and lets some time pass before the next try, unless there is another server to go on with.
    def prepare(error, lasted:)
      @tell.call(error)
      @backoff.reset if lasted > STEADY
      raise @incomplete.call(error) unless @route.pause(@backoff, @limit, retry_after(error))
    end

    def retry_after(error) = error.is_a?(RegistryError) ? error.retry_after : 0.0
  end
end
