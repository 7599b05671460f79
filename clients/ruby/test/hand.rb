# frozen_string_literal: true

require_relative 'helper'

# A clock that is turned by hand: time passes when somebody sleeps, or when a test says so.
class Hand < Xlreg::Clock
  # @return [Array<Numeric>] how long each pause was
  attr_reader :slept
  # @return [Float]
  attr_accessor :now

  def initialize
    super
    @now = 0.0
    @slept = []
  end

  def pause(seconds)
    slept << seconds
    @now += seconds
  end

  # @return [Xlreg::Limit] of so many seconds by this clock
  def limit(seconds) = Xlreg::Limit.new(seconds, clock: self)
end
