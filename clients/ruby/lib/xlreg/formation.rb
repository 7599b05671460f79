# frozen_string_literal: true

# Forming clusters of processes that find each other through a registry; Xlreg.form is the one call for it.
module Xlreg
  # How far a formation has come.
  #
  # @!attribute [r] cluster
  #   @return [Cluster, nil] nil until it is created or found
  # @!attribute [r] roster
  #   @return [Roster, nil] who has joined, verified; nil until the node has
  # @!attribute [r] size
  #   @return [Integer] how many members are wanted; 0 until that is known
  # @!attribute [r] error
  #   @return [Error, nil] why something has to be tried again
  Progress = Struct.new(:cluster, :roster, :size, :error, keyword_init: true) do
    include Value
  end

  # Which cluster to form, and as which node; see Xlreg.form.
  # @api private
  Plan = Struct.new(:options, :ref, :size, :join_only, :endpoint_count, :attrs, :listeners, :advertise,
                    :allow_unverified, keyword_init: true) do
    include Value

    def initialize(size: 0, join_only: false, endpoint_count: 1, attrs: ClusterAttrs::NONE, listeners: [],
                   advertise: [], allow_unverified: false, **rest)
      super
    end

    # @return [Node]
    def node = options.node || raise(NeedsNodeError)

    # @return [Boolean] whether the cluster is to be created if need be. An ID cannot be chosen.
    def creates? = !join_only && ref.id.nil?

    # @return [Creation]
    def creation
      name = ref.id ? '' : ref.name
      Creation.new(name: name, size: size, endpoint_count: endpoint_count, attrs: attrs)
    end

    # Refuses what makes no sense, before anything is done.
    def check
      raise NoClusterNamedError if ref.none? && join_only
      raise ArgumentError, 'a cluster that may have to be created needs a size' if size.zero? && creates?

      creation.check(classic: options.protocol&.classic? || false) unless size.zero?
    end

    # @param limit [Limit]
    # @return [Array<Endpoint>] where the node is to be reached
    # @raise [AddressError] nobody could reach it there
    def endpoints(limit)
      own = listeners.empty? && advertise.empty? ? node.endpoints : advertise
      found = Addresses.of(listeners, own, options.target, limit.within(options.timing.connect))
      raise TooFewEndpointsError, "#{found.size}, want #{endpoint_count}" if found.size < endpoint_count

      found
    end
  end

  # One formation under way, from listening sockets to the verified roster. It survives restarts of the registry.
  # @api private
  class Formation
    FIRST_PAUSE = 0.05
    MOST_PAUSE = 1.0
    private_constant :FIRST_PAUSE, :MOST_PAUSE

    # @return [Symbol] where the node stands: :apart, :asked or :joined
    attr_reader :standing

    # @param plan [Plan]
    # @param progress [Proc, nil]
    # @param follow [Boolean] whether progress is to be told of each new member, which takes a request for each
    # @param settled [Proc, nil] told of the node's endpoints before it registers
    def initialize(plan, progress, follow: true, settled: nil)
      @settled = settled
      @plan = plan
      @follow = follow
      @progress = progress
      @ref = plan.ref # what to create or join; a name once one is made up
      @attrs = plan.attrs
      @size = plan.size # 0 until it is known
      @cluster = nil
      @last = nil # until the node has joined
      @standing = :apart
      @id = @index = @heard_at = nil
    end

    # @param limit [Limit]
    # @return [Membership]
    def run(limit)
      @limit = limit
      Text.doing("form #{@plan.ref}") do
        @plan.check
        @plan.node.update_endpoints(endpoints(limit).tap { |found| @settled&.call(found) })
        Persistence.new(limit, incomplete: method(:incomplete), tell: method(:tell), met: -> { @heard_at },
                               classic: @plan.options.classic?).run { attempt(limit) }
      end
    end

    private

    # Finds out the addresses. One that is not known yet is looked up again while there is time.
    def endpoints(limit)
      limit = limit.or_within(@plan.options.timing.dial)
      backoff = Backoff.new(FIRST_PAUSE, MOST_PAUSE)
      begin
        @plan.endpoints(limit)
      rescue UnresolvedError => e
        tell(e)
        retry if backoff.pause(limit)

        raise @limit.set? ? incomplete(e) : e
      end
    end

    # Goes all the way with one session.
    def attempt(limit)
      Dialogue.open(@plan.options, limit, once: true) do |dialogue|
        @id = dialogue.register(limit)
        roster = wait(dialogue, join(dialogue, limit), limit)
        Membership.check_self(roster, @plan.node, @id)
        Membership.new(@plan.options, roster, @id, allow_unverified: @plan.allow_unverified)
      ensure
        @heard_at = dialogue.heard_at
      end
    end

    def join(dialogue, limit)
      ref = find(dialogue, limit)
      before = @standing
      @standing = :asked unless before == :joined
      cluster = found(dialogue.join(ref, limit).cluster)
      @standing = :joined
      cluster
    rescue RegistryError
      @standing = before if before # it was refused, and is where it was
      raise
    end

    def wait(dialogue, cluster, limit)
      seen = method(:seen) if @progress
      waiter = Waiter.new(dialogue, ClusterRef.of(cluster), size: @size, seen: seen, follow: @follow, look: true)
      waiter.wait(limit)
    ensure
      keep(waiter.last) if waiter&.last
    end

    # Creates the cluster or looks at the one that is there, and returns how to join it.
    def find(dialogue, limit)
      return look(dialogue, limit) unless @plan.creates?

      cluster = dialogue.create(@plan.creation.with(name: @ref.name, attrs: @attrs), limit)
      # A name that was made up now is the cluster's name, should the registry have to be asked again.
      @ref = @ref.with(name: cluster.name) unless cluster.name.empty?
      @attrs &= ~ClusterAttrs::UNIQUE
      ClusterRef.new(id: found(cluster).id)
    end

    # An original server says nothing about a cluster to nodes that have not joined it.
    def look(dialogue, limit)
      Dialogue.check_size(dialogue.cluster(@ref, limit), @size) unless dialogue.original?
      @ref
    end

    def found(cluster)
      Dialogue.check_size(cluster, @plan.size)
      @size = cluster.size.zero? ? @plan.size : cluster.size
      @cluster = cluster
    end

    def seen(roster)
      keep(roster)
      tell(nil)
    end

    def keep(roster)
      @last = roster
      @cluster = roster.cluster
      @index = roster.by_id(@id)&.index
    end

    def tell(error) = @progress&.call(Progress.new(cluster: @cluster, roster: @last, size: @size, error: error))

    # The error of a formation that ran out of time, with what else was wrong when it did.
    def incomplete(error)
      obstacle = error unless error.is_a?(IncompleteError)
      IncompleteError.new(@last, @size, obstacle: obstacle, standing: @standing, index: @index,
                                        silence: @heard_at && (@limit.now - @heard_at))
    end
  end

  # Forms a cluster: finds out the addresses of the listening sockets, registers, creates or finds the
  # cluster, joins it, and waits until everybody is there. It carries on when the registry is restarted.
  #
  # @param target [Target, RegCred, String] the registry: an xlreg:// line, the name of a regCred file, or
  #   credentials
  # @param node [Node] the node to become a member
  # @param cluster [String, ClusterID, Cluster, ClusterRef] its name or ID
  # @param size [Integer] how many members it must have; may be 0 if it is not to be created
  # @param listeners [Array<TCPServer, Socket, OpenSSL::SSL::SSLServer>] where the node is reached: the
  #   first by the other members, the second by their clients. Their addresses are registered.
  # @param advertise [Array<String, nil>] what to register in their place, where that is not nil; without
  #   either, what the node had before. ":7001" stands for the address by which the registry is reached, and
  #   "eth1:7001" for that of an interface
  # @param join_only [Boolean] never create the cluster
  # @param endpoint_count [Integer] how many endpoints each member of a new cluster must have
  # @param attrs [Integer] bits of ClusterAttrs for a new cluster
  # @param protocol [Protocol, String, nil] 2.0, unless "1.9" or "1.8" is chosen
  # @param allow_unverified [Boolean] over 2.0, whether members may be among the others that have proved
  #   nothing; over a classic carrier nobody has
  # @param timeout [Numeric, nil] seconds; by default it waits for ever
  # @yieldparam progress [Progress] each time that something is new
  # @return [Membership]
  # @raise [IncompleteError] time was up first; it says who has joined and how many are missing
  # @raise [AddressError] nobody could reach the node at one of the addresses. One that is not known yet, as that
  #   of a host name, is looked up again until time is up; without a timeout for 30 seconds
  # @raise [ClusterSizeError] the cluster exists with another size
  # @raise [UnverifiedError] the cluster is full, and some have proved nothing; its members names them
  # @raise [UntrustedError] the registry is not the one wanted
  # @raise [Error] see Client.open, register, create, join and wait
  #
  # @example
  #   listener = TCPServer.new('192.0.2.7', 0)
  #   membership = Xlreg::Node.ensure('/var/lib/app/node') do |node|
  #     Xlreg.form('xlreg://reg.example.org/?sig=…', node: node, cluster: 'web', size: 3,
  #                                                  listeners: [listener])
  #   end
  def self.form(target, node:, cluster:, size: 0, listeners: [], advertise: [], join_only: false,
                endpoint_count: 1, attrs: ClusterAttrs::NONE, protocol: nil, allow_unverified: false, timeout: nil,
                &progress)
    plan = Plan.new(options: Options.of(target, node: node, protocol: protocol), ref: ClusterRef.of(cluster),
                    size: size, join_only: join_only, endpoint_count: endpoint_count, attrs: attrs,
                    listeners: listeners, advertise: advertise, allow_unverified: allow_unverified)
    Formation.new(plan, progress).run(Limit.new(timeout))
  end
end
