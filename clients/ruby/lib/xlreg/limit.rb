# frozen_string_literal: true

module Xlreg
  # The clock and the pauses. Tests have a clock that is turned by hand.
  # @api private
  class Clock
    # @return [Float] seconds since some moment; they never go back
    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    # @param seconds [Numeric]
    def pause(seconds) = sleep(seconds)

    # The clock of this machine.
    REAL = new.freeze
  end

  # A time by which something has to be done, or none.
  # @api private
  class Limit
    # @param seconds [Numeric, nil] from now; nil is no limit
    # @param clock [Clock]
    def initialize(seconds, clock: Clock::REAL)
      @clock = clock
      @deadline = seconds && (now + seconds)
    end

    # @return [Float] the time by the clock that this limit is measured by
    def now = @clock.now

    # @return [Boolean] whether there is one
    def set? = !@deadline.nil?

    # @param most [Numeric]
    # @return [Float] how many seconds are left, between 0 and most
    def left(most = Float::INFINITY) = @deadline ? [0.0, [most, @deadline - now].min].max : most

    # @return [Boolean] whether time is up
    def over? = set? && now >= @deadline

    # @return [Limit] one that ends with this one, or in so many seconds if that is sooner
    def within(seconds) = Limit.new(left(seconds), clock: @clock)

    # @return [Limit] this one, or if it is none, one of so many seconds
    def or_within(seconds) = set? ? self : Limit.new(seconds, clock: @clock)

    # @return [Limit] the one of both that ends later
    def later(other) = left > other.left ? self : other

    # Lets so many seconds pass, or what is left if that is less.
    def pause(seconds) = @clock.pause(left(seconds))
  end

  # How long something that comes or goes in pieces may take: there is a bound until the first piece, one between
  # any two, and one for the whole. What is slow but alive is given its time, and what has died is not.
  # @api private
  class Pace
    # @param limit [Limit] never past this
    # @param first [Float] seconds
    # @param stall [Float] seconds
    # @param whole [Float] seconds from the first piece on
    def initialize(limit, first:, stall:, whole:)
      @limit = limit
      @first = @next = limit.within(first)
      @stall = stall
      @whole = whole
    end

    # Notes that a piece came or went.
    def moved
      @all ||= @limit.within(@whole)
      @next = @first.later(@all.within(@stall))
    end

    # @return [Float] for how many seconds to wait for the next
    def left = @next.left
  end

  # Pauses that double from first to most. Each is between half and the whole of its length at random,
  # so that members that all lost the registry at the same moment do not come back at the same moment.
  # @api private
  class Backoff
    def initialize(first, most)
      @first = first
      @most = most
      @next = 0.0
    end

    # Waits for the next pause, and least before it.
    # @return [Boolean] false if the limit ended first
    def pause(limit, least: 0.0)
      @next = [[2 * @next, @first].max, @most].min
      limit.pause(least + (@next * rand(0.5..1.0)))
      !limit.over?
    end

    # Makes the next pause the shortest again.
    def reset = @next = 0.0
  end
end
