# frozen_string_literal: true

module Xlreg
  # Asks for the members of a cluster; over a classic carrier in several requests.
  # @api private
  class Gathering
    # How many to ask for at once over a classic carrier. Original servers put all of them into one message, even
    # if that becomes longer than a message may be.
    PART = 12
    # A classic reply with less room than this left, for one more token and the message's IV and padding, may
    # have left members out.
    CLASSIC_ROOM = Limits::MAX_TOKEN + 64
    private_constant :PART, :CLASSIC_ROOM

    # @param dialogue [Dialogue]
    # @param limit [Limit]
    def initialize(dialogue, limit)
      @dialogue = dialogue
      @classic = dialogue.protocol.classic?
      @limit = limit
    end

    # Asks until every seat is accounted for, or a reply adds nobody. Only the first request waits.
    # @param ref [ClusterRef]
    # @param patience [Float] seconds for the first answer to begin
    # @param wait [Hash] wait_size and wait_millis
    # @return [Roster] not verified
    def run(ref, patience, wait)
      roster, rest = receive(ref, Wire::Requests::ALL_SEATS, patience, wait)
      again = ClusterRef.new(id: roster.cluster.id)
      until rest.zero?
        more, rest = receive(again, rest, @dialogue.options.timing.answer, {})
        roster = roster.with(members: merge(roster.members, more.members))
      end
      roster
    end

    private

    # Makes one request for some of the seats that are left; returns what came, and which are left then.
    def receive(ref, seats, patience, wait)
      part = part(seats)
      reply = @dialogue.ask(Wire::Requests.get(ref, which: part, **wait), @limit, patience: patience)
      cluster = @dialogue.cluster_of(reply, ref)
      members = @dialogue.read { reply.members }
      check(cluster, members, part)
      done = whole?(reply, members) ? part : members.sum { |member| 1 << member.index }
      [Roster.new(cluster: cluster, members: members.freeze), seats & ~done & seats_of(cluster)]
    end

    # Returns as many of the seats as one request may ask for.
    def part(seats)
      return seats unless @classic

      (0..63).select { |n| seats[n] == 1 }.first(PART).sum { |n| 1 << n }
    end

    # Tells whether a reply holds all that was asked for, as far as its size shows.
    def whole?(reply, members)
      !@classic || members.empty? || reply.encode.bytesize + CLASSIC_ROOM <= Limits::MAX_CLASSIC
    end

    # Returns the seats that a cluster has; all, where its size is not known.
    def seats_of(cluster)
      cluster.size.zero? ? Wire::Requests::ALL_SEATS : (1 << cluster.size) - 1
    end

    # Refuses a roster that contradicts itself or the request.
    def check(cluster, members, which)
      strange = members.find { |one| which[one.index].zero? || (cluster.size.positive? && one.index >= cluster.size) }
      raise @dialogue.misbehaved("member with index #{strange.index}, which was not asked for or cannot be") if strange

      distinct = members.uniq(&:id).size == members.size && members.uniq(&:name).size == members.size
      raise @dialogue.misbehaved('two members with one ID or name') unless distinct
    end

    # Adds the members of a later reply. A node that changed its seat in between counts where it was seen last.
    def merge(members, later)
      kept = members.reject { |member| later.any? { |one| one.id == member.id || one.name == member.name } }
      [*kept, *later].sort_by(&:index).freeze
    end
  end
end
