# frozen_string_literal: true

# Starting without the registry; Xlreg.resume is the one call for it.
module Xlreg
  # Takes a seat again that the node had when it saved its roster.
  # @api private
  class Rejoining < Formation
    # @param plan [Plan]
    # @param saved [SavedRoster]
    # @param progress [Proc, nil]
    def initialize(plan, saved, progress)
      super(plan, progress, follow: false)
      @seat = saved.me
      @place = @place.with(id: saved.me.id, epoch: saved.roster.state.epoch)
      @saved_epoch = saved.roster.state.epoch
    end

    # @return [Place] the node's own, as far as it is known
    attr_reader :place

    # Tries until the node has its seat again, or never will.
    # @param strangers [Strangers] who may answer in the registry's place meanwhile
    # @yieldparam roster [Roster] as it is then
    # @yieldparam place [Place]
    # @yieldparam lease [Float, nil]
    # @raise [Error] the seat is not the node's any more
    def run(strangers)
      @limit = Limit.new(nil)
      @strangers = strangers
      roster = Text.doing("resume #{@ref}") { persist(@limit) { attempt(@limit) } }
      strangers.gone
      yield roster, @place, @lease
      tell(nil)
    end

    private

    # It was in an earlier start.
    def met? = true

    def attempt(limit)
      @strangers.look(@plan.options, limit)
      super
    end

    def formed(roster) = roster

    def look(dialogue, limit)
      check_seat(dialogue.members(@ref, limit))
      super
    end

    # Looks whether the seat is the node's to take. One that is free is, if it had a lease, which has run out; without
    # one it is lost only to those who may take it away.
    def check_seat(now)
      return if now.members.any? { |member| member.token.sig_key == @place.key }
      raise NewEpochError, "epoch #{now.state.epoch} follows #{@saved_epoch}" if now.state.epoch != @saved_epoch

      other = now.by_index(@seat.index)
      raise NotMemberError, "#{Text.quote(other.name)} has its seat, with index #{other.index}" if other
      raise NotMemberError, "this node left, or the cluster's owner evicted it" unless @seat.lease
    end
  end

  # Makes a membership of a saved roster, for a member that starts while its registry is away. It returns at once. As
  # soon as the registry is back the node takes its seat again, and then the membership is as one that Xlreg.form
  # returned; watch begins with what is different from the saved roster. A thread of it keeps a session until it is
  # closed. If the seat is the node's no more, the membership ends as it does when that happens while it runs: see
  # Membership#fate.
  #
  # @param saved [SavedRoster] what SavedRoster.load returned
  # @param node [Node] the node that saved it. It keeps its endpoints
  # @param labels [Hash{String => String}, nil] what the node tells the others besides its addresses; nil leaves those
  #   that it has
  # @param lease [Numeric, nil] for how many seconds the node keeps its seat without a sign of life; nil is for ever
  # @param run [String, nil] names this start of the program; by default new bytes
  # @param take_over [Boolean] take the node's seat although another process with its key has it
  # @param allow_unverified [Boolean] whether members may be among the others that have proved nothing
  # @param stranger [Proc, nil] told of whoever else answers at the registry's address: see Xlreg.form
  # @yieldparam progress [Progress] when the node has joined again, and when something has to be tried again
  # @return [Membership]
  # @raise [UnverifiedError] members have proved nothing
  #
  # @example
  #   saved = Xlreg::SavedRoster.load(File.binread('web.saved'), 'regCred.dat', node)
  #   membership = Xlreg.resume(saved, node: node)
  def self.resume(saved, node:, labels: nil, lease: nil, run: nil, take_over: false, allow_unverified: false,
                  stranger: nil, &progress)
    ticket = saved.target if saved.target.is_a?(Ticket)
    cluster = saved.roster.cluster
    options = Options.of(saved.target, node: node)
    plan = Plan.new(options: options, ref: ClusterRef.new(id: cluster.id, name: cluster.name, key: ticket&.key),
                    ticket: ticket, join_only: true, no_wait: true, labels: labels, lease: lease, run: run,
                    take_over: take_over, allow_unverified: allow_unverified)
    plan.check
    node.update_labels(labels) if labels
    node.update_endpoints(saved.me.endpoints)
    again = Rejoining.new(plan, saved, progress)
    Membership.new(options, saved.roster, again.place, key: ticket&.key, lease: lease, again: again,
                                                       allow_unverified: allow_unverified, heard: saved.heard,
                                                       stranger: stranger)
  end
end
