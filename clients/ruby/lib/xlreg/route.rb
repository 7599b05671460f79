# frozen_string_literal: true

module Xlreg
  # The endpoints of one registry, as one client has found them. The servers behind them are one registry, so any
  # of them will do: their order is random, which spreads clients over the servers. Those that have just failed
  # this client come last.
  # @api private
  class Route
    LONGEST_RETRY = 60.0 # however long a registry says to wait
    SHORTEST_AVOIDANCE = 10.0 # how long an endpoint that failed comes last
    # How long an endpoint comes last, and after how many seconds its server said to come back.
    Detour = Struct.new(:until, :told)
    private_constant :LONGEST_RETRY, :SHORTEST_AVOIDANCE, :Detour

    # @param random [#rand] by which the order is chosen
    # @param clock [Clock]
    def initialize(random: Random, clock: Clock::REAL)
      @random = random
      @clock = clock
      @mutex = Mutex.new # a membership follows its cluster in another thread
      @all = [] # guarded by the mutex, as is all below
      @avoided = {}
      @turned = false # a server has turned the client away, and that was not dealt with yet
    end

    # @param endpoints [Array<Endpoint>]
    # @return [Array<Endpoint>] in the order in which to try them
    def order(endpoints)
      @mutex.synchronize do
        @all = endpoints
        expire
        endpoints.shuffle(random: @random).partition { |endpoint| !@avoided.key?(endpoint) }.flatten(1)
      end
    end

    # Notes that these could not be reached, or not as soon as another.
    def pass_by(endpoints) = @mutex.synchronize { endpoints.each { |endpoint| avoid(endpoint, 0.0) } }

    # Notes that a server has ended or refused a session.
    # @param told [Float] after how many seconds it said to come back
    def leave(endpoint, told: 0.0)
      @mutex.synchronize do
        avoid(endpoint, [told, LONGEST_RETRY].min)
        @turned = true
      end
    end

    # Says, after an attempt that failed, whether to go on with another endpoint at once: a server has turned the
    # client away, and one is left that has not. If all have, each is as good as any again.
    # @return [Array(Boolean, Float)] and the shortest time after which one of them said to come back
    def another
      @mutex.synchronize do
        turned = @turned
        @turned = false
        expire
        next [turned, 0.0] unless turned && @all.all? { |endpoint| @avoided.key?(endpoint) }

        told = @avoided.values.map(&:told).select(&:positive?).min || 0.0
        @avoided.clear
        [false, told]
      end
    end

    # Waits for the next attempt, unless another endpoint is worth one at once.
    # @param told [Float] after how many seconds the registry said to come back
    # @return [Boolean] false if the limit ended first
    def pause(backoff, limit, told)
      at_once, shortest = another
      return !limit.over? if at_once

      backoff.pause(limit, least: shortest.positive? ? shortest : [told, LONGEST_RETRY].min)
    end

    # @return [String] nothing of what is in it
    def inspect = '#<Xlreg::Route>'

    private

    def avoid(endpoint, told)
      @avoided[endpoint] = Detour.new(@clock.now + [SHORTEST_AVOIDANCE, told].max, told)
    end

    def expire
      now = @clock.now
      @avoided.delete_if { |_, detour| now >= detour.until }
    end
  end

  # Tells a server that has fallen behind the others of its registry from a registry that has gone back, since it was
  # restored from a backup, say: a server is not behind for long.
  # @api private
  class Age
    CATCH_UP = 3.0
    private_constant :CATCH_UP

    # @param before [Roster, nil]
    # @param now [Roster]
    # @return [Boolean] whether now is an older state of the cluster than before
    def self.past?(before, now) = !before.nil? && now.state.revision < before.state.revision

    def initialize
      @since = nil
    end

    # @return [Boolean] whether now is not to be believed: it is older, and has not been for long
    def behind?(before, now, limit)
      return (@since = nil) || false unless Age.past?(before, now)

      @since ||= limit.now
      limit.now - @since < CATCH_UP
    end
  end
end
