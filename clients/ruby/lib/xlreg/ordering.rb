# frozen_string_literal: true

module Xlreg
  # The commands of the command line by which the owner of a cluster gives orders.
  # @api private
  module Ordering
    private

    def owner = @owner ||= Owner.new(ticket)

    def evict
      member = find_member(owner, @command.argument)
      order = @command.ban? ? 'ban' : 'evict'
      owner.public_send(order, member, timeout: CLI::REQUEST_SECONDS)
      ordered(order, "#{@command.ban? ? 'banned' : 'evicted'} #{member.name} from #{ticket.cluster}",
              { 'member' => member.name, 'sig' => PublicKey.fingerprint(member.token.sig_key) })
    end

    # Finds the member with a name, or with a key of a fingerprint.
    def find_member(owner, named)
      found = owner.members(timeout: CLI::REQUEST_SECONDS).members.find do |one|
        [one.name, PublicKey.fingerprint(one.token.sig_key)].include?(named)
      end
      found || raise(NotMemberError, "#{ticket.cluster} has no member #{Text.quote(named)}")
    end

    def revoke
      key = invite_key(@command.argument)
      owner.revoke(key, timeout: CLI::REQUEST_SECONDS)
      text = Ed25519.text(key)
      ordered('revoke', "revoked the invite #{text}", { 'invite' => text })
    end

    # Reads the key of an invite, from itself or from the invite.
    def invite_key(text)
      return text.tr('-_', '+/').unpack1('m') if /\A[A-Za-z0-9_-]{43}\z/.match?(text)

      made = Ticket.load(text)
      raise TicketError, "this is no invite, but a ticket of kind #{made.kind}" unless made.invited
      raise TicketError, "the invite is for another cluster, #{made.cluster}" unless made.key == ticket.key

      made.invited.key
    rescue Errno::ENOENT
      raise TicketError, "#{Text.quote(text)} is neither the key of an invite, as 'xlreg-rb ticket show' shows it, " \
                         'nor a file that holds one'
    end

    def reopen
      owner.reopen(timeout: CLI::REQUEST_SECONDS)
      ordered('reopen', "reopened #{ticket.cluster}")
    end

    def delete
      owner # before anybody is asked
      ask_delete unless @command.yes?
      owner.delete(timeout: CLI::REQUEST_SECONDS)
      ordered('delete', "deleted #{ticket.cluster}")
    end

    # Asks the person at the terminal.
    def ask_delete
      unless @input.tty? && @err.tty?
        raise UsageError, 'nobody is here to be asked, and what is deleted cannot be made again: say --yes'
      end

      @err.write("Delete the cluster #{ticket.cluster} for good? [y/N] ")
      raise NotDeletedError, 'nothing deleted' unless yes?
    end

    def yes? = %w[y yes].include?(@input.gets.to_s.strip.downcase)

    # The person at the terminal did not want it.
    class NotDeletedError < StandardError; end

    def ordered(order, text, more = {})
      done = { 'order' => order, 'cluster' => ticket.cluster, **more }
      @output.json? ? Output.encode(done) : "#{text}\n"
    end
  end
end
