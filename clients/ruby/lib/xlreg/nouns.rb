# frozen_string_literal: true

module Xlreg
  # The attribute bits of a node.
  module NodeAttrs
    NONE = 0
    EPHEMERAL = 1
    ADMIN = 2
    SOLO = 4
    # All that are known.
    KNOWN = 7
  end

  # The attribute bits of a cluster. The first two have no effect yet.
  module ClusterAttrs
    NONE = 0
    EPHEMERAL = 1
    DELETED = 2
    # The registry makes the name new by appending to it.
    UNIQUE = 4
    # All that are known.
    KNOWN = 7
  end

  # What is fixed about a cluster when it is created. A size or count of 0 is one that an original
  # server did not tell.
  #
  # @!attribute [r] id
  #   @return [ClusterID]
  # @!attribute [r] name
  #   @return [String]
  # @!attribute [r] attrs
  #   @return [Integer] bits of ClusterAttrs
  # @!attribute [r] size
  #   @return [Integer] how many members it is made for
  # @!attribute [r] endpoint_count
  #   @return [Integer] how many endpoints each member must have
  # @!attribute [r] key
  #   @return [String, nil] the public half of its owner's key; nil of an open one
  Cluster = Struct.new(:id, :name, :attrs, :size, :endpoint_count, :key, keyword_init: true) do
    include Value

    # @return [Boolean] whether it has an owner
    def keyed? = !key.nil?

    # @return [String] how errors name it
    def to_s = name.empty? ? "cluster #{id}" : "cluster #{Text.quote(name)}"
  end

  # How far a cluster has come, as its registry counts (section 10); zeros over a classic carrier.
  #
  # @!attribute [r] epoch
  #   @return [Integer] from 1; a cluster that starts anew is in the next one
  # @!attribute [r] revision
  #   @return [Integer] raised by each change of its members, epoch or orders
  # @!attribute [r] orders
  #   @return [Integer] how many its owner has given
  ClusterState = Struct.new(:epoch, :revision, :orders, keyword_init: true) do
    include Value

    def initialize(epoch: 0, revision: 0, orders: 0) = super
  end

  # Names a cluster by ID or by name. The ID counts if both are given; none names none.
  #
  # @!attribute [r] id
  #   @return [ClusterID, nil]
  # @!attribute [r] name
  #   @return [String]
  # @!attribute [r] key
  #   @return [String, nil] the key of its owner, by which every member's leave is verified; nil names the open
  #     cluster of the name, or an ID's without knowing its key
  ClusterRef = Struct.new(:id, :name, :key, keyword_init: true) do
    include Value

    # @param what [ClusterRef, Cluster, Ticket, ClusterID, String, nil]
    # @return [ClusterRef]
    def self.of(what)
      case what
      when ClusterRef then what
      when Cluster then new(id: what.id, name: what.name, key: what.key)
      when Ticket then what.ref
      when ClusterID then new(id: what)
      when nil then new
      else new(name: what.to_s)
      end
    end

    def initialize(id: nil, name: '', key: nil) = super

    # @return [Boolean] whether it names no cluster
    def none? = id.nil? && name.empty?

    # @return [String] how errors name it
    def to_s
      return "cluster #{Text.quote(name)}" unless name.empty?

      id ? "cluster #{id}" : 'cluster'
    end
  end

  # What a node says of itself, with the proof, and the ID that the registry gave it.
  #
  # @!attribute [r] name
  #   @return [String]
  # @!attribute [r] comms_key
  #   @return [String] DER; others encrypt to it
  # @!attribute [r] sig_key
  #   @return [String] DER; what the node is known by
  # @!attribute [r] endpoints
  #   @return [Array<Endpoint>] the first is for the other members, the second for their clients
  # @!attribute [r] attrs
  #   @return [Integer] bits of NodeAttrs
  # @!attribute [r] id
  #   @return [NodeID, nil] nil in a token that has not been registered
  # @!attribute [r] digsig
  #   @return [String, nil] the classic signature; from client to registry only
  # @!attribute [r] digsig2
  #   @return [String, nil] the 2.0 signature; nil of a node that registered over a classic carrier
  # @!attribute [r] certificate
  #   @return [String, nil] serial number, dates and signature of the node's certificate, from which
  #     Certificate.build makes it; absent as digsig2 is
  # @!attribute [r] comms_sig
  #   @return [String, nil] the proof that the node holds its comms key; absent as digsig2 is
  # @!attribute [r] labels
  #   @return [String, nil] what it tells besides its addresses, as that travels; see Member#labels
  # @!attribute [r] joined
  #   @return [Time, nil] when the node last joined, by the registry's clock; nil outside a roster
  # @!attribute [r] seen
  #   @return [Time, nil] when it was last heard of; nil outside a roster, and without a lease
  # @!attribute [r] lease
  #   @return [Float, nil] for how many seconds its seat lasts without a sign of life; nil is for ever
  # @!attribute [r] run
  #   @return [String, nil] the start of the program that has the seat
  # @!attribute [r] admission
  #   @return [String, nil] the leave of the cluster's owner, as it travels
  Token = Struct.new(:name, :comms_key, :sig_key, :endpoints, :attrs, :id, :digsig, :digsig2, :certificate,
                     :comms_sig, :labels, :joined, :seen, :lease, :run, :admission, keyword_init: true) do
    include Value

    def initialize(endpoints: [].freeze, attrs: NodeAttrs::NONE, **rest) = super

    # @return [Integer] how many it has of the three proofs of 2.0
    def proofs = [digsig2, certificate, comms_sig].count { |proof| !proof.nil? }

    # @return [String] does not show keys and signatures
    def inspect = "#<Xlreg::Token #{name} #{id}>"
  end

  # A node in a cluster.
  #
  # @!attribute [r] index
  #   @return [Integer] its place, from 0; it does not change while the member stays
  # @!attribute [r] token
  #   @return [Token] what it says of itself
  Member = Struct.new(:index, :token, :verified, keyword_init: true) do
    include Value

    def initialize(verified: false, **rest) = super

    # Whether it has signed its name, keys, endpoints and certificate. False for one that registered
    # over a classic carrier, and for everyone in a roster that was read over one.
    # @return [Boolean]
    def verified? = verified

    # @return [String] the name that the member chose for itself
    def name = token.name

    # @return [NodeID] the ID that the registry gave it
    def id = token.id

    # @return [Array<Endpoint>] the first is for the other members, the second for their clients
    def endpoints = token.endpoints

    # @return [OpenSSL::X509::Certificate] the one that it signed itself: an anchor for it and nobody
    #   else. Its dates are not checked here; those who use it have to.
    # @raise [UnverifiedError] the member has proved nothing
    def certificate
      unless verified?
        raise UnverifiedError.new("certificate of #{Text.quote(name)}: member is not verified: no proof over 2.0",
                                  members: [self])
      end

      OpenSSL::X509::Certificate.new(Certificate.build(token))
    end

    # @return [Hash{String => String}] what it tells the others besides its addresses; signed as all that it says
    def labels = Labels.decode(token.labels)

    # @return [Float, nil] for how many seconds its seat lasts without a sign of life; nil is for ever
    def lease = token.lease

    # @return [Time, nil] when it was last heard of; nil without a lease
    def seen = token.seen

    # @return [String] who it is, where, and since when, in a phrase
    def describe
      at = " at #{endpoints.first}" unless endpoints.empty?
      since = " since #{Text.time(token.joined)}" if token.joined
      "#{name}#{at}#{since}"
    end

    # @return [String]
    def inspect = "#<Xlreg::Member #{index} #{name}#{' unverified' unless verified?}>"
  end

  # The members of a cluster at one moment, in the order of their indexes. There may be gaps, since members
  # may leave.
  #
  # @!attribute [r] cluster
  #   @return [Cluster]
  # @!attribute [r] members
  #   @return [Array<Member>]
  # @!attribute [r] state
  #   @return [ClusterState]
  # @!attribute [r] sum
  #   @return [String, nil] what stands for all of it but times; nil over a classic carrier
  # @!attribute [r] pinned
  #   @return [Boolean] whether the cluster's key is the one that was known, so that its owner admitted every member
  Roster = Struct.new(:cluster, :members, :state, :sum, :pinned, keyword_init: true) do
    include Value

    def initialize(state: ClusterState.new, pinned: false, **rest) = super

    # @return [String, nil] the sum for people, to compare it with others
    def short_sum = sum && Sum.short(sum)

    # @return [Boolean] see pinned
    def pinned? = pinned

    # @return [String] the names, and no keys
    def inspect
      shown = members.map { |member| "#{member.index} #{member.name}#{' unverified' unless member.verified?}" }
      "#<Xlreg::Roster #{[cluster.to_s, *shown].join(', ')}>"
    end

    # @param name [String]
    # @return [Member, nil]
    def by_name(name) = members.find { |member| member.name == name }

    # @param id [NodeID]
    # @return [Member, nil]
    def by_id(id) = members.find { |member| member.id == id }

    # @param index [Integer]
    # @return [Member, nil]
    def by_index(index) = members.find { |member| member.index == index }

    # @return [Integer] how many places of the cluster are free
    def missing = [0, cluster.size - members.size].max

    # @return [Array<Member>] those that have proved nothing
    def unverified = members.reject(&:verified?)

    # @param now [Time]
    # @return [Array<String>] what is wrong without being an error, in a sentence each: members whose
    #   certificates are not valid yet, so that nobody will accept them over TLS, and members that claim the same
    #   address, where at most one of them can be
    def warnings(now: Time.now) = not_yet_valid(now) + shared_addresses

    private

    def shared_addresses
      claims = members.flat_map { |member| member.endpoints.uniq.map { |endpoint| [endpoint, member.name] } }
      claims.group_by(&:first).filter_map do |endpoint, several|
        next if several.one?

        "#{several.map(&:last).join(' and ')} say that they are at #{endpoint}: give each an address of its own"
      end
    end

    def not_yet_valid(now)
      members.select(&:verified?).filter_map do |member|
        first = member.certificate.not_before
        next if now >= first

        "the certificate of member #{Text.quote(member.name)} is not valid before #{Text.time(first)}, in " \
          "#{Text.duration(first - now)}: its clock is ahead, or this machine's is behind"
      end
    end
  end
end
