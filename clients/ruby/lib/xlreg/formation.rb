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
                    :allow_unverified, :ticket, :labels, :lease, :fresh, :take_over, :run, :no_wait, :stranger,
                    keyword_init: true) do
    include Value

    def initialize(size: 0, join_only: false, endpoint_count: 1, attrs: ClusterAttrs::NONE, listeners: [],
                   advertise: [], allow_unverified: false, fresh: false, take_over: false, no_wait: false, **rest)
      super
    end

    # @param ticket [Ticket]
    # @return [Plan] with what a ticket says
    # @raise [ArgumentError] it contradicts that
    def by(ticket)
      unless ref.none? || (ref.id.nil? && ref.name == ticket.cluster)
        raise ArgumentError, "the ticket is for another cluster, #{ticket.cluster}"
      end
      raise ArgumentError, 'the ticket has a name for the cluster, which nobody makes unique' if creation.unique?

      with(ticket: ticket, ref: ticket.ref, size: size.zero? ? ticket.size : size,
           endpoint_count: ticket.endpoint_count, join_only: join_only || !ticket.owner?)
    end

    # @return [Boolean] whether something is asked for that classic carriers do not have
    def modern? = [ticket, labels, lease, run].any? || fresh

    # @return [Node]
    def node = options.node || raise(NeedsNodeError)

    # @return [Boolean] whether the cluster is to be created if need be. An ID cannot be chosen.
    def creates? = !join_only && ref.id.nil?

    # @return [Creation]
    def creation
      name = ref.id ? '' : ref.name
      Creation.new(name: name, size: size, endpoint_count: endpoint_count, attrs: attrs, owner: ticket&.owner)
    end

    # Refuses what makes no sense, before anything is done.
    def check
      check_seat
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

    private

    def check_seat
      raise Needs20Error if options.classic? && modern?
      raise ArgumentError, "lease of #{lease} s" unless lease.nil? || lease.positive?
      raise ArgumentError, 'a fresh start waits for the others' if fresh && no_wait
      return if run.nil? || run.bytesize.between?(1, Limits::MAX_RUN)

      raise ArgumentError, "run of #{run.bytesize} bytes: want 1 to #{Limits::MAX_RUN}"
    end
  end

  # One formation under way, from listening sockets to the verified roster. It survives restarts of the registry.
  # @api private
  class Formation
    FIRST_PAUSE = 0.05
    MOST_PAUSE = 1.0
    # The host of an address that is to be the one from which the registry sees this machine.
    OBSERVED = 'observed:'
    private_constant :FIRST_PAUSE, :MOST_PAUSE, :OBSERVED

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
      @index = @heard_at = nil
      @place = Place.new(key: plan.node.keys.sig_key, run: plan.options.classic? ? nil : plan.run || Place.new_run)
      @lease = nil # that holds
      @took_over = @looked = false
      @strangers = nil # a node that is no member yet stops when it meets one
      @leave = plan.ticket&.admission(@place.key)&.encode
    end

    # @param limit [Limit]
    # @return [Membership]
    def run(limit)
      @limit = limit
      Text.doing("form #{@plan.ref}") do
        @plan.check
        @plan.node.update_labels(@plan.labels) if @plan.labels
        @plan.node.update_endpoints(endpoints(limit).tap { |found| @settled&.call(found) })
        persist(limit) { attempt(limit) }
      end
    end

    private

    def persist(limit, &)
      Persistence.new(limit, incomplete: method(:incomplete), tell: method(:tell), met: method(:met?),
                             route: @plan.options.route, classic: @plan.options.classic?, strangers: @strangers).run(&)
    end

    # Tells whether the registry has been there before.
    def met? = !@heard_at.nil?

    # Finds out the addresses. One that is not known yet is looked up again while there is time.
    def endpoints(limit)
      settle_observed(limit)
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

    # Asks the registry from where it sees this machine, if an address is to be that.
    def settle_observed(limit)
      return unless @plan.advertise.any? { |one| one.to_s.start_with?(OBSERVED) }

      persist(limit) do
        Dialogue.open(@plan.options.with(node: nil), limit, once: true) do |dialogue|
          host, = dialogue.observe(limit).to_s.rpartition(':')
          @plan = @plan.with(advertise: @plan.advertise.map { |one| one&.to_s&.sub(/\A#{OBSERVED}/o, "#{host}:") })
        end
      end
    end

    # Goes all the way with one session.
    def attempt(limit)
      refuse_twin(limit)
      Dialogue.open(@plan.options, limit, once: true) do |dialogue|
        @place = @place.with(id: dialogue.register(limit))
        roster = meet(dialogue, limit)
        @place.check(roster)
        formed(roster)
      ensure
        @heard_at = dialogue.heard_at
      end
    end

    def formed(roster)
      Membership.new(@plan.options, roster, @place, key: @ref.key, allow_unverified: @plan.allow_unverified,
                                                    lease: @lease, stranger: @plan.stranger)
    end

    # Enters the cluster and waits for the others. A node that starts afresh enters again each time that the epoch moves
    # on.
    def meet(dialogue, limit)
      ref = patiently(limit) { find(dialogue, limit) }
      begin
        cluster = patiently(limit) { join(dialogue, ref, limit) }
        @plan.no_wait ? look_around(dialogue, cluster, limit) : wait(dialogue, cluster, limit)
      rescue NewEpochError
        raise unless @plan.fresh

        retry
      end
    end

    # Does something again, in the same session, while it fails because of what others have not done yet.
    def patiently(limit)
      backoff = Backoff.new(FIRST_PAUSE, MOST_PAUSE)
      begin
        yield
      rescue NoSuchClusterNameError, MemberNameInUseError, ClusterFullError => e
        raise unless passes?(e)

        tell(e)
        retry if backoff.pause(limit)
        raise incomplete(e)
      end
    end

    # Tells whether an error passes when others come: the cluster's owner, who creates it, or those who open the next
    # epoch.
    def passes?(error)
      return @plan.fresh unless error.is_a?(NoSuchClusterNameError)

      !@plan.ticket.nil? && !@plan.ticket.owner?
    end

    def join(dialogue, ref, limit)
      before = @standing
      @standing = :asked unless before == :joined
      seat = enter(dialogue, ref, limit)
      @lease = seat.lease
      @place = @place.with(epoch: seat.state.epoch)
      found(seat.cluster).tap { @standing = :joined }
    rescue RegistryError
      @standing = before if before # it was refused, and is where it was
      raise
    end

    # Joins. If it means it, a node takes the seat back that another process has, once.
    def enter(dialogue, ref, limit)
      dialogue.join(ref, limit, Wire::Entry.new(admission: @leave, run: @place.run, fresh: @plan.fresh,
                                                lease: @plan.lease))
    rescue MemberIDInUseError => e
      raise twin(dialogue, ref, limit, e) unless @plan.take_over && !@took_over

      @took_over = true
      @place = @place.with(run: Place.new_run)
      retry
    end

    def twin(dialogue, ref, limit, error)
      other = dialogue.seat_of(@place.key, ref, limit)
      other ? TwinError.of(other) : error
    end

    # Refuses to take the seat of another process that lives, unless the seat is this one's already, or is meant.
    def refuse_twin(limit)
      return if @plan.lease.nil? || @plan.fresh || @plan.take_over || @looked

      TwinLook.new(@plan.options, @ref, @place).refuse(limit)
      @looked = true
    end

    def wait(dialogue, cluster, limit)
      seen = method(:seen) if @progress
      check = @place.run && @place.method(:check)
      waiter = Waiter.new(dialogue, ClusterRef.of(cluster).with(key: @ref.key), size: @size, seen: seen, check: check,
                                                                                follow: @follow, look: true,
                                                                                lease: @lease, epoch: waited_epoch)
      waiter.wait(limit)
    ensure
      keep(waiter.last) if waiter&.last
    end

    # Asks who is there now.
    def look_around(dialogue, cluster, limit)
      dialogue.members(ClusterRef.of(cluster).with(key: @ref.key), limit).tap { |roster| keep(roster) }
    end

    def waited_epoch = (@place.epoch if @plan.fresh)

    # Creates the cluster or looks at the one that is there, and returns how to join it.
    def find(dialogue, limit)
      return look(dialogue, limit) unless @plan.creates?

      cluster = dialogue.create(@plan.creation.with(name: @ref.name, attrs: @attrs), limit)
      # A name that was made up now is the cluster's name, should the registry have to be asked again.
      @ref = @ref.with(name: cluster.name) unless cluster.name.empty?
      @attrs &= ~ClusterAttrs::UNIQUE
      ClusterRef.new(id: found(cluster).id, key: @ref.key)
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
      @index = @place.find(roster)&.index
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
  # With a ticket, it is the cluster of that. The owner's creates it if need be; whoever has an invite or an admission
  # and comes before the owner waits for it. Every member's leave from the owner is verified.
  #
  # @param target [Target, RegCred, Ticket, String] the registry: an xlreg:// line, the name of a regCred file, or
  #   credentials; or a ticket, or the line of one
  # @param node [Node] the node to become a member
  # @param cluster [String, ClusterID, Cluster, ClusterRef, nil] its name or ID; nil is that of the ticket
  # @param size [Integer] how many members it must have; may be 0 if it is not to be created, or a ticket says it
  # @param listeners [Array<TCPServer, Socket, OpenSSL::SSL::SSLServer>] where the node is reached: the
  #   first by the other members, the second by their clients. Their addresses are registered.
  # @param advertise [Array<String, nil>] what to register in their place, where that is not nil; without
  #   either, what the node had before. ":7001" stands for the address by which the registry is reached, and
  #   "eth1:7001" for that of an interface
  # @param join_only [Boolean] never create the cluster
  # @param endpoint_count [Integer] how many endpoints each member of a new cluster must have
  # @param attrs [Integer] bits of ClusterAttrs for a new cluster
  # @param protocol [Protocol, String, nil] 2.0, unless "1.9" or "1.8" is chosen
  # @param labels [Hash{String => String}, nil] what the node tells the others besides its addresses; nil leaves those
  #   that it has
  # @param lease [Numeric, nil] for how many seconds the node keeps its seat without a sign of life; nil is for ever.
  #   The membership gives these signs until it is closed
  # @param fresh [Boolean] meet members of this start alone: a cluster whose members all restart begins a new epoch, and
  #   shows nobody an address of the last one. A single member that comes back to a cluster that runs on joins without
  # @param take_over [Boolean] take the node's seat although another process with its key, which shows signs of life,
  #   has it; without that it is a TwinError
  # @param run [String, nil] 1 to 32 bytes that name this start of the program, for one that goes on where another has
  #   stopped; by default new ones
  # @param no_wait [Boolean] return as soon as the node has joined, whoever else is there
  # @param stranger [Proc, nil] told, once the node is a member and in a thread of the membership's own, that somebody
  #   else than the registry answers at its address: an UntrustedError or a NotARegistryError. It is told so once, and
  #   with nil when the registry is back. Nothing that the other one says is believed. The membership looks for the
  #   registry again, after pauses that grow to half a minute, or a third of the lease if that is less, and then follows
  #   as before. Until the node is a member, that is an error instead
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
  # @raise [TwinError] another process with the node's key has its seat
  # @raise [AdmissionRefusedError, TicketError] the owner of the cluster does not admit the node
  # @raise [UntrustedError] the registry is not the one wanted
  # @raise [Error] see Client.open, register, create, join and wait
  #
  # @example
  #   listener = TCPServer.new('192.0.2.7', 0)
  #   membership = Xlreg::Node.ensure('/var/lib/app/node') do |node|
  #     Xlreg.form('xlreg://reg.example.org/?sig=…', node: node, cluster: 'web', size: 3,
  #                                                  listeners: [listener])
  #   end
  def self.form(target, node:, cluster: nil, protocol: nil, timeout: nil, **plan, &progress)
    target = Ticket.load(target) if Ticket.line?(target)
    plan = Plan.new(options: Options.of(target, node: node, protocol: protocol), ref: ClusterRef.of(cluster), **plan)
    plan = plan.by(target) if target.is_a?(Ticket)
    Formation.new(plan, progress).run(Limit.new(timeout))
  end
end
