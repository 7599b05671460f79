# frozen_string_literal: true

module Xlreg
  # The sums of the last revisions of a cluster, as a member has computed them, for the others to compare theirs with
  # (section 11.3).
  # @api private
  class Sums
    # How many revisions are remembered.
    MOST = 64
    # The sum of one revision, and what goes with it; seats are bits.
    Known = Struct.new(:state, :seats, :sum)
    private_constant :MOST

    # @param roster [Roster]
    def initialize(roster)
      @known = []
      add(roster)
    end

    # @param roster [Roster]
    def add(roster)
      return unless roster.sum

      one = Known.new(roster.state, Seats.of(roster.members.map(&:index)), roster.sum)
      older = @known.reject { |other| other.state.revision == one.state.revision }
      @known = [*older, one].last(MOST)
    end

    # @param revision [Integer]
    # @return [Known, nil] that of the revision if it is known, and else the last; nil if there is none
    def at(revision) = @known.find { |one| one.state.revision == revision } || @known.last
  end
end
