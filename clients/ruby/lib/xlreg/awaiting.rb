# frozen_string_literal: true

# Waiting for the members of a cluster without joining it; Xlreg.await is the one call for it.
module Xlreg
  # A reader's wait for a cluster's members. It survives restarts of the registry; see Xlreg.await.
  # @api private
  class Awaiting
    # Seconds until it is looked whether the owner has created the cluster.
    NOT_YET = 0.2
    private_constant :NOT_YET

    # @param options [Options]
    # @param ref [ClusterRef]
    # @param size [Integer] 0 is as many as the cluster is made for
    # @param progress [Proc, nil]
    # @param follow [Boolean] whether progress is to be told of each new member, which takes a request for each
    def initialize(options, ref, size, progress, follow: true)
      @follow = follow
      @options = options
      @ref = ref
      @size = size
      @progress = progress
      @last = @heard_at = nil
    end

    # @param limit [Limit]
    # @return [Roster]
    def run(limit)
      @limit = limit
      Persistence.new(limit, incomplete: method(:incomplete), tell: method(:tell), met: -> { @heard_at },
                             route: @options.route, classic: @options.classic?).run { attempt(limit) }
    end

    private

    def attempt(limit)
      Dialogue.open(@options, limit, once: true) do |dialogue|
        dialogue.register(limit) if dialogue.protocol.classic?
        seen = method(:seen) if @progress
        waiter = Waiter.new(dialogue, @ref, size: @size, seen: seen, follow: @follow, look: true)
        waiter.wait(limit)
      rescue NoSuchClusterNameError => e
        raise unless @ref.key

        raise TryLaterError.new("the cluster's owner has not created it yet: #{e.message}", retry_after: NOT_YET)
      ensure
        @last = waiter.last if waiter&.last
        @heard_at = dialogue.heard_at
      end
    end

    def seen(roster)
      @last = roster
      tell(nil)
    end

    def tell(error) = @progress&.call(Progress.new(cluster: @last&.cluster, roster: @last, size: wanted, error: error))

    def wanted = @size.zero? && @last ? @last.cluster.size : @size

    def incomplete(error)
      obstacle = error unless error.is_a?(IncompleteError)
      IncompleteError.new(@last, wanted, obstacle: obstacle, silence: @heard_at && (@limit.now - @heard_at))
                     .while_doing("wait for #{@ref}")
    end
  end

  # Waits until a cluster has its members, and returns them. It carries on when the registry is restarted,
  # and needs no node over 2.0.
  #
  # With a ticket it waits for the cluster's owner to create it, too, and verifies every member's leave.
  #
  # @param target [Target, RegCred, Ticket, String] the registry: an xlreg:// line, the name of a regCred file, or
  #   credentials; or a ticket, or the line of one
  # @param cluster [String, ClusterID, Cluster, ClusterRef, nil] its name or ID; nil is that of the ticket
  # @param size [Integer] how many members to wait for; 0 is as many as the cluster is made for
  # @param node [Node, nil] the node that asks; a classic carrier needs one
  # @param protocol [Protocol, String, nil] 2.0, unless "1.9" or "1.8" is chosen
  # @param timeout [Numeric, nil] seconds; by default it waits for ever
  # @yieldparam progress [Progress] each time that something is new
  # @return [Roster] verified
  # @raise [IncompleteError] time was up first; it says who has joined and how many are missing
  # @raise [NoSuchClusterError] there is none
  # @raise [ClusterSizeError] it can never have so many
  # @raise [UntrustedError] the registry is not the one wanted
  # @raise [Error] see Client.open and wait
  #
  # @example
  #   Xlreg.await('regCred.dat', 'web', timeout: 60).members.map(&:name)  # => ["m0", "m1"]
  def self.await(target, cluster = nil, size: 0, node: nil, protocol: nil, timeout: nil, &progress)
    target = Ticket.load(target) if Ticket.line?(target)
    ref = ClusterRef.of(cluster || (target if target.is_a?(Ticket)))
    options = Options.of(target, node: node, protocol: protocol)
    Awaiting.new(options, ref, size, progress).run(Limit.new(timeout))
  end
end
