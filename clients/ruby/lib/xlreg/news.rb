# frozen_string_literal: true

module Xlreg
  # The part of a session that asks for what is new in a cluster, and for what a registry signs.
  # @api private
  module News
    # Asks for the roster when it is another than the last one, or after a while; at once if nothing is known.
    # @param ref [ClusterRef]
    # @param last [Roster, nil]
    # @param most [Numeric, nil] seconds to wait at most
    # @return [Roster] verified
    def news(ref, last, limit, most: nil)
      gathering = Gathering.new(self, limit)
      return verify(gathering.run(ref, timing.answer, {}), ref.key) unless last

      seconds = [limit.left(timing.wait), most].compact.min
      part = gathering.ask(ref, nil, seconds + timing.margin, { since_revision: last.state.revision,
                                                                wait_millis: (seconds * 1000).to_i })
      roster = part.since ? merged(last, part) : gathering.complete(part, ref)
      roster ||= gathering.run(ref, timing.answer, {})
      verify(roster, ref.key)
    end

    # Gets a roster as the registry has signed it, and verifies that.
    # @param ref [ClusterRef]
    # @return [SignedRoster]
    def signed(ref, limit)
      Text.doing("get signed roster of #{ref}") do
        raise Needs20Error if protocol.classic?

        documents = signed_parts(ref, limit)
        target = Target.new(endpoints: options.target.endpoints, fingerprint: proved, cred: nil)
        read { SignedRoster.verify(documents, target, cluster_key: ref.key) }
      end
    end

    private

    # Brings a roster up to date with what has changed in it; nil if that does not give the roster that the registry
    # means.
    def merged(last, part)
      news = part.members.to_h { |member| [member.index, member] }
      stayed = last.members.select { |member| part.seats[member.index] == 1 && !news.key?(member.index) }
      members = [*stayed, *part.members].sort_by(&:index).freeze
      roster = part.roster.with(members: members)
      roster if Seats.of(members.map(&:index)) == part.seats && Sum.of(roster) == part.sum
    end

    # Asks until there are answers of one revision that make the whole roster.
    def signed_parts(ref, limit)
      documents = []
      sum = rest = nil
      until rest&.zero?
        reply = ask(Wire::Requests.get(ref, classic: false, which: rest, sign: true), limit)
        cluster_of(reply, ref)
        part = read { reply.part }
        # The cluster has changed meanwhile.
        documents.clear && (rest = part.seats) if sum && part.sum != sum
        sum = part.sum
        documents << reply.encode
        rest = (rest || part.seats) & ~part.given
      end
      documents
    end
  end
end
