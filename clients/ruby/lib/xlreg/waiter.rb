# frozen_string_literal: true

module Xlreg
  # One wait for a cluster's members, in requests that the registry answers when it is time (section 5.8).
  # @api private
  class Waiter
    SHORTEST = 0.05 # with less time than this left, it is up
    MARGIN = 0.25 # for the answer to arrive before the deadline
    EARLY = 1.0 # an answer sooner than this may be a server's that cannot wait
    FIRST_PAUSE = 0.05
    MOST_PAUSE = 1.0

    # @return [Roster, nil] what was heard last, verified
    attr_reader :last

    # @param dialogue [Dialogue]
    # @param ref [ClusterRef]
    # @param size [Integer] for how many members; 0 is as many as the cluster is made for
    # @param seen [Proc, nil] told of each roster
    # @param follow [Boolean] whether seen is to be told of each new member, which takes a request for each
    # @param look [Boolean] whether to ask first who is there, so that something is known whatever comes
    # @param check [Proc, nil] looks at each roster, and may refuse it
    # @param lease [Numeric, nil] seconds in which a sign of life is needed
    # @param epoch [Integer, nil] whose end ends the wait
    def initialize(dialogue, ref, size: 0, seen: nil, follow: true, look: false, check: nil, lease: nil, epoch: nil)
      @dialogue = dialogue
      @ref = ref
      @size = size
      @seen = seen
      @follow = follow && !seen.nil?
      @look = look
      @check = check
      @epoch = epoch
      @longest = [dialogue.options.timing.wait, lease && (lease / 3.0)].compact.min
      @timing = dialogue.options.timing
      @last = nil
      @poll = Backoff.new(FIRST_PAUSE, MOST_PAUSE)
    end

    # @param limit [Limit]
    # @return [Roster] when they are there
    # @raise [IncompleteError] the limit ended first
    def wait(limit)
      Text.doing("wait for #{@ref}") do
        while (roster = ask(limit)).members.size < @size
          raise incomplete(limit) if limit.left < SHORTEST
        end
        roster
      rescue SessionEndedError
        raise unless limit.over?

        raise incomplete(limit)
      end
    end

    private

    def incomplete(limit) = IncompleteError.new(last, @size, silence: limit.now - @dialogue.heard_at)

    # Makes one waiting request. An early answer without all members comes from a server that cannot wait, or
    # that is about to stop and no longer does. After such an answer there is a pause, a shorter one if somebody
    # new has joined.
    def ask(limit)
      size = wanted
      patience = wait_seconds(limit)
      began = limit.now
      received = @dialogue.receive(@ref, limit, patience: patience + @timing.margin,
                                                wait_size: size, wait_millis: (patience * 1000).to_i,
                                                **(@epoch ? { wait_epoch: @epoch } : {}))
      took = limit.now - began
      settle_size(received.cluster)
      before = count
      roster = keep(received)
      pause(limit, took, news: before != count) if roster.members.size < [size, @size].min
      roster
    end

    def pause(limit, took, news:)
      @poll.reset if news || took >= EARLY
      @poll.pause(limit) if took < EARLY
    end

    # Fills in the size if it was not given, and refuses one that the cluster can never have.
    def settle_size(cluster)
      @size = cluster.size if @size.zero?
      raise ArgumentError, 'size of the cluster is not known: say how many members to wait for' if @size.zero?

      Dialogue.check_size(cluster, @size) if @size > cluster.size
    end

    # For how many members to wait: all of them, or one more than before if each is to be reported.
    def wanted
      return 1 if @look && last.nil?

      size = @size.zero? ? most : @size # the server lowers it to the cluster's size
      @follow ? [size, count + 1].min : size
    end

    def most = @dialogue.protocol.classic? ? Limits::MAX_CLUSTER_CLASSIC : Limits::MAX_CLUSTER

    def count = last ? last.members.size : 0

    def keep(received)
      verified = @dialogue.verify(received, @ref.key)
      @check&.call(verified)
      @last = verified
      @seen&.call(last)
      last
    end

    # How long a request that begins now may wait: so that its answer arrives in time.
    def wait_seconds(limit)
      return @longest unless limit.set?

      left = limit.left
      [left - [left / 8, MARGIN].min, @longest].min
    end
  end
end
