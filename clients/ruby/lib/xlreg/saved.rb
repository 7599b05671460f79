# frozen_string_literal: true

module Xlreg
  # A saved roster is not what it has to be, or not for this node to start from.
  class SavedRosterError < Error; end

  # A roster that a member keeps for a start without its registry, verified as one that comes from the registry is
  # (section 11.4).
  #
  # @!attribute [r] roster
  #   @return [Roster]
  # @!attribute [r] me
  #   @return [Member] the node that saved it, and reads it
  # @!attribute [r] heard
  #   @return [Time] when the registry last said that this is the roster, by this machine's clock
  # @!attribute [r] target
  #   @return [Target, Ticket] the registry that it is from
  SavedRoster = Struct.new(:roster, :me, :heard, :target, keyword_init: true) do
    include Value

    # Reads what Membership#save returned, and asks nobody. It verifies what joining does, and besides that this node
    # has saved it, at the registry and of the cluster that are meant, and not too long ago.
    # @param saved [String] what a file of it holds
    # @param target [Target, RegCred, Ticket, String] the registry; a ticket says, too, which cluster it has to be
    # @param node [Node] the one that saved it
    # @param cluster [String, ClusterID, Cluster, ClusterRef, nil] the cluster that it has to be of; nil is any, or that
    #   of the ticket
    # @param endpoints [Array<String>, nil] where the node has to be in it; nil is where the node is. One without a
    #   host, such as ":4001", may be on any
    # @param max_age [Numeric] how many seconds ago the registry may have been heard
    # @param now [Time]
    # @return [SavedRoster]
    # @raise [SavedRosterError] something of it does not hold; the text says what
    # @example
    #   Xlreg::SavedRoster.load(File.binread('web.saved'), 'regCred.dat', node).roster
    def self.load(saved, target, node, cluster: nil, endpoints: nil, max_age: SavedFile::MAX_AGE, now: Time.now)
      target = Ticket.line?(target) ? Ticket.load(target) : target
      known = target.is_a?(Ticket) ? target : Target.load(target)
      ref = ClusterRef.of(cluster || (known if known.is_a?(Ticket)))
      file = SavedFile.new(saved.b, node)
      file.check_origin(Target.load(known).fingerprint)
      file.check_age(now, max_age)
      roster = file.roster(ref)
      me = file.find(roster, endpoints || node.endpoints.map(&:to_s))
      new(roster: roster, me: me, heard: file.heard, target: known)
    rescue SavedRosterError, Error => e
      raise SavedRosterError, "saved roster does not hold: #{e.message}"
    end

    # @return [String]
    def inspect = "#<Xlreg::SavedRoster #{roster.cluster} of #{heard}>"
  end

  # The bytes of a saved roster.
  # @api private
  class SavedFile
    CONTEXT = "xlreg saved 2.0\0".b.freeze
    # Seconds: a registry remembers a node that it does not hear of for as long.
    MAX_AGE = 30 * 24 * 3600
    AHEAD = 3600 # seconds by which a clock may have been ahead
    # Bytes of all of it, of one message, and of the other fields.
    MOST = 32 << 20
    MOST_PART = 4 << 20
    MOST_SHORT = 1 << 10
    MOST_ID = 32
    private_constant :CONTEXT, :AHEAD, :MOST, :MOST_PART, :MOST_SHORT, :MOST_ID

    # @param roster [Roster]
    # @param node [Node]
    # @param fingerprint [String] of the registry
    # @param heard [Time]
    # @return [String] without a secret in it
    # @raise [NotMemberError] the node is not in it
    def self.encode(roster, node, fingerprint, heard)
      me = roster.members.find { |member| member.token.sig_key == node.keys.sig_key } or raise NotMemberError
      parts = self.parts(roster, roster.members)
      numbers = [(heard.to_r * 1000).round, parts.size].pack('Q>N')
      saved = [CONTEXT, Der.lp(fingerprint.b), Der.lp(me.id.bytes), numbers, *parts.map { |part| Der.lp(part) }].join
      saved + Der.lp(Signatures.sign(node.keys.sig, saved))
    end

    # @return [Array<String>] messages as the registry would send them, as few as hold all members
    def self.parts(roster, members)
      part = Wire::Requests.part(roster, members).encode
      return [part] if part.bytesize <= MOST_PART

      members.each_slice((members.size / 2.0).ceil).flat_map { |half| parts(roster, half) }
    end

    # @return [Time] when the registry was last heard
    attr_reader :heard

    # @param saved [String]
    # @param node [Node] its reader
    def initialize(saved, node)
      refuse("it has #{saved.bytesize} bytes, and at most #{MOST} are allowed") if saved.bytesize > MOST
      refuse('it is no saved roster, or one of a newer program') unless saved.start_with?(CONTEXT)

      @saved = saved
      @node = node
      @at = CONTEXT.bytesize
      read
    end

    # Makes sure that it is from a registry, known by its key or the next.
    # @param fingerprint [String]
    def check_origin(fingerprint)
      return if @fingerprint == fingerprint

      pairs = [[@fingerprint, fingerprint], [fingerprint, @fingerprint]]
      return if @node.registrations.any? { |known| pairs.include?([known.sig, known.next]) }

      refuse("it is from another registry, #{Text.quote(@fingerprint)}")
    end

    # @param now [Time]
    # @param most [Numeric] seconds
    def check_age(now, most)
      at = @heard.strftime('%Y-%m-%dT%H:%M:%SZ')
      if now - @heard > most
        days = format('%.4g', most / 86_400.0)
        refuse("it is too old: the registry was last heard at #{at}, and #{days} days are the most")
      end
      refuse("it is from the future, #{at}: see that this machine's clock is right") if @heard - now > AHEAD
    end

    # @param ref [ClusterRef] the cluster that it has to be of
    # @return [Roster] verified
    def roster(ref)
      found = SignedParts.join(@parts.map { |bytes| Wire::Message.decode(bytes).part })
      check_cluster(found.cluster, ref)
      Verifier.new(Protocol::V20).verify(found, found.cluster.key).with(pinned: !ref.key.nil?)
    end

    # @param roster [Roster]
    # @param meant [Array<String>] where the node has to be
    # @return [Member] the node itself
    def find(roster, meant)
      me = roster.members.find { |member| member.token.sig_key == @node.keys.sig_key }
      refuse('this node is not in it with its key and ID') unless me && me.id == @id
      refuse("this node is called #{Text.quote(me.name)} in it") unless me.name == @node.name
      there = me.endpoints
      return me if meant.size == there.size && meant.zip(there).all? { |one, endpoint| at?(one, endpoint) }

      refuse("this node is at #{there.join(', ')} in it, and not at #{meant.join(', ')}: it can move only while the " \
             'registry is there')
    end

    private

    def refuse(why) = raise(SavedRosterError, why)

    def check_cluster(cluster, ref)
      refuse('it is that of a cluster with another key') if ref.key && cluster.key != ref.key
      other = ref.id ? cluster.id != ref.id : !ref.name.empty? && cluster.name != ref.name
      refuse("it is that of another cluster, #{Text.quote(cluster.name)}") if other
    end

    def cut_short = refuse('it is cut short, or damaged')

    def read
      @fingerprint = long(MOST_SHORT)
      id = long(MOST_ID)
      millis, count = take(12).unpack('Q>N')
      cut_short unless count.between?(1, Limits::MAX_CLUSTER) && millis <= Wire::Reading::LAST_MILLIS
      @parts = Array.new(count) { long(MOST_PART) }
      signed = @saved.byteslice(0, @at)
      signature = long(MOST_SHORT)
      cut_short unless @at == @saved.bytesize
      check_signature(signature, signed)
      @id = NodeID.new(id)
      @heard = Time.at(millis / 1000r).utc
    end

    def check_signature(signature, signed)
      Signatures.verify(@node.keys.sig_key, signature, signed, 'saved roster')
    rescue BadSignatureError
      refuse('it was saved by another node, or has been changed since')
    end

    def take(size)
      cut_short if @at + size > @saved.bytesize
      @saved.byteslice(@at, size).tap { @at += size }
    end

    def long(most)
      size = take(4).unpack1('N')
      size <= most ? take(size) : cut_short
    end

    def at?(meant, endpoint) = meant == endpoint.to_s || (meant.start_with?(':') && meant[1..] == endpoint.port.to_s)
  end
end
