# frozen_string_literal: true

module Xlreg
  # Gives the orders of a cluster's owner. They are signed with the cluster's key and need no node; each is done once,
  # however often it has to be sent.
  #
  #     Xlreg::Owner.new(ticket).evict(member)
  class Owner
    # @param ticket [Ticket, String] the owner's
    # @raise [NotOwnerError] it is another's
    def initialize(ticket)
      @ticket = Ticket.load(ticket)
      raise NotOwnerError unless @ticket.owner?

      @options = Options.of(@ticket)
    end

    # @return [String]
    def inspect = "#<Xlreg::Owner of cluster #{@ticket.cluster}>"

    # @param timeout [Numeric, nil] seconds; by default 60
    # @return [Roster] who is in the cluster now, verified
    def members(timeout: nil)
      limit = Limit.new(timeout || @options.timing.call)
      Dialogue.open(@options, limit) { |dialogue| dialogue.members(@ticket.ref, limit) }
    end

    # Frees the seat of a node. It may come back; see ban.
    # @param member [Member, String] or its sig key
    # @param timeout [Numeric, nil] seconds; by default 60
    # @return [void]
    # @raise [NotMemberError] it has none
    def evict(member, timeout: nil) = give(OrderKind::EVICT, timeout, sig_key_sum: sum_of(member))

    # Frees the seat of a node, if it has one, and keeps it out. Of a member the invite that it came with is revoked,
    # too: whoever holds that could come back with another key.
    # @param member [Member, String] or its sig key
    # @param timeout [Numeric, nil] seconds; by default 60
    # @return [void]
    def ban(member, timeout: nil)
      invite = Admission.decode(member.token.admission).invite if member.is_a?(Member) && member.token.admission
      revoke(invite.key, timeout: timeout) if invite
      give(OrderKind::BAN, timeout, sig_key_sum: sum_of(member))
    end

    # Makes an invite admit nobody any more, nor anybody back who came with it.
    # @param invite [Invite, Ticket, String] or its public key
    # @param timeout [Numeric, nil] seconds; by default 60
    # @return [void]
    def revoke(invite, timeout: nil)
      invite = invite.invited || raise(TicketError, 'this is not the ticket of an invite') if invite.is_a?(Ticket)
      give(OrderKind::REVOKE, timeout, invite_key: invite.is_a?(Invite) ? invite.key : invite)
    end

    # Begins a new epoch of the cluster, in which every seat is free.
    # @param timeout [Numeric, nil] seconds; by default 60
    # @return [void]
    def reopen(timeout: nil) = give(OrderKind::REOPEN, timeout)

    # Deletes the cluster for good: this name and key make no other.
    # @param timeout [Numeric, nil] seconds; by default 60
    # @return [void]
    def delete(timeout: nil) = give(OrderKind::DELETE, timeout)

    private

    def sum_of(member)
      OpenSSL::Digest.digest('SHA256', member.is_a?(Member) ? member.token.sig_key : member)
    end

    def give(kind, timeout, **what)
      limit = Limit.new(timeout || @options.timing.call)
      giving = Giving.new(@ticket, kind, what)
      met = false
      Text.doing("#{Giving::NAMES.fetch(kind)} in cluster #{Text.quote(@ticket.cluster)}") do
        Persistence.new(limit, incomplete: ->(error) { error }, tell: ->(_) {}, met: -> { met },
                               route: @options.route).run do
          Dialogue.open(@options, limit, once: true) { |dialogue| (met = true) && giving.run(dialogue, limit) }
        end
      end
      nil
    end
  end

  # An order on its way. Its bytes are sent again if an answer got lost, since a registry does the same bytes once.
  # @api private
  class Giving
    NAMES = { OrderKind::EVICT => 'evict', OrderKind::BAN => 'ban', OrderKind::REVOKE => 'revoke',
              OrderKind::REOPEN => 'reopen', OrderKind::DELETE => 'delete' }.freeze
    # What says that what was ordered is so already.
    DONE = { OrderKind::EVICT => NotMemberError, OrderKind::DELETE => NoSuchClusterIDError }.freeze

    # @param ticket [Ticket]
    # @param kind [Integer]
    # @param what [Hash] the rest of the order
    def initialize(ticket, kind, what)
      @ticket = ticket
      @kind = kind
      @what = what
      @bytes = nil
      @unsure = false # whether the bytes were sent, and it is not known what came of it
    end

    # Gives it in one session, with each number that the registry names.
    def run(dialogue, limit)
      prepare(*dialogue.state_of(@ticket.ref, limit)) unless @bytes
      once(dialogue, limit)
    rescue OrdersChangedError => e
      raise if @unsure && @kind == OrderKind::REOPEN # it may have been done, and another one after it

      prepare(@id, e.orders)
      retry
    end

    private

    def prepare(id, orders)
      @id = id
      @bytes = Order.new(cluster: id, serial: orders + 1, kind: @kind, **@what).encode
    end

    def once(dialogue, limit)
      before = @unsure
      @unsure = true
      dialogue.order(@bytes, @ticket.owner.sign_order(@bytes), @ticket.ref.with(id: @id), limit)
    rescue RegistryError => e
      @unsure = before
      raise unless @unsure && DONE[@kind] && e.is_a?(DONE[@kind])
    end
  end
end
