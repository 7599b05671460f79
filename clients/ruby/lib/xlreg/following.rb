# frozen_string_literal: true

# Following a cluster; Xlreg.watch is the one call for readers, Membership#watch for members.
module Xlreg
  # What is different in a roster from the one before it. A member is its sig key.
  #
  # @!attribute [r] roster
  #   @return [Roster] as it is now
  # @!attribute [r] came
  #   @return [Array<Member>] who was not there before
  # @!attribute [r] went
  #   @return [Array<Member>] who is not there any more, as they were
  # @!attribute [r] changed
  #   @return [Array<Member>] who says something else than before, or started anew, as they are
  Change = Struct.new(:roster, :came, :went, :changed, keyword_init: true) do
    include Value

    # @param before [Roster, nil] nil is nobody
    # @param now [Roster]
    # @return [Change]
    # @api private
    def self.between(before, now)
      known = before ? before.members.to_h { |member| [member.token.sig_key, member] } : {}
      there = now.members.to_h { |member| [member.token.sig_key, member] }
      came, stayed = there.partition { |key, _| !known.key?(key) }
      changed = stayed.select { |key, member| different?(known[key], member) }
      new(roster: now, came: came.map(&:last), went: known.except(*there.keys).values, changed: changed.map(&:last))
    end

    # @api private
    def self.different?(one, other)
      !one.equal?(other) && (one.index != other.index || Sum.seat(one.token) != Sum.seat(other.token))
    end

    # @return [Boolean] whether something that members say is different
    def any? = [came, went, changed].any? { |members| !members.empty? }

    # @return [String] who came, went and changed
    def inspect
      marks = { '+' => came, '-' => went, '~' => changed }
      names = marks.flat_map { |mark, members| members.map { |member| "#{mark}#{member.name}" } }
      "#<Xlreg::Change of #{roster.cluster} #{names.join(' ')}>"
    end
  end

  # Follows a cluster through sessions: asks for what is new until it is stopped, or the cluster is gone. Each request
  # that waits is a sign of life, if the session is the node's own.
  # @api private
  class Follower
    # @param options [Options] with the node, if it is a member
    # @param ref [ClusterRef]
    # @param last [Roster, nil] what is known
    # @param lease [Numeric, nil] seconds
    # @param same [Proc] told when the registry says that the last roster is still the one
    # @param strangers [Strangers] who may answer in the registry's place, once that was there
    # @yieldparam roster [Roster] each that is another than the last, verified
    # @yieldparam before [Roster, nil] the last
    def initialize(options, ref, last: nil, lease: nil, same: -> {}, strangers: Strangers.new(options.timing.stranger),
                   &news)
      @options = options
      @ref = ref
      @last = last
      @lease = lease
      @same = same
      @strangers = strangers
      @news = news
      @met = !last.nil?
      @age = Age.new
    end

    # Follows until the limit ends.
    # @param limit [Limit]
    # @param tell [Proc] told of each error that is tried again
    # @raise [Error] there is nothing to follow any more
    def run(limit, tell: ->(_) {})
      Text.doing("watch #{@ref}") do
        Persistence.new(limit, incomplete: ->(error) { error }, tell: tell, met: -> { @met }, route: @options.route,
                               strangers: @strangers).run { attempt(limit) }
      end
    rescue Error
      raise unless limit.over?
    end

    private

    def attempt(limit)
      @strangers.look(@options, limit)
      Dialogue.open(@options, limit, once: true) do |dialogue|
        dialogue.login(limit) if @options.node
        @strangers.gone
        dialogue.recall(@last) if @last
        ask(dialogue, limit) until limit.over?
      end
    end

    # Asks for news once, and passes them on.
    def ask(dialogue, limit)
      roster = dialogue.news(@ref, @last, limit, most: @lease && (@lease / 3.0))
      @met = true
      refuse(dialogue, roster) if @age.behind?(@last, roster, limit)
      return @same.call if @last && @last.sum == roster.sum

      before = @last
      @last = roster
      @news.call(roster, before)
    end

    # Leaves a server that is behind what another one has shown.
    def refuse(dialogue, roster)
      dialogue.turn_away
      raise SessionEndedError, "the registry shows revision #{roster.state.revision} after #{@last.state.revision}"
    end
  end

  # Yields a cluster's roster and then each change of it once, through reconnects and restarts of the registry, until
  # the block breaks or time is up. The first change is of all who are there. Changes that come quickly one after
  # another may come as one. It needs no node, and protocol 2.0.
  #
  # @param target [Target, RegCred, Ticket, String] the registry, or a ticket
  # @param cluster [String, ClusterID, Cluster, ClusterRef, nil] its name or ID; nil is that of the ticket
  # @param timeout [Numeric, nil] seconds; by default for ever
  # @param stranger [Proc, nil] told of whoever else answers at the registry's address later: see Xlreg.form
  # @yieldparam change [Change]
  # @return [void]
  # @raise [NoSuchClusterError] the cluster is gone
  # @raise [UntrustedError] the first who answers is not the registry
  # @raise [Error] see Client.open and members
  #
  # @example
  #   Xlreg.watch('regCred.dat', 'web') { |change| p change; break }
  def self.watch(target, cluster = nil, timeout: nil, stranger: nil)
    target = Ticket.load(target) if Ticket.line?(target)
    ref = ClusterRef.of(cluster || (target if target.is_a?(Ticket)))
    raise NoClusterNamedError if ref.none?

    options = Options.of(target)
    Follower.new(options, ref, strangers: Strangers.new(options.timing.stranger, stranger)) do |roster, before|
      change = Change.between(before, roster)
      yield change if before.nil? || change.any?
    end.run(Limit.new(timeout))
  end
end
