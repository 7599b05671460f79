# frozen_string_literal: true

module Xlreg
  # Asks for the members of a cluster, in several requests where one message cannot hold them.
  # @api private
  class Gathering
    # How many to ask for at once over a classic carrier. Original servers put all of them into one message, even
    # if that becomes longer than a message may be.
    PART = 12
    # A classic reply with less room than this left, for one more token and the message's IV and padding, may
    # have left members out.
    CLASSIC_ROOM = Limits::MAX_TOKEN_CLASSIC + 64
    # How often to begin again because the cluster changed between two parts of its roster.
    ATTEMPTS = 20
    private_constant :PART, :CLASSIC_ROOM, :ATTEMPTS

    # @param dialogue [Dialogue]
    # @param limit [Limit]
    def initialize(dialogue, limit)
      @dialogue = dialogue
      @classic = dialogue.protocol.classic?
      @limit = limit
    end

    # Asks until every seat is accounted for. Only the first request waits.
    # @param ref [ClusterRef]
    # @param patience [Float] seconds for the first answer to begin
    # @param wait [Hash] wait_size, wait_millis, wait_epoch and since_revision
    # @return [Roster] not verified
    def run(ref, patience, wait)
      return run_classic(ref, patience, wait) if @classic

      complete(ask(ref, nil, patience, wait), ref)
    end

    # Makes one request over 2.0.
    # @return [Wire::Part]
    def ask(ref, seats, patience, wait)
      reply = @dialogue.ask(Wire::Requests.get(ref, classic: false, which: seats, **wait), @limit, patience: patience)
      cluster = @dialogue.cluster_of(reply, ref)
      part = @dialogue.read { reply.part }
      strange = part.given & ~(seats || Seats::ALL)
      check(part.members, strange.zero? ? nil : Seats.list(strange).first)
      @dialogue.no_older(cluster, part.state.revision)
      part.with(cluster: cluster)
    end

    # Asks for what a part of a roster lacks.
    # @param part [Wire::Part] not of changes
    # @param ref [ClusterRef]
    # @return [Roster]
    def complete(part, ref)
      again = ClusterRef.new(id: part.cluster.id, key: ref.key)
      attempts = 0
      until part.whole?
        more = ask(again, part.seats & ~part.given, answer, {})
        raise @dialogue.misbehaved('a part of a roster with nobody in it') if more.given.zero? && !more.whole?

        part = part.sum == more.sum ? joined(part, more) : ask(again, nil, answer, {})
        raise TryLaterError, 'the cluster changes faster than its roster can be read' if (attempts += 1) > ATTEMPTS
      end
      part.roster
    end

    private

    def answer = @dialogue.options.timing.answer

    def joined(part, more)
      part.with(given: part.given | more.given, members: merge(part.members, more.members))
    end

    def run_classic(ref, patience, wait)
      roster, rest = receive(ref, Seats::CLASSIC, patience, wait)
      again = ClusterRef.new(id: roster.cluster.id)
      until rest.zero?
        more, rest = receive(again, rest, answer, {})
        roster = roster.with(members: merge(roster.members, more.members))
      end
      roster
    end

    # Makes one classic request for some of the seats that are left; returns what came, and which are left then.
    def receive(ref, seats, patience, wait)
      asked = Seats.of(Seats.list(seats).first(PART))
      reply = @dialogue.ask(Wire::Requests.get(ref, classic: true, which: asked, **wait), @limit, patience: patience)
      cluster = @dialogue.cluster_of(reply, ref)
      members = @dialogue.read { reply.part(classic: true) }.members
      check(members, strange(cluster, members, asked))
      done = whole?(reply, members) ? asked : Seats.of(members.map(&:index))
      [Roster.new(cluster: cluster, members: members), seats & ~done & seats_of(cluster)]
    end

    # Tells whether a classic reply holds all that was asked for, as far as its size shows.
    def whole?(reply, members)
      members.empty? || reply.encode.bytesize + CLASSIC_ROOM <= Limits::MAX_CLASSIC
    end

    # Returns the seats that a cluster has; all, where its size is not known.
    def seats_of(cluster) = cluster.size.zero? ? Seats::CLASSIC : Seats.below(cluster.size)

    # Returns the index of a member that was not asked for or cannot be.
    def strange(cluster, members, asked) = members.map(&:index).find { |n| (asked & seats_of(cluster))[n].zero? }

    # Refuses a roster that contradicts itself or the request.
    def check(members, strange)
      raise @dialogue.misbehaved("member with index #{strange}, which was not asked for or cannot be") if strange

      distinct = members.uniq(&:id).size == members.size && members.uniq(&:name).size == members.size
      raise @dialogue.misbehaved('two members with one ID or name') unless distinct
    end

    # Adds the members of a later reply. A node that changed its seat in between counts where it was seen last.
    def merge(members, later)
      ids = later.to_h { |one| [one.id, true] }
      names = later.to_h { |one| [one.name, true] }
      kept = members.reject { |member| ids[member.id] || names[member.name] }
      [*kept, *later].sort_by(&:index).freeze
    end
  end
end
