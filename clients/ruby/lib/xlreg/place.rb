# frozen_string_literal: true

module Xlreg
  # What a node knows of its own seat in a cluster.
  #
  # @!attribute [r] id
  #   @return [NodeID, nil] nil before it has registered
  # @!attribute [r] key
  #   @return [String] its sig key, by which it is known over 2.0
  # @!attribute [r] run
  #   @return [String, nil] this start of the program; nil over a classic carrier, where nobody is told apart
  # @!attribute [r] epoch
  #   @return [Integer] in which the seat was taken; 0 before
  # @api private
  Place = Struct.new(:id, :key, :run, :epoch, keyword_init: true) do
    include Value

    def initialize(id: nil, run: nil, epoch: 0, **rest) = super

    # @return [String] names a start of a program
    def self.new_run = OpenSSL::Random.random_bytes(16)

    # @param roster [Roster]
    # @return [Member, nil] the node itself
    def find(roster) = roster.by_id(id) || (run && roster.members.find { |member| member.token.sig_key == key })

    # Makes sure that the seat is still this node's. What it is told of itself is the one thing that a node can know
    # to be wrong.
    # @param roster [Roster]
    # @return [Member] the node itself
    # @raise [NewEpochError] the cluster has started anew
    # @raise [TwinError] another process with its key has taken the seat
    # @raise [NotMemberError] it left, was evicted, or its lease ran out
    # @raise [BadSignatureError] the registry shows another key
    def check(roster)
      own = find(roster)
      raise NewEpochError, "epoch #{roster.state.epoch} follows #{epoch}" if own.nil? && moved?(roster)
      raise NotMemberError, gone unless own
      raise BadSignatureError, 'the registry shows another key as that of this node' unless own.token.sig_key == key
      raise TwinError.of(own) if run && own.token.run != run

      own
    end

    private

    def moved?(roster) = run && epoch.positive? && roster.state.epoch != epoch

    def gone
      return "another node of this name and key has taken the place of #{id}, or it left" unless run

      "this node left, its lease ran out, or the cluster's owner evicted it"
    end
  end

  # Looks whether another process with a node's key has its seat and lives. One that has a lease gives a sign of life in
  # each third of it; one that has none cannot be told from an earlier start of this program. Of several servers one
  # hears of the other process, and the others are asked until it is found.
  # @api private
  class TwinLook
    # Registries tell the time of the last sign of life in whole seconds, and it may lag by another.
    SIGN_OF_LIFE = 2.0
    private_constant :SIGN_OF_LIFE

    # @param options [Options]
    # @param ref [ClusterRef]
    # @param place [Place]
    def initialize(options, ref, place)
      @options = options.with(node: nil) # what a node itself asks about its cluster is a sign of life
      @ref = ref
      @place = place
    end

    # @param limit [Limit]
    # @raise [TwinError] it does
    def refuse(limit)
      watched = nil
      while (lease = look(limit))
        watched ||= limit.within((lease / 2) + (2 * SIGN_OF_LIFE))
        return if watched.over?

        watched.pause([1.0, lease / 8].min)
      end
    end

    private

    # Asks one server.
    # @return [Float, nil] the seat's lease if another server hears of it
    def look(limit)
      Dialogue.open(@options, limit, once: true) do |dialogue|
        first = seat(dialogue, limit)
        next if first.nil? || first.lease.nil? || first.token.run == @place.run

        first.lease unless watch(dialogue, first, limit)
      end
    rescue NoSuchClusterError
      nil
    end

    # Watches a seat for as long as there has to be a sign of life, and until that is told at the latest.
    # @return [Boolean] whether this server hears of it
    def watch(dialogue, now, limit)
      lease = now.lease
      first = now
      lag = limit.within(SIGN_OF_LIFE)
      watched = limit.within((lease / 2) + (2 * SIGN_OF_LIFE))
      while now&.seen
        first = now unless lag.over? # it may be told of a sign from before
        raise TwinError.of(now) if now.seen > first.seen
        return true if watched.over?

        watched.pause([1.0, lease / 8].min)
        now = seat(dialogue, limit)
      end
      dialogue.pass_by if now
      now.nil?
    end

    def seat(dialogue, limit) = dialogue.seat_of(@place.key, @ref, limit)
  end
end
