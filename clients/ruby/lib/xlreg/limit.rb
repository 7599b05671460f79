# frozen_string_literal: true

module Xlreg
  # A time by which something has to be done, or none.
  # @api private
  class Limit
    # @return [Float]
    def self.clock = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    # @param seconds [Numeric, nil] from now; nil is no limit
    def initialize(seconds)
      @deadline = seconds && (Limit.clock + seconds)
    end

    # @return [Boolean] whether there is one
    def set? = !@deadline.nil?

    # @param most [Numeric]
    # @return [Float] how many seconds are left, but no more than most and no fewer than none
    def left(most = Float::INFINITY) = @deadline ? [0.0, [most, @deadline - Limit.clock].min].max : most

    # @return [Boolean] whether time is up
    def over? = set? && Limit.clock >= @deadline

    # @return [Limit] one that ends with this one, or in so many seconds if that is sooner
    def within(seconds) = Limit.new(left(seconds))

    # @return [Limit] this one, or if it is none, one of so many seconds
    def or_within(seconds) = set? ? self : Limit.new(seconds)
  end

  # Pauses that double from first to most. Each is between half and the whole of its length at random,
  # so that members who all lost the registry at once do not come back at once.
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
      sleep(limit.left(least + (@next * rand(0.5..1.0))))
      !limit.over?
    end

    # Makes the next pause the shortest again.
    def reset = @next = 0.0
  end
end
